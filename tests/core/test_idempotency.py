"""A request repeated under its key is the same request; under another it is another's."""

from collections.abc import Callable
from typing import Any

from tests.core.conftest import World

from opswright_core.idempotency import request_meta

Serve = Callable[..., Any]
LAMP: dict[str, Any] = {"names": ["lamp"]}


async def call(client: Any, tool: str, key: str | None, **arguments: Any) -> dict[str, Any]:
    meta = request_meta(key) if key else None
    answer = await client.call_tool(tool, arguments, meta=meta)
    content: dict[str, Any] = answer.structured_content
    return content


async def test_a_repeat_under_the_same_key_answers_with_the_callers_own_change(
    serve: Serve, world: World, era: str
) -> None:
    async with serve(mode=era) as client:
        first = await call(client, "shelve", "run-1/lamp", **LAMP)
        again = await call(client, "shelve", "run-1/lamp", **LAMP)
        others = await call(client, "shelve", "run-2/lamp", **LAMP)
        keyless = await call(client, "shelve", None, **LAMP)
    assert (again["change_id"], again["status"], again["reused"]) == (
        first["change_id"], "done", False,
    )  # fmt: skip
    assert others["reused"]
    assert keyless["reused"]


async def test_a_repeatable_change_is_done_once_under_a_key_and_again_under_another(
    serve: Serve, world: World
) -> None:
    async with serve() as client:
        await call(client, "shelve", None, **LAMP)
        first = await call(client, "clear_shelf", "run-1/clear")
        await call(client, "shelve", None, **LAMP)
        again = await call(client, "clear_shelf", "run-1/clear")
        assert (again["change_id"], world.things) == (first["change_id"], ["lamp"])
        await call(client, "clear_shelf", "run-2/clear")
    assert world.things == []


async def test_what_vanished_since_is_made_again_under_the_same_key(
    serve: Serve, world: World
) -> None:
    async with serve() as client:
        first = await call(client, "shelve", "run-1/lamp", **LAMP)
        (world.root / "shelf" / "lamp").unlink()
        again = await call(client, "shelve", "run-1/lamp", **LAMP)
    assert again["change_id"] != first["change_id"]
    assert world.things == ["lamp"]


async def test_the_changes_of_a_task_carry_the_tasks_key(serve: Serve, world: World) -> None:
    task = {"task": "put a thing named lamp on the shelf"}
    async with serve() as client:
        first = await call(client, "handle_task", "run-1/task", **task)
        again = await call(client, "handle_task", "run-1/task", **task)
        other = await call(client, "handle_task", "run-2/task", **task)
    assert first["resources"] == again["resources"] != []
    assert other["resources"] == []
