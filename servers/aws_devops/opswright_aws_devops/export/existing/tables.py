"""Existing DynamoDB tables, as parts."""

from typing import Any

from opswright_aws_devops.export.existing.described import Parts, own_tags


def table(it: Parts, item: dict[str, Any]) -> None:
    """A table with its indexes, without its items."""
    name = item["TableName"]
    dynamodb = it.a.client("dynamodb")
    told = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    restores = backups.get("PointInTimeRecoveryDescription", {})
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    on_demand = told.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    stream = told.get("StreamSpecification", {})
    encryption = told.get("SSEDescription", {})
    storage = told.get("TableClassSummary", {}).get("TableClass", "STANDARD")
    it.add(
        "DynamoDB::Table",
        name,
        {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST" if on_demand else "PROVISIONED",
            "AttributeDefinitions": told["AttributeDefinitions"],
            "KeySchema": told["KeySchema"],
            "ProvisionedThroughput": None if on_demand else _capacity(told),
            "GlobalSecondaryIndexes": [
                _index(index) | ({} if on_demand else {"ProvisionedThroughput": _capacity(index)})
                for index in told.get("GlobalSecondaryIndexes", [])
            ],
            "LocalSecondaryIndexes": [_index(i) for i in told.get("LocalSecondaryIndexes", [])],
            "StreamSpecification": {"StreamViewType": stream["StreamViewType"]}
            if stream.get("StreamEnabled")
            else None,
            "SSESpecification": {
                "SSEEnabled": True,
                "SSEType": "KMS",
                "KMSMasterKeyId": encryption["KMSMasterKeyArn"],
            }
            if encryption.get("KMSMasterKeyArn")
            else None,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}
            if restores.get("PointInTimeRecoveryStatus") == "ENABLED"
            else None,
            "TimeToLiveSpecification": {"AttributeName": ttl["AttributeName"], "Enabled": True}
            if ttl.get("TimeToLiveStatus") == "ENABLED"
            else None,
            "TableClass": storage if storage != "STANDARD" else None,
            "DeletionProtectionEnabled": told.get("DeletionProtectionEnabled") or None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"Arn": told["TableArn"]},
        named=("TableName", name),
        holds_data=True,
    )
    it.leave_out(name, "its items")
    if told.get("Replicas"):
        it.leave_out(name, "its replicas in other regions")


def _capacity(told: dict[str, Any]) -> dict[str, int]:
    given = told["ProvisionedThroughput"]
    return {key: given[key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _index(index: dict[str, Any]) -> dict[str, Any]:
    return {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
