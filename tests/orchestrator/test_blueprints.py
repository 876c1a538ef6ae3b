"""Blueprints: chosen by the request's words, filled from it, and asking for what is missing."""

import pytest

from opswright.plan import Plan, PlanError, in_order
from opswright.planners import blueprint
from opswright.planners.blueprint import Blueprint, Missing

ALL = blueprint.load()


def named(name: str) -> Blueprint:
    return next(b for b in ALL if b.name == name)


def built(name: str, request: str, **given: object) -> Plan:
    made = blueprint.build(named(name), request, given, "plan-test")
    assert isinstance(made, Plan)
    return made


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            "Deploy a three-tier web application with high availability and monitoring",
            "three_tier_application",
        ),
        ("Set up a 3-tier architecture for our web app", "three_tier_application"),
        ("Deploy version v1.1.0 of the sample app", "deploy_version"),
        ("Ship v2.0.1 of the shop to production", "deploy_version"),
        ("Roll back the last deployment", "roll_back_deployment"),
        ("Revert the latest release", "roll_back_deployment"),
        ("Why is the web tier unhealthy?", None),
        ("Audit the security of this account", None),
        ("Find what we waste money on", None),
        ("Create an encrypted S3 bucket named logs", None),
        ("Deploy the sample app", None),
        ("Paint the office green", None),
        ("", None),
    ],
)
def test_a_request_means_the_blueprint_a_person_would_say(
    request_: str, expected: str | None
) -> None:
    chosen = blueprint.choose(request_, ALL)
    assert (chosen.name if chosen else None) == expected


def test_parameters_come_from_the_request() -> None:
    plan = built(
        "three_tier_application",
        "Deploy a three-tier web application called Corner Shop on 10.20.0.0/16 over 3 zones with "
        "m6i.large servers and a db.r6g.large database from https://git.example.com/shop.git",
    )
    assert plan.parameters["cidr"] == "10.20.0.0/16"
    assert plan.parameters["az_count"] == 3
    assert plan.parameters["instance_type"] == "m6i.large"
    assert plan.parameters["database_class"] == "db.r6g.large"
    assert plan.parameters["repository"] == "https://git.example.com/shop.git"
    assert plan.step("network").args["az_count"] == 3


def test_what_is_set_wins_over_what_is_said() -> None:
    plan = built("deploy_version", "Deploy version v1.1.0 of the shop", version="v9.9.9")
    assert plan.step("release").args["version"] == "v9.9.9"


def test_missing_inputs_are_asked_for_together_by_name() -> None:
    made = blueprint.build(named("deploy_version"), "Deploy it", {}, "plan-test")
    assert isinstance(made, Missing)
    assert set(made.parameters) == {"application", "version"}
    assert all(made.parameters.values())


def test_a_value_of_the_wrong_type_is_refused_with_what_it_is_for() -> None:
    with pytest.raises(PlanError, match=r"az_count is .many.*zones"):
        built("three_tier_application", "three-tier", repository="/r", az_count="many")


def test_an_application_is_named_as_it_was_deployed() -> None:
    plan = built("deploy_version", "Deploy version v1.1.0 of the sample app to staging")
    assert plan.parameters["application"] == "sample-app"
    assert plan.parameters["environment"] == "staging"


@pytest.mark.parametrize("name", [b.name for b in ALL])
def test_every_blueprint_has_no_circle_and_its_examples_choose_it(name: str) -> None:
    chosen = named(name)
    given = {p: "v1.0.0" for p, spec in chosen.parameters.items() if spec.required}
    plan = blueprint.build(chosen, chosen.examples[0], given, "plan-test")
    assert isinstance(plan, Plan)
    assert len(in_order(plan)) == len(chosen.steps)
    for example in chosen.examples:
        found = blueprint.choose(example, ALL)
        assert found is not None, example
        assert found.name == name, example
