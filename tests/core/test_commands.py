"""The console script as a process: usage, stdio, HTTP, approvals by a person, quiet stderr."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.core.shelf import create_server

import opswright_core
from opswright_core import cli, logs
from opswright_core.protocol import THREAD_NAME
from opswright_core.settings import Settings

ROOT = Path(__file__).parents[2]
SCRIPT = [sys.executable, str(ROOT / "tests/core/shelf.py")]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, *arguments], capture_output=True, text=True, timeout=60, env=environment(**extra)
    )


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    """`cli.main` sets up logging for its process; here it is taken back."""
    names = ["", "fastmcp", "uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [(lo, lo.level, lo.handlers[:], lo.propagate) for lo in map(logging.getLogger, names)]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


def main(*arguments: str) -> int:
    return cli.main(create_server, "shelf_server", arguments)


@pytest.mark.parametrize(
    ("flag", "words"),
    [("--help", "usage: opswright-shelf-server"), ("--version", opswright_core.__version__)],
)
def test_help_and_version_are_said(
    capsys: pytest.CaptureFixture[str], flag: str, words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flag)
    assert ended.value.code == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [("--approvals", "yolo"), ("--transport", "pigeon"), ("--port", "x"), ("fly",)],
)
def test_bad_usage_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(*arguments)
    assert ended.value.code == 2
    assert "opswright-shelf-server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--transport", "http", "--host", "0.0.0.0"), "refusing to listen on 0.0.0.0"),
        (("--toolsets", "typo"), "no toolset typo"),
        (("approve", "ch-0"), "no change 'ch-0'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert main(*arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert said.startswith("opswright-shelf-server: ")


def test_a_bad_policy_in_the_environment_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSWRIGHT_APPROVALS", "yolo")
    assert main() == 2
    assert "OPSWRIGHT_APPROVALS is 'yolo'" in capsys.readouterr().err


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPSWRIGHT_APPROVALS", "deny")
    seen: list[Any] = []

    class Server:
        def run(self, transport: str, **options: Any) -> None:
            seen.append(options | {"transport": transport})

    def make(settings: Settings) -> Server:
        seen.append(settings)
        return Server()

    flags = ["--allow-writes", "--approvals", "auto", "--toolsets", "a,b"]
    assert cli.main(make, "x", [*flags, "--state-dir", str(tmp_path)]) == 0
    assert cli.main(make, "x", ["--transport", "http", "--port", "1"]) == 0
    chosen, stdio, plain, http = seen
    assert (chosen.allow_writes, chosen.approvals, chosen.toolsets, chosen.state_dir) == (
        True, "auto", {"a", "b"}, tmp_path,
    )  # fmt: skip
    assert stdio == {"transport": "stdio", "show_banner": False}
    assert (plain.allow_writes, plain.approvals) == (False, "deny")
    assert http == {
        "transport": "http", "show_banner": False, "host": "127.0.0.1", "port": 1,
        "host_origin_protection": True, "allowed_hosts": None,
        "uvicorn_config": {"log_config": None},
    }  # fmt: skip


def test_an_interrupt_ends_with_130() -> None:
    class Server:
        def run(self, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

    assert cli.main(lambda _: Server(), "x", []) == 130


def test_changes_under_way_get_a_moment_when_the_server_is_closed() -> None:
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.2)
        ended.set()

    class Server:
        def run(self, *_: Any, **__: Any) -> None:
            threading.Thread(target=work, name=f"{THREAD_NAME} ch-1", daemon=True).start()

    assert cli.main(lambda _: Server(), "x", []) == 0
    assert ended.is_set()


def test_a_record_with_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        raise KeyError("lost")
    except KeyError:
        logging.getLogger("fastmcp.server").exception("it\nbroke")
    logging.getLogger("fastmcp.server").info("not shown")
    said = capsys.readouterr().err
    assert said.startswith("ERROR fastmcp.server: it: broke: KeyError: 'lost' (")
    assert said.count("\n") == 1


async def test_over_stdio_it_serves_both_eras_and_keeps_stderr_plain(
    era: str, tmp_path: Path
) -> None:
    log = tmp_path / "stderr"
    flags = ["--allow-writes", "--approvals", "auto", "--state-dir", str(tmp_path / "state")]
    transport = StdioTransport(
        SCRIPT[0], [SCRIPT[1], *flags], env=environment(), log_file=log, keep_alive=False
    )
    async with Client(transport, mode=era) as client:
        done = await client.call_tool("shelve", {"names": ["lamp"]})
        bad = await client.call_tool("shelve", {"nmes": []}, raise_on_error=False)
        bug = await client.call_tool("break_down", {"how": "bug"}, raise_on_error=False)
    assert done.structured_content["status"] == "done"
    assert "nmes is not an argument" in bad.content[0].text
    assert "secret" not in str(bug)
    lines = log.read_text().splitlines()
    assert len(lines) <= 2
    assert any("Error calling tool 'break_down'" in line for line in lines)


def test_a_person_approves_at_a_terminal_what_the_host_asked_for(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    flags = ["--allow-writes", "--approvals", "out-of-band", "--state-dir", state]

    async def call(**arguments: Any) -> Any:
        transport = StdioTransport(
            SCRIPT[0], [SCRIPT[1], *flags], env=environment(), keep_alive=False
        )
        async with Client(transport) as client:
            return (await client.call_tool("shelve", arguments)).structured_content

    asked = asyncio.run(call(names=["lamp"]))
    assert asked["status"] == "needs_approval"
    typed = run("--state-dir", state, "approve", asked["change_id"])
    assert (typed.returncode, typed.stderr) == (0, "")
    assert "create shelf:thing lamp" in typed.stdout
    done = asyncio.run(call(names=["lamp"], approval=asked["change_id"]))
    assert done["status"] == "done"


@pytest.fixture(scope="module")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server process over HTTP on a free port; gives its base address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    state = tmp_path_factory.mktemp("http") / "state"
    flags = ["--transport", "http", "--port", str(port), "--state-dir", str(state)]
    child = subprocess.Popen([*SCRIPT, *flags], env=environment(), stderr=subprocess.PIPE)
    base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{base}/health", timeout=5).close()
            break
        except OSError:
            assert child.poll() is None
            time.sleep(0.05)
    yield base
    child.terminate()
    child.communicate(timeout=20)


async def test_over_http_it_serves_both_eras(http_server: str, era: str) -> None:
    async with Client(f"{http_server}/mcp", mode=era) as client:
        names = {t.name for t in await client.list_tools()}
        answer = await client.call_tool("list_things", {})
        card = await client.read_resource("agent://card")
    assert "list_things" in names
    assert "shelve" not in names
    assert answer.structured_content["total"] == 0
    assert '"name":"shelf"' in card[0].text


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example.com"}, {"Origin": "http://evil.example.com"}]
)
def test_a_foreign_host_or_origin_is_refused(http_server: str, headers: dict[str, str]) -> None:
    request = urllib.request.Request(
        f"{http_server}/mcp",
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        {**headers, "Content-Type": "application/json", "Accept": "application/json"},
        method="POST",
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()
    assert refused.value.code in {400, 403, 421}
