"""Kinds that keep or carry data: databases, buckets, tables, queues and topics."""

from typing import Any

from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws


def _buckets(a: Aws) -> Items:
    """S3 tells a bucket's region only where the pages have a size."""
    return [
        {**bucket, "Arn": f"arn:{a.partition}:s3:::{bucket['Name']}"}
        for bucket in listed(a, BUCKET)
    ]


def _tables(a: Aws) -> Items:
    """Names alone: DynamoDB describes one table at a time."""
    names: Any = listed(a, TABLE)
    return [{"TableName": name, "Arn": _arn(a, "dynamodb", f"table/{name}")} for name in names]


def _queues(a: Aws) -> Items:
    """Addresses alone: SQS tells the attributes of one queue at a time."""
    urls: Any = listed(a, QUEUE)
    return [
        {"QueueUrl": url, "QueueName": name, "Arn": _arn(a, "sqs", name)}
        for url in urls
        for name in [url.rpartition("/")[2]]
    ]


def _arn(a: Aws, service: str, rest: str) -> str:
    return f"arn:{a.partition}:{service}:{a.region}:{a.account_id}:{rest}"


BUCKET = ResourceKind(
    "s3:bucket", "s3", "list_buckets", "Buckets", "Name", arn="Arn", vpc="", page_size=1000,
    tagged_as="s3:bucket", is_account_wide=True, read=_buckets,
)  # fmt: skip
TABLE = ResourceKind(
    "dynamodb:table", "dynamodb", "list_tables", "TableNames", "TableName", arn="Arn", vpc="",
    page_size=100, tagged_as="dynamodb:table", read=_tables,
)  # fmt: skip
QUEUE = ResourceKind(
    "sqs:queue", "sqs", "list_queues", "QueueUrls", "QueueUrl", name="QueueName", arn="Arn",
    vpc="", page_size=1000, tagged_as="sqs", read=_queues,
)  # fmt: skip

KINDS = (
    ResourceKind(
        "rds:db", "rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier",
        arn="DBInstanceArn", vpc="DBSubnetGroup.VpcId", state="DBInstanceStatus",
        tags="TagList", page_size=100,
    ),
    ResourceKind(
        "rds:cluster", "rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier",
        arn="DBClusterArn", vpc="", state="Status", tags="TagList", page_size=100,
    ),
    ResourceKind(
        "rds:subnet-group", "rds", "describe_db_subnet_groups", "DBSubnetGroups",
        "DBSubnetGroupName", arn="DBSubnetGroupArn", state="SubnetGroupStatus", page_size=100,
        tagged_as="rds:subgrp",
    ),
    BUCKET,
    TABLE,
    QUEUE,
    ResourceKind(
        "sns:topic", "sns", "list_topics", "Topics", "TopicArn", arn="TopicArn", vpc="", state="",
        tagged_as="sns",
    ),
)  # fmt: skip
