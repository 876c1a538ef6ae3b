"""Queues and topics in an exported script. Each function is copied into it as it stands."""

import json
from typing import Any

from opswright_aws_devops.export.script.building import Building, or_none


def queue(
    it: Building, key: str, *, QueueName: str, Tags: Any = (), RedrivePolicy: Any = None,
    **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A queue with its settings; sent again they stay the same."""
    sqs = it.client("sqs")
    tags = {tag["Key"]: tag["Value"] for tag in it.tags(key, list(Tags))}
    attributes = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in own.items()
    }
    if RedrivePolicy:
        attributes["RedrivePolicy"] = json.dumps(RedrivePolicy)

    def told(url: str) -> dict[str, Any]:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return {"QueueUrl": url, "Arn": found["Attributes"]["QueueArn"]}

    def find() -> dict[str, Any] | None:
        there = or_none(
            lambda: sqs.get_queue_url(QueueName=QueueName),
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
        )
        if not there:
            return None
        found = sqs.list_queue_tags(QueueUrl=there["QueueUrl"]).get("Tags", {})
        pairs = [{"Key": name, "Value": value} for name, value in found.items()]
        it.must_be_ours(key, f"Queue {QueueName}", pairs)
        return told(there["QueueUrl"])

    def create() -> dict[str, Any]:
        made = sqs.create_queue(QueueName=QueueName, Attributes=attributes, tags=tags)
        return told(made["QueueUrl"])

    return it.part(key, "queue", find, create)


def queue_policy(
    it: Building, key: str, *, Queues: list[str], PolicyDocument: Any
) -> dict[str, Any]:
    """The policy of queues; sent again it stays the same."""
    policy = {"Policy": json.dumps(PolicyDocument)}
    for url in Queues:
        it.setting(it.client("sqs").set_queue_attributes, QueueUrl=url, Attributes=policy)
    return {"Queues": Queues}


def topic(it: Building, key: str, *, TopicName: str, Tags: Any = (), **own: Any) -> dict[str, Any]:
    """A topic with its settings."""
    sns = it.client("sns")
    attributes = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in own.items()
    }

    def find() -> dict[str, Any] | None:
        pages = sns.get_paginator("list_topics").paginate()
        arns = [one["TopicArn"] for page in pages for one in page["Topics"]]
        arn = next((arn for arn in arns if arn.rpartition(":")[2] == TopicName), None)
        if arn is None:
            return None
        tags = sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
        it.must_be_ours(key, f"Topic {TopicName}", tags)
        return {"TopicArn": arn}

    def create() -> dict[str, Any]:
        made = sns.create_topic(
            Name=TopicName, Attributes=attributes, Tags=it.tags(key, list(Tags))
        )
        return {"TopicArn": made["TopicArn"]}

    return it.part(key, "topic", find, create)


def topic_policy(
    it: Building, key: str, *, Topics: list[str], PolicyDocument: Any
) -> dict[str, Any]:
    """The policy of topics; sent again it stays the same."""
    for arn in Topics:
        it.setting(
            it.client("sns").set_topic_attributes,
            TopicArn=arn,
            AttributeName="Policy",
            AttributeValue=json.dumps(PolicyDocument),
        )
    return {"Topics": Topics}


def subscription(
    it: Building, key: str, *, TopicArn: str, Protocol: str, Endpoint: str, **own: Any
) -> dict[str, Any]:
    """What hears of a topic; SNS gives the one that is there when asked for it again."""
    sns = it.client("sns")
    attributes = {
        name: json.dumps(value) if isinstance(value, dict) else str(value).lower()
        for name, value in own.items()
    }

    def find() -> dict[str, Any] | None:
        if not TopicArn.startswith("arn:"):  # missing still, in a dry run
            return None
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=TopicArn)
        found = [
            one
            for page in pages
            for one in page["Subscriptions"]
            if (one["Protocol"], one["Endpoint"]) == (Protocol, Endpoint)
        ]
        return {"SubscriptionArn": found[0]["SubscriptionArn"]} if found else None

    def create() -> dict[str, Any]:
        made = sns.subscribe(
            TopicArn=TopicArn, Protocol=Protocol, Endpoint=Endpoint, Attributes=attributes,
            ReturnSubscriptionArn=True,
        )  # fmt: skip
        return {"SubscriptionArn": made["SubscriptionArn"]}

    return it.part(key, "subscription", find, create)
