"""Creates the CloudWatch dashboard of an application."""

import json
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from opswright_core.aws import HERE, Aws, Target, is_absent
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import ConflictError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check
from opswright_metrics.tools.parameters import (
    AsgName,
    DatabaseId,
    LoadBalancerArn,
    Name,
    TargetGroupArn,
)
from opswright_metrics.tools.subjects import Subjects, load_subjects

_MARK = "Kept by opswright."
"""Dashboards have no tags: this sentence in the heading tells ours."""

_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


class Dashboard(BaseModel):
    """The dashboard of an application."""

    model_config = ConfigDict(frozen=True)
    dashboard_name: str
    url: str
    widgets: int


@write_tool()
def create_dashboard(
    name: Name,
    load_balancer_arn: LoadBalancerArn = None,
    target_group_arn: TargetGroupArn = None,
    asg_name: AsgName = None,
    db_instance_id: DatabaseId = None,
    target: Target = HERE,
) -> Work[Dashboard]:
    """Create or update a CloudWatch dashboard for the resources given (at least one)."""
    a = aws(target)

    @cache
    def wanted() -> dict[str, Any]:
        ids = (load_balancer_arn, target_group_arn, asg_name, db_instance_id)
        return dashboard_body(name, a.region, load_subjects(a, *ids))

    def plan() -> ChangePlan:
        body, before = wanted(), read_dashboard(a, name)
        if before is not None and _MARK not in before:
            raise ConflictError(
                f"a dashboard {name} exists that opswright did not make; choose another name."
            )
        count = f"{len(body['widgets'])} widgets"
        actions = [
            Action(
                verb="create" if before is None else "modify",
                type="cloudwatch:dashboard",
                name=name,
                detail=count,
            )
        ]
        same = before is not None and json.loads(before) == body
        return ChangePlan(
            summary=f"Dashboard {name} is as wanted." if same else f"Dashboard {name}, {count}",
            actions=[] if same else actions,
            observed={"before": before},
        )

    def apply(rec: Recorder) -> Dashboard:
        cloudwatch, before = a.client("cloudwatch"), read_dashboard(a, name)
        read = ("get_dashboard", {"DashboardName": name})
        if before is None:
            inverse = aws_undo(
                f"delete dashboard {name}", "cloudwatch", "delete_dashboards",
                {"DashboardNames": [name]}, target=target, region=a.region,
                gone=(*read, "DashboardBody"),
            )  # fmt: skip
        else:
            quoted = json.dumps(before).replace("`", "\\`")
            inverse = aws_undo(
                f"restore dashboard {name} as it was", "cloudwatch", "put_dashboard",
                {"DashboardName": name, "DashboardBody": before},
                target=target, region=a.region, gone=(*read, f"DashboardBody != `{quoted}`"),
            )  # fmt: skip
        body = json.dumps(wanted())
        rec.step(
            "dashboard",
            lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body) and {},
            undo=[inverse],
            resource=ResourceRef(
                type="cloudwatch:dashboard",
                id=name,
                name=name,
                action="created" if before is None else "modified",
            ),
        )
        return existing()

    def existing() -> Dashboard:
        return Dashboard(dashboard_name=name, url=_url(a, name), widgets=len(wanted()["widgets"]))

    def verify(_: Dashboard) -> list[Check]:
        before = read_dashboard(a, name)
        same = before is not None and json.loads(before) == wanted()
        evidence = "read back" if same else "absent" if before is None else "its body differs"
        return [check("The dashboard is as wanted", same, evidence, name)]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=existing,
        outputs=Dashboard,
    )


def read_dashboard(a: Aws, name: str) -> str | None:
    """The body of a dashboard, None when there is none."""
    try:
        body: str = a.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
    return body


def _url(a: Aws, name: str) -> str:
    console = _CONSOLES.get(a.partition, "console.aws.amazon.com")
    return f"https://{a.region}.{console}/cloudwatch/home?region={a.region}#dashboards/dashboard/{name}"


Series = tuple[str, dict[str, str], str]
"""A metric, its dimensions, and the statistic shown."""


def dashboard_body(name: str, region: str, subjects: Subjects) -> dict[str, Any]:
    """The dashboard as CloudWatch's JSON: a heading, then two graphs a row of 24. Pure."""
    graphs = [
        {
            "type": "metric",
            "width": 12,
            "height": 6,
            "properties": {
                "title": title,
                "region": region,
                "view": "timeSeries",
                "period": 60,
                "metrics": [_metric(namespace, series) for series in shown],
            },
        }
        for title, namespace, shown in _graphs(subjects)
    ]
    heading = {
        "type": "text",
        "width": 24,
        "height": 2,
        "properties": {"markdown": f"# {name}\n{_MARK}"},
    }
    placed = [
        {**graph, "x": 12 * (number % 2), "y": 2 + 6 * (number // 2)}
        for number, graph in enumerate(graphs)
    ]
    return {"widgets": [{**heading, "x": 0, "y": 0}, *placed]}


def _metric(namespace: str, series: Series) -> list[Any]:
    metric, dimensions, statistic = series
    named = [part for pair in dimensions.items() for part in pair]
    return [namespace, metric, *named, {"stat": statistic}]


def _graphs(subjects: Subjects) -> list[tuple[str, str, list[Series]]]:
    graphs: list[tuple[str, str, list[Series]]] = []
    if subjects.load_balancer and subjects.load_balancer.startswith("app/"):
        of = {"LoadBalancer": subjects.load_balancer}
        codes = [f"HTTPCode_{kind}_Count" for kind in ("ELB_5XX", "Target_5XX", "Target_4XX")]
        graphs += [
            ("Requests", "AWS/ApplicationELB", [("RequestCount", of, "Sum")]),
            ("Errors", "AWS/ApplicationELB", [(code, of, "Sum") for code in codes]),
            ("Response time", "AWS/ApplicationELB",
             [("TargetResponseTime", of, statistic) for statistic in ("p50", "p95", "p99")]),
        ]  # fmt: skip
    elif subjects.load_balancer:
        of = {"LoadBalancer": subjects.load_balancer}
        graphs.append(("Flows", "AWS/NetworkELB", [("ActiveFlowCount", of, "Average")]))
    if (group := subjects.target_group) and group.load_balancer:
        application = group.load_balancer.startswith("app/")
        of = {"TargetGroup": group.dimension, "LoadBalancer": group.load_balancer}
        namespace = "AWS/ApplicationELB" if application else "AWS/NetworkELB"
        hosts: list[Series] = [
            ("HealthyHostCount", of, "Minimum"),
            ("UnHealthyHostCount", of, "Maximum"),
        ]
        graphs.append(("Targets", namespace, hosts))
    if subjects.asg_name:
        of = {"AutoScalingGroupName": subjects.asg_name}
        network: list[Series] = [("NetworkIn", of, "Sum"), ("NetworkOut", of, "Sum")]
        graphs += [
            ("Instances: CPU", "AWS/EC2", [("CPUUtilization", of, "Average")]),
            ("Instances: network", "AWS/EC2", network),
        ]
    if subjects.database:
        of = {"DBInstanceIdentifier": subjects.database.id}
        latency: list[Series] = [("ReadLatency", of, "Average"), ("WriteLatency", of, "Average")]
        graphs += [
            ("Database: CPU", "AWS/RDS", [("CPUUtilization", of, "Average")]),
            ("Database: connections", "AWS/RDS", [("DatabaseConnections", of, "Average")]),
            ("Database: free storage", "AWS/RDS", [("FreeStorageSpace", of, "Minimum")]),
            ("Database: latency", "AWS/RDS", latency),
        ]
    return graphs
