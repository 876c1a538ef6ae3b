"""The change protocol, through a real client, against a shelf on disk."""

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.core.conftest import World, kinds
from tests.core.shelf import create_server

from opswright_core import approvals, change_tools
from opswright_core.errors import ApprovalError, NotFoundError
from opswright_core.journal import Journal
from opswright_core.settings import Settings

Serve = Callable[..., Any]
LAMP: dict[str, Any] = {"names": ["lamp"]}
PAIR: dict[str, Any] = {"names": ["lamp", "vase"]}


async def ask(client: Any, tool: str, **arguments: Any) -> Any:
    return await client.call_tool(tool, arguments, raise_on_error=False)


async def change(client: Any, tool: str = "shelve", **arguments: Any) -> dict[str, Any]:
    answer = await ask(client, tool, **arguments)
    assert answer.structured_content, answer.content[0].text
    content: dict[str, Any] = answer.structured_content
    return content


async def test_a_dry_run_shows_the_plan_and_changes_nothing(
    serve: Serve, world: World, settings: Settings, era: str
) -> None:
    async with serve(mode=era, approvals="deny") as client:
        planned = await change(client, **LAMP, dry_run=True)
    assert planned["status"] == "planned"
    assert [a["name"] for a in planned["plan"]["actions"]] == ["lamp"]
    assert world.things == []
    assert kinds(settings, planned["change_id"]) == []


async def test_a_change_is_applied_verified_and_journalled(
    serve: Serve, world: World, settings: Settings, era: str
) -> None:
    async with serve(mode=era) as client:
        done = await change(client, **PAIR)
        listed = await change(client, "list_changes")
        read = await client.read_resource(f"journal://changes/{done['change_id']}")
    assert done["status"] == "done"
    assert [c["verdict"] for c in done["checks"]] == ["PASS", "PASS"]
    assert [r["id"] for r in done["resources"]] == ["lamp", "vase"]
    assert done["undo"] == ["take vase off", "take lamp off"]
    assert world.things == ["lamp", "vase"]
    assert [line["change_id"] for line in listed["items"]] == [done["change_id"]]
    assert kinds(settings, done["change_id"]) == [
        *("approved", "applying", "step_sent", "step_done", "step_sent", "step_done"),
        *("applied", "done"),
    ]
    assert '"status":"done"' in read[0].text


async def test_without_approval_the_plan_comes_back_and_its_token_works_once(
    serve: Serve, world: World, settings: Settings, era: str
) -> None:
    async with serve(mode=era, approvals="token") as client:
        asked = await change(client, **LAMP)
        assert (asked["status"], world.things) == ("needs_approval", [])
        token = asked["approval"]["token"]
        done = await change(client, **LAMP, approval=token)
        assert (done["status"], done["change_id"]) == ("done", asked["change_id"])
        (world.root / "shelf" / "lamp").unlink()
        replayed = await ask(client, "shelve", **LAMP, approval=token)
    assert replayed.is_error
    assert "used already" in replayed.content[0].text
    journal = Journal(settings.state_dir / "journal.db", "shelf")
    refused = [k for c in journal.recent() for k in kinds(settings, c) if k == "approval_refused"]
    assert refused == ["approval_refused"]
    assert world.things == []


async def test_a_token_is_refused_for_other_arguments_or_another_state(
    serve: Serve, world: World
) -> None:
    async with serve(approvals="token") as client:
        token = (await change(client, **LAMP))["approval"]["token"]
        other = await ask(client, "shelve", names=["vase"], approval=token)
        assert "other arguments" in other.content[0].text
        (world.root / "shelf" / "mug").write_text("put there by someone else")
        moved_on = await ask(client, "shelve", **LAMP, approval=token)
        assert "changed since" in moved_on.content[0].text
        made_up = await ask(client, "shelve", **LAMP, approval="ch-0.nothing")
        assert "not known here" in made_up.content[0].text
    assert world.things == ["mug"]


async def test_an_expired_token_is_refused(serve: Serve, world: World) -> None:
    async with serve(approvals="token", approval_seconds=-1.0) as client:
        token = (await change(client, **LAMP))["approval"]["token"]
        late = await ask(client, "shelve", **LAMP, approval=token)
    assert "expired" in late.content[0].text
    assert world.things == []


async def test_out_of_band_a_person_approves_and_the_host_repeats(
    serve: Serve, world: World, settings: Settings
) -> None:
    async with serve(approvals="out-of-band") as client:
        asked = await change(client, **LAMP)
        assert asked["approval"]["token"] is None
        assert f"approve {asked['change_id']}" in asked["next"]
        early = await ask(client, "shelve", **LAMP, approval=asked["change_id"])
        assert "no one has approved" in early.content[0].text
        approvals.grant(create_server(settings).opswright_runtime, asked["change_id"])
        done = await change(client, **LAMP, approval=asked["change_id"])
        assert done["status"] == "done"
        (world.root / "shelf" / "lamp").unlink()
        again = await ask(client, "shelve", **LAMP, approval=asked["change_id"])
    assert "used already" in again.content[0].text or "changed since" in again.content[0].text
    assert world.things == []


async def test_only_a_waiting_unexpired_change_can_be_granted(
    serve: Serve, settings: Settings
) -> None:
    rt = create_server(settings).opswright_runtime
    with pytest.raises(NotFoundError):
        approvals.grant(rt, "ch-nothing")
    async with serve() as client:
        done = await change(client, **LAMP)
    with pytest.raises(ApprovalError, match="it is done"):
        approvals.grant(rt, done["change_id"])
    async with serve(approvals="out-of-band", approval_seconds=-1.0) as client:
        asked = await change(client, names=["vase"])
    with pytest.raises(ApprovalError, match="expired"):
        approvals.grant(rt, asked["change_id"])


async def test_a_failed_change_is_resumed_with_an_approval_out_of_band(
    serve: Serve, world: World, settings: Settings
) -> None:
    world.fault("vase", "refused")
    rt = create_server(settings).opswright_runtime
    async with serve(approvals="out-of-band") as client:
        change_id = (await change(client, **PAIR))["change_id"]
        approvals.grant(rt, change_id)
        assert (await change(client, **PAIR, approval=change_id))["status"] == "failed"
        again = await change(client, **PAIR)
        assert (again["status"], again["change_id"]) == ("needs_approval", change_id)
        approvals.grant(rt, change_id)
        done = await change(client, **PAIR, approval=change_id)
    assert done["status"] == "done"
    assert world.sent == ["lamp", "vase"]


async def test_deny_refuses_every_change(serve: Serve, world: World) -> None:
    async with serve(approvals="deny") as client:
        refused = await ask(client, "shelve", **LAMP)
    assert refused.is_error
    assert "refuses every change" in refused.content[0].text
    assert world.things == []


async def test_auto_is_refused_outside_a_sandbox(serve: Serve, world: World) -> None:
    async with serve(approvals="auto") as client:
        refused = await ask(client, "shelve", **LAMP, real=True)
    assert "is not one" in refused.content[0].text
    assert world.things == []


async def test_a_repeat_of_a_verified_change_changes_nothing(serve: Serve, world: World) -> None:
    async with serve() as client:
        first = await change(client, **LAMP)
        again = await change(client, **LAMP)
    assert again["reused"]
    assert again["change_id"] == first["change_id"]
    assert world.sent == ["lamp"]


async def test_a_repeat_of_what_could_not_be_read_when_it_was_done_changes_nothing(
    serve: Serve, world: World
) -> None:
    (world.root / "unread-lamp").touch()
    async with serve() as client:
        first = await change(client, **PAIR)
        again = await change(client, **PAIR)
        assert [c["verdict"] for c in first["checks"]] == ["UNKNOWN", "PASS"]
        assert (again["reused"], again["change_id"]) == (True, first["change_id"])
        (world.root / "shelf" / "vase").unlink()  # what was read is read again
        mended = await change(client, **PAIR)
        assert mended["change_id"] != first["change_id"]
        (world.root / "unread-vase").touch()  # unread now, and was read before: not sure to hold
        last = await change(client, **PAIR)
    assert (last["reused"], last["outputs"]) == (True, None)
    assert world.sent == ["lamp", "vase", "lamp", "vase"]


async def test_what_drifted_is_made_again_by_a_repeat(serve: Serve, world: World) -> None:
    async with serve() as client:
        first = await change(client, **LAMP)
        (world.root / "shelf" / "lamp").unlink()
        again = await change(client, **LAMP)
    assert again["status"] == "done"
    assert again["change_id"] != first["change_id"]
    assert world.things == ["lamp"]


async def test_nothing_to_do_is_said_without_asking_for_approval(
    serve: Serve, world: World
) -> None:
    (world.root / "shelf").mkdir()
    (world.root / "shelf" / "lamp").write_text("")
    async with serve(approvals="token") as client:
        answer = await change(client, **LAMP)
    assert (answer["status"], answer["reused"]) == ("done", True)


async def test_a_repeatable_change_is_done_every_time_and_says_its_gaps(
    serve: Serve, world: World
) -> None:
    async with serve() as client:
        for name in ("lamp", "vase"):
            await change(client, names=[name])
            cleared = await change(client, "clear_shelf")
            assert (cleared["status"], world.things) == ("done", [])
    assert cleared["gaps"] == ["the emulated shelf has no dust"]


async def test_a_refused_step_leaves_no_inverse_and_resuming_repeats_nothing(
    serve: Serve, world: World
) -> None:
    world.fault("vase", "refused")
    async with serve() as client:
        answer = await ask(client, "shelve", **PAIR)
        assert answer.is_error
        failed = answer.structured_content
        assert failed["status"] == "failed"
        assert "the shelf refused" in answer.content[0].text
        assert failed["undo"] == ["take lamp off"]
        done = await change(client, **PAIR)
    assert (done["status"], done["change_id"]) == ("done", failed["change_id"])
    assert world.sent == ["lamp", "vase"]


async def test_a_lost_answer_is_an_unknown_outcome_that_keeps_its_inverse(
    serve: Serve, world: World
) -> None:
    world.fault("lamp", "lost")
    async with serve() as client:
        answer = await ask(client, "shelve", **LAMP)
        assert answer.is_error
        assert answer.structured_content["status"] == "outcome_unknown"
        assert answer.structured_content["undo"] == ["take lamp off"]
        world.fault("lamp", "refused-again")
        again = await ask(client, "shelve", **LAMP)
        # The second refusal says nothing about the first attempt, which had put the lamp there.
        assert again.structured_content["status"] == "failed"
        assert again.structured_content["undo"] == ["take lamp off"]
        undone = await change(
            client, "undo_change", change_id=answer.structured_content["change_id"]
        )
    assert undone["status"] == "done"
    assert world.things == []


async def test_a_defect_after_sending_keeps_the_inverse_and_is_masked(
    serve: Serve, world: World
) -> None:
    world.fault("lamp", "bug")
    async with serve() as client:
        answer = await ask(client, "shelve", **LAMP)
    assert "a defect in the server (KeyError)" in answer.structured_content["error"]
    assert "bug after sending" not in answer.content[0].text
    assert answer.structured_content["undo"] == ["take lamp off"]


async def test_what_does_not_read_back_is_failed(serve: Serve, world: World) -> None:
    async with serve() as client:
        answer = await ask(client, "shelve", **LAMP, verified=False)
    assert answer.is_error
    assert "reading it back failed: lamp is there" in answer.structured_content["error"]
    assert answer.structured_content["outputs"] == LAMP


async def test_undo_replays_the_inverse_last_step_first_and_verifies_it(
    serve: Serve, world: World, era: str
) -> None:
    async with serve(mode=era) as client:
        made = await change(client, **PAIR)
        undone = await change(client, "undo_change", change_id=made["change_id"])
        assert undone["status"] == "done"
        assert [c["verdict"] for c in undone["checks"]] == ["PASS", "PASS"]
        assert world.undone == ["vase", "lamp"]
        assert world.things == []
        read = await change(client, "get_change", change_id=made["change_id"])
        assert (read["status"], read["undo"]) == ("undone", [])
        again = await change(client, "undo_change", change_id=made["change_id"])
        assert again["reused"]
        nothing = await change(client, "undo_change", change_id=undone["change_id"])
        assert "nothing that can be reversed" in nothing["summary"]
        remade = await change(client, **PAIR)
        assert remade["change_id"] != made["change_id"]
        gone = await change(client, "undo_change", change_id=made["change_id"])
    assert "undone already" in gone["summary"]
    assert world.things == ["lamp", "vase"]


async def test_an_undo_that_does_not_take_is_failed_and_can_be_repeated(
    serve: Serve, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_tools, "SETTLE_SECONDS", 0.0)
    world.stick("lamp")
    async with serve() as client:
        made = await change(client, **PAIR)
        answer = await ask(client, "undo_change", change_id=made["change_id"])
        assert answer.structured_content["status"] == "failed"
        assert "Not undone yet: take lamp off" in answer.structured_content["error"]
        read = await change(client, "get_change", change_id=made["change_id"])
        assert read["status"] == "done"
        world.stick("lamp", stuck=False)
        again = await change(client, "undo_change", change_id=made["change_id"])
    assert (again["status"], world.things) == ("done", [])


async def test_an_undo_needs_its_own_approval(serve: Serve, world: World) -> None:
    async with serve() as client:
        made = await change(client, **LAMP)
    async with serve(approvals="token") as client:
        asked = await change(client, "undo_change", change_id=made["change_id"])
        assert (asked["status"], world.things) == ("needs_approval", ["lamp"])
        token = asked["approval"]["token"]
        done = await change(client, "undo_change", change_id=made["change_id"], approval=token)
    assert (done["status"], world.things) == ("done", [])


async def test_an_unknown_change_is_not_found(serve: Serve) -> None:
    async with serve() as client:
        for tool in ("get_change", "undo_change"):
            answer = await ask(client, tool, change_id="ch-nothing")
            assert answer.is_error
            assert "list_changes" in answer.content[0].text


async def test_what_takes_longer_than_the_wait_is_waited_for_with_get_change(
    serve: Serve, world: World
) -> None:
    world.fault("lamp", "slow")
    async with serve(wait_seconds=0.05) as client:
        working = await change(client, **LAMP)
        assert working["status"] == "working"
        assert "get_change" in working["next"]
        refused = await ask(client, "undo_change", change_id=working["change_id"])
        assert "still under way" in refused.content[0].text
        assert (await change(client, **LAMP))["change_id"] == working["change_id"]
        done = await change(client, "get_change", change_id=working["change_id"], wait_seconds=30)
    assert done["status"] == "done"
    assert world.sent == ["lamp"]


async def test_a_change_goes_on_when_its_caller_gives_up(serve: Serve, world: World) -> None:
    world.fault("lamp", "slow")
    async with serve() as client:
        calling = asyncio.create_task(ask(client, "shelve", **LAMP))
        while not (await change(client, "list_changes"))["items"]:
            await asyncio.sleep(0.02)
        calling.cancel()
        await asyncio.wait([calling])
        (line,) = (await change(client, "list_changes"))["items"]
        done = await change(client, "get_change", change_id=line["change_id"], wait_seconds=30)
    assert done["status"] == "done"


@pytest.mark.parametrize("servers", [1, 2], ids=["one server", "two servers"])
async def test_two_callers_at_once_apply_once(
    settings: Settings, world: World, servers: int
) -> None:
    world.fault("lamp", "slow")
    first, *rest = [create_server(settings) for _ in range(servers)]
    async with Client(first) as a, Client(rest[0] if rest else first) as b:
        both = await asyncio.gather(change(a, **LAMP), change(b, **LAMP))
    assert [answer["status"] for answer in both] == ["done", "done"]
    assert both[0]["change_id"] == both[1]["change_id"]
    assert world.sent == ["lamp"]


async def test_a_request_made_while_a_change_is_under_way_does_not_reopen_it(
    serve: Serve, world: World, settings: Settings
) -> None:
    world.fault("lamp", "slow")
    async with serve(approvals="token", wait_seconds=0.01) as client:
        asked = await change(client, **LAMP)
        working = await change(client, **LAMP, approval=asked["approval"]["token"])
        journal = Journal(settings.state_dir / "journal.db", "shelf")
        (requested,) = [e for e in journal.events(asked["change_id"]) if e.kind == "requested"]
        journal.append(asked["change_id"], "requested", requested.body)  # a slower caller's
        read = await change(client, "get_change", change_id=asked["change_id"], wait_seconds=0)
        done = await change(client, "get_change", change_id=asked["change_id"], wait_seconds=30)
    assert [working["status"], read["status"], done["status"]] == ["working", "working", "done"]


async def test_many_slow_changes_do_not_starve_the_server(serve: Serve, world: World) -> None:
    names = [f"thing{n}" for n in range(40)]
    for name in names:
        world.fault(name, "slow")
    async with serve(wait_seconds=0.0) as client:
        started = [await change(client, names=[name]) for name in names]
        ends = [
            await change(client, "get_change", change_id=s["change_id"], wait_seconds=30)
            for s in started
        ]
    assert {end["status"] for end in ends} == {"done"}
    assert len(world.things) == 40


async def test_secrets_in_arguments_are_not_written_to_the_journal(
    serve: Serve, settings: Settings
) -> None:
    async with serve(approvals="token") as client:
        label = {"text": "t", "admin_password": "hunter2-hunter2"}
        asked = await change(client, **LAMP, label=label)
        await change(client, **LAMP, label=label, approval=asked["approval"]["token"])
    written = (settings.state_dir / "journal.db").read_bytes()
    written += (settings.state_dir / "journal.db-wal").read_bytes()
    assert b"hunter2" not in written
    assert asked["approval"]["token"].partition(".")[2].encode() not in written


def test_a_change_killed_in_the_middle_is_interrupted_and_resumed(
    settings: Settings, world: World
) -> None:
    world.fault("vase", "hang")
    script = (
        "import asyncio, pathlib, sys\n"
        "from fastmcp import Client\n"
        "from opswright_core.settings import Settings\n"
        "from tests.core.shelf import create_server\n"
        "s = Settings(allow_writes=True, approvals='auto', mind='skills',\n"
        "             state_dir=pathlib.Path(sys.argv[1]))\n"
        "async def main():\n"
        "    async with Client(create_server(s)) as c:\n"
        "        await c.call_tool('shelve', {'names': ['lamp', 'vase']})\n"
        "asyncio.run(main())\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(settings.state_dir)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    hanging, deadline = world.root / "hanging", time.monotonic() + 60
    while not hanging.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hanging.exists()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert world.things == ["lamp"]

    async def resume() -> tuple[Any, Any]:
        async with Client(create_server(settings)) as client:
            (line,) = (await change(client, "list_changes"))["items"]
            world.mend("vase")
            return line, await change(client, **PAIR)

    line, done = asyncio.run(resume())  # before the child is reaped: a zombie is not alive
    child.wait()
    assert line["status"] == "interrupted"
    assert (done["status"], done["change_id"]) == ("done", line["change_id"])
    assert world.sent == ["lamp", "vase"]


async def test_a_plan_with_no_outputs_annotation_is_refused_at_import() -> None:
    from opswright_core.tools import write_tool

    def unannotated() -> Any:
        """Do something."""

    with pytest.raises(TypeError, match="annotated to return Work"):
        write_tool()(unannotated)

    def undocumented() -> int: ...  # type: ignore[empty-body]

    from opswright_core.tools import read_tool

    with pytest.raises(TypeError, match="needs a docstring"):
        read_tool(undocumented)


async def test_steps_of_a_kind_this_server_cannot_replay_are_refused(
    serve: Serve, settings: Settings, world: World
) -> None:
    async with serve() as client:
        made = await change(client, **LAMP)
    server = create_server(dataclasses.replace(settings))
    del server.opswright_runtime.undo_handlers["shelf"]
    async with Client(server) as client:
        answer = await ask(client, "undo_change", change_id=made["change_id"])
    assert "cannot replay 'shelf' steps" in answer.content[0].text
    assert world.things == ["lamp"]


def test_the_state_directory_is_its_owners_alone(settings: Settings) -> None:
    journal = Journal(settings.state_dir / "journal.db", "shelf")
    journal.append("ch-1", "note", {})
    modes = {p.name: p.stat().st_mode & 0o777 for p in Path(settings.state_dir).iterdir()}
    assert set(modes.values()) == {0o600}
    assert settings.state_dir.stat().st_mode & 0o777 == 0o700
