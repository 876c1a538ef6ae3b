"""Tasks: handed over, waited for, stopped, survived; by skills when there is no model."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from tests.core.conftest import World
from tests.core.shelf import create_server

from opswright_core.agent.report import TaskReport
from opswright_core.agent.tasks import TaskStore
from opswright_core.settings import Settings

Serve = Callable[..., Any]


async def call(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments, raise_on_error=False)
    assert answer.structured_content, answer.content[0].text
    content: dict[str, Any] = answer.structured_content
    return content


async def test_a_skill_carries_out_a_task_and_reports(serve: Serve, world: World, era: str) -> None:
    async with serve(mode=era) as client:
        report = await call(client, "handle_task", task="put a thing named vase on the shelf")
    assert (report["status"], report["mind"], report["skill"]) == (
        "completed",
        "skills",
        "put_thing",
    )
    assert report["outputs"] == {"names": ["vase"]}
    assert [r["id"] for r in report["resources"]] == ["vase"]
    assert report["messages"][0]["recipient"] == "cost"
    assert report["memories"][0]["text"] == "vase was shelved"
    assert [(s["tool"], s["ok"]) for s in report["steps"]] == [("shelve", True)]
    assert report["usage"] == {
        "steps": 1, "input_tokens": 0, "output_tokens": 0, "cost_usd": 0,
    }  # fmt: skip
    assert world.things == ["vase"]


async def test_a_missing_input_is_asked_for_by_name_and_taken_from_facts(serve: Serve) -> None:
    task = "put a thing on the shelf"
    async with serve() as client:
        asked = await call(client, "handle_task", task=task)
        given = await call(client, "handle_task", task=task, context={"facts": {"name": "mug"}})
        told = await call(
            client, "handle_task", task=task,
            context={"inbox": [{"recipient": "shelf", "content": "", "data": {"name": "cup"}}]},
        )  # fmt: skip
    assert asked["status"] == "needs_input"
    assert asked["needs"] == [{"name": "name", "description": "Name of the thing"}]
    assert "context.facts holding name" in asked["next"]
    assert given["outputs"] == {"names": ["mug"]}
    assert told["outputs"] == {"names": ["cup"]}


async def test_a_task_for_no_skill_names_the_nearest_and_does_nothing(
    serve: Serve, world: World
) -> None:
    async with serve() as client:
        report = await call(
            client, "handle_task", task="list every kubernetes cluster and its cost"
        )
    assert (report["status"], report["steps"]) == ("failed", [])
    assert report["error"] == "no skill matches"
    assert "list_things" in report["next"]
    assert "ANTHROPIC_API_KEY" in report["next"]


async def test_a_task_that_needs_approval_goes_on_with_the_token(
    serve: Serve, world: World
) -> None:
    task = "put a thing named vase on the shelf"
    async with serve(approvals="token") as client:
        asked = await call(client, "handle_task", task=task)
        assert (asked["status"], world.things) == ("needs_approval", [])
        (wanted,) = asked["approvals"]
        (action,) = wanted["actions"]
        assert (action["verb"], action["name"]) == ("create", "vase")
        token = wanted["token"]
        done = await call(client, "handle_task", task=task, context={"approvals": [token]})
    assert (done["status"], done["approvals"]) == ("completed", [])
    assert world.things == ["vase"]


async def test_a_failed_tool_fails_the_task(serve: Serve, world: World) -> None:
    world.fault("vase", "refused")
    async with serve() as client:
        answer = await client.call_tool(
            "handle_task", {"task": "put a thing named vase on the shelf"}, raise_on_error=False
        )
    assert answer.is_error
    assert answer.structured_content["status"] == "failed"
    assert "the shelf refused" in answer.structured_content["error"]
    assert answer.structured_content["steps"][0]["ok"] is False


async def test_a_defect_in_a_skill_is_masked(serve: Serve) -> None:
    async with serve() as client:
        report = await call(client, "handle_task", task="crash with a defect in the skill")
    assert report["error"] == "a defect in the server (KeyError); see its log"


async def test_a_long_task_answers_working_and_is_waited_for(serve: Serve, world: World) -> None:
    world.fault("vase", "slow")
    async with serve() as client:
        working = await call(
            client, "handle_task", task="put a thing named vase on the shelf", wait_seconds=0
        )
        assert working["status"] == "working"
        assert "get_task" in working["next"]
        done = await call(client, "get_task", task_id=working["task_id"])
    assert done["status"] == "completed"


async def test_a_change_longer_than_the_wait_is_waited_for_inside_the_task(
    serve: Serve, world: World
) -> None:
    world.fault("vase", "slow")
    async with serve(wait_seconds=0.05) as client:
        done = await call(client, "handle_task", task="put a thing named vase on the shelf")
    assert (done["status"], done["usage"]["steps"]) == ("completed", 1)


async def test_a_cancelled_task_takes_no_further_step(serve: Serve) -> None:
    async with serve() as client:
        working = await call(
            client, "handle_task", task="dawdle around the shelf slowly", wait_seconds=0.3
        )
        stopped = await call(client, "cancel_task", task_id=working["task_id"])
        await asyncio.sleep(0.2)
        later = await call(client, "get_task", task_id=working["task_id"])
    assert (stopped["status"], later["status"]) == ("cancelled", "cancelled")
    assert stopped["steps"] == later["steps"] != []
    assert len(later["steps"]) < 150


async def test_cancelling_what_has_ended_changes_nothing(serve: Serve) -> None:
    async with serve() as client:
        done = await call(client, "handle_task", task="count what is on the shelf")
        again = await call(client, "cancel_task", task_id=done["task_id"])
    assert again["status"] == "completed"


async def test_the_budget_of_steps_ends_a_skill_as_partial(serve: Serve) -> None:
    async with serve() as client:
        report = await call(
            client, "handle_task", task="dawdle around the shelf slowly", budget={"steps": 2}
        )
    assert report["status"] == "partial"
    assert "budget of 2 steps" in report["error"]


def _store(settings: Settings, owner: str) -> TaskStore:
    return TaskStore(settings.state_dir / "tasks.db", owner)


async def test_a_task_whose_server_is_gone_is_failed_with_what_to_do(
    serve: Serve, settings: Settings
) -> None:
    import socket

    gone = f"{socket.gethostname()}:{2**22}:1"
    report = TaskReport(task_id="task-1", agent="shelf", status="working", summary="under way")
    _store(settings, gone).save(report)
    async with serve() as client:
        found = await call(client, "get_task", task_id="task-1")
    assert found["status"] == "failed"
    assert "the server stopped" in found["error"]
    assert "handle_task again" in found["next"]


async def test_another_processs_task_is_not_pretended_to_be_cancelled(
    serve: Serve, settings: Settings
) -> None:
    report = TaskReport(task_id="task-1", agent="shelf", status="working", summary="under way")
    _store(settings, "another-host:1:1").save(report)
    async with serve() as client:
        answer = await client.call_tool("cancel_task", {"task_id": "task-1"}, raise_on_error=False)
    assert answer.is_error
    assert "another process" in answer.content[0].text


def test_a_server_that_stops_does_not_call_its_tasks_cancelled(settings: Settings) -> None:
    async def start() -> str:
        async with Client(create_server(settings)) as client:
            working = await call(
                client, "handle_task", task="dawdle around the shelf slowly", wait_seconds=0.1
            )
            return str(working["task_id"])

    task_id = asyncio.run(start())  # the loop ends with the task under way
    report = _store(settings, "x").load(task_id)
    assert report.status == "failed"
    assert "the server stopped" in str(report.error)


@pytest.mark.parametrize("tool", ["get_task", "cancel_task"])
async def test_an_unknown_task_is_not_found(serve: Serve, tool: str) -> None:
    async with serve() as client:
        answer = await client.call_tool(tool, {"task_id": "task-0"}, raise_on_error=False)
    assert "handle_task returns the ids" in answer.content[0].text


async def test_can_handle_scores_a_task_without_starting_it(serve: Serve, world: World) -> None:
    async with serve() as client:
        fit = await call(client, "can_handle", task="put a thing named vase on the shelf")
        other = await call(client, "can_handle", task="quantum chromodynamics")
    assert fit["score"] > 0.5
    assert fit["skills"][0] == "put_thing"
    assert fit["tools"]
    assert other == {"score": 0.0, "skills": [], "tools": []}
    assert world.things == []


async def test_reports_are_stored_without_secrets(serve: Serve, settings: Settings) -> None:
    store = _store(settings, "x")
    store.save(
        TaskReport(
            task_id="task-1", agent="shelf", status="completed", summary="AKIAIOSFODNN7EXAMPLE",
            outputs={"db_password": "hunter2"},
        )
    )  # fmt: skip
    loaded = store.load("task-1")
    assert (loaded.summary, loaded.outputs) == ("[redacted]", {"db_password": "[redacted]"})
