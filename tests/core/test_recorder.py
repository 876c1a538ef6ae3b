"""What `apply` may do through the recorder: steps once, waits with an end, a return by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from opswright_core.changes import CUT_OFF, fold, load, present
from opswright_core.errors import EndpointError, OpswrightError
from opswright_core.journal import Journal
from opswright_core.recorder import Recorder
from opswright_core.runtime import Runtime
from opswright_core.settings import Settings
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check

STEP = UndoStep(kind="list", description="take one off")


class Taken:
    def __init__(self) -> None:
        self.count = 0

    def replay(self, step: UndoStep) -> None:
        self.count += 1

    def verify(self, step: UndoStep) -> Check:
        return Check(name="x", verdict="PASS")


@pytest.fixture
def rt(settings: Settings, tmp_path: Path) -> Runtime:
    runtime = Runtime(
        server="x", settings=settings, journal=Journal(tmp_path / "journal.db", "x"),
        undo_handlers={"list": Taken()},
    )  # fmt: skip
    body = {
        "tool": "t", "arguments": {}, "scope": "s", "summary": "", "owner": runtime.journal.owner,
    }  # fmt: skip
    runtime.journal.append("ch-1", "applying", body)
    return runtime


def recorder(rt: Runtime) -> Recorder:
    return Recorder(rt, load(rt, "ch-1"))


def lost() -> Any:
    raise EndpointError("lost")


def test_what_was_there_before_a_change_is_its_result_and_keeps_clear_of_its_undo(
    rt: Runtime,
) -> None:

    def step(name: str, there: Any) -> Any:
        return recorder(rt).step(
            name, lambda: "made", undo=[STEP], find=lambda: there, if_missing=True
        )

    assert step("old", "there") == "there"
    assert load(rt, "ch-1").undo_steps == []
    assert step("new", None) == "made"
    assert load(rt, "ch-1").undo_steps == [STEP]


def test_a_step_with_a_lost_answer_is_found_before_it_is_sent_again(rt: Runtime) -> None:
    with pytest.raises(EndpointError):
        recorder(rt).step("make", lost, undo=[STEP])
    sent: list[int] = []
    result = recorder(rt).step("make", lambda: sent.append(1), find=lambda: {"id": "found"})
    assert (result, sent) == ({"id": "found"}, [])
    assert load(rt, "ch-1").undo_steps == [STEP]


def test_what_is_not_found_is_sent_again_with_the_inverse_of_its_result(rt: Runtime) -> None:
    inverse: Callable[[Any], list[UndoStep]] = lambda r: [  # noqa: E731
        UndoStep(kind="list", description=r["id"])
    ]
    with pytest.raises(EndpointError):
        recorder(rt).step("make", lost, undo=inverse)
    recorder(rt).step("make", lambda: {"id": "new"}, undo=inverse, find=lambda: None)
    assert [u.description for u in load(rt, "ch-1").undo_steps] == ["new"]


def test_the_value_to_restore_is_the_one_read_first(rt: Runtime) -> None:
    before, later = (UndoStep(kind="list", description=d) for d in ("restore 1", "restore 2"))
    with pytest.raises(EndpointError):
        recorder(rt).step("set", lost, undo=[before])
    recorder(rt).step("set", dict, undo=[later])
    assert load(rt, "ch-1").undo_steps == [before]


def test_a_wait_ends_when_ready_or_at_its_deadline(rt: Runtime) -> None:
    said: list[str] = []
    rec = Recorder(rt, load(rt, "ch-1"), said.append)
    answers = iter([False, True])
    rec.wait("it is up", lambda: next(answers), timeout_seconds=5, every_seconds=0.01)
    assert said == ["waiting: it is up"]
    with pytest.raises(OpswrightError, match="it is up: not within 0 s"):
        rec.wait("it is up", lambda: False, timeout_seconds=0, every_seconds=0.01)


def test_a_change_that_returns_by_itself_leaves_nothing_to_undo(rt: Runtime) -> None:
    rec = recorder(rt)
    rec.step("one", dict, undo=[STEP])
    rec.step("two", dict, undo=[STEP])
    rec.reverse()
    handler: Any = rt.undo_handlers["list"]
    assert handler.count == 2
    assert load(rt, "ch-1").undo_steps == []


def test_a_change_of_a_process_that_is_gone_is_interrupted(rt: Runtime) -> None:
    events = rt.journal.events("ch-1")
    events[0].body["owner"] = rt.journal.owner + "0"
    record = fold("ch-1", events)
    assert record.status == "interrupted"
    assert record.status in CUT_OFF


def test_each_status_says_what_comes_next(rt: Runtime) -> None:
    class Nothing(BaseModel):
        pass

    assert "get_change" in present(load(rt, "ch-1"), Nothing).next
    for kind in ("failed", "outcome_unknown"):
        rt.journal.append("ch-1", kind, {"error": "x"})
        assert "undo_change" in present(load(rt, "ch-1"), Nothing).next
    rt.journal.append("ch-1", "done", {})
    assert present(load(rt, "ch-1"), Nothing).next == ""


async def test_progress_is_sent_while_the_caller_listens_and_dropped_afterwards(
    serve: Callable[..., Any], world: Any
) -> None:
    heard: list[str] = []

    async def on_progress(_: float, __: float | None, message: str | None) -> None:
        heard.append(str(message))

    async with serve() as client:
        await client.call_tool("shelve", {"names": ["lamp"]}, progress_handler=on_progress)
        await asyncio.sleep(0.05)
    assert "lamp" in heard


def test_a_change_finishes_after_its_loop_has_ended(
    settings: Settings, world: Any, serve: Callable[..., Any]
) -> None:
    import threading

    world.fault("lamp", "slow")

    async def start() -> str:
        async with serve(wait_seconds=0.05) as client:
            answer = await client.call_tool("shelve", {"names": ["lamp", "vase"]})
            return str(answer.structured_content["change_id"])

    change_id = asyncio.run(start())
    for thread in threading.enumerate():
        if thread.name.endswith(change_id):
            thread.join(20)
    from tests.core.conftest import kinds

    assert kinds(settings, change_id)[-1] == "done"
    assert world.things == ["lamp", "vase"]
