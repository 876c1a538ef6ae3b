"""The journal outlives its writers: killed at any moment, several at once, on one file."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.core.conftest import World
from tests.core.processes import ROOT, SHELF, environment

from opswright_core.journal import Journal
from opswright_core.settings import Settings

KILLER = """
import json, os, pathlib, random, signal, sys, time
from opswright_core.journal import Journal

path, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(7)

def write(change_id, pipe):
    journal = Journal(path, "shelf")
    for number in range(10_000):
        journal.append(change_id, "note", {"number": number, "text": "x" * chance.randrange(2000)})
        os.write(pipe, b".")  # acknowledged: from here on it must never be lost

def start(change_id):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        write(change_id, writing)
        os._exit(1)
    os.close(writing)
    return change_id, child, reading

acknowledged = {}
for number in range(rounds):
    writers = [start(f"ch-{number}-{one}") for one in range(2)]
    for change_id, child, reading in writers:
        count = len(os.read(reading, chance.randrange(1, 12)))
        time.sleep(chance.random() * 0.004)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(reading, 4096):
            count += len(more)
        os.close(reading)
        acknowledged[change_id] = count
print(json.dumps(acknowledged))
"""


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path, rounds = tmp_path / "state" / "journal.db", 20
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, str(path), str(rounds)],
        capture_output=True, text=True, timeout=150, env=environment(),
    )  # fmt: skip
    assert killed.returncode == 0, killed.stderr
    acknowledged = json.loads(killed.stdout)
    assert len(acknowledged) == 2 * rounds
    journal = Journal(path, "shelf")
    assert journal.broken_at() is None
    for change_id, count in acknowledged.items():
        numbers = [e.body["number"] for e in journal.events(change_id)]
        # The one more was on disk when the writer was killed before it could say so.
        assert numbers == list(range(len(numbers)))
        assert len(numbers) - count in {0, 1}
    assert journal.append("ch-after", "note", {})
    assert journal.broken_at() is None


@pytest.mark.slow
async def test_two_servers_in_two_processes_keep_one_journal(
    settings: Settings, world: World
) -> None:
    flags = ["--allow-writes", "--approvals", "auto", "--state-dir", str(settings.state_dir)]
    transports = [
        StdioTransport(
            SHELF[0], [*SHELF[1:], *flags], env=environment(), cwd=str(ROOT), keep_alive=False
        )
        for _ in range(2)
    ]
    async with Client(transports[0]) as one, Client(transports[1]) as other:
        calls = [
            client.call_tool("shelve", {"names": [name]}, raise_on_error=False)
            for name in ("lamp", "vase", "book", "bowl")
            for client in (one, other)
        ]
        answered = await asyncio.gather(*calls)
        assert [answer.content for answer in answered if answer.is_error] == []
        answers = [answer.structured_content for answer in answered]
        listed = [(await c.call_tool("list_changes", {})).structured_content for c in (one, other)]
    assert {answer["status"] for answer in answers} == {"done"}
    assert world.things == ["book", "bowl", "lamp", "vase"]
    assert sorted(world.sent) == world.things
    assert listed[0] == listed[1]
    assert listed[0]["total"] == 4
    assert Journal(settings.state_dir / "journal.db", "shelf").broken_at() is None
