"""Reads what only calls about one resource tell: who may use it, and what else it hangs on."""

import json
from collections.abc import Callable

from opswright_aws_devops.access.resource_access import judge_bucket, judge_function
from opswright_aws_devops.graph import entrances, shares
from opswright_aws_devops.graph.parts import (
    NOT_READ,
    Parts,
    by_policy,
    callers_of,
    judged,
    known,
    look,
    reasons,
)
from opswright_aws_devops.graph.relations import (
    API,
    BUCKET,
    CLUSTER_SNAPSHOT,
    DB_SNAPSHOT,
    FUNCTION,
    IMAGE,
    KEY,
    LAYER,
    QUEUE,
    REPOSITORY,
    REST_API,
    SECRET,
    SNAPSHOT,
    TABLE,
    TOPIC,
)
from opswright_core.aws import Aws


def _bucket(a: Aws, item: Parts) -> Parts:
    name, s3 = item["Name"], a.client("s3", item.get("BucketRegion") or a.region)
    policy = look(lambda: s3.get_bucket_policy(Bucket=name)["Policy"])
    grants = look(lambda: s3.get_bucket_acl(Bucket=name)["Grants"])
    key = "PublicAccessBlockConfiguration"
    block = look(lambda: s3.get_public_access_block(Bucket=name)[key])
    control = a.client("s3control")
    account = look(lambda: control.get_public_access_block(AccountId=a.account_id)[key])
    access = judged(
        lambda: judge_bucket(policy, grants or [], [block or {}, account or {}], a.account_id),
        policy, grants, block, account,
    )  # fmt: skip
    told = look(lambda: s3.get_bucket_notification_configuration(Bucket=name))
    copies = look(lambda: s3.get_bucket_replication(Bucket=name)["ReplicationConfiguration"])
    logs = look(lambda: s3.get_bucket_logging(Bucket=name).get("LoggingEnabled"))
    cipher = look(
        lambda: s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    )
    return {
        "Access": access,
        "Notified": [
            entry[arn]
            for entries in known(told).values() if isinstance(entries, list)
            for entry in entries for arn in ("QueueArn", "TopicArn", "LambdaFunctionArn")
            if arn in entry
        ],
        "Replicas": [rule["Destination"]["Bucket"] for rule in known(copies).get("Rules", [])],
        "LogsTo": known(logs).get("TargetBucket"),
        "KmsKeyId": [
            rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            for rule in known(cipher).get("Rules", [])
        ],
        NOT_READ: reasons(told, copies, logs, cipher),
    }  # fmt: skip


def _queue(a: Aws, item: Parts) -> Parts:
    sqs, url = a.client("sqs"), item["QueueUrl"]
    names = ["Policy", "RedrivePolicy", "KmsMasterKeyId"]
    read = look(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names))
    sources = look(
        lambda: {"urls": a.pages("sqs", "list_dead_letter_source_queues", "queueUrls",
                                 QueueUrl=url)}
    )  # fmt: skip
    told = known(read).get("Attributes", {})
    return {
        **by_policy(a, read, told.get("Policy")),
        "DeadLetters": _dead_letters(told.get("RedrivePolicy")),
        "KmsKeyId": told.get("KmsMasterKeyId"),
        "FailsHere": known(sources).get("urls", []),
        NOT_READ: reasons(read, sources),
    }


def _dead_letters(policy: str | None) -> str | None:
    arn: str | None = json.loads(policy).get("deadLetterTargetArn") if policy else None
    return arn


def _topic(a: Aws, item: Parts) -> Parts:
    read = look(lambda: a.client("sns").get_topic_attributes(TopicArn=item["TopicArn"]))
    told = known(read).get("Attributes", {})
    return {
        **by_policy(a, read, told.get("Policy")),
        "KmsKeyId": told.get("KmsMasterKeyId"),
        NOT_READ: reasons(read),
    }


def _function(a: Aws, item: Parts) -> Parts:
    client, name = a.client("lambda"), item["FunctionName"]
    policy = look(lambda: client.get_policy(FunctionName=name)["Policy"])
    url = look(lambda: client.get_function_url_config(FunctionName=name))
    return {
        "Access": judged(lambda: judge_function(policy, known(url), a.account_id), policy, url),
        "Callers": callers_of(policy),
        NOT_READ: reasons(policy, url),
    }


def _table(a: Aws, item: Parts) -> Parts:
    client = a.client("dynamodb")
    policy = look(lambda: client.get_resource_policy(ResourceArn=item["Arn"])["Policy"])
    told = look(lambda: client.describe_table(TableName=item["TableName"])["Table"])
    return {
        **by_policy(a, policy, policy),
        "KmsKeyId": known(told).get("SSEDescription", {}).get("KMSMasterKeyArn"),
        NOT_READ: reasons(policy, told),
    }


def _secret(a: Aws, item: Parts) -> Parts:
    client = a.client("secretsmanager")
    read = look(lambda: client.get_resource_policy(SecretId=item["ARN"]))
    return {**by_policy(a, read, known(read).get("ResourcePolicy")), NOT_READ: reasons(read)}


def _repository(a: Aws, item: Parts) -> Parts:
    client, name = a.client("ecr"), item["repositoryName"]
    policy = look(lambda: client.get_repository_policy(repositoryName=name)["policyText"])
    return {**by_policy(a, policy, policy), NOT_READ: reasons(policy)}


def _key(a: Aws, item: Parts) -> Parts:
    kms, key_id = a.client("kms"), item["TargetKeyId"]
    policy = look(lambda: kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    return {**by_policy(a, policy, policy), NOT_READ: reasons(policy)}


def _layer(a: Aws, item: Parts) -> Parts:
    """Each version has a policy of its own; the newest's is judged."""
    version = item["LatestMatchingVersion"]["Version"]
    policy = look(
        lambda: a.client("lambda").get_layer_version_policy(
            LayerName=item["LayerName"], VersionNumber=version
        )["Policy"]
    )
    return {**by_policy(a, policy, policy), NOT_READ: reasons(policy)}


OWN_PARTS: dict[str, Callable[[Aws, Parts], Parts]] = {
    BUCKET: _bucket, QUEUE: _queue, TOPIC: _topic, FUNCTION: _function, TABLE: _table,
    SECRET: _secret, REPOSITORY: _repository, KEY: _key, LAYER: _layer,
    SNAPSHOT: shares.snapshot, IMAGE: shares.image, DB_SNAPSHOT: shares.database_snapshot,
    CLUSTER_SNAPSHOT: shares.cluster_snapshot,
    REST_API: entrances.rest_api, API: entrances.api,
}  # fmt: skip
"""By kind. `Access` is whether the resource is public or shared, and what says so."""
