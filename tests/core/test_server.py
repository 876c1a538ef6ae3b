"""What every server does around its tools: schemas, guards, narrowing, the card."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from pydantic import BaseModel
from tests.core.conftest import World
from tests.core.shelf import create_server

from opswright_core.canonical import canonical_json
from opswright_core.errors import BadInputError
from opswright_core.pages import BUDGET_BYTES
from opswright_core.runtime import runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings, parse_toolsets
from opswright_core.tools import read_tool, record_tool

Serve = Callable[..., Any]


class Held(BaseModel):
    ok: bool


async def listed(client: Any) -> dict[str, Any]:
    return {t.name: t for t in await client.list_tools()}


async def test_a_changing_tool_takes_dry_run_and_approval_and_answers_a_change(
    serve: Serve, era: str
) -> None:
    async with serve(mode=era) as client:
        shelve = (await listed(client))["shelve"]
    schema = shelve.input_schema
    assert list(schema["properties"]) == [
        "names", "label", "real", "verified", "dry_run", "approval",
    ]  # fmt: skip
    assert schema["required"] == ["names"]
    assert schema["properties"]["dry_run"] == {
        "default": False, "description": "Plan only", "type": "boolean",
    }  # fmt: skip
    assert {"change_id", "status", "plan", "outputs", "checks"} <= set(
        shelve.output_schema["properties"]
    )


async def test_the_context_never_leaks_into_a_schema(serve: Serve) -> None:
    async with serve() as client:
        for tool in (await listed(client)).values():
            assert "ctx" not in tool.input_schema["properties"]
            for name, schema in tool.input_schema["properties"].items():
                assert "description" in schema or "$ref" in schema, f"{tool.name}.{name}"


@pytest.mark.parametrize(
    ("tool", "risk", "read_only", "destructive"),
    [
        ("list_things", "read", True, False),
        ("handle_task", "record", False, False),
        ("shelve", "write", False, False),
        ("clear_shelf", "destructive", False, True),
        ("undo_change", "destructive", False, True),
    ],
)
async def test_the_risk_is_in_annotations_and_metadata(
    serve: Serve, tool: str, risk: str, read_only: bool, destructive: bool
) -> None:
    async with serve() as client:
        declared = (await listed(client))[tool]
    assert declared.meta["opswright"]["risk"] == risk
    assert declared.annotations.read_only_hint is read_only
    assert declared.annotations.destructive_hint is destructive


def test_every_kind_of_tool_can_name_its_toolset() -> None:
    def find_it() -> int:
        """Find it."""
        return 1

    assert read_tool(toolset="a")(find_it).__fastmcp__.meta["opswright"]["toolset"] == "a"  # type: ignore[attr-defined]
    declared: Any = record_tool(toolset="b")(find_it)
    assert declared.__fastmcp__.meta["opswright"] == {"risk": "record", "toolset": "b"}
    assert find_it() == 1


async def test_read_only_is_the_default_and_removes_what_changes(serve: Serve, era: str) -> None:
    async with serve(mode=era, allow_writes=False) as client:
        names = set(await listed(client))
        blocked = await client.call_tool("shelve", {"names": ["lamp"]}, raise_on_error=False)
    assert not {"shelve", "clear_shelf", "undo_change"} & names
    assert {"list_things", "list_changes", "handle_task"} <= names
    assert blocked.is_error
    assert not Settings().allow_writes


async def test_only_the_chosen_toolsets_are_offered(serve: Serve) -> None:
    async with serve(toolsets=frozenset({"default"})) as client:
        assert "get_extra" not in await listed(client)
    async with serve(toolsets=frozenset({"extra"})) as client:
        names = await listed(client)
    assert "get_extra" in names
    assert "list_things" not in names


def test_a_toolset_that_does_not_exist_names_those_that_do(settings: Settings) -> None:
    import dataclasses

    with pytest.raises(BadInputError, match="there are: all, default, extra"):
        create_server(dataclasses.replace(settings, toolsets=frozenset({"typo"})))


async def test_a_server_that_changes_nothing_offers_no_journal_tools(settings: Settings) -> None:
    @read_tool
    def look() -> int:
        """Look."""
        return 1

    import dataclasses

    chosen = dataclasses.replace(settings, toolsets=frozenset({"default"}))
    server = build_server("looker", title="", instructions="", tools=[look], settings=chosen)
    async with Client(server) as client:
        names = set(await listed(client))
    assert names == {"look", "handle_task", "get_task", "cancel_task", "can_handle"}


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("list_things", {"limit": 0}, "limit: Input should be greater than or equal to 1 (sent 0)"),
        ("list_things", {"limt": 1}, "limt is not an argument of list_things"),
        ("shelve", {}, "names is required"),
        ("shelve", {"names": ["a b"]}, "names.0: String should match pattern"),
        ("break_down", {"how": "x"}, "'x' is not a failure; use bug or bulky"),
        ("list_things", {"cursor": "x"}, "Call again without a cursor"),
        ("no_such_tool", {}, "no_such_tool"),
    ],
)
async def test_bad_input_is_answered_with_what_is_wrong(
    serve: Serve, era: str, tool: str, arguments: dict[str, Any], words: str
) -> None:
    async with serve(mode=era) as client:
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
    assert answer.is_error
    assert words in answer.content[0].text
    assert "Traceback" not in answer.content[0].text


async def test_a_bug_is_masked(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as client:
        answer = await client.call_tool("break_down", {"how": "bug"}, raise_on_error=False)
    assert answer.is_error
    assert "secret-internal-detail" not in str(answer)
    assert any(r.levelno >= logging.ERROR for r in caplog.records)


async def test_what_a_caller_is_told_is_no_problem_for_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(approvals="deny") as client:
        await client.call_tool("shelve", {"names": ["lamp"]}, raise_on_error=False)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_an_answer_that_is_too_long_is_shortened_and_says_so(serve: Serve) -> None:
    async with serve() as client:
        answer = await client.call_tool("break_down", {"how": "bulky"}, raise_on_error=False)
    assert not answer.is_error
    assert len(canonical_json(answer.structured_content)) <= BUDGET_BYTES
    assert "Shortened to fit: note:" in answer.content[1].text


async def test_a_long_list_comes_in_pages(serve: Serve, world: World) -> None:
    place = world.root / "shelf"
    place.mkdir()
    for number in range(60):
        (place / f"t{number:02}").write_text("n" * 900)
    names: list[str] = []
    cursor: str | None = None
    async with serve() as client:
        while True:
            arguments = {"cursor": cursor} if cursor else {}
            answer = (await client.call_tool("list_things", arguments)).structured_content
            assert len(canonical_json(answer)) <= BUDGET_BYTES
            names += [t["name"] for t in answer["items"]]
            cursor = answer["cursor"]
            if not cursor:
                break
    assert names == [f"t{n:02}" for n in range(60)]


async def test_the_card_says_what_the_agent_can_do(serve: Serve, era: str) -> None:
    async with serve(mode=era, allow_writes=False) as client:
        card = json.loads((await client.read_resource("agent://card"))[0].text)
    assert (card["name"], card["title"], card["description"]) == (
        "shelf",
        "Shelf",
        "Keeps a shelf.",
    )
    assert card["requirements"] == ["a directory"]
    put = card["skills"][0]
    assert (put["name"], put["risk"]) == ("put_thing", "write")
    assert put["inputs"]["properties"]["name"]["description"] == "Name of the thing"
    assert "shelve" not in {t["name"] for t in card["tools"]}
    assert {"name": "list_things", "risk": "read"} in card["tools"]


async def test_an_unknown_change_has_no_resource(serve: Serve) -> None:
    async with serve() as client:
        with pytest.raises(Exception, match=r"ch-0|[Ee]rror"):
            await client.read_resource("journal://changes/ch-0")


def test_outside_a_call_there_is_no_runtime() -> None:
    with pytest.raises(RuntimeError, match="go through a Client"):
        runtime()


def test_settings_come_from_the_environment() -> None:
    chosen = Settings.from_environment(
        {
            "OPSWRIGHT_ALLOW_WRITES": "Yes", "OPSWRIGHT_TOOLSETS": " iam, ,cost ",
            "OPSWRIGHT_APPROVALS": "out-of-band", "OPSWRIGHT_MIND": "skills",
            "OPSWRIGHT_MODEL": "m", "OPSWRIGHT_STATE_DIR": "/tmp/x",
        }
    )  # fmt: skip
    assert chosen.allow_writes
    assert chosen.toolsets == {"iam", "cost"}
    assert (chosen.approvals, chosen.mind, chosen.model) == ("out-of-band", "skills", "m")
    assert str(chosen.state_dir) == "/tmp/x"
    default = Settings.from_environment({})
    assert (default.allow_writes, default.approvals) == (False, "token")
    assert default.state_dir.name == "opswright"
    assert parse_toolsets("") == {"default"}


@pytest.mark.parametrize("name", ["OPSWRIGHT_APPROVALS", "OPSWRIGHT_MIND"])
def test_a_setting_that_is_none_of_the_choices_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match=f"{name} is 'yolo'; it takes one of"):
        Settings.from_environment({name: "yolo"})


MOST_THREADS = 40
"""Of tools that block; anyio's own limit, and the size of the connection pools to AWS."""


async def test_blocking_calls_run_in_a_bounded_number_of_threads_and_hold_up_nothing_else(
    settings: Settings,
) -> None:
    release, lock, running = threading.Event(), threading.Lock(), [0, 0]

    @read_tool
    def block() -> Held:
        """Block until released."""
        with lock:
            running[0] += 1
            running[1] = max(running)
        assert release.wait(timeout=60)
        with lock:
            running[0] -= 1
        return Held(ok=True)

    server = build_server(
        "blocking", title="Blocking", instructions="Block.", tools=[block], settings=settings
    )
    async with Client(server) as client:
        calls = [asyncio.create_task(client.call_tool("block", {})) for _ in range(60)]
        while running[0] < MOST_THREADS:
            await asyncio.sleep(0.01)
        assert (await client.call_tool("can_handle", {"task": "anything"})).data.score == 0
        assert running == [MOST_THREADS, MOST_THREADS]
        release.set()
        answers = await asyncio.gather(*calls)
    assert all(answer.structured_content == {"ok": True} for answer in answers)
    assert running == [0, MOST_THREADS]
