"""Databases, clusters of them, and tables, in the provider's words."""

from typing import Any

from opswright_aws_devops.export.model import Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic
from opswright_aws_devops.export.terraform.hcl import Block


def _unread(draft: Draft) -> tuple[str, ...]:
    """What nobody reads of a database that exists; its password is not even asked for."""
    draft.take("MasterUserPassword")
    return ("apply_immediately", "manage_master_user_password")


def _database(draft: Draft) -> None:
    """A database. One that is to be made leaves a snapshot when it is destroyed.

    Of one that exists, Terraform takes on import that it leaves none, and would change that at
    once; `prevent_destroy` holds it instead.
    """
    draft.rest["AllocatedStorage"] = int(draft.rest["AllocatedStorage"])
    if draft.exists:
        draft.ignored = _unread(draft)
    if draft.part.holds_data and not draft.exists:
        draft.body["final_snapshot_identifier"] = f"{draft.rest['DBInstanceIdentifier']}-final"
    else:
        draft.body["skip_final_snapshot"] = True


def _cluster(draft: Draft) -> None:
    """A cluster; as with a database, what exists is taken over with `skip_final_snapshot`."""
    if draft.exists:
        forwarding = ("enable_global_write_forwarding", "enable_local_write_forwarding")
        draft.ignored = (*_unread(draft), *forwarding)  # told of members of a global database alone
    if draft.part.holds_data and not draft.exists:
        draft.body["final_snapshot_identifier"] = f"{draft.rest['DBClusterIdentifier']}-final"
    else:
        draft.body["skip_final_snapshot"] = True
    if scaling := draft.take("ServerlessV2ScalingConfiguration"):
        draft.body["serverlessv2_scaling_configuration"] = generic(scaling)


def _cluster_instance(draft: Draft) -> None:
    if draft.exists:
        draft.ignored = ("apply_immediately", "force_destroy")


def _table(draft: Draft) -> None:
    """A table; keys are attributes by name, and settings blocks."""
    _keys(draft.body, draft.take("KeySchema"))
    draft.body["attribute"] = [
        Block({"name": one["AttributeName"], "type": one["AttributeType"]})
        for one in draft.take("AttributeDefinitions")
    ]
    _throughput(draft.body, draft.take("ProvisionedThroughput"))
    for kind, name in (("Global", "global_secondary_index"), ("Local", "local_secondary_index")):
        indexes = draft.take(f"{kind}SecondaryIndexes", [])
        draft.body[name] = [_index(index, kind == "Local") for index in indexes]
    if stream := draft.take("StreamSpecification"):
        draft.body |= {"stream_enabled": True, "stream_view_type": stream["StreamViewType"]}
    if encryption := draft.take("SSESpecification"):
        key = {"kms_key_arn": encryption["KMSMasterKeyId"]}
        draft.body["server_side_encryption"] = Block({"enabled": True, **key})
    if draft.take("PointInTimeRecoverySpecification"):
        draft.body["point_in_time_recovery"] = Block({"enabled": True})
    if ttl := draft.take("TimeToLiveSpecification"):
        draft.body["ttl"] = Block({"enabled": True, "attribute_name": ttl["AttributeName"]})


def _index(index: dict[str, Any], is_local: bool) -> Block:
    body: dict[str, Value] = {"name": index["IndexName"]}
    _keys(body, index["KeySchema"])
    if is_local:
        del body["hash_key"]  # the table's own
    projection = index["Projection"]
    body["projection_type"] = projection["ProjectionType"]
    if others := projection.get("NonKeyAttributes"):
        body["non_key_attributes"] = others
    _throughput(body, index.get("ProvisionedThroughput"))
    return Block(body)


def _keys(body: dict[str, Value], schema: list[dict[str, str]]) -> None:
    for key in schema:
        body[f"{key['KeyType'].lower()}_key"] = key["AttributeName"]


def _throughput(body: dict[str, Value], given: dict[str, int] | None) -> None:
    if given:
        body["read_capacity"] = given["ReadCapacityUnits"]
        body["write_capacity"] = given["WriteCapacityUnits"]


CLUSTER_INSTANCE = Kind(
    "aws_rds_cluster_instance",
    {"DBInstanceIdentifier": "identifier"},
    {
        "DBInstanceIdentifier": "identifier",
        "DBInstanceClass": "instance_class",
        "DBClusterIdentifier": "cluster_identifier",
    },
    "{DBInstanceIdentifier}",
    _cluster_instance,
)
"""What a database of a cluster is, for which CloudFormation has no type of its own."""

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
            "EnablePerformanceInsights": "performance_insights_enabled",
            "EnableCloudwatchLogsExports": "enabled_cloudwatch_logs_exports",
        },
        "{DBInstanceIdentifier}",
        _database,
    ),
    "AWS::RDS::DBCluster": Kind(
        "aws_rds_cluster",
        {
            "DBClusterIdentifier": "cluster_identifier",
            "Endpoint.Address": "endpoint",
            "Endpoint.Port": "port",
            "ReadEndpoint.Address": "reader_endpoint",
            "MasterUserSecret.SecretArn": "master_user_secret[0].secret_arn",
        },
        {
            "DBClusterIdentifier": "cluster_identifier",
            "MasterUserPassword": "master_password",
            "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
            "EnableCloudwatchLogsExports": "enabled_cloudwatch_logs_exports",
        },
        "{DBClusterIdentifier}",
        _cluster,
    ),
    "AWS::DynamoDB::Table": Kind(
        "aws_dynamodb_table",
        {"TableName": "name"},
        {"TableName": "name"},
        "{TableName}",
        _table,
    ),
}
