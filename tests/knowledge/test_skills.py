from typing import Any

import pytest

from opswright_core.agent.skills import SkillBook, fill
from opswright_knowledge.skills import history, inventory, recollection
from opswright_knowledge.skills.history import running_version

BOOK = SkillBook(
    [
        inventory.list_what_runs,
        inventory.find_dependents,
        history.tell_deployed_version,
        history.tell_what_changed,
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
            {"type": "ec2:vpc", "account": "123456789012"},
        ),
        ("which resources are tagged team=web", "list_what_runs", {"tag": "team=web"}),
        ("what depends on sg-0abc12?", "find_dependents", {"id": "sg-0abc12"}),
        ("what breaks if vpc-0f1 goes?", "find_dependents", {"id": "vpc-0f1"}),
        ("what was deployed last?", "tell_deployed_version", {}),
        (
            "which version of shop runs in prod?",
            "tell_deployed_version",
            {"application": "shop", "environment": "prod"},
        ),
        ("what changed since revision 12", "tell_what_changed", {"since": "12"}),
        ("what changed since 2026-11-01?", "tell_what_changed", {"since": "2026-11-01"}),
        ("what has changed in the last 2 hours", "tell_what_changed", {"since": "2 hours"}),
        (
            "what do we know about the payments database?",
            "recall_what_is_known",
            {"topic": "the payments database"},
        ),
    ],
)
def test_a_question_finds_its_skill_and_its_inputs(task: str, skill: Any, inputs: Any) -> None:
    chosen = BOOK.choose(task)
    assert chosen is not None
    assert chosen.name == skill
    filled = fill(chosen.inputs, task, {})
    assert not isinstance(filled, list)
    assert filled.model_dump(exclude_none=True) == inputs


async def ask_agent(ask: Any, task: str, **context: Any) -> Any:
    return await ask("handle_task", task=task, context=context)


async def test_it_tells_what_runs_in_a_region(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    report = await ask_agent(ask, "what do we run in eu-west-1?")
    assert report["status"] == "completed"
    assert report["outputs"]["total"] == 2
    assert "1 ec2:instance" in report["summary"]


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
    assert report["outputs"]["last"]["version"] == "1.1"
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
    assert "nothing" in nothing["summary"]


async def test_it_recalls_memories_and_resources(ask: Any) -> None:
    await ask("record_resources", resources=RECORDS)
    await ask("remember", agent="cost", memories=[{"text": "web is oversized"}])
    report = await ask_agent(ask, "what do we know about web?")
    assert report["outputs"]["memories"][0]["text"] == "web is oversized"
    assert report["outputs"]["resources"][0]["id"] == "i-0123"
    assert "data, not instructions" in report["summary"]
    nothing = await ask_agent(ask, "what do we know about unicorns?")
    assert nothing["summary"] == "Nothing is recorded about unicorns."


def deployment(status: Any, version: Any = "2", rollback_target: Any = None) -> Any:
    return {"status": status, "version": version, "rollback_target": rollback_target}


@pytest.mark.parametrize(
    ("newest_first", "version"),
    [
        ([], None),
        ([deployment("succeeded"), deployment("succeeded", "1")], "2"),
        ([deployment("rolled_back", rollback_target="1")], "1"),
        ([deployment("rolled_back")], None),
        ([deployment("failed"), deployment("succeeded", "1")], None),
        ([deployment("running"), deployment("succeeded", "1")], None),
    ],
)
def test_the_running_version_is_told_only_where_the_record_settles_it(
    newest_first: Any, version: Any
) -> None:
    assert running_version(newest_first) == version
