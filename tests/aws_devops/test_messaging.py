"""Queues and topics: encrypted, TLS only, delivering, and undone with nothing left."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.access.queue_policies import send_statement
from opswright_aws_devops.tools.queues import DAY_SECONDS, Queue, judge_queue
from opswright_aws_devops.tools.topics import Topic, Wanted, judge_topic
from opswright_core.policy_documents import with_statement, without_statement
from opswright_core.verdicts import Unread

Clients = Callable[[str], Any]


def attributes_of(sqs: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return found


async def test_a_queue_is_encrypted_tls_only_and_has_a_dead_letter_queue(
    agent: Any, client_of: Clients
) -> None:
    sqs = client_of("sqs")
    made = (await agent.call("create_queue", name="orders", retention_days=7))["outputs"]
    queue = attributes_of(sqs, made["queue_url"])
    dead = attributes_of(sqs, made["dead_letter_queue_url"])
    assert queue["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"
    assert queue["MessageRetentionPeriod"] == str(7 * DAY_SECONDS)
    assert dead["MessageRetentionPeriod"] == str(14 * DAY_SECONDS)
    assert json.loads(queue["RedrivePolicy"]) == {
        "deadLetterTargetArn": made["dead_letter_queue_arn"],
        "maxReceiveCount": 5,
    }
    (statement,) = json.loads(queue["Policy"])["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", made["queue_arn"])
    assert (await agent.call("create_queue", name="orders", retention_days=7))["reused"]


async def test_what_is_received_too_often_lands_in_the_dead_letter_queue(
    agent: Any, client_of: Clients
) -> None:
    sqs, asked = client_of("sqs"), {"max_receives": 2, "visibility_timeout_seconds": 0}
    made = (await agent.call("create_queue", name="orders", **asked))["outputs"]
    sqs.send_message(QueueUrl=made["queue_url"], MessageBody="broken")
    for _ in range(3):
        sqs.receive_message(QueueUrl=made["queue_url"])
    (message,) = sqs.receive_message(QueueUrl=made["dead_letter_queue_url"])["Messages"]
    assert message["Body"] == "broken"


async def test_a_fifo_queue_has_a_fifo_dead_letter_queue(agent: Any, client_of: Clients) -> None:
    made = (await agent.call("create_queue", name="orders", fifo=True))["outputs"]
    assert made["queue_arn"].endswith(":orders.fifo")
    assert made["dead_letter_queue_arn"].endswith(":orders-dead-letters.fifo")
    assert attributes_of(client_of("sqs"), made["dead_letter_queue_url"])["FifoQueue"] == "true"


async def test_the_undo_of_a_queue_leaves_nothing(agent: Any, client_of: Clients) -> None:
    change = await agent.call("create_queue", name="orders")
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert client_of("sqs").list_queues().get("QueueUrls", []) == []


async def test_a_queue_that_was_cut_off_is_resumed_or_undone(
    watched: Any, client_of: Clients
) -> None:
    sqs = client_of("sqs")
    cut_off = await watched.cut_off("create_queue", "CreateQueue", after=1, name="orders")
    assert len(sqs.list_queues()["QueueUrls"]) == 1
    await watched.call("undo_change", change_id=cut_off["change_id"])
    assert sqs.list_queues().get("QueueUrls", []) == []
    await watched.cut_off("create_queue", "CreateQueue", after=1, name="mails")
    resumed = await watched.call("create_queue", name="mails")
    assert resumed["status"] == "done"
    assert len(sqs.list_queues()["QueueUrls"]) == 2


async def test_a_plan_makes_nothing_and_says_what_a_missing_dead_letter_queue_means(
    agent: Any, client_of: Clients
) -> None:
    planned = await agent.call("create_queue", name="orders", max_receives=0, dry_run=True)
    assert [a["name"] for a in planned["plan"]["actions"]] == ["orders"]
    assert "always fails" in " ".join(planned["plan"]["warnings"])
    assert client_of("sqs").list_queues().get("QueueUrls", []) == []


async def test_a_queue_of_somebody_else_is_refused(agent: Any, client_of: Clients) -> None:
    client_of("sqs").create_queue(QueueName="orders")
    assert "outside opswright" in await agent.refused("create_queue", name="orders")
    await agent.call("create_queue", name="mails")
    said = await agent.refused("create_queue", name="mails", retention_days=9)
    assert "with other settings" in said


async def test_a_dead_letter_queue_that_was_deleted_is_made_again(
    agent: Any, client_of: Clients
) -> None:
    made = (await agent.call("create_queue", name="orders"))["outputs"]
    client_of("sqs").delete_queue(QueueUrl=made["dead_letter_queue_url"])
    again = await agent.call("create_queue", name="orders")
    assert not again["reused"]
    assert attributes_of(client_of("sqs"), made["dead_letter_queue_url"])


async def test_a_topic_delivers_to_its_queues(agent: Any, client_of: Clients) -> None:
    queue = (await agent.call("create_queue", name="orders"))["outputs"]
    asked = {"name": "sales", "queue_arns": [queue["queue_arn"]]}
    made = (await agent.call("create_topic", **asked))["outputs"]
    assert made["subscriptions"] == [
        {"endpoint": queue["queue_arn"], "protocol": "sqs", "confirmed": True}
    ]
    client_of("sns").publish(TopicArn=made["topic_arn"], Message="sold")
    (message,) = client_of("sqs").receive_message(QueueUrl=queue["queue_url"])["Messages"]
    assert json.loads(message["Body"])["Message"] == "sold"
    policy = json.loads(attributes_of(client_of("sqs"), queue["queue_url"])["Policy"])
    tls, allowed = policy["Statement"]
    assert tls["Sid"] == "TlsOnly"
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": made["topic_arn"]}}
    assert (await agent.call("create_topic", **asked))["reused"]


async def test_the_undo_of_a_topic_leaves_the_queue_as_it_was(
    agent: Any, client_of: Clients
) -> None:
    queue = (await agent.call("create_queue", name="orders"))["outputs"]
    before = attributes_of(client_of("sqs"), queue["queue_url"])["Policy"]
    asked = {"name": "sales", "queue_arns": [queue["queue_arn"]], "emails": ["ann@example.com"]}
    change = await agent.call("create_topic", **asked)
    assert any("no mail" in gap for gap in change["gaps"])
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    after = attributes_of(client_of("sqs"), queue["queue_url"])["Policy"]
    assert json.loads(after) == json.loads(before)
    assert client_of("sns").list_topics()["Topics"] == []
    assert client_of("sns").list_subscriptions()["Subscriptions"] == []


async def test_a_permission_taken_from_the_topic_is_given_again(
    agent: Any, client_of: Clients
) -> None:
    queue = (await agent.call("create_queue", name="orders"))["outputs"]
    asked = {"name": "sales", "queue_arns": [queue["queue_arn"]]}
    await agent.call("create_topic", **asked)
    sqs, url = client_of("sqs"), queue["queue_url"]
    policy = json.loads(attributes_of(sqs, url)["Policy"])
    kept = {**policy, "Statement": policy["Statement"][:1]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(kept)})
    assert not (await agent.call("create_topic", **asked))["reused"]
    assert len(json.loads(attributes_of(sqs, url)["Policy"])["Statement"]) == 2


async def test_a_topic_says_what_confirmation_and_the_aws_key_mean(agent: Any) -> None:
    planned = await agent.call(
        "create_topic", name="sales", emails=["ann@example.com"], dry_run=True
    )
    warnings = " ".join(planned["plan"]["warnings"])
    assert "follows the link" in warnings
    assert "CloudWatch alarms" in warnings


QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"queue_arns": [QUEUE_ARN]}, "no such queue"),
        ({"queue_arns": [QUEUE_ARN.replace("123456789012", "999999999999")]}, "another account"),
        ({"queue_arns": [QUEUE_ARN.replace("arn:aws:", "arn:aws-cn:")]}, "another account"),
        ({"queue_arns": [f"{QUEUE_ARN}.fifo"]}, "FIFO"),
        ({"queue_arns": ["orders"]}, "pattern"),
        ({"emails": ["nobody"]}, "pattern"),
        ({"name": "Sales!"}, "pattern"),
    ],
)
async def test_a_bad_topic_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    assert said in await agent.refused("create_topic", **{"name": "sales", **arguments})


async def test_a_topic_of_somebody_else_is_refused(agent: Any, client_of: Clients) -> None:
    client_of("sns").create_topic(Name="sales")
    assert "outside opswright" in await agent.refused("create_topic", name="sales")


TOPIC_ARN = "arn:aws:sns:eu-west-1:123456789012:sales"
STATEMENT = send_statement(QUEUE_ARN, TOPIC_ARN)
OTHER = {"Sid": "Other", "Effect": "Allow"}


def test_a_statement_is_put_beside_the_others_and_taken_out_alone() -> None:
    first = with_statement(json.dumps({"Version": "2012-10-17", "Statement": [OTHER]}), STATEMENT)
    assert json.loads(first)["Statement"] == [OTHER, STATEMENT]
    assert with_statement(first, STATEMENT) == first
    assert json.loads(without_statement(first, STATEMENT["Sid"]) or "")["Statement"] == [OTHER]
    alone = with_statement(None, STATEMENT)
    assert without_statement(alone, STATEMENT["Sid"]) == ""
    assert without_statement(alone, "Other") is None
    assert without_statement(None, "Other") is None


MADE = Queue(queue_url="u", queue_arn="a", dead_letter_queue_url="du", dead_letter_queue_arn="da")
GOOD = {
    "SqsManagedSseEnabled": "true",
    "Policy": json.dumps({"Statement": [{"Sid": "TlsOnly"}]}),
    "VisibilityTimeout": "30",
    "RedrivePolicy": json.dumps({"deadLetterTargetArn": "da", "maxReceiveCount": 5}),
}
DENIED = Unread(operation="sqs:GetQueueUrl", reason="AccessDenied")


@pytest.mark.parametrize(
    ("queue", "dead", "verdicts"),
    [
        (GOOD, {}, ["PASS"] * 5),
        ({**GOOD, "SqsManagedSseEnabled": "false"}, {}, ["FAIL", *["PASS"] * 4]),
        ({**GOOD, "Policy": ""}, {}, ["PASS", "FAIL", *["PASS"] * 3]),
        ({**GOOD, "VisibilityTimeout": "31"}, {}, ["PASS", "PASS", "FAIL", "PASS", "PASS"]),
        ({**GOOD, "RedrivePolicy": "{}"}, None, [*["PASS"] * 3, "FAIL", "FAIL"]),
        (GOOD, DENIED, [*["PASS"] * 4, "UNKNOWN"]),
        (DENIED, DENIED, ["UNKNOWN"]),
        (None, None, ["FAIL"]),
    ],
)
def test_what_a_queue_lacks_fails_and_what_is_unread_is_unknown(
    queue: Any, dead: Any, verdicts: list[str]
) -> None:
    checks = judge_queue(MADE, queue, dead, attributes={"VisibilityTimeout": 30}, max_receives=5)
    assert [c.verdict for c in checks] == verdicts


async def test_a_fifo_topic_delivers_in_order_to_queues_alone(
    agent: Any, client_of: Clients
) -> None:
    queue = (await agent.call("create_queue", name="orders", fifo=True))["outputs"]
    asked = {"name": "orders", "fifo": True, "queue_arns": [queue["queue_arn"]]}
    change = await agent.call("create_topic", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    arn = change["outputs"]["topic_arn"]
    assert arn.endswith(":orders.fifo")
    found = client_of("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (found["FifoTopic"], found["ContentBasedDeduplication"]) == ("true", "true")
    assert (await agent.call("create_topic", **asked))["reused"]
    said = await agent.refused("create_topic", **asked, emails=["ann@example.com"])
    assert "delivers to queues alone" in said
    await agent.call("undo_change", change_id=change["change_id"])
    assert client_of("sns").list_topics()["Topics"] == []


async def test_a_queue_gets_other_settings_and_those_it_had_back(
    watched: Any, client_of: Clients
) -> None:
    made = (await watched.call("create_queue", name="orders"))["outputs"]
    sqs, url = client_of("sqs"), made["queue_url"]
    before = attributes_of(sqs, url)
    asked = {
        "queue": "orders", "visibility_timeout_seconds": 20, "retention_days": 2,
        "wait_seconds": 20, "max_receives": 3,
    }  # fmt: skip
    planned = await watched.call("configure_queue", **asked, dry_run=True)
    assert "retention_days 4 → 2" in [one["detail"] for one in planned["plan"]["actions"]]
    warnings = " ".join(planned["plan"]["warnings"])
    for risk in ("older than 2 days are deleted", "handed out twice", "dead-letter queue"):
        assert risk in warnings
    await watched.cut_off("configure_queue", "SetQueueAttributes", **asked)
    change = await watched.call("configure_queue", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    now = attributes_of(sqs, url)
    assert (now["VisibilityTimeout"], now["MessageRetentionPeriod"]) == ("20", str(2 * DAY_SECONDS))
    assert now["ReceiveMessageWaitTimeSeconds"] == "20"
    assert json.loads(now["RedrivePolicy"]) == {
        "deadLetterTargetArn": made["dead_letter_queue_arn"], "maxReceiveCount": 3,
    }  # fmt: skip
    assert now["Policy"] == before["Policy"]
    assert (await watched.call("configure_queue", **asked))["reused"]
    undone = await watched.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    volatile = {"LastModifiedTimestamp"}
    after = attributes_of(sqs, url)
    assert {k: v for k, v in after.items() if k not in volatile} == {
        k: v for k, v in before.items() if k not in volatile
    }
    await watched.call("create_queue", name="plain", max_receives=0)
    for changed, said in (
        ({"queue": "plain", "max_receives": 3}, "has no dead-letter queue"),
        ({"queue": "none", "wait_seconds": 1}, "There is no queue"),
        ({"queue": "orders"}, "Nothing to change"),
        ({"queue": "orders", "retention_days": 15}, "less than or equal to 14"),
    ):
        assert said in await watched.refused("configure_queue", **changed)


def test_a_pending_subscription_is_there_and_said() -> None:
    told = [{"Endpoint": "ann@example.com", "SubscriptionArn": "PendingConfirmation"}]
    topic = {"KmsMasterKeyId": "k", "Policy": "{}", "Subscriptions": told}
    made = Topic(topic_arn=TOPIC_ARN, subscriptions=[])
    encrypted, tls, ann = judge_topic(made, topic, Wanted("orders", [], ["ann@example.com"], "k"))
    assert [encrypted.verdict, tls.verdict, ann.verdict] == ["PASS", "FAIL", "PASS"]
    assert "waits" in ann.evidence


async def test_a_queue_is_made_by_a_task_in_plain_words(agent: Any, client_of: Clients) -> None:
    report = await agent.call("handle_task", task="create a fifo queue named orders")
    assert (report["status"], report["skill"]) == ("completed", "create_message_queue")
    assert len(client_of("sqs").list_queues()["QueueUrls"]) == 2
    assert report["outputs"]["queue_arn"].endswith(":orders.fifo")
