"""Agents that hang, die, are slow or flood, over stdio and HTTP: each keeps to itself."""

import asyncio
import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.core.processes import environment, free_port

from opswright import registry
from opswright.breaker import OPEN_SECONDS, Breaker
from opswright.config import Server
from opswright.registry import Agent, AgentDownError, OutcomeUnknownError, Registry, silent

STRANGER = str(Path(__file__).with_name("stranger.py"))


def started(port: int, things: Path) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        [sys.executable, STRANGER, "--http", str(port)],
        env=environment(OPSWRIGHT_TEST_THINGS=str(things)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return child
        except OSError:
            time.sleep(0.05)
    raise AssertionError("it never listened")


@pytest.fixture
def served(things: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A stranger over HTTP: its port and its process."""
    port = free_port()
    child = started(port, things)
    yield port, child
    child.kill()
    child.wait()


@asynccontextmanager
async def reached(things: Path, tmp_path: Path, port: int | None = None) -> AsyncIterator[Agent]:
    stdio = Server(
        command=sys.executable, args=(STRANGER,), env={"OPSWRIGHT_TEST_THINGS": str(things)}
    )
    server = Server(url=f"http://127.0.0.1:{port}/mcp") if port else stdio
    team = Registry({"stranger": server}, {}, tmp_path / "logs")
    try:
        await team.connect()
        yield team.agents["stranger"]
    finally:
        await team.close()


async def test_silence_ends_a_call_and_leaves_the_session_to_the_others(
    things: Path, tmp_path: Path
) -> None:
    async with reached(things, tmp_path) as agent:
        patient = asyncio.create_task(agent.call("ponder", {"seconds": 1.5}, 60, silent))
        with pytest.raises(OutcomeUnknownError, match="did not answer in time"):
            await agent.call("ponder", {"seconds": 30}, 0.3, silent)
        assert (await patient).text == "42"


async def test_progress_extends_the_silence_a_call_may_keep_but_not_its_total(
    things: Path, tmp_path: Path
) -> None:
    slow = {"seconds": 1.5, "every": 0.2}
    async with reached(things, tmp_path) as agent:
        heard: list[str] = []

        async def hear(message: str) -> None:
            heard.append(message)

        answer = await agent.call("ponder", slow, 1.0, hear)
        assert answer.text == "42"
        assert set(heard) == {"still thinking"}
        with pytest.raises(OutcomeUnknownError):
            await agent.call("ponder", {**slow, "seconds": 30}, 1.0, silent, total_seconds=1.5)


async def test_a_server_that_hangs_is_started_again(
    things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PROBE_SECONDS", 0.5)
    async with reached(things, tmp_path) as agent:
        with pytest.raises(OutcomeUnknownError, match="hangs"):
            await agent.call("freeze", {}, 0.5, silent)
        assert not agent.is_up
        assert (await agent.call("look", {}, 60, silent)).is_error is False


@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_a_flood_of_progress_log_and_answer_is_borne(
    over: str, things: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    port = request.getfixturevalue("served")[0] if over == "http" else None
    async with reached(things, tmp_path, port) as agent:
        heard: list[str] = []

        async def hear(message: str) -> None:
            heard.append(message)

        answer = await agent.call("flood", {"notices": 500, "characters": 100_000}, 60, hear)
        assert len(answer.text) == 100_000
        assert 0 < len(heard) < 250
        huge = await agent.call("flood", {"notices": 0, "characters": 4_000_001}, 60, silent)
        assert huge.is_error
        assert "too many" in huge.text
        assert huge.value == {}


async def test_a_server_that_dies_over_http_is_reached_again_when_it_is_back(
    things: Path, tmp_path: Path, served: tuple[int, "subprocess.Popen[bytes]"]
) -> None:
    port, child = served
    async with reached(things, tmp_path, port) as agent:
        assert (await agent.call("note", {"text": "one"}, 60, silent)).text == "one"
        child.kill()
        child.wait()
        with pytest.raises(OutcomeUnknownError):
            await agent.call("note", {"text": "two"}, 60, silent)
        with pytest.raises(AgentDownError, match="did not start"):
            await agent.call("note", {"text": "two"}, 60, silent)
        again = started(port, things)
        try:
            assert (await agent.call("note", {"text": "three"}, 60, silent)).text == "three"
        finally:
            again.kill()
            again.wait()
    assert (things / "notes.log").read_text().split() == ["one", "three"]


async def test_an_agent_that_starts_slowly_is_not_waited_for_by_the_others(
    things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = Server(command=sys.executable, args=("-c", "import time; time.sleep(600)"))
    stranger = Server(
        command=sys.executable, args=(STRANGER,), env={"OPSWRIGHT_TEST_THINGS": str(things)}
    )
    team = Registry({"sleeper": sleeper, "stranger": stranger}, {}, tmp_path / "logs")
    try:
        await team.connect(["stranger"])
        monkeypatch.setattr(registry, "STRAGGLER_SECONDS", 0.5)
        await team.connect()
        assert list(team.up) == ["stranger"]
        assert "still starting" in (team.agents["sleeper"].error or "")
    finally:
        await team.close()


async def test_only_the_agents_named_are_started(things: Path, tmp_path: Path) -> None:
    stranger = Server(
        command=sys.executable, args=(STRANGER,), env={"OPSWRIGHT_TEST_THINGS": str(things)}
    )
    team = Registry({"one": stranger, "two": stranger}, {}, tmp_path / "logs")
    try:
        await team.connect(["one"])
        assert list(team.up) == ["one"]
        assert (await team.agents["two"].call("look", {}, 60, silent)).is_error is False
    finally:
        await team.close()


async def test_what_may_be_repeated_is_known_from_risk_hints_and_keys(
    things: Path, tmp_path: Path
) -> None:
    async with reached(things, tmp_path) as agent:
        repeatable = {name for name, tool in agent.tools.items() if tool.is_repeatable}
        risks = {name: agent.tools[name].risk for name in ("look", "note", "tear_out")}
    assert repeatable == {
        "look",
        "ponder",
        "freeze",
        "flood",
        "status",
        "fragile_look",
        "note_once",
    }
    assert risks == {"look": "read", "note": "write", "tear_out": "destructive"}


def test_a_breaker_opens_at_the_third_failure_and_tries_again_after_a_while() -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    states = [breaker.state]
    for _ in range(3):
        breaker.failed()
        states.append(breaker.state)
    assert states == ["closed", "closed", "closed", "open"]
    now[0] = OPEN_SECONDS
    states = [breaker.state]
    breaker.failed()
    states.append(breaker.state)
    now[0] = 2 * OPEN_SECONDS
    breaker.succeeded()
    assert [*states, breaker.state] == ["half-open", "open", "closed"], "one more opens it again"


async def test_a_cancelled_start_leaves_no_process_behind(things: Path, tmp_path: Path) -> None:
    async with reached(things, tmp_path) as agent:
        await agent.close()
        starting = asyncio.create_task(agent.connect())
        await asyncio.sleep(0.1)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        assert (await agent.call("look", {}, 60, silent)).is_error is False
