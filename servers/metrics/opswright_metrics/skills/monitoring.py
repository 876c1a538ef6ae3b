"""How an application gets its monitoring."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from opswright_core.agent.place import InRegion
from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_metrics.skills.place import AsgName, TargetGroupArn

if TYPE_CHECKING:
    from opswright_core.agent.worker import Worker


class Monitored(InRegion):
    """The application and its resources; at least one resource is needed."""

    name: Annotated[
        str,
        Field(description="Name of the application; alarms and dashboard are named after it"),
        FromText(r"\b(?:named|called)\s+[\"'`]?([A-Za-z0-9][\w-]*)"),
    ]
    load_balancer_arn: Annotated[
        str | None,
        Field(description="ARN of the load balancer"),
        FromText(r"(arn:[\w-]+:elasticloadbalancing:\S+:loadbalancer/[\w/-]+)"),
    ] = None
    target_group_arn: TargetGroupArn = None
    asg_name: AsgName = None
    db_instance_id: Annotated[
        str | None,
        Field(description="RDS instance"),
        FromText(r"(?:database|db|rds)(?: instance)?\s+[\"'`]?([a-z][\w-]*\d[\w-]*|[\w]+-[\w-]+)"),
    ] = None
    notify_email: Annotated[
        str | None,
        Field(description="Address that is told of alarms"),
        FromText(r"([\w.+-]+@[\w-]+\.[\w.]*\w)"),
    ] = None


@skill(
    "set up monitoring for the application named shop",
    "create alarms and a dashboard for the load balancer and the database",
    "add monitoring and alerting",
    "monitor the web application and notify me by email",
    risk="write",
)
async def set_up_monitoring(worker: "Worker", inputs: Monitored) -> Outcome:
    """Set up monitoring for an application: alarms that notify, and a dashboard."""
    ids = ("load_balancer_arn", "target_group_arn", "asg_name", "db_instance_id")
    subjects = {key: value for key in ids if (value := getattr(inputs, key))}
    told = {"notify_email": inputs.notify_email} if inputs.notify_email else {}
    alarms = await worker.call(
        "create_alarms", name=inputs.name, **subjects, **told, **inputs.where
    )
    dashboard = await worker.call("create_dashboard", name=inputs.name, **subjects, **inputs.where)
    made, shown = alarms["outputs"], dashboard["outputs"]
    summary = (
        f"{inputs.name} is monitored: {made['alarm_count']} alarms notify {made['topic_arn']}; "
        f"dashboard {shown['url']}"
    )
    return Outcome(
        summary=summary,
        outputs={
            **made,
            **shown,
            "change_ids": [alarms["change_id"], dashboard["change_id"]],
            "left_out": (alarms.get("plan") or {}).get("warnings", []),
        },
        messages=[
            AgentMessage(
                recipient="knowledge",
                content=f"Monitoring of {inputs.name}: {made['alarm_count']} alarms, a dashboard.",
                data={"topic_arn": made["topic_arn"], "dashboard_name": shown["dashboard_name"]},
            )
        ],
        memories=[Memory(text=summary)],
        next=f"Accept the confirmation mail that SNS sent to {inputs.notify_email}."
        if inputs.notify_email
        else "Nobody is subscribed to the topic yet: call create_alarms with notify_email.",
    )
