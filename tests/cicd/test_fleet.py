"""Judging a group of instances, without any cloud."""

import pytest

from opswright_cicd.fleet import FleetState, Instance, batch_size
from opswright_cicd.records import (
    DeploymentRecord,
    earlier,
    parse,
    previous_version,
    rollback_target,
)
from opswright_cicd.tools.deployments import judge
from opswright_core.verdicts import Unread


def state(*instances: tuple[int, str], desired: int = 2, version: int = 2) -> FleetState:
    """A group of instances given as (template version, health)."""
    made = [Instance(f"i-{n}", "InService", frozenset({v})) for n, (v, _) in enumerate(instances)]
    health = {f"i-{n}": said for n, (_, said) in enumerate(instances)}
    return FleetState("lt-1", str(version), version, desired, tuple(made), health)


def a_record(version: str = "v1", **other: object) -> DeploymentRecord:
    values = {
        "application": "shop",
        "environment": "production",
        "version": version,
        "commit": "c",
        "strategy": "rolling",
        "repository": "r",
        "artifact_bucket": "b",
        "artifact_key": "k",
        "artifact_sha256": "s",
        "asg_name": "g",
        "target_group_arn": "t",
        "health_check_path": "/",
        "launch_template_id": "lt-1",
        "launch_template_version": 2,
        "deployed_at": "2026-01-01",
    }
    return DeploymentRecord.model_validate({**values, **other})


@pytest.mark.parametrize(
    ("desired", "percent", "size"), [(2, 50, 1), (4, 50, 2), (3, 50, 1), (1, 10, 1), (4, 100, 4)]
)
def test_a_batch_is_a_share_and_at_least_one(desired: int, percent: int, size: int) -> None:
    assert batch_size(desired, percent) == size


@pytest.mark.parametrize(
    ("seen", "keeps_up", "settled"),
    [
        (state((2, "healthy"), (2, "healthy")), True, True),
        (state((2, "healthy"), (1, "healthy")), True, False),
        (state((2, "initial"), (1, "healthy")), False, False),
        (state((2, "healthy"), (2, "unhealthy: codes [503]")), False, False),
        (state((2, "healthy")), False, False),
        (state((1, "unhealthy"), (1, "unhealthy")), True, False),
        (state((2, "healthy"), (2, "healthy"), version=1), True, False),
        (state(desired=0), True, True),
    ],
)
def test_a_rollout_goes_on_and_ends_when_it_may(
    seen: FleetState, keeps_up: bool, settled: bool
) -> None:
    assert seen.keeps_up(2) is keeps_up
    assert seen.settled(2) is settled


def test_what_ails_a_group_is_said() -> None:
    assert state((2, "healthy"), (2, "unhealthy: codes [503]")).describe(2) == (
        "1 of 2 instances healthy on template version 2; i-1 unhealthy: codes [503]"
    )


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (state((2, "healthy"), (2, "healthy")), "live"),
        (state((2, "healthy"), (2, "draining")), "unhealthy"),
        (state((2, "healthy"), (1, "healthy")), "drifted"),
        (state((2, "healthy"), (2, "healthy"), version=3), "drifted"),
        ("There is no auto-scaling group 'g'", "drifted"),
        (Unread(operation="autoscaling:Describe", reason="denied"), "unknown"),
    ],
)
def test_a_deployment_is_live_only_when_it_is_seen_to_be(
    seen: FleetState | str | Unread, status: str
) -> None:
    assert judge(a_record(), seen)[0] == status


@pytest.mark.parametrize(
    ("now", "to", "back", "previous"),
    [
        (None, "v1", None, None),
        (a_record("v1"), "v2", "v1", "v1"),
        (a_record("v2", rollback_target="v1", previous_version="v1"), "v2", "v1", "v1"),
        (a_record("v2", rollback_target="v1"), "v1", "v2", "v2"),
    ],
)
def test_a_rollback_goes_to_what_ran_before(
    now: DeploymentRecord | None, to: str, back: str | None, previous: str | None
) -> None:
    assert rollback_target(now, to) == back
    assert previous_version(now, to) == previous


def test_the_first_rollout_of_a_version_is_what_a_rollback_repeats() -> None:
    first, returned = a_record("v1"), a_record("v1", strategy="rollback", rollback_target="v2")
    assert earlier([returned, a_record("v2"), first], "v1") is first
    assert earlier([returned], "v1") is returned
    assert earlier([], "v1") is None


def test_a_parameter_that_someone_else_wrote_is_no_record() -> None:
    assert parse("hello") is None
    assert parse('{"version": 1}') is None
    assert parse(a_record().model_dump_json()) == a_record()
