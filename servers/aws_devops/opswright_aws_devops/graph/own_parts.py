"""Reads what only calls about one resource tell: who may use it, and what else it hangs on."""

import json
from collections.abc import Callable
from typing import Any

from opswright_aws_devops.access.resource_access import (
    Exposure,
    callers,
    judge,
    judge_bucket,
    judge_function,
)
from opswright_aws_devops.graph.relations import (
    BUCKET,
    FUNCTION,
    KEY,
    QUEUE,
    REPOSITORY,
    SECRET,
    TABLE,
    TOPIC,
)
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError
from opswright_core.verdicts import Unread, attempt

Parts = dict[str, Any]
NOT_READ = "NotRead"
"""Where a reader says what was refused to it."""


def _bucket(a: Aws, item: Parts) -> Parts:
    name, s3 = item["Name"], a.client("s3", item.get("BucketRegion") or a.region)
    policy = _read(lambda: s3.get_bucket_policy(Bucket=name)["Policy"])
    grants = _read(lambda: s3.get_bucket_acl(Bucket=name)["Grants"])
    key = "PublicAccessBlockConfiguration"
    block = _read(lambda: s3.get_public_access_block(Bucket=name)[key])
    control = a.client("s3control")
    account = _read(lambda: control.get_public_access_block(AccountId=a.account_id)[key])
    access = _judged(
        lambda: judge_bucket(policy, grants or [], [block or {}, account or {}], a.account_id),
        policy, grants, block, account,
    )  # fmt: skip
    told = _read(lambda: s3.get_bucket_notification_configuration(Bucket=name))
    copies = _read(lambda: s3.get_bucket_replication(Bucket=name)["ReplicationConfiguration"])
    logs = _read(lambda: s3.get_bucket_logging(Bucket=name).get("LoggingEnabled"))
    cipher = _read(
        lambda: s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    )
    return {
        "Access": access,
        "Notified": [
            entry[arn]
            for entries in _known(told).values() if isinstance(entries, list)
            for entry in entries for arn in ("QueueArn", "TopicArn", "LambdaFunctionArn")
            if arn in entry
        ],
        "Replicas": [rule["Destination"]["Bucket"] for rule in _known(copies).get("Rules", [])],
        "LogsTo": _known(logs).get("TargetBucket"),
        "KmsKeyId": [
            rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            for rule in _known(cipher).get("Rules", [])
        ],
        NOT_READ: _refused(told, copies, logs, cipher),
    }  # fmt: skip


def _queue(a: Aws, item: Parts) -> Parts:
    sqs, url = a.client("sqs"), item["QueueUrl"]
    names = ["Policy", "RedrivePolicy", "KmsMasterKeyId"]
    read = _read(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names))
    sources = _read(
        lambda: {"urls": a.pages("sqs", "list_dead_letter_source_queues", "queueUrls",
                                 QueueUrl=url)}
    )  # fmt: skip
    told = _known(read).get("Attributes", {})
    return {
        **_by_policy(a, read, told.get("Policy")),
        "DeadLetters": _dead_letters(told.get("RedrivePolicy")),
        "KmsKeyId": told.get("KmsMasterKeyId"),
        "FailsHere": _known(sources).get("urls", []),
        NOT_READ: _refused(read, sources),
    }


def _dead_letters(policy: str | None) -> str | None:
    arn: str | None = json.loads(policy).get("deadLetterTargetArn") if policy else None
    return arn


def _topic(a: Aws, item: Parts) -> Parts:
    read = _read(lambda: a.client("sns").get_topic_attributes(TopicArn=item["TopicArn"]))
    told = _known(read).get("Attributes", {})
    return {
        **_by_policy(a, read, told.get("Policy")),
        "KmsKeyId": told.get("KmsMasterKeyId"),
        NOT_READ: _refused(read),
    }


def _function(a: Aws, item: Parts) -> Parts:
    client, name = a.client("lambda"), item["FunctionName"]
    policy = _read(lambda: client.get_policy(FunctionName=name)["Policy"])
    url = _read(lambda: client.get_function_url_config(FunctionName=name))
    return {
        "Access": _judged(lambda: judge_function(policy, _known(url), a.account_id), policy, url),
        "Callers": _callers(policy),
        NOT_READ: _refused(policy, url),
    }


def _table(a: Aws, item: Parts) -> Parts:
    client = a.client("dynamodb")
    policy = _read(lambda: client.get_resource_policy(ResourceArn=item["Arn"])["Policy"])
    told = _read(lambda: client.describe_table(TableName=item["TableName"])["Table"])
    return {
        **_by_policy(a, policy, policy),
        "KmsKeyId": _known(told).get("SSEDescription", {}).get("KMSMasterKeyArn"),
        NOT_READ: _refused(policy, told),
    }


def _secret(a: Aws, item: Parts) -> Parts:
    client = a.client("secretsmanager")
    read = _read(lambda: client.get_resource_policy(SecretId=item["ARN"]))
    return {**_by_policy(a, read, _known(read).get("ResourcePolicy")), NOT_READ: _refused(read)}


def _repository(a: Aws, item: Parts) -> Parts:
    client, name = a.client("ecr"), item["repositoryName"]
    policy = _read(lambda: client.get_repository_policy(repositoryName=name)["policyText"])
    return {**_by_policy(a, policy, policy), NOT_READ: _refused(policy)}


def _key(a: Aws, item: Parts) -> Parts:
    kms, key_id = a.client("kms"), item["TargetKeyId"]
    policy = _read(lambda: kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    return {**_by_policy(a, policy, policy), NOT_READ: _refused(policy)}


OWN_PARTS: dict[str, Callable[[Aws, Parts], Parts]] = {
    BUCKET: _bucket, QUEUE: _queue, TOPIC: _topic, FUNCTION: _function, TABLE: _table,
    SECRET: _secret, REPOSITORY: _repository, KEY: _key,
}  # fmt: skip
"""By kind. `Access` is whether the resource is public or shared, and what says so."""


def _by_policy(a: Aws, read: Any, policy: Any) -> Parts:
    return {
        "Access": _judged(lambda: judge(policy, a.account_id), read),
        "Callers": _callers(policy),
    }


def _judged(judge_it: Callable[[], tuple[Exposure, str]], *reads: Any) -> tuple[Exposure, str]:
    """What was judged of what was read; unknown where a part was refused."""
    if refused := _refused(*reads):
        return "unknown", "not read: " + "; ".join(refused)
    try:
        return judge_it()
    except BadInputError as exc:
        return "unknown", f"its policy cannot be judged: {exc}"


def _callers(policy: Any) -> list[str]:
    try:
        return callers(policy) if isinstance(policy, str) else []
    except BadInputError:  # which `Access` tells
        return []


def _read(call: Callable[[], Any]) -> Any:
    """What a call tells: None where there is no such thing, `Unread` where it was refused."""
    return attempt(lambda: if_exists(call))


def _known(read: Any) -> dict[str, Any]:
    return read if isinstance(read, dict) else {}


def _refused(*reads: Any) -> list[str]:
    return [read.reason for read in reads if isinstance(read, Unread)]
