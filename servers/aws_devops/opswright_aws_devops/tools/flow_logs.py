"""Flow logs: who talks to whom in a VPC, written to CloudWatch Logs or to a bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.access.roles import ROLE, ServiceRole, find_role, make_role
from opswright_aws_devops.buckets.policies import add_statement
from opswright_aws_devops.log_groups import (
    LOG_GROUP,
    RetentionDays,
    find_log_group,
    load_log_group,
    log_group_arn,
    logs_are_lost,
    make_log_group,
)
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.ownership import Maker, Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

FLOW_LOG, STATEMENT = "ec2:vpc-flow-log", "s3:bucket-policy"
Traffic = Literal["ALL", "REJECT", "ACCEPT"]


class FlowLog(BaseModel):
    """A flow log of a VPC and where it writes to."""

    flow_log_id: str
    vpc_id: str
    traffic: Traffic
    log_group: str | None
    bucket: str | None


@dataclass(frozen=True)
class Wanted:
    """What is asked for: logged to the bucket, or to the log group where there is none."""

    vpc_id: str
    traffic: Traffic
    bucket: str | None
    group: str
    days: int


@write_tool(toolset="network")
def create_flow_logs(
    name: ResourceName,
    vpc_id: VpcId,
    bucket: Annotated[
        str | None, Field(description="To this S3 bucket; default: CloudWatch Logs", max_length=63)
    ] = None,
    traffic: Annotated[Traffic, Field(description="What is logged")] = "ALL",
    retention_days: RetentionDays = 90,
    target: Target = HERE,
) -> Work[FlowLog]:
    """Log who talks to whom in a VPC, to CloudWatch Logs with a role of its own or to a bucket."""
    a = aws(target)
    request = Request.of(
        "create_flow_logs", name, vpc=vpc_id, bucket=bucket, traffic=traffic, days=retention_days
    )
    wanted = Wanted(
        vpc_id, traffic, bucket, "" if bucket else f"/opswright/flow-logs/{name}", retention_days
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_flow_log(
            made,
            load_flow_logs(a, vpc_id).get(made.flow_log_id),
            load_log_group(a, wanted.group) if wanted.group else None,
            retention_days,
        ),
        outputs=FlowLog,
    )


def load_flow_logs(a: Aws, vpc_id: str) -> dict[str, dict[str, Any]]:
    """EC2's descriptions of a VPC's flow logs, by id."""
    here = [{"Name": "resource-id", "Values": [vpc_id]}]
    found = a.pages("ec2", "describe_flow_logs", "FlowLogs", Filter=here)
    return {log["FlowLogId"]: log for log in found}


def _known(a: Aws, request: Request, vpc_id: str) -> dict[str, str]:
    """The flow log that the request made before, by key."""
    return {
        key(FLOW_LOG, request.name): log_id
        for log_id, log in load_flow_logs(a, vpc_id).items()
        if request.made(tags_of(log.get("Tags")))
    }


def _role(a: Aws, name: str, group: str) -> ServiceRole:
    """What the service needs to write to one log group, and no more.

    Source: "IAM role for publishing flow logs to CloudWatch Logs", VPC user guide, held to the
    group that is made here (which the service then need not create).
    """
    arn = log_group_arn(a, group)
    write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    everywhere = f"arn:{a.partition}:logs:{a.region}:{a.account_id}:log-group:*"
    return ServiceRole(
        f"{name}-flow-logs",
        "vpc-flow-logs",
        [
            {"Effect": "Allow", "Action": write, "Resource": [arn, f"{arn}:*"]},
            {"Effect": "Allow", "Action": ["logs:DescribeLogGroups"], "Resource": [everywhere]},
        ],
    )


def delivery_statements(
    request: Request, bucket: str, *, partition: str, region: str, account_id: str
) -> list[dict[str, Any]]:
    """What the log delivery service needs in a bucket, from this account and region alone.

    Source: "Amazon S3 bucket permissions for flow logs", VPC user guide.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    origin = {
        "StringEquals": {"aws:SourceAccount": account_id},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:logs:{region}:{account_id}:*"},
    }
    owned = {**origin["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}
    who = {"Effect": "Allow", "Principal": {"Service": "delivery.logs.amazonaws.com"}}
    return [
        {
            "Sid": f"FlowLogsWrite{request.id}",
            **who,
            "Action": "s3:PutObject",
            "Resource": f"{arn}/AWSLogs/{account_id}/*",
            "Condition": {**origin, "StringEquals": owned},
        },
        {
            "Sid": f"FlowLogsCheck{request.id}",
            **who,
            "Action": "s3:GetBucketAcl",
            "Resource": arn,
            "Condition": origin,
        },
    ]


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    vpc_id, bucket, group = wanted.vpc_id, wanted.bucket, wanted.group
    must_find_vpc(a, vpc_id)
    known: set[str] = set(_known(a, request, vpc_id))
    actions, warnings = [], []
    if group:
        role = _role(a, request.name, group)
        detail = f"writes to {group}, taken by VPC flow logs of this account alone"
        actions += [
            Action(verb="create", type=LOG_GROUP, name=group, detail=f"kept {wanted.days} days"),
            Action(verb="create", type=ROLE, name=role.name, detail=detail),
        ]
        known |= {key(LOG_GROUP, group)} if find_log_group(a, request, group) else set()
        known |= {key(ROLE, role.name)} if find_role(a, request, role.name) else set()
        warnings.append(f"{logs_are_lost(group)} CloudWatch Logs bills each GB that is taken in.")
    elif bucket:
        s3 = a.client("s3")
        must_exist(f"Bucket {bucket}", lambda: s3.head_bucket(Bucket=bucket))
        detail = "lets the log delivery service write to AWSLogs/"
        actions.append(Action(verb="modify", type=STATEMENT, name=bucket, detail=detail))
        warnings.append(
            f"The logs in {bucket} stay after an undo; retention_days does not hold there: "
            "a lifecycle rule of the bucket does. A bucket encrypted with a KMS key of yours needs "
            "delivery.logs.amazonaws.com in that key's policy."
        )
    detail = f"{wanted.traffic} traffic of {vpc_id}"
    actions.append(Action(verb="create", type=FLOW_LOG, name=request.name, detail=detail))
    return ChangePlan(
        summary=f"Log the traffic of {vpc_id} to {group or bucket}",
        actions=outstanding(actions, known),
        warnings=warnings,
        observed={"known": sorted(known)},
    )


def _apply(a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget) -> FlowLog:
    vpc_id, bucket, group = wanted.vpc_id, wanted.bucket, wanted.group
    where: dict[str, Any] = {}
    if group:
        make_log_group(a, rec, request, group, wanted.days, target)
        role_arn = make_role(a, rec, request, _role(a, request.name, group), target)
        where = {
            "LogDestinationType": "cloud-watch-logs",
            "LogGroupName": group,
            "DeliverLogsPermissionArn": role_arn,
        }
    elif bucket:
        where = {
            "LogDestinationType": "s3",
            "LogDestination": f"arn:{a.partition}:s3:::{bucket}",
        }
        for statement in delivery_statements(
            request,
            bucket,
            partition=a.partition,
            region=a.region,
            account_id=a.account_id,
        ):
            add_statement(a, rec, bucket, statement, f"flow logs of {vpc_id} be written", target)

    def create() -> str:
        return _create(a, request, wanted, where)

    def undo(log_id: str) -> list[UndoStep]:
        which = {"FlowLogIds": [log_id]}
        return [
            aws_undo(
                f"delete flow log {log_id}", "ec2", "delete_flow_logs", which,
                target=target, region=a.region, gone=("describe_flow_logs", which, "FlowLogs[]"),
            )
        ]  # fmt: skip

    log_id = Maker(rec, _known(a, request, vpc_id)).make(FLOW_LOG, request.name, create, undo)
    if a.is_emulator:
        rec.gap("The emulator has no traffic and writes no flow logs.")
    return FlowLog(
        flow_log_id=log_id,
        vpc_id=vpc_id,
        traffic=wanted.traffic,
        log_group=group or None,
        bucket=bucket,
    )


def _create(a: Aws, request: Request, wanted: Wanted, where: Mapping[str, Any]) -> str:
    """The id of a new flow log. EC2 answers 200 to what it refused, with the reason inside."""
    answer = a.client("ec2").create_flow_logs(
        ResourceIds=[wanted.vpc_id],
        ResourceType="VPC",
        TrafficType=wanted.traffic,
        MaxAggregationInterval=600,
        TagSpecifications=request.specification("vpc-flow-log", request.name),
        **where,
    )
    if refused := answer.get("Unsuccessful"):
        error = refused[0]["Error"]
        raise OpswrightError(f"EC2 made no flow log of {wanted.vpc_id}: {error.get('Message')}")
    (log_id,) = answer["FlowLogIds"]
    return str(log_id)


def judge_flow_log(
    made: FlowLog, log: dict[str, Any] | None, group: dict[str, Any] | None, days: int
) -> list[Check]:
    """Whether the flow log is active and delivers, and its log group forgets in time."""
    if log is None:
        return [check("Flow log exists", False, "EC2 knows none of that id", made.flow_log_id)]
    status, error = log.get("DeliverLogsStatus"), log.get("DeliverLogsErrorMessage") or ""
    facts = [
        ("Flow log is active", log["FlowLogStatus"] == "ACTIVE", log["FlowLogStatus"]),
        ("It delivers", status != "FAILED", error),
        ("It logs the traffic asked for", log["TrafficType"] == made.traffic, log["TrafficType"]),
    ]
    if made.log_group:
        kept = (group or {}).get("retentionInDays")
        facts.append(("Its logs are kept as long as asked", kept == days, f"{kept} days"))
    return [check(name, ok, evidence, made.flow_log_id) for name, ok, evidence in facts]
