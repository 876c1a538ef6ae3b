"""Existing Lambda functions, log groups and alarms, as parts."""

from typing import Any

from opswright_aws_devops.export.existing.described import Parts, own_tags
from opswright_aws_devops.export.model import Parameter
from opswright_aws_devops.resource_kinds import ResourceKind
from opswright_core.aws import tag_list

ALARM = ResourceKind(
    "cloudwatch:alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName",
    arn="AlarmArn", vpc="", state="StateValue", page_size=100, tagged_as="cloudwatch:alarm",
)  # fmt: skip

_FUNCTION = ("FunctionName", "Description", "Role", "Handler", "Runtime", "MemorySize", "Timeout",
             "PackageType", "Architectures")  # fmt: skip
_AS_MADE = {"PackageType": "Zip", "Architectures": ["x86_64"]}
_ALARM = (
    "AlarmName", "AlarmDescription", "OKActions", "AlarmActions", "InsufficientDataActions",
    "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit",
    "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator",
    "TreatMissingData", "EvaluateLowSampleCountPercentile", "ThresholdMetricId",
)  # fmt: skip


def function(it: Parts, item: dict[str, Any]) -> None:
    """A function. Its code is asked for, and so is what is in its environment."""
    name = item["FunctionName"]
    own = {key: item[key] for key in _FUNCTION if item.get(key) not in (None, _AS_MADE.get(key))}
    variables = item.get("Environment", {}).get("Variables", {})
    vpc = item.get("VpcConfig") or {}
    tracing, storage = item.get("TracingConfig", {}), item.get("EphemeralStorage", {})
    logging = item.get("LoggingConfig", {})
    limit = it.a.client("lambda").get_function_concurrency(FunctionName=name)
    it.add(
        "Lambda::Function",
        name,
        {
            **own,
            "Code": _code(it, item),
            "KmsKeyArn": item.get("KMSKeyArn"),
            "Layers": [layer["Arn"] for layer in item.get("Layers", [])],
            "Environment": {"Variables": {key: _asked(name, key) for key in sorted(variables)}}
            if variables
            else None,
            "VpcConfig": {key: vpc[key] for key in ("SubnetIds", "SecurityGroupIds")}
            if vpc.get("SubnetIds")
            else None,
            "ReservedConcurrentExecutions": limit.get("ReservedConcurrentExecutions"),
            "DeadLetterConfig": item.get("DeadLetterConfig"),
            "TracingConfig": tracing if tracing.get("Mode") == "Active" else None,
            "EphemeralStorage": storage if storage.get("Size", 512) != 512 else None,
            "LoggingConfig": logging if logging.get("LogFormat") == "JSON" else None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"Arn": item["FunctionArn"]},
        named=("FunctionName", name),
    )
    if item.get("PackageType") != "Image":
        it.leave_out(
            name, f"its code: CloudFormation asks for an object of S3, Terraform for {name}.zip"
        )
    if variables:
        it.leave_out(name, "the values of its environment, which may hold secrets")
    it.leave_out(name, "its triggers, permissions, aliases and URL")


def _code(it: Parts, item: dict[str, Any]) -> dict[str, Any]:
    name = item["FunctionName"]
    if item.get("PackageType") != "Image":
        bucket = Parameter(f"{name} code bucket", None)
        return {"S3Bucket": bucket, "S3Key": Parameter(f"{name} code key", None)}
    code = it.a.client("lambda").get_function(FunctionName=name)["Code"]
    return {"ImageUri": code["ImageUri"]}


def _asked(name: str, variable: str) -> Parameter:
    """The value of an environment variable: whoever deploys gives it."""
    return Parameter(f"{name} {variable}", None, is_secret=True)


def log_group(it: Parts, item: dict[str, Any]) -> None:
    """A log group, without what is in it."""
    name = item["logGroupName"]
    kind = item.get("logGroupClass", "STANDARD")
    tags = it.a.client("logs").list_tags_for_resource(resourceArn=item["arn"]).get("tags", {})
    it.add(
        "Logs::LogGroup",
        name,
        {
            "LogGroupName": name,
            "RetentionInDays": item.get("retentionInDays"),
            "KmsKeyId": item.get("kmsKeyId"),
            "LogGroupClass": kind if kind != "STANDARD" else None,
            "Tags": own_tags(tag_list(tags)),
        },
        named=("LogGroupName", name),
        holds_data=True,
    )
    it.leave_out(name, "its log lines, and its metric and subscription filters")


def alarm(it: Parts, item: dict[str, Any]) -> None:
    """An alarm on one metric or an expression; those of a scaling policy belong to it."""
    name = item["AlarmName"]
    if name.startswith("TargetTracking-"):
        it.leave_out(name, "its scaling policy makes it")
        return
    own = {key: item[key] for key in _ALARM if item.get(key) not in (None, "", [])}
    if own.get("TreatMissingData") == "missing":
        del own["TreatMissingData"]
    it.add(
        "CloudWatch::Alarm",
        name,
        {
            **own,
            "ActionsEnabled": None if item.get("ActionsEnabled", True) else False,
            "Metrics": item.get("Metrics"),
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"Arn": item["AlarmArn"]},
    )
