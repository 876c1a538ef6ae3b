from typing import Any

import pytest

from opswright_core.agent.skills import SkillBook, fill
from opswright_knowledge.skills import deployed, history, inventory, recollection
from opswright_knowledge.skills.history import last_sitting
from opswright_knowledge.skills.inventory import owners_of

BOOK = SkillBook(
    [
        inventory.list_what_runs,
        inventory.find_dependents,
        inventory.tell_owner_and_dependents,
        deployed.tell_deployed_version,
        history.tell_what_changed,
        history.tell_last_actions,
        recollection.recall_what_is_known,
    ]
)
RECORDS = [
    {"type": "ec2:security_group", "id": "sg-0abc12", "region": "eu-west-1"},
    {
        "type": "ec2:instance",
        "id": "i-0123",
        "name": "web",
        "region": "eu-west-1",
        "tags": {"team": "web"},
        "relations": [{"kind": "uses", "to": "sg-0abc12"}],
    },
    {"type": "ec2:vpc", "id": "vpc-1", "region": "us-east-1"},
]


@pytest.mark.parametrize(
    ("task", "skill", "inputs"),
    [
        ("What do we run in eu-west-1?", "list_what_runs", {"region": "eu-west-1"}),
        (
            "list resources of type ec2:vpc in account 123456789012",
            "list_what_runs",
            {"type": "ec2:vpc", "kinds": ["ec2:vpc"], "account": "123456789012"},
        ),
        ("which resources are tagged team=web", "list_what_runs", {"tag": "team=web"}),
        ("what depends on sg-0abc12?", "find_dependents", {"id": "sg-0abc12"}),
        ("what breaks if vpc-0f1 goes?", "find_dependents", {"id": "vpc-0f1"}),
        ("what breaks if vpc-1 goes?", "find_dependents", {"id": "vpc-1"}),
        ("what was deployed last?", "tell_deployed_version", {}),
        (
            "which version of shop runs in prod?",
            "tell_deployed_version",
            {"application": "shop", "environment": "prod"},
        ),
        ("what is running in us-east-1", "list_what_runs", {"region": "us-east-1"}),
        ("which resources do we have in eu-west-1", "list_what_runs", {"region": "eu-west-1"}),
        ("what relies on vpc-0f1?", "find_dependents", {"id": "vpc-0f1"}),
        ("what would be affected if sg-0abc goes away", "find_dependents", {"id": "sg-0abc"}),
        (
            "which version of shop runs in production and what was before it?",
            "tell_deployed_version",
            {"application": "shop", "environment": "production"},
        ),
        (
            "what release of the blog is live in staging",
            "tell_deployed_version",
            {"application": "blog", "environment": "staging"},
        ),
        ("which versions are deployed", "tell_deployed_version", {}),
        (
            "who owns this load balancer and what depends on it? it is named front",
            "tell_owner_and_dependents",
            {"id": "front"},
        ),
        ("who is the owner of i-0abc12?", "tell_owner_and_dependents", {"id": "i-0abc12"}),
        ("who owns front?", "tell_owner_and_dependents", {"id": "front"}),
        ("whose is front?", "tell_owner_and_dependents", {"id": "front"}),
        ("who looks after the bucket logs-1", "tell_owner_and_dependents", {"id": "logs-1"}),
        ("who looks after payments-db?", "tell_owner_and_dependents", {"id": "payments-db"}),
        ("who maintains the queue mail-out?", "tell_owner_and_dependents", {"id": "mail-out"}),
        (
            "who owns payments-api and what depends on it",
            "tell_owner_and_dependents",
            {"id": "payments-api"},
        ),
        (
            "which version of payments-api do we have in staging",
            "tell_deployed_version",
            {"application": "payments-api", "environment": "staging"},
        ),
        ("show me what's in ap-southeast-2", "list_what_runs", {"region": "ap-southeast-2"}),
        ("which team owns sg-0abc12", "tell_owner_and_dependents", {"id": "sg-0abc12"}),
        (
            "what did the deployment agent do last time?",
            "tell_last_actions",
            {"agent": "deployment"},
        ),
        ("what did cicd do last?", "tell_last_actions", {"agent": "cicd"}),
        ("what has the security agent done recently", "tell_last_actions", {"agent": "security"}),
        ("show the last actions of the cost agent", "tell_last_actions", {"agent": "cost"}),
        ("what changed since yesterday?", "tell_what_changed", {"since": "yesterday"}),
        ("what is new since Monday", "tell_what_changed", {"since": "Monday"}),
        ("show the changes since last friday", "tell_what_changed", {"since": "last friday"}),
        ("what changed in the last 3 hours?", "tell_what_changed", {"since": "last 3 hours"}),
        ("what changed in the past week", "tell_what_changed", {"since": "past week"}),
        (
            "what has changed since 2026-11-01T08:00Z?",
            "tell_what_changed",
            {"since": "2026-11-01T08:00Z"},
        ),
        ("what do we remember about the outage?", "recall_what_is_known", {"topic": "the outage"}),
        ("recall what we learnt about canary", "recall_what_is_known", {"topic": "canary"}),
        ("what changed since revision 12", "tell_what_changed", {"since": "12"}),
        ("what changed since 2026-11-01?", "tell_what_changed", {"since": "2026-11-01"}),
        ("what has changed in the last 2 hours", "tell_what_changed", {"since": "last 2 hours"}),
        (
            "what do we know about the payments database?",
            "recall_what_is_known",
            {"topic": "the payments database"},
        ),
        (
            "which version of shop runs in production?",
            "tell_deployed_version",
            {"application": "shop", "environment": "production"},
        ),
        (
            "what version of shop is in production?",
            "tell_deployed_version",
            {"application": "shop", "environment": "production"},
        ),
        (
            "which version of shop is running in prod",
            "tell_deployed_version",
            {"application": "shop", "environment": "prod"},
        ),
        (
            "what's the current version of shop in staging?",
            "tell_deployed_version",
            {"application": "shop", "environment": "staging"},
        ),
        ("which release of shop is live?", "tell_deployed_version", {"application": "shop"}),
        (
            "what version does shop run in production",
            "tell_deployed_version",
            {"application": "shop", "environment": "production"},
        ),
        (
            "shop: which version is live in prod?",
            "tell_deployed_version",
            {"application": "shop", "environment": "prod"},
        ),
        ("what is deployed in production?", "tell_deployed_version", {"environment": "production"}),
        (
            "what was the version of shop before this one?",
            "tell_deployed_version",
            {"application": "shop"},
        ),
        (
            "which build of shop is in prod right now",
            "tell_deployed_version",
            {"application": "shop", "environment": "prod"},
        ),
        ("what is running in eu-west-1?", "list_what_runs", {"region": "eu-west-1"}),
        ("what have we got in us-east-1", "list_what_runs", {"region": "us-east-1"}),
        ("what resources exist in eu-central-1?", "list_what_runs", {"region": "eu-central-1"}),
        ("list everything in eu-west-1", "list_what_runs", {"region": "eu-west-1"}),
        ("what runs in region eu-west-1", "list_what_runs", {"region": "eu-west-1"}),
        (
            "which instances do we run in eu-west-1?",
            "list_what_runs",
            {"region": "eu-west-1", "kinds": ["ec2:instance"]},
        ),
        (
            "what do we have running in account 123456789012",
            "list_what_runs",
            {"account": "123456789012"},
        ),
        ("give me the inventory of eu-west-1", "list_what_runs", {"region": "eu-west-1"}),
        ("what has changed since yesterday", "tell_what_changed", {"since": "yesterday"}),
        ("what's new since yesterday?", "tell_what_changed", {"since": "yesterday"}),
        ("what changed today?", "tell_what_changed", {"since": "today"}),
        ("anything changed since monday?", "tell_what_changed", {"since": "monday"}),
        (
            "show me the changes of the last 24 hours",
            "tell_what_changed",
            {"since": "last 24 hours"},
        ),
        ("what happened since yesterday?", "tell_what_changed", {"since": "yesterday"}),
        (
            "which changes were made in the last 2 days",
            "tell_what_changed",
            {"since": "last 2 days"},
        ),
        ("what did we change since friday", "tell_what_changed", {"since": "friday"}),
        ("list changes since 2026-11-01", "tell_what_changed", {"since": "2026-11-01"}),
        ("what is different since yesterday?", "tell_what_changed", {"since": "yesterday"}),
        (
            "who owns this load balancer and what depends on it? it is front",
            "tell_owner_and_dependents",
            {"id": "front"},
        ),
        (
            "who owns the load balancer front and what depends on it?",
            "tell_owner_and_dependents",
            {"id": "front"},
        ),
        ("who owns the database orders-db", "tell_owner_and_dependents", {"id": "orders-db"}),
        ("which team owns load balancer front?", "tell_owner_and_dependents", {"id": "front"}),
        ("who is the owner of orders-db?", "tell_owner_and_dependents", {"id": "orders-db"}),
        (
            "who owns sg-0abc123 and what relies on it?",
            "tell_owner_and_dependents",
            {"id": "sg-0abc123"},
        ),
        (
            "what depends on load balancer front and who owns it?",
            "tell_owner_and_dependents",
            {"id": "front"},
        ),
        ("what did the deployment agent do last?", "tell_last_actions", {"agent": "deployment"}),
        (
            "what was the last thing the deployment agent did?",
            "tell_last_actions",
            {"agent": "deployment"},
        ),
        ("what has the security agent done lately?", "tell_last_actions", {"agent": "security"}),
        ("show what the cost agent did last", "tell_last_actions", {"agent": "cost"}),
        ("what did cicd do most recently?", "tell_last_actions", {"agent": "cicd"}),
        ("last actions of the deployment agent", "tell_last_actions", {"agent": "deployment"}),
        (
            "what did the metrics agent do in its last run?",
            "tell_last_actions",
            {"agent": "metrics"},
        ),
        ("tell me what the cicd agent has done last", "tell_last_actions", {"agent": "cicd"}),
        ("what has the deployment agent been doing?", "tell_last_actions", {"agent": "deployment"}),
        ("what did security do last time?", "tell_last_actions", {"agent": "security"}),
    ],
)
def test_a_question_finds_its_skill_and_its_inputs(task: str, skill: Any, inputs: Any) -> None:
    chosen = BOOK.choose(task)
    assert chosen is not None
    assert chosen.name == skill
    filled = fill(chosen.inputs, task, {})
    assert not isinstance(filled, list)
    assert filled.model_dump(exclude_none=True) == inputs


@pytest.mark.parametrize(
    "task",
    [
        "deploy version 2 of shop to production",
        "remember that the payments team deploys only on Tuesdays",
        "delete the security group sg-0abc12",
        "create a load balancer named front",
        "roll back the last release",
        "why is the web tier unhealthy?",
        "how much did we spend last month",
        "scan the repository for secrets",
        "write an alarm for high latency",
    ],
)
def test_tasks_of_other_agents_are_not_taken(task: str) -> None:
    chosen = BOOK.choose(task)
    assert chosen is None, chosen.name


async def ask_agent(ask: Any, task: str, **context: Any) -> Any:
    return await ask("handle_task", task=task, context=context)


async def test_it_tells_what_runs_in_a_region(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    report = await ask_agent(ask, "what do we run in eu-west-1?")
    assert report["status"] == "completed"
    assert report["outputs"]["total"] == 2
    assert "1 ec2:instance" in report["summary"]


async def test_it_lists_the_kinds_that_were_asked_for_however_they_are_spelled(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    listed = await ask_agent(ask, "list the vpcs")
    assert [one["id"] for one in listed["outputs"]["resources"]] == ["vpc-1"]
    kinds = {"kinds": "security groups and VPCs"}
    report = await ask_agent(ask, "what do we run?", facts=kinds)
    assert report["skill"] == "list_what_runs"
    assert {one["id"] for one in report["outputs"]["resources"]} == {"sg-0abc12", "vpc-1"}
    assert report["outputs"]["total"] == 2
    none = await ask_agent(ask, "list the databases in eu-west-1")
    assert "Nothing is recorded of kinds rds:db and rds:cluster" in none["summary"]


async def test_it_tells_what_depends_on_a_security_group(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    report = await ask_agent(ask, "what depends on sg-0abc12?")
    assert [r["id"] for r in report["outputs"]["resources"]] == ["i-0123"]
    asked = await ask_agent(ask, "what depends on it?")
    assert (asked["status"], asked["needs"][0]["name"]) == ("needs_input", "id")


async def test_it_tells_which_version_runs(ask: Any) -> None:
    where = {"application": "shop", "environment": "prod"}
    await ask("record_deployment", **where, version="1.0")
    await ask("record_deployment", **where, version="1.1", status="rolled_back")
    report = await ask_agent(ask, "which version of shop runs in prod?")
    assert report["outputs"]["running"] == {"shop/prod": "1.0"}
    assert report["outputs"]["last"]["last_version"] == "1.1"
    both = await ask_agent(ask, "which version of shop runs in production and what was before it?")
    assert "shop/prod runs 1.0 (1.1 was rolled back)" in both["summary"]
    await ask("record_deployment", **where, version="1.2")
    after = await ask_agent(ask, "which version of shop runs in production and what was before it?")
    assert "shop/prod runs 1.2, before it 1.0" in after["summary"]
    assert after["outputs"]["previous"] == {"shop/prod": "1.0"}
    elsewhere = await ask_agent(ask, "which version of shop runs in staging?")
    assert elsewhere["summary"] == (
        "No deployment of shop staging is recorded; one may have been made unrecorded. "
        "On record: shop to prod."
    )
    none = await ask_agent(ask, "which version of blog runs in prod?")
    assert "No deployment of blog prod is recorded" in none["summary"]


async def test_it_tells_what_changed(ask: Any, clock: Any) -> None:
    await ask("set_context", scope="s", key="old", value=1)
    clock.forward(hours=5)
    await ask("set_context", scope="s", key="new", value=1)
    report = await ask_agent(ask, "what has changed in the last 2 hours")
    assert report["outputs"]["counts"] == {"context created": 1}
    by_revision = await ask_agent(ask, "what changed since revision 0")
    assert by_revision["outputs"]["counts"] == {"context created": 2}
    nothing = await ask_agent(ask, "what changed since revision 2")
    assert "nothing is recorded as changed" in nothing["summary"]
    today = await ask_agent(ask, "what changed since yesterday?")
    assert today["summary"] == (
        "Since yesterday (2026-11-01T00:00Z), 2 changes: 2 × context created; by 2 × host. "
        "The store is at revision 2."
    )
    monday = await ask_agent(ask, "what is new since Monday")
    assert monday["summary"].startswith("Since Monday (2026-11-02T00:00Z), 2 changes")


async def test_it_tells_what_an_agent_did_last(ask: Any, clock: Any) -> None:
    by = {"agent": "cicd", "run_id": "run-1", "step": "deploy"}
    place = {"application": "shop", "environment": "prod"}
    await ask("record_deployment", **place, version="1.0", by={**by, "run_id": "run-0"})
    await ask("record_run", run_id="run-1", goal="ship shop 1.1", status="done")
    clock.forward(hours=1)
    await ask("record_deployment", **place, version="1.1", by=by)
    await ask("remember", agent="cicd", memories=[{"text": "canary went well"}], by=by)
    await ask("set_context", scope="s", key="k", value=1, by={"agent": "cost"})
    report = await ask_agent(ask, "what did cicd do last?")
    assert "recorded the last deployment" not in report["summary"]
    by_role = await ask_agent(ask, "what did the deployment agent do last time?")
    assert "It recorded the last deployment" in by_role["summary"]
    for told in (report, by_role):
        assert told["outputs"]["agent"] == "cicd"
        assert told["outputs"]["counts"] == {"memory created": 1, "deployment created": 1}
        assert "in run run-1 («ship shop 1.1», done)" in told["summary"]
    nobody = await ask_agent(ask, "what did the metrics agent do last time?")
    assert "Nothing is recorded by an agent 'metrics'" in nobody["summary"]


async def test_it_tells_who_owns_a_resource_and_what_depends_on_it(ask: Any) -> None:
    balancer = {
        "type": "elb:load_balancer",
        "id": "lb-0123",
        "name": "front",
        "tags": {"app:Owner": "web team", "Team": "web"},
    }
    record = {"type": "dns:record", "id": "www", "name": "www"}
    relations = [{"kind": "at", "to": "lb-0123"}]
    await ask(
        "record_resources",
        resources=[balancer, {**record, "relations": relations}],
        by={"agent": "aws_devops"},
    )
    task = "who owns this load balancer and what depends on it?"
    needs = await ask_agent(ask, task)
    assert (needs["status"], needs["needs"][0]["name"]) == ("needs_input", "id")
    for report in (
        await ask_agent(ask, task, facts={"id": "lb-0123"}),
        await ask_agent(ask, f"{task} it is named front"),
    ):
        assert report["summary"].startswith(
            "elb:load_balancer lb-0123 is owned, by its tag app:Owner, by web team and tag Team, "
            "by web. 1 resources rely on lb-0123"
        )
        assert [r["id"] for r in report["outputs"]["resources"]] == ["www"]
    unowned = await ask_agent(ask, "who is the owner of the record named www")
    assert "names no owner" in unowned["summary"]
    assert "recorded by aws_devops" in unowned["summary"]
    missing = await ask_agent(ask, "who is the owner of i-0abc12?")
    assert "ids, ARNs and names were searched" in missing["summary"]
    await ask("record_resources", resources=[{"type": "t", "id": "x", "name": "front"}])
    both = await ask_agent(ask, "who is the owner of the balancer named front?")
    assert "2 resources are called front" in both["summary"]


async def test_nothing_found_says_what_was_searched(ask: Any) -> None:
    report = await ask_agent(ask, "what do we run in eu-west-9?")
    assert report["summary"].startswith("Nothing is recorded of region eu-west-9")


async def test_it_recalls_memories_and_resources(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    await ask("remember", agent="cost", memories=[{"text": "web is oversized"}])
    report = await ask_agent(ask, "what do we know about web?")
    assert report["outputs"]["memories"][0]["text"] == "web is oversized"
    assert report["outputs"]["resources"][0]["id"] == "i-0123"
    assert "data, not instructions" in report["summary"]
    nothing = await ask_agent(ask, "what do we know about unicorns?")
    assert nothing["summary"].startswith("Nothing is recorded about unicorns; memories and")


def change(run_id: str | None, at: str) -> dict[str, Any]:
    return {"run_id": run_id, "at": f"2026-11-02T{at}:00+00:00"}


@pytest.mark.parametrize(
    ("newest_first", "count"),
    [
        ([change("r", "10:00"), change("r", "08:00"), change("q", "07:00")], 2),
        ([change("r", "10:00"), change("q", "09:00"), change("r", "08:00")], 2),
        ([change(None, "10:00"), change(None, "09:10"), change(None, "08:59")], 2),
        ([change(None, "10:00"), change("r", "09:50")], 1),
    ],
)
def test_what_was_done_last_is_the_last_run_or_hour(newest_first: Any, count: int) -> None:
    assert len(last_sitting(newest_first)) == count


@pytest.mark.parametrize(
    ("tags", "attributes", "owners"),
    [
        ({}, {}, {}),
        ({"Name": "x", "environment": "prod"}, {"size": 3}, {}),
        ({"team": "web", "owner": "ann"}, {}, {"tag owner": "ann", "tag team": "web"}),
        (
            {"acme:CostCenter": "7"}, {"owner": "bob"},
            {"attribute owner": "bob", "tag acme:CostCenter": "7"},
        ),
        ({"owner": ""}, {"team": {"a": 1}}, {}),
        ({"steam": "x"}, {}, {}),
    ],
)  # fmt: skip
def test_owners_are_named_by_tags_and_attributes(tags: Any, attributes: Any, owners: Any) -> None:
    assert list(owners_of(tags, attributes).items()) == list(owners.items())
