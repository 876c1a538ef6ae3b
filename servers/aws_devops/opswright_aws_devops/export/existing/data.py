"""Existing databases, buckets, queues and topics, as parts. No value that is secret is read."""

import json
from typing import Any

from opswright_aws_devops.export.existing.described import Named, Parts, own_tags
from opswright_aws_devops.export.model import Parameter
from opswright_core.aws import is_absent

_DATABASE = (
    "Engine", "DBInstanceClass", "StorageType", "StorageEncrypted", "MultiAZ",
    "PubliclyAccessible", "BackupRetentionPeriod", "DeletionProtection", "CopyTagsToSnapshot",
    "AutoMinorVersionUpgrade", "MasterUsername", "DBName", "LicenseModel",
    "PreferredMaintenanceWindow", "PreferredBackupWindow", "EnableIAMDatabaseAuthentication",
)  # fmt: skip
_OF_CLUSTER = (
    "DBInstanceIdentifier", "DBInstanceClass", "Engine", "DBClusterIdentifier", "PromotionTier",
    "PubliclyAccessible", "AutoMinorVersionUpgrade",
)  # fmt: skip
_CLUSTER = (
    "DBClusterIdentifier", "Engine", "EngineVersion", "DatabaseName", "MasterUsername",
    "StorageEncrypted", "BackupRetentionPeriod", "PreferredBackupWindow",
    "PreferredMaintenanceWindow", "DeletionProtection", "CopyTagsToSnapshot", "Port",
)  # fmt: skip
_QUEUE = (
    "VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds", "MaximumMessageSize",
    "ReceiveMessageWaitTimeSeconds", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
)  # fmt: skip
# Not MaximumMessageSize: AWS raised its default, and older queues keep what they had.
_QUEUE_AS_MADE = {
    "VisibilityTimeout": 30, "MessageRetentionPeriod": 345600, "DelaySeconds": 0,
    "ReceiveMessageWaitTimeSeconds": 0, "KmsDataKeyReusePeriodSeconds": 300,
}  # fmt: skip


def subnet_group(it: Parts, item: dict[str, Any]) -> None:
    """The subnets of a database."""
    name = item["DBSubnetGroupName"]
    if name == "default":
        return
    tags = it.a.client("rds").list_tags_for_resource(ResourceName=item["DBSubnetGroupArn"])
    it.add(
        "RDS::DBSubnetGroup",
        name,
        {
            "DBSubnetGroupName": name,
            "DBSubnetGroupDescription": item["DBSubnetGroupDescription"],
            "SubnetIds": [subnet["SubnetIdentifier"] for subnet in item["Subnets"]],
            "Tags": own_tags(tags["TagList"]),
        },
        named=("DBSubnetGroupName", name),
    )


def database(it: Parts, item: dict[str, Any]) -> None:
    """A database. Its password is RDS's own in Secrets Manager, or has to be given."""
    name = item["DBInstanceIdentifier"]
    if cluster_id := item.get("DBClusterIdentifier"):
        own = {key: item[key] for key in _OF_CLUSTER if item.get(key) is not None}
        own["DBClusterIdentifier"] = Named("RDS::DBCluster", cluster_id)
        it.add("RDS::DBInstance", name, {**own, "Tags": own_tags(item.get("TagList"))})
        return
    managed = bool(item.get("MasterUserSecret"))
    password = Parameter(f"{name} master password", None, is_secret=True)
    observed = bool(item.get("PerformanceInsightsEnabled"))
    limit = item.get("MaxAllocatedStorage") or 0
    group = item.get("DBSubnetGroup", {}).get("DBSubnetGroupName")
    it.add(
        "RDS::DBInstance",
        name,
        {
            "DBInstanceIdentifier": name,
            **{key: item[key] for key in _DATABASE if item.get(key) not in (None, "")},
            "EngineVersion": item.get("EngineVersion"),
            "KmsKeyId": key if (key := str(item.get("KmsKeyId"))).startswith("arn:") else None,
            "AllocatedStorage": str(item["AllocatedStorage"]),
            "MaxAllocatedStorage": limit if limit > item["AllocatedStorage"] else None,
            "MonitoringInterval": item.get("MonitoringInterval") or None,
            "MonitoringRoleArn": item.get("MonitoringRoleArn"),
            "EnablePerformanceInsights": observed or None,
            "PerformanceInsightsRetentionPeriod": item.get("PerformanceInsightsRetentionPeriod")
            if observed
            else None,
            "EnableCloudwatchLogsExports": item.get("EnabledCloudwatchLogsExports"),
            "VPCSecurityGroups": [g["VpcSecurityGroupId"] for g in item["VpcSecurityGroups"]],
            "DBSubnetGroupName": Named("RDS::DBSubnetGroup", group) if group else None,
            **({"ManageMasterUserPassword": True} if managed else {"MasterUserPassword": password}),
            "Tags": own_tags(item.get("TagList")),
        },
        holds_data=True,
    )
    it.leave_out(name, "its data; restore a snapshot for that")


def cluster(it: Parts, item: dict[str, Any]) -> None:
    """An Aurora or Multi-AZ cluster; its instances come with it where they are chosen too."""
    name, group = item["DBClusterIdentifier"], item.get("DBSubnetGroup")
    managed = bool(item.get("MasterUserSecret"))
    password = Parameter(f"{name} master password", None, is_secret=True)
    scaling = item.get("ServerlessV2ScalingConfiguration") or {}
    it.add(
        "RDS::DBCluster",
        name,
        {
            **{key: item[key] for key in _CLUSTER if item.get(key) not in (None, "", 0)},
            "KmsKeyId": key if (key := str(item.get("KmsKeyId"))).startswith("arn:") else None,
            "VpcSecurityGroupIds": [g["VpcSecurityGroupId"] for g in item["VpcSecurityGroups"]],
            "DBSubnetGroupName": Named("RDS::DBSubnetGroup", group) if group else None,
            "EnableIAMDatabaseAuthentication": item.get("IAMDatabaseAuthenticationEnabled") or None,
            "EnableCloudwatchLogsExports": item.get("EnabledCloudwatchLogsExports"),
            "ServerlessV2ScalingConfiguration": {
                key: scaling[key] for key in ("MinCapacity", "MaxCapacity") if key in scaling
            },
            **({"ManageMasterUserPassword": True} if managed else {"MasterUserPassword": password}),
            "Tags": own_tags(item.get("TagList")),
        },
        named=("DBClusterIdentifier", name),
        holds_data=True,
    )
    it.leave_out(name, "its data; restore a snapshot for that")


def bucket(it: Parts, item: dict[str, Any]) -> None:
    """A bucket with its settings and policy, without its objects."""
    name = item["Name"]
    region = item.get("BucketRegion") or it.a.region
    s3 = it.a.client("s3", region)

    def read(operation: str, key: str) -> Any:
        try:
            return getattr(s3, operation)(Bucket=name).get(key)
        except Exception as exc:
            if is_absent(exc):
                return None
            raise

    rules = read("get_bucket_encryption", "ServerSideEncryptionConfiguration") or {}
    encryption = [
        {
            "ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"],
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }
        for rule in rules.get("Rules", [])
        if "ApplyServerSideEncryptionByDefault" in rule
    ]
    status = read("get_bucket_versioning", "Status")
    owned = read("get_bucket_ownership_controls", "OwnershipControls")
    tags = read("get_bucket_tagging", "TagSet") or []
    arn = f"arn:{it.a.partition}:s3:::{name}"
    lifecycle = _lifecycle(it, name, read("get_bucket_lifecycle_configuration", "Rules") or [])
    it.add(
        "S3::Bucket",
        name,
        {
            "BucketName": name,
            "PublicAccessBlockConfiguration": read(
                "get_public_access_block", "PublicAccessBlockConfiguration"
            ),
            "OwnershipControls": owned and {"Rules": owned["Rules"]},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": encryption}
            if encryption
            else None,
            "VersioningConfiguration": {"Status": status} if status else None,
            "LifecycleConfiguration": {"Rules": lifecycle} if lifecycle else None,
            "Tags": own_tags(tags),
        },
        ids={"Arn": arn},
        named=("BucketName", name),
        holds_data=True,
    )
    if policy := read("get_bucket_policy", "Policy"):
        document = json.loads(policy)
        it.add(
            "S3::BucketPolicy",
            name,
            {"Bucket": Named("S3::Bucket", name), "PolicyDocument": document},
        )
    rest = {
        "get_bucket_website": "IndexDocument", "get_bucket_cors": "CORSRules",
        "get_bucket_replication": "ReplicationConfiguration",
        "get_bucket_logging": "LoggingEnabled",
    }  # fmt: skip
    more = [op.removeprefix("get_bucket_") for op, key in rest.items() if read(op, key)]
    it.leave_out(name, f"its objects{''.join(f', its {what}' for what in more)}")


def _lifecycle(it: Parts, name: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules that CloudFormation writes alike."""
    kept = []
    for rule in rules:
        own = {k: v for k, v in rule.items() if k in {"Status", "AbortIncompleteMultipartUpload"}}
        if "ID" in rule:
            own["Id"] = rule["ID"]
        prefix = rule.get("Prefix") or rule.get("Filter", {}).get("Prefix")
        if prefix:
            own["Prefix"] = prefix
        if days := rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"):
            own["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
        if days := rule.get("Expiration", {}).get("Days"):
            own["ExpirationInDays"] = days
        known = {"ID", "Status", "Filter", "Prefix", "AbortIncompleteMultipartUpload",
                 "NoncurrentVersionExpiration", "Expiration"}  # fmt: skip
        filtered = set(rule.get("Filter", {})) - {"Prefix"}
        if (odd := set(rule) - known) or filtered:
            what = ", ".join(sorted(odd | filtered))
            it.leave_out(name, f"its lifecycle rule {rule.get('ID', '')} ({what})")
            continue
        kept.append(own)
    return kept


def queue(it: Parts, item: dict[str, Any]) -> None:
    """A queue with its policy and where its failed messages go."""
    sqs, url, name = it.a.client("sqs"), item["QueueUrl"], item["QueueName"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    own: dict[str, Any] = {}
    for key in _QUEUE:
        if key in found:
            value = int(found[key]) if found[key].isdigit() else found[key]
            if value != _QUEUE_AS_MADE.get(key):
                own[key] = value
    fifo = found.get("FifoQueue") == "true"
    redrive = json.loads(found.get("RedrivePolicy", "null"))
    if redrive:
        redrive["maxReceiveCount"] = int(redrive["maxReceiveCount"])
    managed = found.get("SqsManagedSseEnabled")
    it.add(
        "SQS::Queue",
        name,
        {
            "QueueName": name,
            **own,
            "FifoQueue": fifo or None,
            "ContentBasedDeduplication": found.get("ContentBasedDeduplication") == "true" or None,
            "SqsManagedSseEnabled": managed == "true" if managed else None,
            "RedrivePolicy": redrive,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"QueueUrl": url, "Arn": found["QueueArn"]},
        holds_data=True,
    )
    if policy := found.get("Policy"):
        document = json.loads(policy)
        it.add("SQS::QueuePolicy", name, {"Queues": [url], "PolicyDocument": document})


def topic(it: Parts, item: dict[str, Any]) -> None:
    """A topic with its policy and its subscriptions in this account."""
    sns, arn = it.a.client("sns"), item["TopicArn"]
    name = arn.rpartition(":")[2]
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    it.add(
        "SNS::Topic",
        name,
        {
            "TopicName": name,
            "DisplayName": found.get("DisplayName"),
            "KmsMasterKeyId": found.get("KmsMasterKeyId"),
            "FifoTopic": found.get("FifoTopic") == "true" or None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"TopicArn": arn},
    )
    policy = json.loads(found.get("Policy") or "{}")
    if policy.get("Id") != "__default_policy_ID" and policy.get("Statement"):
        it.add("SNS::TopicPolicy", name, {"Topics": [arn], "PolicyDocument": policy})
    subscriptions = it.a.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    for subscription in subscriptions:
        if subscription["Protocol"] not in {"sqs", "lambda", "firehose"}:
            it.leave_out(name, f"a subscription by {subscription['Protocol']}: it is a person's")
            continue
        raw = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
        more = raw["Attributes"]
        it.add(
            "SNS::Subscription",
            f"{name} {subscription['Endpoint'].rpartition(':')[2]}",
            {
                "TopicArn": arn,
                "Protocol": subscription["Protocol"],
                "Endpoint": subscription["Endpoint"],
                "RawMessageDelivery": more.get("RawMessageDelivery") == "true" or None,
                "FilterPolicy": json.loads(more["FilterPolicy"])
                if "FilterPolicy" in more
                else None,
            },
            import_ids={"SubscriptionArn": subscription["SubscriptionArn"]},
        )
