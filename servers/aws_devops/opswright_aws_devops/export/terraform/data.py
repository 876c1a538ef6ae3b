"""Buckets, queues and topics, in the provider's words."""

from collections.abc import Mapping

from opswright_aws_devops.export.model import Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic
from opswright_aws_devops.export.terraform.hcl import Block, Json, snake_case


def _bucket(draft: Draft) -> None:
    """A bucket; each of its settings is a resource of its own."""
    name, import_id = draft("BucketName"), draft.there("BucketName")

    def add(setting: str, body: Mapping[str, Value]) -> None:
        draft.add(f"aws_s3_bucket_{setting}", "", {"bucket": name, **body}, import_id)

    if blocks := draft.take("PublicAccessBlockConfiguration"):
        add("public_access_block", {snake_case(k): v for k, v in blocks.items()})
    if owned := draft.take("OwnershipControls"):
        add("ownership_controls", {"rule": generic(owned["Rules"])})
    if encryption := draft.take("BucketEncryption"):
        rules = [_encryption(rule) for rule in encryption["ServerSideEncryptionConfiguration"]]
        add("server_side_encryption_configuration", {"rule": rules})
    if versioning := draft.take("VersioningConfiguration"):
        add("versioning", {"versioning_configuration": generic(versioning)})
    if lifecycle := draft.take("LifecycleConfiguration"):
        add("lifecycle_configuration", {"rule": [_rule(rule) for rule in lifecycle["Rules"]]})


def _encryption(rule: Mapping[str, Value]) -> Block:
    default = rule["ServerSideEncryptionByDefault"]
    names = {"SSEAlgorithm": "sse_algorithm", "KMSMasterKeyID": "kms_master_key_id"}
    own = Block({names[key]: value for key, value in default.items()})
    return Block(
        {
            "bucket_key_enabled": rule.get("BucketKeyEnabled", False),
            "apply_server_side_encryption_by_default": own,
        }
    )


def _rule(rule: Mapping[str, Value]) -> Block:
    own = {k: v for k, v in rule.items() if k not in {"Prefix", "ExpirationInDays"}}
    filtered = {"prefix": rule["Prefix"]} if "Prefix" in rule else {}
    more: dict[str, Value] = {"filter": Block(filtered)}
    if "ExpirationInDays" in rule:
        more["expiration"] = Block({"days": rule["ExpirationInDays"]})
    return Block({snake_case(key): generic(value) for key, value in own.items()} | more)


def _policy(draft: Draft) -> None:
    for one in ("Queues", "Topics"):
        for value in draft.take(one, []):
            draft.body["queue_url" if one == "Queues" else "arn"] = value
    draft.body["policy"] = Json(draft.take("PolicyDocument"))


_LARGEST_BYTES = 262_144
"""What the provider takes of a message until its version 6; SQS gives new queues four times it."""


def _queue(draft: Draft) -> None:
    if int(draft.rest.get("MaximumMessageSize", 0)) > _LARGEST_BYTES:
        draft.take("MaximumMessageSize")
        draft.ignored = ("max_message_size",)
    _documents(draft)


def _documents(draft: Draft) -> None:
    for name in ("RedrivePolicy", "FilterPolicy"):
        if document := draft.take(name):
            draft.body[snake_case(name)] = Json(document)


def _subscription(draft: Draft) -> None:
    _documents(draft)
    if draft.exists:
        draft.ignored = ("confirmation_timeout_in_minutes", "endpoint_auto_confirms")


KINDS = {
    "AWS::S3::Bucket": Kind(
        "aws_s3_bucket",
        {"BucketName": "bucket"},
        {"BucketName": "bucket"},
        "{BucketName}",
        _bucket,
    ),
    "AWS::S3::BucketPolicy": Kind("aws_s3_bucket_policy", import_id="{Bucket}", write=_policy),
    "AWS::SQS::Queue": Kind(
        "aws_sqs_queue",
        {"QueueUrl": "url"},
        {
            "QueueName": "name",
            "VisibilityTimeout": "visibility_timeout_seconds",
            "MessageRetentionPeriod": "message_retention_seconds",
            "MaximumMessageSize": "max_message_size",
            "ReceiveMessageWaitTimeSeconds": "receive_wait_time_seconds",
        },
        "{QueueUrl}",
        _queue,
    ),
    "AWS::SQS::QueuePolicy": Kind("aws_sqs_queue_policy", import_id="{Queues}", write=_policy),
    "AWS::SNS::Topic": Kind(
        "aws_sns_topic", {"TopicArn": "arn"}, {"TopicName": "name"}, "{TopicArn}"
    ),
    "AWS::SNS::TopicPolicy": Kind("aws_sns_topic_policy", import_id="{Topics}", write=_policy),
    "AWS::SNS::Subscription": Kind(
        "aws_sns_topic_subscription", import_id="{SubscriptionArn}", write=_subscription
    ),
}
