"""What every host may rely on from a server's process: order, quiet stdout, an end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.core.conftest import World
from tests.core.processes import SHELF, environment
from tests.core.shelf import TOOLS, create_server

from opswright_core import lifetime
from opswright_core.changes import fold
from opswright_core.journal import Journal
from opswright_core.settings import Settings

OWN = [
    "list_changes", "get_change", "undo_change",
    "handle_task", "get_task", "cancel_task", "can_handle",
]  # fmt: skip


class Host:
    """A host that speaks the older era over pipes, a line at a time."""

    def __init__(self, state_dir: Path, *command: str) -> None:
        flags = ["--allow-writes", "--approvals", "auto", "--state-dir", str(state_dir)]
        self.child = subprocess.Popen(
            [*(command or SHELF), *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(OPSWRIGHT_MIND="skills"),
        )
        client = {"name": "host", "version": "1"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.send("initialize", hello, id=1)
        assert self.read()["id"] == 1
        self.send("notifications/initialized")

    def send(self, method: str, params: dict[str, Any] | None = None, **extra: Any) -> None:
        assert self.child.stdin is not None
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **extra}
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def call(self, tool: str, **arguments: Any) -> None:
        self.send("tools/call", {"name": tool, "arguments": arguments}, id=2)

    def read(self) -> Any:
        assert self.child.stdout is not None
        return json.loads(self.child.stdout.readline())

    def close(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.stdin = None  # or `communicate` would flush it

    def ended(self) -> int:
        """Wait for the server's end, generously; the promise is 2 s."""
        return self.child.wait(timeout=20)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Host]]:
    """`start(*command)` is a host of a new server process."""
    hosts: list[Host] = []

    def started(*command: str) -> Host:
        hosts.append(Host(settings.state_dir, *command))
        return hosts[-1]

    yield started
    for host in hosts:
        host.child.kill()
        host.child.communicate()


@pytest.fixture
def host(world: World, start: Callable[..., Host]) -> Host:
    return start()


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status_of_last_change(settings: Settings) -> str:
    journal = Journal(settings.state_dir / "journal.db", "shelf")
    change_id = journal.recent(1)[0]
    return fold(change_id, journal.events(change_id)).status


def test_an_idle_server_ends_when_stdin_closes(host: Host) -> None:
    host.close()
    assert host.ended() == 0
    assert host.child.stderr is not None
    assert host.child.stderr.read() == b""


def test_a_change_under_way_keeps_it_not_and_is_interrupted(
    host: Host, world: World, settings: Settings
) -> None:
    world.fault("lamp", "hang")
    host.call("shelve", names=["lamp"])
    until((world.root / "hanging").exists)
    assert status_of_last_change(settings) == "working"
    host.close()
    assert host.ended() == 0
    assert status_of_last_change(settings) == "interrupted"


def test_a_change_that_is_soon_finished_is_finished(
    host: Host, world: World, settings: Settings
) -> None:
    host.call("shelve", names=["lamp"])
    until(lambda: bool(world.sent))
    host.close()
    assert host.ended() == 0
    assert status_of_last_change(settings) == "done"


def test_a_task_under_way_keeps_it_not_and_says_that_it_stopped(
    host: Host, settings: Settings
) -> None:
    host.call("handle_task", task="dawdle around the shelf slowly", wait_seconds=0)
    while "result" not in (answer := host.read()):
        pass
    task_id = answer["result"]["structuredContent"]["task_id"]
    assert answer["result"]["structuredContent"]["status"] == "working"
    host.close()
    assert host.ended() == 0

    async def look() -> Any:
        async with Client(create_server(settings)) as client:
            arguments = {"task_id": task_id}
            answer = await client.call_tool("get_task", arguments, raise_on_error=False)
            return answer.structured_content

    report = asyncio.run(look())
    assert report["status"] == "failed"
    assert "the server stopped" in report["error"]


def test_a_tool_that_blocks_in_its_thread_keeps_it_not(
    tmp_path: Path, start: Callable[..., Host]
) -> None:
    script = tmp_path / "stuck.py"
    script.write_text(STUCK)
    host = start(sys.executable, str(script))
    host.call("sleep_long")
    until((tmp_path / "asleep").exists)
    host.close()
    assert host.ended() == 0


STUCK = '''
import sys, time
from pathlib import Path
from opswright_core import cli
from opswright_core.server import build_server
from opswright_core.tools import read_tool

@read_tool
def sleep_long() -> int:
    """Sleep."""
    Path(__file__).with_name("asleep").touch()
    time.sleep(600)
    return 1

def create_server(settings):
    return build_server("stuck", title="", instructions="", tools=[sleep_long], settings=settings)

sys.exit(cli.main(create_server, "stuck"))
'''


def test_it_ends_with_its_parent_though_stdin_stays_open(tmp_path: Path) -> None:
    reading, writing = os.pipe()  # the writing end is kept here: the server never sees an end
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=0)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with (tmp_path / "out").open("wb") as out:
        parent = subprocess.Popen(
            [sys.executable, str(launcher), *SHELF, "--state-dir", str(tmp_path / "state")],
            stdin=reading, stdout=subprocess.PIPE, stderr=out, env=environment(),
        )  # fmt: skip
    try:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        hello = {
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            },
        }  # fmt: skip
        os.write(writing, json.dumps(hello).encode() + b"\n")
        assert json.loads(parent.stdout.readline())["id"] == 1
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=20)
        until(lambda: _is_gone(server))
    finally:
        parent.kill()
        parent.communicate()
        os.close(reading)
        os.close(writing)


def _is_gone(pid: int) -> bool:
    """Whether a process ended; one that nobody waits for stays a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_host_that_stays_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(lifetime, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 0.0)
    with lifetime.ends_with_host():
        time.sleep(0.1)
    assert ends == []


def test_a_host_that_hung_up_ends_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    reading, writing = os.pipe()
    os.close(writing)
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(os, "dup", lambda _: reading)
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 0.0)
    with lifetime.ends_with_host():
        until(lambda: bool(ends))
    os.close(reading)
    assert ends == [0]


def test_without_a_stdin_to_watch_it_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_stdin(_: int) -> int:
        raise OSError("no such file")

    monkeypatch.setattr(os, "dup", no_stdin)
    with lifetime.ends_with_host():
        pass


def test_nothing_but_the_protocol_is_written_to_stdout(
    tmp_path: Path, start: Callable[..., Host]
) -> None:
    script = tmp_path / "chatty.py"
    script.write_text(CHATTY)
    host = start(sys.executable, str(script))
    host.call("chatter")
    answer = host.read()
    assert answer["result"]["structuredContent"] == {"result": 1}
    host.close()
    out, err = host.child.communicate(timeout=20)
    assert out == b""
    for said in (b"printed", b"written to the descriptor", b"from a child", b"logged", b"warned"):
        assert said in err, said


CHATTY = '''
import logging, os, subprocess, sys, warnings
from opswright_core import cli
from opswright_core.server import build_server
from opswright_core.tools import read_tool

@read_tool
def chatter() -> int:
    """Chatter."""
    print("printed", flush=True)
    os.write(1, b"written to the descriptor\\n")
    subprocess.run(["echo", "from a child"], check=True)
    logging.getLogger("some.library").warning("logged")
    warnings.warn("warned", stacklevel=1)
    return 1

def create_server(settings):
    return build_server("chatty", title="", instructions="", tools=[chatter], settings=settings)

sys.exit(cli.main(create_server, "chatty"))
'''


async def listed(client: Any) -> dict[str, list[str]]:
    return {
        "tools": [t.name for t in await client.list_tools()],
        "resources": [str(r.uri) for r in await client.list_resources()],
        "templates": [t.uri_template for t in await client.list_resource_templates()],
    }


async def test_lists_come_in_the_order_of_declaration(settings: Settings, era: str) -> None:
    async with Client(create_server(settings), mode=era) as client:
        lists = await listed(client)
    declared = [tool.__name__ for tool in TOOLS]
    assert lists["tools"] == [*declared, *OWN]
    assert {"agent://card", "journal://changes"} <= set(lists["resources"])
    assert "journal://changes/{change_id}" in lists["templates"]


async def _raw(command: list[str], era: str, state_dir: Path, seed: str) -> list[Any]:
    transport = StdioTransport(
        command[0],
        [*command[1:], "--allow-writes", "--toolsets", "all", "--state-dir", str(state_dir)],
        env=environment(PYTHONHASHSEED=seed),
        keep_alive=False,
    )
    async with Client(transport, mode=era) as client:
        lists = [
            await client.list_tools(),
            await client.list_resources(),
            await client.list_resource_templates(),
        ]
        return [[item.model_dump(mode="json") for item in items] for items in lists]


SERVERS = ["aws_devops", "cicd", "cost", "knowledge", "metrics", "security"]


@pytest.mark.parametrize("server", SERVERS)
async def test_lists_are_the_same_in_every_process_and_era(tmp_path: Path, server: str) -> None:
    command = [sys.executable, "-m", f"opswright_{server}"]
    newer, again, older = [
        await _raw(command, mode, tmp_path, seed)
        for mode, seed in [("auto", "1"), ("auto", "2"), ("legacy", "3")]
    ]
    # To the byte, so that a model's provider can keep the definitions in its cache.
    assert json.dumps(newer) == json.dumps(again)
    assert newer == older
