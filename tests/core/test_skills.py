"""Skills: which one a task gets, and where their inputs come from."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from opswright_core.agent.report import NeededInput, Outcome
from opswright_core.agent.skills import (
    LEAST_COVERAGE,
    FromText,
    NoInputs,
    Skill,
    SkillBook,
    fill,
    skill,
)

CHANGING = {
    "deploy_three_tier", "create_private_network", "roll_back_release", "release_canary",
    "set_up_monitoring",
}  # fmt: skip
SKILLS: dict[str, tuple[str, ...]] = {
    "audit_account": (
        "Audit the account's security posture and rank the findings",
        "audit the AWS account for security problems",
        "is our account secure",
        "security review of the account",
    ),
    "find_savings": (
        "Find what can be saved, costliest first",
        "where can we save money",
        "find idle and oversized resources",
        "reduce our AWS bill",
    ),
    "explain_spend": (
        "Explain what was spent and why it changed",
        "why did our costs go up last month",
        "what do we spend on",
        "explain the bill",
    ),
    "deploy_three_tier": (
        "Deploy a three-tier web application: network, load balancer, servers, database",
        "deploy a three-tier web application with high availability",
        "set up a web app with a load balancer and a database",
    ),
    "create_private_network": (
        "Create a VPC with public and private subnets over several zones",
        "create a network with private subnets",
        "set up a VPC",
    ),
    "roll_back_release": (
        "Roll a service back to its last good release",
        "roll back the last deployment",
        "revert the release of a service",
    ),
    "release_canary": (
        "Release a new version to a share of the traffic, watch it, then go on or roll back",
        "release version with a canary",
        "ship a new version gradually",
    ),
    "investigate_alarm": (
        "Find out why an alarm fires, from metrics and logs",
        "why is the alarm firing",
        "investigate high latency",
        "what is wrong with the service",
    ),
    "set_up_monitoring": (
        "Set up dashboards and alarms for an application",
        "monitor my application",
        "set up alarms and a dashboard",
    ),
}
TRUE = [
    ("audit our AWS account for security issues", "audit_account"),
    ("Please do a security audit of account 123456789012", "audit_account"),
    ("How secure is this account?", "audit_account"),
    ("where could we save money on AWS?", "find_savings"),
    ("find idle resources we pay for", "find_savings"),
    ("cut our AWS bill: find savings", "find_savings"),
    ("why did the costs go up in October?", "explain_spend"),
    ("explain last month's bill", "explain_spend"),
    (
        "Deploy a three-tier web application with high availability and monitoring",
        "deploy_three_tier",
    ),
    ("deploy a three tier web app named shop with a postgres database", "deploy_three_tier"),
    ("set up a web application behind a load balancer", "deploy_three_tier"),
    ("create a VPC with private subnets in three zones", "create_private_network"),
    ("set up a network 10.0.0.0/16 with private subnets", "create_private_network"),
    ("roll back the last deployment of shop", "roll_back_release"),
    ("revert the release of checkout", "roll_back_release"),
    ("release version 2.1 of shop as a canary", "release_canary"),
    ("ship the new version gradually", "release_canary"),
    ("why does the latency alarm fire?", "investigate_alarm"),
    ("investigate the high latency of checkout", "investigate_alarm"),
    ("what is wrong with the shop service?", "investigate_alarm"),
    ("set up alarms and a dashboard for shop", "set_up_monitoring"),
    ("monitor my application named shop", "set_up_monitoring"),
]
FALSE = [
    "write a poem about clouds",
    "translate the README to French",
    "delete the production database",
    "rotate the access keys of user bob",
    "restart the kubernetes cluster",
    "merge pull request 42",
    "send an email to the team about the outage",
    "buy a reserved instance for one year",
    "add a user named alice to the admins group",
    "train a model on last year's sales",
    "resize the disk of the build server",
    "open port 22 to the world",
    "book a flight to Dublin for Monday",
    "create a bucket for logs",
    "increase the memory of the checkout container",
    "run the unit tests of the shop repository",
    "what is the weather in Dublin",
    "renew the TLS certificate of example.com",
    "list the VPC peering connections",
    "renew the certificate of the load balancer",
    "patch the servers",
    "back up the database every night",
    "migrate the database to another region",
    "change the subnets of the load balancer",
]
ASKED = [
    "who approved the last release",
    "which web application is behind the load balancer",
    "show the alarms and the dashboard",
]
"""What a bag of words takes for a task that changes something."""
OPPOSITE = [
    "delete the VPC",
    "remove the private network",
    "destroy the web application",
    "delete the dashboard and alarms",
    "terminate the three-tier web application named shop",
]


async def _nothing(*_: Any) -> Outcome:
    return Outcome(summary="")


def _declared(name: str, words: tuple[str, ...]) -> Skill:
    description, *examples = words
    risk: Literal["read", "write"] = "write" if name in CHANGING else "read"
    return Skill(name, description, tuple(examples), risk, NoInputs, _nothing)


@pytest.fixture(scope="module")
def book() -> SkillBook:
    return SkillBook([_declared(name, words) for name, words in SKILLS.items()])


@pytest.mark.parametrize(("task", "name"), TRUE)
def test_a_task_gets_the_skill_it_is_worded_for(book: SkillBook, task: str, name: str) -> None:
    chosen = book.choose(task)
    assert chosen is not None
    assert chosen.name == name


@pytest.mark.parametrize("task", FALSE)
def test_a_task_for_no_skill_gets_none(book: SkillBook, task: str) -> None:
    assert book.choose(task) is None


@pytest.mark.parametrize("task", OPPOSITE)
def test_a_task_that_removes_never_gets_a_skill_that_makes(book: SkillBook, task: str) -> None:
    chosen = book.choose(task)
    assert chosen is None or chosen.risk == "read"


@pytest.mark.parametrize("task", ASKED)
def test_a_question_never_gets_a_skill_that_changes(book: SkillBook, task: str) -> None:
    assert book.rank(task)[0].coverage >= LEAST_COVERAGE
    chosen = book.choose(task)
    assert chosen is None or chosen.risk == "read"


def test_the_least_coverage_is_where_its_comment_says(book: SkillBook) -> None:
    assert LEAST_COVERAGE == 0.52
    assert (len(TRUE), len(FALSE)) == (22, 24)
    assert min(book.fitting(task)[0].coverage for task, _ in TRUE) >= 0.66
    assert max(hit.coverage for task in FALSE for hit in book.rank(task)) <= 0.5


def test_a_name_that_no_skill_uses_does_not_outweigh_a_short_task(book: SkillBook) -> None:
    for name in ("blog", "shop", "zanzibar"):
        chosen = book.choose(f"release version v1.1.0 of {name}")
        assert chosen is not None
        assert chosen.name == "release_canary"


def test_a_removal_gets_the_skill_that_speaks_of_removing() -> None:
    remover = Skill("clean_up", "Delete idle volumes", (), "destructive", NoInputs, _nothing)
    chosen = SkillBook([remover]).choose("delete the idle volumes")
    assert chosen is remover


def test_a_book_without_skills_chooses_none() -> None:
    assert SkillBook([]).choose("anything at all") is None


class Inputs(BaseModel):
    name: Annotated[str, Field(description="Application's name"), FromText(r"named (\S+)")]
    tier: Literal["small", "large"] = "small"
    region: str = "eu-west-1"
    count: Annotated[int, Field(description="How many", ge=1)] = 2


@pytest.mark.parametrize(
    ("task", "facts", "expected"),
    [
        ("deploy named shop", {}, {"name": "shop"}),
        ("deploy named shop", {"name": "mall"}, {"name": "mall"}),
        ("deploy name=shop region: us-east-1, count=3", {},
         {"name": "shop", "region": "us-east-1", "count": 3}),
        ("deploy a Large one named shop", {}, {"name": "shop", "tier": "large"}),
        ("small or large, named shop", {}, {"name": "shop", "tier": "small"}),
        ('deploy name="shop"', {"unrelated": 1}, {"name": "shop"}),
    ],
)  # fmt: skip
def test_inputs_come_from_facts_then_from_the_text_then_from_defaults(
    task: str, facts: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert fill(Inputs, task, facts) == Inputs(**expected)


def test_a_missing_input_is_asked_for_by_name() -> None:
    assert fill(Inputs, "deploy it", {}) == [
        NeededInput(name="name", description="Application's name")
    ]


def test_an_input_that_does_not_fit_says_why() -> None:
    missing = fill(Inputs, "named shop", {"count": 0})
    assert isinstance(missing, list)
    (need,) = missing
    assert need.name == "count"
    assert need.description.startswith("How many (")
    assert "got 0" in need.description


def test_an_input_without_a_description_is_named_by_its_words() -> None:
    class Bare(BaseModel):
        vpc_id: str

    assert fill(Bare, "", {}) == [NeededInput(name="vpc_id", description="vpc id")]


def test_the_decorator_makes_a_skill_of_a_typed_function() -> None:
    @skill("an example", risk="write")
    async def do_it(worker: Any, inputs: Inputs) -> Outcome:
        """Do it."""
        return Outcome(summary="done")

    assert (do_it.name, do_it.description, do_it.examples, do_it.risk, do_it.inputs) == (
        "do_it",
        "Do it.",
        ("an example",),
        "write",
        Inputs,
    )
