"""Plans without a model: clauses, unification, blueprints with added steps, missing inputs."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.evals.scoring import Shipped
from tests.evals.team import real_team

from opswright.clauses import clauses
from opswright.plan import Plan, Step
from opswright.planners.blueprint import Blueprint
from opswright.planners.words import value_in
from opswright.planning import MissingInputsError, NotPlannedError, Planning
from opswright.registry import Agent
from opswright.render.plans import show_previews
from opswright.verifier import examine


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[dict[str, Agent]]:
    async with real_team(tmp_path) as agents:
        yield agents


async def planned(
    team: dict[str, Agent], request: str, planner: Any = "auto", **given: Any
) -> Plan:
    return await Planning(team, Shipped()).plan(request, given, planner)


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        ("Deploy the shop", [("Deploy the shop", False)]),
        ("Create a VPC and check it", [("Create a VPC and check it", False)]),
        (
            "Create a network, then review its security",
            [("Create a network", False), ("review its security", True)],
        ),
        (
            "Audit the account and find idle servers",
            [("Audit the account", False), ("find idle servers", False)],
        ),
        ("Set up a database and alarms", [("Set up a database and alarms", False)]),
    ],
)  # fmt: skip
def test_a_request_is_split_where_a_new_thing_is_asked_for(
    request_: str, parts: list[tuple[str, bool]]
) -> None:
    assert [(c.text, c.follows) for c in clauses(request_)] == parts


@pytest.mark.parametrize(
    ("name", "schema", "text", "value"),
    [
        ("vpc_id", {"type": "string"}, "review vpc-0123456789abcdef0 now", "vpc-0123456789abcdef0"),
        ("vpc_id", {"type": "string"}, "review sg-0123456789abcdef0 now", None),
        ("path", {"type": "string"}, "scan /srv/shop, please", "/srv/shop"),
        ("from_version", {"type": "string"}, "from v1.0.0 to v1.1.0", "v1.0.0"),
        ("to_version", {"type": "string"}, "from v1.0.0 to v1.1.0", "v1.1.0"),
        ("days", {"type": "integer"}, "spend of the last 7 days", 7),
        ("days", {"type": "integer", "maximum": 5}, "spend of the last 7 days", None),
        ("name", {"type": "string"}, "a network called blog", "blog"),
        ("bucket", {"type": "string"}, "block the bucket acme-logs", "acme-logs"),
        ("notify_email", {"type": "string"}, "warn ops@example.com", "ops@example.com"),
        ("framework", {"enum": ["cis-3.0", "fsbp"]}, "are we CIS compliant", "cis-3.0"),
        ("tag", {"type": "string", "description": "Like app:1.0"}, "build shop:1.2", "shop:1.2"),
    ],
)  # fmt: skip
def test_values_are_found_in_the_words(
    name: str, schema: dict[str, Any], text: str, value: Any
) -> None:
    assert value_in(name, schema, text, {}) == value


async def test_outputs_flow_to_the_inputs_that_they_fit(team: dict[str, Agent]) -> None:
    request = "Create a network named shop, then create security groups in it"
    plan = await planned(team, request, "typed")
    network, groups = plan.steps
    assert (network.tool, groups.tool) == ("create_network", "create_security_groups")
    assert groups.args["vpc_id"] == {"$ref": f"{network.id}.outputs.vpc_id"}
    assert groups.args["name"] == "shop"
    assert not examine(plan, team).findings


async def test_what_is_only_asked_about_is_only_read(team: dict[str, Agent]) -> None:
    request = "Show the deployment of the shop, then diagnose its web tier"
    plan = await planned(team, request, "typed")
    assert {step.risk for step in plan.steps} == {"read"}
    assert "diagnose_web_tier" in {step.tool for step in plan.steps}


@pytest.mark.parametrize(
    "request_",
    [
        "Which volumes are unattached?",
        "Show the security groups of vpc-0123456789abcdef0 and explain their rules",
        "What did the last deployment change?",
        "Is the bucket acme-logs public?",
    ],
)
async def test_a_question_is_never_answered_with_a_change(
    team: dict[str, Agent], request_: str
) -> None:
    try:
        plan = await planned(team, request_)
    except NotPlannedError:
        return
    assert not plan.changes_things


async def test_all_missing_inputs_are_asked_for_together_by_name(team: dict[str, Agent]) -> None:
    request = "Create a budget, then create a load balancer"
    with pytest.raises(MissingInputsError) as told:
        await planned(team, request, "typed")
    assert {"notify_email", "vpc_id", "subnet_ids", "security_group_ids"} <= set(told.value.inputs)
    assert "--set notify_email=" in str(told.value)


async def test_given_values_complete_a_plan(team: dict[str, Agent]) -> None:
    given = {"name": "all", "monthly_usd": "500", "notify_email": "ops@example.com"}
    plan = await planned(team, "Create a budget", "typed", **given)
    (step,) = plan.steps
    assert step.args == {"name": "all", "monthly_usd": 500.0, "notify_email": "ops@example.com"}
    assert step.risk == "write"


async def test_a_blueprint_takes_on_what_is_asked_for_after_it(team: dict[str, Agent]) -> None:
    request = "Deploy version v1.2.0 of the shop, then scan /srv/shop for vulnerable dependencies"
    plan = await planned(team, request)
    assert [step.id for step in plan.steps[:4]] == ["current", "release", "deploy", "health"]
    scan = plan.steps[4]
    assert (scan.agent, scan.tool, scan.args) == (
        "security", "scan_dependencies", {"path": "/srv/shop"},
    )  # fmt: skip
    assert scan.needs == ("health",)
    assert plan.goal == request
    assert not examine(plan, team).findings


async def test_what_the_added_steps_lack_is_asked_for_with_the_blueprints_inputs(
    team: dict[str, Agent],
) -> None:
    request = "Deploy a three-tier web application, then create a budget"
    with pytest.raises(MissingInputsError) as told:
        await planned(team, request)
    assert {"repository", "notify_email", "monthly_usd"} <= set(told.value.inputs)


async def test_a_planner_can_be_chosen(team: dict[str, Agent]) -> None:
    assert (await planned(team, "Triage the alarms", "typed")).steps[0].tool == "triage_alarms"
    with pytest.raises(NotPlannedError):
        await planned(team, "Triage the alarms", "blueprint")


async def test_what_nobody_can_do_is_refused_with_what_can_be_asked(team: dict[str, Agent]) -> None:
    with pytest.raises(NotPlannedError, match="What can be asked"):
        await planned(team, "Paint the office green")


async def test_no_part_of_a_request_is_left_out_for_a_blueprint(team: dict[str, Agent]) -> None:
    request = "Roll back the last deployment and find what we waste money on"
    plan = await planned(team, request)
    assert [step.id for step in plan.steps[:3]] == ["last", "rollback", "health"]
    assert {step.agent for step in plan.steps[3:]} == {"cost"}


@pytest.mark.parametrize("template", Shipped()._all, ids=lambda b: b.name)
async def test_a_blueprints_own_wording_adds_nothing_to_it(
    team: dict[str, Agent], template: Blueprint
) -> None:
    given = {name: "v1.0.0" for name, p in template.parameters.items() if p.required}
    for example in template.examples:
        plan = await planned(team, example, **given)
        assert plan.planner == f"blueprint {template.name}", example


async def test_quotas_are_looked_at_before_the_approval_where_the_agent_can(
    team: dict[str, Agent],
) -> None:
    request = "Deploy a three-tier web application from /srv/shop with high availability"
    plan = await planned(team, request)
    assert {step.id: step.tool for step in plan.read_early} == {
        "estimate": "estimate_monthly_cost",
        "quotas": "check_quota",
    }
    assert examine(plan, team).findings == []
    del team["aws_devops"].tools["check_quota"]
    without = await planned(team, request)
    assert [step.id for step in without.read_early] == ["estimate"]
    assert without.gates == frozenset()
    assert examine(without, team).findings == []


def test_a_previews_verdict_is_shown_with_its_summary() -> None:
    step = Step(id="quotas", agent="aws_devops", tool="check_quota", title="room in the quotas")
    plan = Plan(id="p", goal="g", planner="test", steps=(), previews=(step,))
    console = Console(record=True, width=100, file=io.StringIO())
    show_previews(console, {"quotas": {"verdict": "FAIL", "summary": "no room: VPCs"}}, plan)
    assert "room in the quotas FAIL: no room: VPCs" in console.export_text()
