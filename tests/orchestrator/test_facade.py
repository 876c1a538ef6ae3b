"""The orchestrator as an MCP server: the whole team behind one entry, under the same approvals."""

import asyncio
import dataclasses
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from mcp_types import ElicitResult
from tests.core.test_subscriptions import subscribed
from tests.orchestrator.team import make, plan_of
from tests.orchestrator.terminal import Terminal

from opswright.facade.server import create_server
from opswright.plan import Plan
from opswright.runs import Run, now
from opswright.store import store_in
from opswright_core.asker import os_user
from opswright_core.changes import fold
from opswright_core.journal import Journal
from opswright_core.settings import Settings

# The client's methods of the older era warn that there is a newer one.
pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

LAMP, COUNT = "make a thing called lamp", "how many things are there?"
MOST_TOKENS = 1_500

Host = Callable[..., AbstractAsyncContextManager["Caller"]]


class Caller:
    """A host's side of the facade."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        async def note(done: float, total: float | None, message: str | None) -> None:
            self.progress.append((done, total, message))

        answer = await self.client.call_tool(tool, arguments, progress_handler=note)
        content: dict[str, Any] = answer.structured_content
        return content

    async def read(self, uri: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.client.read_resource(uri))[0].text)
        return found


@pytest.fixture
def operator(settings: Settings) -> Settings:
    """What the operator chose: changes allowed, approved by token."""
    return dataclasses.replace(settings, approvals="token")


@pytest.fixture
def host(operator: Settings, config: Path) -> Host:
    """`async with host() as call` is a host of the facade over the small agents."""

    @asynccontextmanager
    async def opened(
        mode: str = "auto", handler: Any = None, **chosen: Any
    ) -> AsyncIterator[Caller]:
        server = create_server(dataclasses.replace(operator, **chosen), config_path=config)
        async with Client(server, mode=mode, elicitation_handler=handler) as client:
            yield Caller(client)

    return opened


def planned(settings: Settings, plan: Plan) -> Run:
    """A run as `plan` would have recorded it."""
    run = Run(run_id=f"run-{plan.id}", goal=plan.goal, plan=plan, created_at=now())
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    store_in(settings.state_dir).save(run)
    return run


async def test_a_plan_is_shown_and_changes_nothing(host: Host, things: Path) -> None:
    async with host() as call:
        shown = await call("plan", request=LAMP)
        assert (shown["status"], shown["steps"][0]["agent"]) == ("planned", "maker")
        assert shown["steps"][0]["risk"] == "write"
        listed = await call("status")
        assert [line["run_id"] for line in listed["recent"]] == [shown["run_id"]]
    assert list(things.iterdir()) == []


async def test_a_plan_that_only_reads_runs_at_once_also_on_a_server_that_only_reads(
    host: Host,
) -> None:
    async with host(allow_writes=False) as call:
        done = await call("run", request=COUNT)
        assert done["status"] == "done", done
        assert done["report"]["answers"]["task"]["outputs"]["count"] == 0
        assert call.progress[-1][:2] == (1, 1)


async def test_a_server_that_only_reads_makes_no_changes_and_says_who_can(
    host: Host, things: Path
) -> None:
    async with host(allow_writes=False) as call:
        names = {tool.name for tool in await call.client.list_tools()}
        assert names == {"plan", "run", "status", "resume", "cancel"}
        with pytest.raises(ToolError, match=r"--allow-writes.*opswright resume run-"):
            await call("run", request=LAMP)
    assert list(things.iterdir()) == []


async def test_a_changing_plan_waits_for_a_yes_to_exactly_what_was_shown(
    host: Host, operator: Settings, things: Path
) -> None:
    async with host() as call:
        asked = await call("run", request=LAMP)
        assert asked["status"] == "needs_approval"
        (approval,) = asked["approvals"]
        assert "maker.handle_task" in approval["actions"][0]
        assert not (things / "lamp").exists()
        run_id = asked["run_id"]
        # The agent's own change was not in the plan, so it is shown and asked about as well.
        inner = await call("approve", run_id=run_id, approval=approval["token"])
        assert inner["status"] == "needs_approval", inner
        (step,) = inner["approvals"]
        assert (step["step"], "make lamp" in step["what"]) == ("task", True), step
        assert step["actions"] == ["- create test:thing lamp"], "what the task's change will do"
        assert not (things / "lamp").exists()
        done = await call("approve", run_id=run_id, approval=step["token"])
        assert done["status"] == "done", done
        assert (things / "lamp").exists()
        journal = Journal(operator.state_dir / "journal.db", "maker")
        (change_id,) = journal.recent()
        assert f"; for {os_user()} (" in fold(change_id, journal.events(change_id)).asked_by
        for used in (approval["token"], step["token"]):
            with pytest.raises(ToolError, match=r"waits for this token|used already"):
                await call("approve", run_id=run_id, approval=used)


async def test_a_token_is_for_one_run_and_one_plan_alone(
    host: Host, operator: Settings, things: Path
) -> None:
    first, second = (
        planned(operator, plan_of(make(name)).model_copy(update={"id": name}))
        for name in ("one", "two")
    )
    async with host() as call:
        token = (await call("run", run_id=first.run_id))["approvals"][0]["token"]
        with pytest.raises(ToolError, match="waits for this token"):
            await call("approve", run_id=second.run_id, approval=token)
        changed = first.model_copy(update={"plan": plan_of(make("other"))})
        store_in(operator.state_dir).save(changed)
        with pytest.raises(ToolError, match="was for other arguments"):
            await call("approve", run_id=first.run_id, approval=token)
        with pytest.raises(ToolError, match="waits for this token"):
            await call("approve", run_id=first.run_id, approval="nonsense")
    assert list(things.iterdir()) == []


async def test_the_hosts_user_is_asked_where_the_host_can(
    host: Host, operator: Settings, things: Path, era: str
) -> None:
    asked = []

    async def person(message: str, *_: Any) -> ElicitResult:
        asked.append(message)
        return ElicitResult(action="accept", content={"approve": True})

    run = planned(operator, plan_of(make("lamp"), make("vase")))
    async with host(era, person, approvals="elicit") as call:
        done = await call("run", run_id=run.run_id)
        assert done["status"] == "done", done
        (question,) = asked
        assert "maker.make_thing lamp" in question
        assert "maker.make_thing vase" in question
        undone = await call("undo", run_id=run.run_id)
        assert undone["status"] == "done", undone
        assert len(asked) == 2
        assert "may lose data" in asked[1]
    assert not (things / "lamp").exists()
    assert len(store_in(operator.state_dir).recent()) == 2


async def test_a_person_who_says_no_is_not_asked_again_and_nothing_changes(
    host: Host, operator: Settings, things: Path, era: str
) -> None:
    async def person(*_: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    run = planned(operator, plan_of(make("lamp")))
    async with host(era, person, approvals="elicit", reading_seconds=0.0) as call:
        with pytest.raises(ToolError, match="declined; nothing was changed"):
            await call("run", run_id=run.run_id)
    assert list(things.iterdir()) == []


async def test_out_of_band_shows_no_token_and_a_person_approves_in_a_terminal(
    host: Host, operator: Settings, things: Path, terminal: Terminal
) -> None:
    run = planned(operator, plan_of(make("lamp")))
    async with host(approvals="out-of-band") as call:
        asked = await call("run", run_id=run.run_id)
        (approval,) = asked["approvals"]
        assert approval.get("token") is None
        assert f"opswright approve {run.run_id}" in approval["how"]
        assert (await call("resume", run_id=run.run_id))["status"] == "needs_approval"
        said = await asyncio.to_thread(terminal, "approve", run.run_id)
        assert (said.returncode, "maker.make_thing" in said.stdout) == (0, True), said.stderr
        assert (await call("resume", run_id=run.run_id))["status"] == "done"
    assert (things / "lamp").exists()


async def test_where_changes_are_denied_none_is_made(
    host: Host, operator: Settings, things: Path
) -> None:
    run = planned(operator, plan_of(make("lamp")))
    async with host(approvals="deny") as call:
        with pytest.raises(ToolError, match="--approvals deny"):
            await call("run", run_id=run.run_id)
    assert list(things.iterdir()) == []


async def test_a_long_run_answers_working_tells_progress_and_is_waited_for(
    host: Host, operator: Settings
) -> None:
    run = planned(operator, plan_of(make("quick"), make("slow", needs=("quick",), seconds=3)))
    async with host() as call:
        token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
        begun = await call("approve", run_id=run.run_id, approval=token, wait_seconds=1)
        assert begun["status"] == "working", begun
        assert begun.get("report") is None
        done = (await call("status", run_id=run.run_id, wait_seconds=30))["run"]
        assert (done["status"], [s["status"] for s in done["steps"]]) == ("done", ["done", "done"])
        assert (2, 2) in [(done, total) for done, total, _ in call.progress]


async def test_two_runs_go_on_side_by_side(host: Host, operator: Settings) -> None:
    runs = [
        planned(operator, plan_of(make(name, seconds=1)).model_copy(update={"id": name}))
        for name in ("one", "two")
    ]
    async with host() as call:
        for run in runs:
            token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
            await call("approve", run_id=run.run_id, approval=token, wait_seconds=0)
        for run in runs:
            ended = (await call("status", run_id=run.run_id, wait_seconds=30))["run"]
            assert ended["status"] == "done", ended


async def test_a_run_is_cancelled_and_undone(host: Host, operator: Settings, things: Path) -> None:
    slow = [make(name, needs=("quick",), seconds=4) for name in ("left", "right")]
    last = make("last", needs=("left", "right"))
    run = planned(operator, plan_of(make("quick"), *slow, last))
    async with host() as call:
        token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
        await call("approve", run_id=run.run_id, approval=token, wait_seconds=1)
        ended = await call("cancel", run_id=run.run_id, wait_seconds=30)
        assert ended["status"] == "cancelled", ended
        assert not (things / "last").exists()
        with pytest.raises(ToolError, match="has ended already"):
            await call("cancel", run_id=run.run_id)
        undoing = await call("undo", run_id=run.run_id)
        (approval,) = undoing["approvals"]
        undone = await call("approve", run_id=undoing["run_id"], approval=approval["token"])
        assert undone["status"] == "done", undone
    assert not (things / "quick").exists()


async def test_a_plan_that_was_not_begun_is_cancelled_too(host: Host, operator: Settings) -> None:
    run = planned(operator, plan_of(make("lamp")))
    async with host() as call:
        assert (await call("cancel", run_id=run.run_id))["status"] == "cancelled"


async def test_a_run_that_went_wrong_is_partial_and_says_what_was_not_done(
    host: Host, operator: Settings
) -> None:
    run = planned(
        operator, plan_of(make("good"), make("bad", fail=True), make("after", needs=("bad",)))
    )
    async with host() as call:
        token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
        ended = await call("approve", run_id=run.run_id, approval=token)
        assert ended["status"] == "partial", ended
        missing = {item["step"]: item["touches"] for item in ended["report"]["not_done"]}
        assert missing == {"bad": ["after"], "after": []}


async def test_runs_are_resources_and_subscribers_hear_of_them_in_both_eras(
    operator: Settings, config: Path, era: str
) -> None:
    run = planned(operator, plan_of(make("lamp")))
    uri = f"run://{run.run_id}"
    server = create_server(operator, config_path=config)
    async with subscribed(server, era, "run://index", uri) as (client, inbox):
        call = Caller(client)
        index = await call.read("run://index")
        assert [line["run_id"] for line in index["runs"]] == [run.run_id]
        # Long enough for the first look, before anything moves.
        token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
        await inbox.until(lambda told: told == uri)
        await call("approve", run_id=run.run_id, approval=token)
        await inbox.until(lambda told: told == "run://index")
        shown = await call.read(uri)
        assert shown["status"] == "done"
        assert shown["times"]["lamp"]["changes"]
        with pytest.raises(Exception, match=r"no run 'run-nowhere'"):
            await call.read("run://run-nowhere")


async def test_what_cannot_be_done_is_said_with_the_next_move(host: Host) -> None:
    async with host() as call:
        with pytest.raises(ToolError, match="nothing was done"):
            await call("plan", request="paint the office green")
        with pytest.raises(ToolError, match=r"application \(.*`inputs`"):
            await call("plan", request="Deploy version v1.1.0")
        assert (await call("plan", request="make a thing", inputs={"name": "lamp"}))["run_id"]
        with pytest.raises(ToolError, match=r"no run 'run-nowhere'"):
            await call("status", run_id="run-nowhere")
        with pytest.raises(ToolError, match="either a request or the run_id"):
            await call("run")


@pytest.mark.parametrize("allow_writes", [False, True])
async def test_the_definitions_are_small(host: Host, allow_writes: bool) -> None:
    async with host(allow_writes=allow_writes) as call:
        tools = await call.client.list_tools()
    shown = [
        {"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools
    ]
    size = len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()) / 4
    assert size <= MOST_TOKENS, size
    for tool in tools:
        assert tool.output_schema, tool.name
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), (tool.name, name)


class Served:
    """`opswright serve` as a host starts it."""

    def __init__(self, tmp_path: Path, config: Path, *flags: str) -> None:
        environment = {**os.environ, "OPSWRIGHT_STATE_DIR": str(tmp_path / "state")}
        arguments = ["-m", "opswright", "serve", "--config", str(config), *flags]
        self.log = tmp_path / "serve.log"
        self.transport = StdioTransport(
            sys.executable, arguments, env=environment, keep_alive=False, log_file=self.log
        )


async def test_a_run_outlives_the_server_that_began_it(
    operator: Settings, config: Path, tmp_path: Path, things: Path
) -> None:
    run = planned(operator, plan_of(make("one"), make("two", needs=("one",), seconds=6)))
    async with Client(Served(tmp_path, config, "--allow-writes").transport) as client:
        call = Caller(client)
        token = (await call("run", run_id=run.run_id))["approvals"][0]["token"]
        await call("approve", run_id=run.run_id, approval=token, wait_seconds=2)
        owner = store_in(operator.state_dir).load(run.run_id).owner
        os.kill(int(owner.rsplit(":", 2)[1]), signal.SIGKILL)
    async with Client(Served(tmp_path, config, "--allow-writes").transport) as client:
        call = Caller(client)
        (line,) = (await call("status"))["recent"]
        assert (line["run_id"], line["status"]) == (run.run_id, "interrupted")
        going = await call("resume", run_id=run.run_id, wait_seconds=0)
        ended = (await call("status", run_id=run.run_id, wait_seconds=50))["run"]
        assert (going["status"], ended["status"]) == ("working", "done"), ended
    assert (things / "calls.log").read_text().split().count("one") == 1


def test_it_ends_when_its_host_is_gone(tmp_path: Path, config: Path) -> None:
    import subprocess

    child = subprocess.Popen(
        [sys.executable, "-m", "opswright", "serve", "--config", str(config)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {},
                   "clientInfo": {"name": "test", "version": "1"}},
    }  # fmt: skip
    child.stdin.write(json.dumps(hello).encode() + b"\n")
    child.stdin.flush()
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["result"]["serverInfo"]["name"] == "opswright"
    child.stdin.close()
    assert child.wait(timeout=15) == 0
    child.stdout.close()
    assert child.stderr is not None
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()
