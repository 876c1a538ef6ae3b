"""Replaces a group's instances in batches, each healthy before the next; and the way back.

On AWS this is an instance refresh, which goes on without this process. A backend that has none
(emulators)
gets the same done from here: instances taken out in batches.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

from opswright_cicd.fleet import Fleet, FleetState, batch_size
from opswright_core.aws import AwsTarget, error_code, translate
from opswright_core.errors import EmulatorGapError, OpswrightError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt

KIND = "rollout"
UNDO_SECONDS = 1200.0
POLL_SECONDS = 5.0

_ENDED = {"Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"}


class Steps(Protocol):
    """How a rollout does things and waits: the recorder of a change, or `Direct` during an undo."""

    def step(self, name: str, send: Callable[[], Any], /) -> Any:
        """Do one thing."""

    def wait(self, what: str, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Poll until it is so. Raises OpswrightError at the deadline."""


class Direct:
    """Does things at once, without a journal: an undo is journalled as one step."""

    def step(self, name: str, send: Callable[[], Any], /) -> Any:
        """Do one thing."""
        return send()

    def wait(self, what: str, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Poll until it is so. Raises OpswrightError at the deadline."""
        deadline, pause = time.monotonic() + timeout_seconds, 0.1
        while not ready():
            if time.monotonic() > deadline:
                raise OpswrightError(f"{what}: not within {timeout_seconds:.0f} s.")
            time.sleep(pause)
            pause = min(pause * 2, POLL_SECONDS)


def replace_instances(
    fleet: Fleet, version: int, batch_percent: int, timeout_seconds: float, steps: Steps
) -> bool:
    """Bring the group to a launch-template version and replace what runs another.

    Returns whether the backend's instance refresh did it. Each batch has `timeout_seconds` to
    become
    healthy. Raises OpswrightError at a deadline or when the refresh ends otherwise, with the cause.
    """
    state = fleet.read()
    if state.settled(version):
        return False
    if not state.stale(version):
        _point(fleet, state, version, steps)
        _await(fleet, version, "instances healthy", timeout_seconds, steps, fleet_settled(version))
        return False
    try:
        refresh_id = steps.step(
            f"refresh the instances of {fleet.asg_name}",
            lambda: _start_refresh(fleet, state, version, batch_percent),
        )
    except Exception as exc:
        if not isinstance(translate(exc), EmulatorGapError):
            raise
        _in_batches(fleet, state, version, batch_percent, timeout_seconds, steps)
        return False
    batches = -(-state.desired // batch_size(state.desired, batch_percent))
    _await_refresh(fleet, refresh_id, version, timeout_seconds * batches, steps)
    return True


def fleet_settled(version: int) -> Callable[[FleetState], bool]:
    """The condition that a rollout ends with."""
    return lambda state: state.settled(version)


def _point(fleet: Fleet, state: FleetState, version: int, steps: Steps) -> None:
    if state.follows != str(version):
        steps.step(
            f"set {fleet.asg_name} to template version {version}",
            lambda: fleet.point(state.template_id, version),
        )


def _in_batches(
    fleet: Fleet,
    state: FleetState,
    version: int,
    batch_percent: int,
    timeout_seconds: float,
    steps: Steps,
) -> None:
    _point(fleet, state, version, steps)
    while stale := fleet.read().stale(version):
        for instance in stale[: batch_size(state.desired, batch_percent)]:
            steps.step(
                f"replace {instance.id}",
                functools.partial(fleet.terminate, instance.id),
            )
        _await(
            fleet,
            version,
            "the batch is healthy",
            timeout_seconds,
            steps,
            lambda s: s.keeps_up(version),
        )
    _await(fleet, version, "the group is healthy", timeout_seconds, steps, fleet_settled(version))


def _start_refresh(fleet: Fleet, state: FleetState, version: int, batch_percent: int) -> str:
    template = {"LaunchTemplateId": state.template_id, "Version": str(version)}
    answer = fleet.a.client("autoscaling").start_instance_refresh(
        AutoScalingGroupName=fleet.asg_name,
        Strategy="Rolling",
        DesiredConfiguration={"LaunchTemplate": template},
        Preferences={
            "MinHealthyPercentage": max(0, 100 - batch_percent),
            "SkipMatching": True,
            "AutoRollback": not state.follows.startswith("$"),  # AWS wants a number to return to
        },
    )
    return str(answer["InstanceRefreshId"])


def _await_refresh(
    fleet: Fleet, refresh_id: str, version: int, timeout_seconds: float, steps: Steps
) -> None:
    client = fleet.a.client("autoscaling")

    def read() -> dict[str, Any]:
        answer = client.describe_instance_refreshes(
            AutoScalingGroupName=fleet.asg_name, InstanceRefreshIds=[refresh_id]
        )
        refresh: dict[str, Any] = answer["InstanceRefreshes"][0]
        return refresh

    _await(
        fleet,
        version,
        "the instance refresh has ended",
        timeout_seconds,
        steps,
        lambda _: read()["Status"] in _ENDED,
    )
    ended = read()
    if ended["Status"] != "Successful":
        raise OpswrightError(
            f"The instance refresh {refresh_id} ended as {ended['Status']}: "
            f"{ended.get('StatusReason') or 'AWS gives no reason'}; "
            f"{fleet.read().describe(version)}"
        )
    _await(fleet, version, "the group is healthy", timeout_seconds, steps, fleet_settled(version))


def _await(
    fleet: Fleet,
    version: int,
    what: str,
    timeout_seconds: float,
    steps: Steps,
    condition: Callable[[FleetState], bool],
) -> None:
    seen: list[FleetState] = []

    def ready() -> bool:
        seen[:] = [fleet.read()]
        return condition(seen[0])

    try:
        steps.wait(what, ready, timeout_seconds=timeout_seconds)
    except OpswrightError as exc:
        if not seen or condition(seen[0]):
            raise
        raise OpswrightError(
            f"{what}: not within {timeout_seconds:.0f} s; {seen[0].describe(version)}"
        ) from exc


def undo_rollout(
    fleet: Fleet, state: FleetState, target: AwsTarget, batch_percent: int
) -> UndoStep:
    """The step that returns a group to the version it is on now, and its instances with it."""
    return UndoStep(
        kind=KIND,
        description=f"return {fleet.asg_name} to template version {state.version} and replace its "
        "instances",
        args={
            "asg_name": fleet.asg_name,
            "target_group_arn": fleet.target_group_arn,
            "version": state.version,
            "batch_percent": batch_percent,
            "target": target.model_copy(update={"region": fleet.a.region}).model_dump(),
        },
    )


class RolloutUndo:
    """Replays `rollout` steps."""

    def replay(self, step: UndoStep) -> None:
        """Stop a refresh under way, then roll the group back; nothing to do where it is back."""
        fleet = _fleet(step)
        _cancel_refresh(fleet)
        version = step.args["version"]
        replace_instances(fleet, version, step.args["batch_percent"], UNDO_SECONDS, Direct())

    def verify(self, step: UndoStep) -> Check:
        """PASS when healthy instances of the version before alone serve."""
        version = step.args["version"]
        state = attempt(lambda: _fleet(step).read())
        if isinstance(state, Unread):
            return Check(name=step.description, verdict="UNKNOWN", evidence=state.reason)
        verdict = "PASS" if state.settled(version) else "FAIL"
        return Check(name=step.description, verdict=verdict, evidence=state.describe(version))


def _fleet(step: UndoStep) -> Fleet:
    a = aws(AwsTarget(**step.args["target"]))
    return Fleet(a, step.args["asg_name"], step.args["target_group_arn"])


def _cancel_refresh(fleet: Fleet) -> None:
    client = fleet.a.client("autoscaling")
    try:
        client.cancel_instance_refresh(AutoScalingGroupName=fleet.asg_name)
    except Exception as exc:
        nothing = "ActiveInstanceRefreshNotFound" in error_code(exc)
        if not nothing and not isinstance(translate(exc), EmulatorGapError):
            raise
        return
    Direct().wait(
        "the instance refresh is cancelled",
        lambda: refresh_under_way(fleet) is None,
        timeout_seconds=UNDO_SECONDS,
    )


def refresh_under_way(fleet: Fleet) -> str | None:
    """The id of an instance refresh that has not ended, or None (or no such API)."""
    try:
        answer = fleet.a.client("autoscaling").describe_instance_refreshes(
            AutoScalingGroupName=fleet.asg_name, MaxRecords=1
        )
    except Exception as exc:
        if isinstance(translate(exc), EmulatorGapError):
            return None
        raise
    for refresh in answer["InstanceRefreshes"]:
        if refresh["Status"] not in _ENDED:
            return str(refresh["InstanceRefreshId"])
    return None
