"""Databases, buckets, queues and topics, in the provider's words."""

from collections.abc import Mapping

from opswright_aws_devops.export.model import Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic
from opswright_aws_devops.export.terraform.hcl import Block, Json, snake_case


def _database(draft: Draft) -> None:
    """A database. One that is to be made leaves a snapshot when it is destroyed.

    Of one that exists, Terraform takes on import that it leaves none, and would change that at
    once; `prevent_destroy` holds it instead.
    """
    draft.rest["AllocatedStorage"] = int(draft.rest["AllocatedStorage"])
    if draft.exists:
        draft.ignored = ("apply_immediately", "manage_master_user_password")
    if "MasterUserPassword" in draft.rest:
        draft.ignored = (*draft.ignored, "password")  # nobody can read it to compare
    if draft.part.holds_data and not draft.exists:
        draft.body["final_snapshot_identifier"] = f"{draft.rest['DBInstanceIdentifier']}-final"
    else:
        draft.body["skip_final_snapshot"] = True


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


def _documents(draft: Draft) -> None:
    for name in ("RedrivePolicy", "FilterPolicy"):
        if document := draft.take(name):
            draft.body[snake_case(name)] = Json(document)


KINDS = {
    "AWS::RDS::DBSubnetGroup": Kind(
        "aws_db_subnet_group",
        {"DBSubnetGroupName": "name"},
        {"DBSubnetGroupName": "name", "DBSubnetGroupDescription": "description"},
        "{DBSubnetGroupName}",
    ),
    "AWS::RDS::DBInstance": Kind(
        "aws_db_instance",
        {
            "DBInstanceIdentifier": "identifier",
            "Endpoint.Address": "address",
            "Endpoint.Port": "port",
            "MasterUserSecret.SecretArn": "master_user_secret[0].secret_arn",
        },
        {
            "DBInstanceIdentifier": "identifier",
            "DBInstanceClass": "instance_class",
            "DBName": "db_name",
            "VPCSecurityGroups": "vpc_security_group_ids",
            "MasterUsername": "username",
            "MasterUserPassword": "password",
            "PreferredMaintenanceWindow": "maintenance_window",
            "PreferredBackupWindow": "backup_window",
            "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
        },
        "{DBInstanceIdentifier}",
        _database,
    ),
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
        _documents,
    ),
    "AWS::SQS::QueuePolicy": Kind("aws_sqs_queue_policy", import_id="{Queues}", write=_policy),
    "AWS::SNS::Topic": Kind(
        "aws_sns_topic", {"TopicArn": "arn"}, {"TopicName": "name"}, "{TopicArn}"
    ),
    "AWS::SNS::TopicPolicy": Kind("aws_sns_topic_policy", import_id="{Topics}", write=_policy),
    "AWS::SNS::Subscription": Kind(
        "aws_sns_topic_subscription", import_id="{SubscriptionArn}", write=_documents
    ),
}
