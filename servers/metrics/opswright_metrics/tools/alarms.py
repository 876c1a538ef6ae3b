"""Creates the alarms of an application and the topic that they notify."""

import json
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import ConflictError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check
from opswright_metrics.tools.alarm_specs import MANAGED, AlarmSet, alarm_tags, alarms_for
from opswright_metrics.tools.parameters import (
    AsgName,
    DatabaseId,
    LoadBalancerArn,
    Name,
    TargetGroupArn,
)
from opswright_metrics.tools.subjects import load_subjects
from opswright_metrics.tools.topic import (
    apply_topic,
    check_key,
    load_topic,
    topic_actions,
    topic_arn,
    verify_topic,
)

_READ_BACK = (
    "Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "EvaluationPeriods",
    "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "ActionsEnabled",
)  # fmt: skip
"""What of a definition is compared with what is read; order-free and present in every answer."""


class Alarms(BaseModel):
    """The alarms of an application."""

    model_config = ConfigDict(frozen=True)
    topic_arn: str
    alarm_names: list[str]
    alarm_count: int


@write_tool()
def create_alarms(
    name: Name,
    load_balancer_arn: LoadBalancerArn = None,
    target_group_arn: TargetGroupArn = None,
    asg_name: AsgName = None,
    db_instance_id: DatabaseId = None,
    notify_email: Annotated[
        str | None, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="Who is told")
    ] = None,
    kms_key_id: Annotated[
        str | None, Field(description="Customer-managed key for the topic", max_length=2048)
    ] = None,
    target: Target = HERE,
) -> Work[Alarms]:
    """Create or update CloudWatch alarms and their SNS topic for the resources given."""
    a = aws(target)

    @cache
    def wanted() -> AlarmSet:
        ids = (load_balancer_arn, target_group_arn, asg_name, db_instance_id)
        return alarms_for(load_subjects(a, *ids))

    def definitions() -> dict[str, dict[str, Any]]:
        found = [spec.definition(name, topic_arn(a, name)) for spec in wanted().specs]
        return {definition["AlarmName"]: definition for definition in found}

    def plan() -> ChangePlan:
        topic, definitions_ = load_topic(a, name), definitions()
        present = _ours(a, read_alarms(a, list(definitions_)))
        key_warning = _key_warning(a, kms_key_id)
        actions = topic_actions(topic, kms_key_id, notify_email)
        for alarm, definition in definitions_.items():
            differs = _differences(definition, present.get(alarm))
            if differs:
                verb: Any = "modify" if alarm in present else "create"
                detail = _sentence(definition) if verb == "create" else f"changes {differs}"
                actions.append(
                    Action(verb=verb, type="cloudwatch:alarm", name=alarm, detail=detail)
                )
        made = f"{len(definitions_)} alarms for {name} that notify {name}-alerts"
        return ChangePlan(
            summary=made if actions else f"Nothing to change: {made} are as wanted.",
            actions=actions,
            warnings=[f"No alarm for {left}" for left in wanted().left_out] + key_warning,
            observed={"alarms": present, "topic": topic.attributes},
        )

    def apply(rec: Recorder) -> Alarms:
        apply_topic(rec, a, target, load_topic(a, name), name, kms_key_id, notify_email)
        definitions_ = definitions()
        present = read_alarms(a, list(definitions_))
        for alarm, definition in definitions_.items():
            if _differences(definition, present.get(alarm)):
                _put(rec, a, target, name, definition, present.get(alarm))
        if a.is_emulator:
            rec.gap("This emulator stores alarms but never evaluates them and delivers nothing.")
        return existing()

    def existing() -> Alarms:
        names = list(definitions())
        return Alarms(topic_arn=topic_arn(a, name), alarm_names=names, alarm_count=len(names))

    def verify(outputs: Alarms) -> list[Check]:
        checks = verify_topic(load_topic(a, name), kms_key_id, notify_email)
        definitions_ = definitions()
        present = read_alarms(a, list(definitions_))
        for alarm, definition in definitions_.items():
            differs = _differences(definition, present.get(alarm))
            evidence = f"differs in {differs}" if differs else f"notifies {outputs.topic_arn}"
            checks.append(check(f"Alarm {alarm} is as wanted", not differs, evidence, alarm))
        return checks

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=existing,
        outputs=Alarms,
    )


def read_alarms(a: Aws, names: list[str]) -> dict[str, dict[str, Any]]:
    """The metric alarms of these names that exist, as DescribeAlarms gives them."""
    if not names:
        return {}
    found = a.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=names)
    return {alarm["AlarmName"]: alarm for alarm in found}


def _ours(a: Aws, present: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same, or ConflictError when one of them is not opswright's."""
    for alarm, found in present.items():
        tags = a.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])
        if tags_of(tags["Tags"]).get("managed-by") != MANAGED["managed-by"]:
            raise ConflictError(
                f"an alarm {alarm} exists that opswright did not make; choose another name, "
                "or tag it managed-by=opswright to have it taken over."
            )
    return present


def _key_warning(a: Aws, kms_key_id: str | None) -> list[str]:
    if kms_key_id is None:
        return []
    judged = check_key(a, kms_key_id)
    return (
        [] if judged.verdict == "PASS" else [f"{judged.name}: {judged.verdict}, {judged.evidence}"]
    )


def _differences(definition: dict[str, Any], present: dict[str, Any] | None) -> str:
    """The fields in which what is read differs from what is wanted; '' when nothing does."""
    if present is None:
        return "everything: it does not exist"
    differs = [key for key in _READ_BACK if definition.get(key) != present.get(key)]
    if _dimensions(definition) != _dimensions(present):
        differs.append("Dimensions")
    for key in ("AlarmActions", "OKActions"):
        if not set(definition[key]) <= set(present.get(key) or []):
            differs.append(key)
    return ", ".join(differs)


def _dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []}


def _sentence(definition: dict[str, Any]) -> str:
    statistic = definition.get("Statistic") or definition["ExtendedStatistic"]
    return (
        f"{statistic} of {definition['MetricName']} {definition['ComparisonOperator']} "
        f"{definition['Threshold']:g}, {definition['DatapointsToAlarm']} of "
        f"{definition['EvaluationPeriods']} periods of {definition['Period']} s"
    )


def _put(
    rec: Recorder, a: Aws, target: AwsTarget, name: str,
    definition: dict[str, Any], before: dict[str, Any] | None,
) -> None:  # fmt: skip
    alarm, cloudwatch = definition["AlarmName"], a.client("cloudwatch")
    read = ("describe_alarms", {"AlarmNames": [alarm]})
    if before is None:
        inverse = aws_undo(
            f"delete alarm {alarm}", "cloudwatch", "delete_alarms", {"AlarmNames": [alarm]},
            target=target, region=a.region, gone=(*read, "MetricAlarms[]"),
        )  # fmt: skip
    else:
        restored = restorable(before)
        inverse = aws_undo(
            f"restore alarm {alarm} as it was", "cloudwatch", "put_metric_alarm", restored,
            target=target, region=a.region, gone=(*read, not_as_in(restored)),
        )  # fmt: skip
    tags = {"Tags": alarm_tags(name)} if before is None else {}
    rec.step(
        f"alarm {alarm}",
        lambda: cloudwatch.put_metric_alarm(**definition, **tags) and {"alarm_name": alarm},
        undo=[inverse],
        resource=ResourceRef(
            type="cloudwatch:alarm",
            id=f"arn:{a.partition}:cloudwatch:{a.region}:{a.account_id}:alarm:{alarm}",
            name=alarm,
            action="modified" if before else "created",
        ),
    )


def restorable(alarm: dict[str, Any]) -> dict[str, Any]:
    """The arguments of PutMetricAlarm that make an alarm as DescribeAlarms showed it."""
    taken = (
        *_READ_BACK, "AlarmName", "AlarmDescription", "Dimensions", "AlarmActions", "OKActions",
        "InsufficientDataActions", "Unit", "EvaluateLowSampleCountPercentile", "Metrics",
        "ThresholdMetricId",
    )  # fmt: skip
    return {key: alarm[key] for key in taken if alarm.get(key) not in (None, [], "")}


def not_as_in(definition: dict[str, Any]) -> str:
    """A JMESPath over DescribeAlarms that is true until the alarm is as in `definition`."""
    same = [
        f"{key} == `{json.dumps(definition[key])}`"
        for key in _READ_BACK
        if not isinstance(definition.get(key), str | None)
    ]
    same += [
        f"{key} == '{definition[key]}'"
        for key in _READ_BACK
        if isinstance(definition.get(key), str)
    ]
    same += [f"contains(AlarmActions, '{arn}')" for arn in definition.get("AlarmActions", [])]
    return f"length(MetricAlarms[?{' && '.join(same)}]) == `0`"
