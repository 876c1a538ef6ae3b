"""What to do when something may be wrong."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from opswright_core.agent.place import InRegion, InRegions
from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_metrics.skills.place import AsgName, TargetGroupArn

if TYPE_CHECKING:
    from opswright_core.agent.worker import Worker


class WebTier(InRegion):
    """Which web tier."""

    target_group_arn: TargetGroupArn = None
    asg_name: AsgName = None


@skill(
    "why is the web tier unhealthy",
    "why are the load balancer targets unhealthy",
    "diagnose the web tier",
    "the website is down, find out why",
    "why does the application answer 502 or 503 errors",
)
async def explain_web_tier(worker: "Worker", inputs: WebTier) -> Outcome:
    """Find why the web tier behind a load balancer is unhealthy, degraded, down or failing."""
    named = {
        key: value
        for key, value in inputs.model_dump(include={"target_group_arn", "asg_name"}).items()
        if value
    }
    found = await worker.call("diagnose_web_tier", **named, **inputs.where)
    causes = found["causes"]
    messages = []
    memories = []
    if causes and found["verdict"] == "FAIL":
        first = causes[0]
        messages.append(
            AgentMessage(
                recipient="aws_devops",
                intent="warn",
                content=f"{first['cause']}. {first['next']}",
                data={"causes": causes[:5], **named},
            )
        )
        memories.append(Memory(text=f"{found['summary']} Evidence: {first['evidence']}"))
    return Outcome(
        summary=found["summary"],
        status="partial" if found["verdict"] == "UNKNOWN" and found["unread"] else "completed",
        outputs={
            key: found[key]
            for key in ("verdict", "state", "causes", "healthy_targets", "total_targets", "unread")
        },
        messages=messages,
        memories=memories,
        next=causes[0]["next"] if causes else "",
    )


@skill(
    "which alarms are firing",
    "triage the alarms",
    "what alarms are in alarm state right now",
    "triage the firing alerts in all regions, everywhere",
)
async def triage_firing_alarms(worker: "Worker", inputs: InRegions) -> Outcome:
    """Triage the alarms that are firing: what they are about, likely why, what to do first."""
    found = await worker.call("triage_alarms", **inputs.where)
    first = found["groups"][0]["next"] if found["groups"] else ""
    return Outcome(summary=found["summary"], outputs=found, next=first)


@skill(
    "is everything healthy",
    "is everything healthy in eu-west-1",
    "check the health of the account",
    "give me a health overview of the region",
    "is anything broken or failing everywhere, in all regions, across the account",
)
async def check_overall_health(worker: "Worker", inputs: InRegions) -> Outcome:
    """Check whether everything is healthy: alarms, targets, instances and databases of a region."""
    found = await worker.call("get_health", **inputs.where)
    outputs: dict[str, Any] = {"health": found}
    if found["firing"]:
        outputs["triage"] = await worker.call("triage_alarms", **inputs.where)
    unread = found["verdict"] == "UNKNOWN"
    return Outcome(
        summary=found["summary"],
        status="partial" if unread else "completed",
        outputs=outputs,
        next="Call diagnose_web_tier." if _sick(found) else "",
    )


def _sick(health: dict[str, Any]) -> bool:
    return any(g["healthy"] != g["total"] for g in health["target_groups"])


class LogErrors(InRegion):
    """Which log, and how far back."""

    log_group: Annotated[
        str,
        Field(description="Name of the log group"),
        FromText(r"(?:log ?group|logs? (?:of|in|for|from)|(?=\s/\w))\s+[\"'`]?([\w./#-]*\w)"),
    ]
    minutes: Annotated[
        int, Field(description="Minutes to look back"), FromText(r"last (\d+) minutes")
    ] = 60


@skill(
    "find errors in log group /app/web",
    "what errors are in the logs of /aws/lambda/orders",
    "summarize the log group for the last 30 minutes",
    "search logs for exceptions",
)
async def find_log_errors(worker: "Worker", inputs: LogErrors) -> Outcome:
    """Find the errors in a log group and count them by kind."""
    offered = {tool.name for tool in await worker.client.list_tools()}
    if "summarize_logs" not in offered:
        return Outcome(
            summary="This server was started without its log tools.",
            status="failed",
            next="Start it with --toolsets default,logs and give the task again.",
        )
    found = await worker.call(
        "summarize_logs", log_group=inputs.log_group, minutes=inputs.minutes, **inputs.where
    )
    errors = [t for t in found["templates"] if t["level"] == "error"]
    return Outcome(
        summary=found["summary"],
        outputs={
            "log_group": found["log_group"],
            "errors": found["errors"],
            "error_templates": errors,
            "complete": found["complete"],
        },
        next="" if found["complete"] else "Ask for fewer minutes to see the newest lines.",
    )
