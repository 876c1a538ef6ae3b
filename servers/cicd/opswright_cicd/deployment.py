"""The work of a deployment: plan, roll out, return by itself when unhealthy, read back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from opswright_cicd import target_group
from opswright_cicd.fleet import Fleet, FleetState, batch_size
from opswright_cicd.launch_template import ensure_version, find_version, release_data
from opswright_cicd.records import DeploymentRecord, current, put, undo_put
from opswright_cicd.rollout import refresh_under_way, replace_instances, undo_rollout
from opswright_cicd.storage import need_artifact, stored
from opswright_core.aws import Aws, AwsTarget, translate
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Verb, Work
from opswright_core.errors import ConflictError, EndpointError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.verdicts import Check, Unread, attempt, check


class DeploymentOutputs(DeploymentRecord):
    """A deployment that was carried out."""

    instances_replaced: list[str] = Field(description="Instances taken out of service")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment to be made: what, where, and how fast."""

    a: Aws
    target: AwsTarget
    record: Callable[[], DeploymentRecord]
    """Reads and checks what is to be deployed; its time and template version are still empty."""
    batch_percent: int
    health_timeout_seconds: float

    def work(self) -> Work[DeploymentOutputs]:
        """The deployment as a change."""
        return Work(
            scope=Scope.of(self.a),
            plan=self.plan,
            apply=self.apply,
            verify=self.verify,
            outputs=DeploymentOutputs,
        )

    def plan(self) -> ChangePlan:
        """Read everything, change nothing. Raises what makes the deployment impossible."""
        record = self.record()
        fleet = self._fleet(record)
        state, group = fleet.read(), fleet.target_group()
        if refresh_id := refresh_under_way(fleet):
            raise ConflictError(
                f"{record.asg_name} is being refreshed already ({refresh_id}). Wait for it, or "
                "cancel it, first."
            )
        data = release_data(fleet, state, record, group["Port"])
        existing = find_version(fleet, state, data)
        size = batch_size(state.desired, self.batch_percent)
        actions, warnings = target_group.planned(group, record.health_check_path)
        if existing is None:
            detail = f"from version {state.version}, user data fetches {record.version}"
            actions.append(
                _action("create", "ec2:launch-template-version", state.template_id, detail)
            )
        if existing is None or not state.settled(existing):
            detail = f"{state.desired} instances, {size} at a time, each batch healthy first"
            actions.append(_action("replace", "ec2:instances", record.asg_name, detail))
        name = f"{record.application}/{record.environment}"
        detail = f"{record.previous_version or 'nothing'} → {record.version}"
        actions.append(_action("modify", "ssm:parameter", name, detail))
        if size >= state.desired:
            warnings.append(
                "All instances are replaced at once: the service is interrupted meanwhile."
            )
        if "IamInstanceProfile" not in data:
            warnings.append(
                "The launch template has no instance profile: without s3:GetObject an instance "
                "cannot fetch the "
                "release."
            )
        return ChangePlan(
            summary=f"Deploy {record.application} {record.version} to {record.environment} "
            f"on {record.asg_name}",
            actions=actions,
            warnings=warnings,
            observed={
                "record": record.model_dump(),
                "template_version": state.version,
                "instances": [instance.id for instance in state.instances],
            },
        )

    def apply(self, rec: Recorder) -> DeploymentOutputs:
        """Roll out.

        What fails after the first change to the fleet is returned at once, then said.
        """
        record = DeploymentRecord(
            **rec.step("read the release", lambda: self.record().model_dump())
        )
        fleet = self._fleet(record)
        try:
            return self._roll_out(rec, record, fleet)
        except Exception as exc:
            error = translate(exc)
            if isinstance(error, EndpointError) or not isinstance(error, OpswrightError):
                raise
            try:
                rec.reverse()
            except Exception as second:
                raise OpswrightError(
                    f"{record.version} was not deployed: {error} Returning failed as well: "
                    f"{translate(second)} "
                    "Run undo_change with this change_id."
                ) from exc
            before = (
                f"version {record.previous_version}"
                if record.previous_version
                else "what ran before"
            )
            raise OpswrightError(
                f"{record.version} was not deployed: {error}. The group was returned to {before} "
                "by itself."
            ) from exc

    def _roll_out(self, rec: Recorder, record: DeploymentRecord, fleet: Fleet) -> DeploymentOutputs:
        group_type, asg = "autoscaling:group", record.asg_name
        first = rec.step(
            "remember what runs",
            lambda: _observe(fleet.read()),
            undo=[undo_rollout(fleet, fleet.read(), self.target, self.batch_percent)],
            resource=ResourceRef(type=group_type, id=asg, name=asg, action="modified"),
        )
        version = self._ensure_version(rec, record, fleet)
        target_group.configure(rec, fleet, record.health_check_path, self.target)
        refreshed = replace_instances(
            fleet, version, self.batch_percent, self.health_timeout_seconds, rec
        )
        if self.a.is_emulator:
            rec.gap(
                "No server really boots here: the emulator reports every target as healthy, so "
                "the release was "
                "not started and its health check was not answered by it."
            )
            if not refreshed:
                rec.gap(
                    "No instance refresh here: instances were replaced in batches by this server."
                )
        record = record.model_copy(
            update={
                "launch_template_id": first["template_id"],
                "launch_template_version": version,
                "deployed_at": rec.step("note the time", _now),
            }
        )
        rec.step(
            "record the deployment",
            lambda: put(self.a, record),
            undo=[undo_put(self.a, self.target, record.application, record.environment)],
            resource=lambda made: ResourceRef(
                type="ssm:parameter", id=made["parameter"], name=record.version, action="modified"
            ),
        )
        remaining = {instance.id for instance in fleet.read().instances}
        replaced = [i for i in first["instances"] if i not in remaining]
        return DeploymentOutputs(**record.model_dump(), instances_replaced=replaced)

    def verify(self, outputs: DeploymentOutputs) -> list[Check]:
        """Read back the record, the fleet, the health check and the artifact."""
        fleet, version = self._fleet(outputs), outputs.launch_template_version
        wanted = DeploymentRecord(**outputs.model_dump(exclude={"instances_replaced"}))
        record = attempt(lambda: current(self.a, outputs.application, outputs.environment))
        state = attempt(fleet.read)
        group = attempt(fleet.target_group)
        artifact = attempt(lambda: stored(self.a, outputs.artifact_bucket, outputs.artifact_key))
        return [
            check(
                "the deployment record holds this deployment",
                record if isinstance(record, Unread) else record == wanted,
                ""
                if isinstance(record, Unread)
                else f"it says {record.version if record else 'nothing'}",
            ),
            check(
                "healthy instances of this version alone serve",
                state if isinstance(state, Unread) else state.settled(version),
                "" if isinstance(state, Unread) else state.describe(version),
                outputs.asg_name,
            ),
            check(
                "the target group checks the release's health path",
                group
                if isinstance(group, Unread)
                else group["HealthCheckPath"] == outputs.health_check_path,
                "" if isinstance(group, Unread) else str(group["HealthCheckPath"]),
                outputs.target_group_arn,
            ),
            check(
                "the artifact still has its SHA-256",
                artifact
                if isinstance(artifact, Unread)
                else artifact is not None and artifact.sha256 == outputs.artifact_sha256,
                ""
                if isinstance(artifact, Unread)
                else f"{artifact.sha256 if artifact else 'it is gone'}",
                f"{outputs.artifact_bucket}/{outputs.artifact_key}",
            ),
        ]

    def _ensure_version(self, rec: Recorder, record: DeploymentRecord, fleet: Fleet) -> int:
        state = fleet.read()
        data = release_data(fleet, state, record, fleet.target_group()["Port"])
        what = f"{record.application} {record.version}"
        made = rec.step(
            f"launch template version for {record.version}",
            lambda: ensure_version(fleet, state, data, what),
        )
        return int(made["version"])

    def _fleet(self, record: DeploymentRecord) -> Fleet:
        return Fleet(self.a, record.asg_name, record.target_group_arn)


def check_artifact(a: Aws, record: DeploymentRecord) -> DeploymentRecord:
    """The record with the commit that its artifact names. Raises NotFoundError, ConflictError."""
    artifact = need_artifact(a, record.artifact_bucket, record.artifact_key, record.artifact_sha256)
    if record.commit and artifact.commit and record.commit != artifact.commit:
        raise ConflictError(
            f"The artifact was made from commit {artifact.commit[:12]}, not {record.commit[:12]}. "
            "Pass the commit that build_release answered."
        )
    return record.model_copy(update={"commit": record.commit or artifact.commit})


def _action(verb: Verb, kind: str, name: str, detail: str) -> Action:
    return Action(verb=verb, type=kind, name=name, detail=detail)


def _observe(state: FleetState) -> dict[str, Any]:
    return {
        "template_id": state.template_id,
        "template_version": state.version,
        "instances": [instance.id for instance in state.instances],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
