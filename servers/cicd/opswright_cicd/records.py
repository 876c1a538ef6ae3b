"""The record of what is deployed: an SSM parameter, its history the rollback memory."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opswright_core.aws import Aws, AwsTarget, is_absent
from opswright_core.errors import NotFoundError
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Unread, attempt

ROOT = "/opswright"
_NAME = re.compile(rf"{ROOT}/([^/]+)/([^/]+)/deployment")

Strategy = Literal["rolling", "rollback"]


class DeploymentRecord(BaseModel):
    """One deployment, as it is kept in the parameter."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    application: str
    environment: str
    version: str
    commit: str
    previous_version: str | None = Field(None, description="What ran before")
    rollback_target: str | None = Field(None, description="What roll_back_deployment goes to")
    strategy: Strategy
    deployed_at: str = Field("", description="UTC, ISO 8601")
    repository: str
    artifact_bucket: str
    artifact_key: str
    artifact_sha256: str
    asg_name: str
    target_group_arn: str
    health_check_path: str
    launch_template_id: str = ""
    launch_template_version: int = 0


def parameter_name(application: str, environment: str) -> str:
    """Where the record of an application in an environment is."""
    return f"{ROOT}/{application}/{environment}/deployment"


def parse(value: str) -> DeploymentRecord | None:
    """A parameter's value as a record; None when it is not one (someone else wrote it)."""
    try:
        return DeploymentRecord.model_validate_json(value)
    except ValidationError:
        return None


def current(a: Aws, application: str, environment: str) -> DeploymentRecord | None:
    """The record of what is deployed now, or None."""
    value = _value(a, parameter_name(application, environment))
    return parse(value) if value is not None else None


def known_deployments(a: Aws) -> dict[tuple[str, str], DeploymentRecord | None]:
    """What is deployed now by (application, environment); None for what is no record."""
    found = a.pages("ssm", "get_parameters_by_path", "Parameters", Path=ROOT, Recursive=True)
    named = ((_NAME.fullmatch(item["Name"]), item["Value"]) for item in found)
    records = {(m[1], m[2]): parse(value) for m, value in named if m}
    return {pair: records[pair] for pair in sorted(records)}


def need_current(a: Aws, application: str, environment: str) -> DeploymentRecord:
    """The record of what is deployed now.

    Raises NotFoundError naming the applications that have one.
    """
    record = current(a, application, environment)
    if record is None:
        found = attempt(lambda: known_deployments(a))
        if isinstance(found, Unread):
            known = f"not readable: {found.reason}"
        else:
            known = ", ".join(f"{app} in {env}" for app, env in list(found)[:20]) or "none yet"
        raise NotFoundError(
            f"No deployment of {application!r} in {environment!r} is recorded in {a.region}. "
            f"Recorded: {known}."
        )
    return record


def history(a: Aws, application: str, environment: str) -> list[DeploymentRecord]:
    """Every deployment still remembered, newest first; SSM keeps 100.

    A record that an undo put back is the same deployment, so it counts once, at its own time.
    """
    items = a.pages(
        "ssm", "get_parameter_history", "Parameters", Name=parameter_name(application, environment)
    )
    found: dict[tuple[str, str], DeploymentRecord] = {}
    for item in sorted(items, key=lambda i: int(i["Version"])):
        if record := parse(item["Value"]):
            found[record.deployed_at, record.version] = record
    return sorted(found.values(), key=lambda r: r.deployed_at, reverse=True)


def rollback_target(now: DeploymentRecord | None, to: str) -> str | None:
    """What a rollback from version `to`, about to be deployed over `now`, will go to.

    The version that ran before, except that deploying a version again keeps its target.
    """
    if now is None:
        return None
    return now.version if now.version != to else now.rollback_target


def previous_version(now: DeploymentRecord | None, to: str) -> str | None:
    """The version that ran before `to`; deploying a version again keeps what it replaced."""
    if now is None:
        return None
    return now.version if now.version != to else now.previous_version


def earlier(past: Sequence[DeploymentRecord], version: str) -> DeploymentRecord | None:
    """The newest deployment of a version, as it was first rolled out rather than returned to."""
    matching = [record for record in past if record.version == version]
    return next((r for r in matching if r.strategy == "rolling"), matching[0] if matching else None)


def put(a: Aws, record: DeploymentRecord) -> dict[str, Any]:
    """Write the record over the one before."""
    name = parameter_name(record.application, record.environment)
    answer = a.client("ssm").put_parameter(
        Name=name,
        Value=_json(record),
        Type="String",
        Overwrite=True,
        Description="What opswright deployed; its history is the rollback memory",
    )
    return {"parameter": name, "parameter_version": answer["Version"]}


def undo_put(a: Aws, target: AwsTarget, application: str, environment: str) -> UndoStep:
    """The step that restores the parameter to what it is now, or removes it when there is none."""
    name = parameter_name(application, environment)
    before = _value(a, name)
    if before is None:
        return aws_undo(
            f"delete the deployment record {name}",
            "ssm",
            "delete_parameter",
            {"Name": name},
            target=target,
            region=a.region,
            gone=("get_parameter", {"Name": name}, "Parameter.Name"),
        )
    was = parse(before)
    literal = json.dumps(before).replace("`", "\\`")
    return aws_undo(
        f"restore the deployment record {name} to {was.version if was else 'what it held'}",
        "ssm",
        "put_parameter",
        {"Name": name, "Value": before, "Type": "String", "Overwrite": True},
        target=target,
        region=a.region,
        gone=("get_parameter", {"Name": name}, f"Parameter.Value != `{literal}`"),
    )


def _json(record: DeploymentRecord) -> str:
    return json.dumps(record.model_dump(), separators=(",", ":"), sort_keys=True)


def _value(a: Aws, name: str) -> str | None:
    try:
        return str(a.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
