"""Reads deployments: what runs where, and what ran before."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_cicd.fleet import Fleet, FleetState
from opswright_cicd.records import (
    DeploymentRecord,
    Strategy,
    history,
    known_deployments,
    need_current,
)
from opswright_cicd.tools.releases import Application
from opswright_cicd.tools.repositories import Cursor
from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import NotFoundError
from opswright_core.pages import Page, page
from opswright_core.parallel import each
from opswright_core.runtime import aws, runtime
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, attempt

Environment = Annotated[
    str, Field(description="Like staging", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")
]


class Deployment(DeploymentRecord):
    """What is deployed, and whether the group really runs it."""

    status: Literal["live", "unhealthy", "drifted", "unknown"] = Field(
        description="live: healthy instances of it alone serve; drifted: changed since"
    )
    evidence: str


class DeploymentLine(BaseModel):
    """One deployment in a list."""

    model_config = ConfigDict(frozen=True)
    application: str
    environment: str
    version: str
    commit: str
    previous_version: str | None
    strategy: Strategy
    deployed_at: str
    current: bool


@read_tool
def get_deployment(
    application: Application, environment: Environment = "production", target: Target = HERE
) -> Deployment:
    """Show which version of an application runs, from where, and what a rollback goes to."""
    a = aws(target)
    record = need_current(a, application, environment)
    state = attempt(lambda: _fleet_state(a, record))
    status, evidence = judge(record, state)
    return Deployment(**record.model_dump(), status=status, evidence=evidence)


@read_tool
def list_deployments(
    application: Annotated[str | None, Field(description="Only this one", max_length=40)] = None,
    environment: Annotated[str | None, Field(description="Only this one", max_length=40)] = None,
    cursor: Cursor = None,
    target: Target = HERE,
) -> Page[DeploymentLine]:
    """List deployments and rollbacks, newest first, over all applications."""
    a = aws(target)
    lines, unread = runtime().snapshots.get(
        cursor,
        ("list_deployments", application, environment, target),
        lambda: _remembered(a, application, environment),
    )
    return page(lines, cursor=cursor, summary=f"{len(lines)} deployments", unread=unread)


def _remembered(
    a: Aws, application: str | None, environment: str | None
) -> tuple[list[DeploymentLine], list[str]]:
    """Every deployment that is remembered, newest first, and what could not be read."""
    lines: list[DeploymentLine] = []
    unread: list[str] = []
    chosen = [
        (app, env, now)
        for (app, env), now in known_deployments(a).items()
        if application in {None, app} and environment in {None, env}
    ]
    histories = each(chosen, lambda one: attempt(lambda: history(a, one[0], one[1])))
    for (app, env, now), past in zip(chosen, histories, strict=True):
        if isinstance(past, Unread):
            unread.append(f"{app} in {env}: {past.reason}")
            continue
        lines += [_line(record, record == now) for record in past]
    return sorted(lines, key=lambda line: line.deployed_at, reverse=True), unread


def judge(
    record: DeploymentRecord, state: FleetState | str | Unread
) -> tuple[Literal["live", "unhealthy", "drifted", "unknown"], str]:
    """Whether a group runs what is recorded; `state` is text when the group is gone."""
    version = record.launch_template_version
    if isinstance(state, Unread):
        return "unknown", state.reason
    if isinstance(state, str):
        return "drifted", state
    if state.template_id != record.launch_template_id or state.version != version:
        return "drifted", (
            f"{record.asg_name} is set to version {state.version} of {state.template_id}, "
            "recorded is "
            f"{version} of {record.launch_template_id}"
        )
    if stale := state.stale(version):
        return "drifted", f"{len(stale)} instances run another template version than {version}"
    return ("live" if state.settled(version) else "unhealthy"), state.describe(version)


def _fleet_state(a: Aws, record: DeploymentRecord) -> FleetState | str:
    try:
        return Fleet(a, record.asg_name, record.target_group_arn).read()
    except NotFoundError as exc:
        return str(exc)


def _line(record: DeploymentRecord, is_current: bool) -> DeploymentLine:
    return DeploymentLine(
        **record.model_dump(include=set(DeploymentLine.model_fields)), current=is_current
    )
