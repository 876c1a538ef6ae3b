"""Many writers, one store: nothing lost, nothing half done."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from opswright_core.errors import ConflictError
from opswright_knowledge.records import HOST, ResourceRecord
from opswright_knowledge.storage.unit_of_work import UnitOfWork
from opswright_knowledge.store import Store

WRITER = Path(__file__).with_name("writer.py")
WRITES = 200
BATCHES, BATCH, UNDER_WAY = 100, 10, 5


def start(url: str, name: str, count: Any, batch: Any, under_way: int = 1) -> Any:
    command = [sys.executable, str(WRITER), url, name, str(count), str(batch), str(under_way)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def contents(url: str) -> Any:
    """(counter, resource ids, revisions) of a store, opened afresh."""
    store = Store(url)
    with store.reading() as unit:
        counter = unit.context.get("shared", "counter")
        total = unit.resource_search.find(limit=0)[1].total
        found, _ = unit.resource_search.find(limit=total)
        changes, _ = unit.changes.after(0, limit=1_000_000)
        assert unit.revision == len(changes)
    store.close()
    return (counter.value if counter else 0), [r.id for r in found], [c.revision for c in changes]


@pytest.mark.slow
def test_eight_processes_of_a_thousand_writes_each_lose_no_update(url: str) -> None:
    writers = [start(url, f"p{i}", BATCHES, BATCH, UNDER_WAY) for i in range(8)]
    try:
        for writer in writers:
            acknowledged, _ = writer.communicate(timeout=150)
            assert writer.returncode == 0
            assert sorted(map(int, acknowledged.split())) == list(range(BATCHES))
    finally:
        for writer in writers:  # one that is left would write to the next test's store
            writer.kill()
            writer.communicate()
    counter, ids, revisions = contents(url)
    assert (counter, len(ids)) == (8 * BATCHES, 8 * BATCHES * BATCH)
    assert revisions == list(range(1, 8 * BATCHES * (BATCH + 1) + 1))


def test_a_follower_beside_writers_misses_no_change_and_sees_none_out_of_order(url: str) -> None:
    done = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        store = Store(url)
        while True:
            last = done.is_set()
            with store.reading() as unit:
                found = unit.changes.keys_after(seen[-1] if seen else 0, limit=50)
            seen.extend(revision for revision, _, _ in found)
            if last and not found:
                break
        store.close()

    def write(name: str) -> None:
        store = Store(url)  # connections and turns of its own, as another process has
        for number in range(WRITES // 2):
            with store.writing(HOST) as unit:
                records = [ResourceRecord(type="t", id=f"{name}-{number}-{i}") for i in range(3)]
                unit.resources.put(records)
        store.close()

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        list(pool.map(write, "abcd"))
        done.set()
        following.result(timeout=120)
    assert seen == list(range(1, 4 * 3 * WRITES // 2 + 1))


def test_eight_threads_lose_no_update(url: str) -> None:
    store = Store(url)

    def write(thread: int) -> None:
        for number in range(WRITES):
            with store.writing(HOST) as unit:
                counter = unit.context.get("shared", "counter")
                unit.context.put("shared", "counter", (counter.value if counter else 0) + 1)
                unit.resources.put([ResourceRecord(type="t", id=f"{thread}-{number}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    store.close()
    counter, ids, revisions = contents(url)
    assert counter == len(ids) == 8 * WRITES
    assert revisions == list(range(1, 2 * 8 * WRITES + 1))


async def test_compare_and_set_under_way_at_once_counts_every_success_once(url: str) -> None:
    store = Store(url)
    numbers = iter(range(100))

    async def add() -> None:
        for _ in numbers:
            while not await counted_up():
                pass

    async def counted_up() -> bool:
        with store.reading() as unit:
            entry = unit.context.get("s", "n")
        value, revision = (entry.value, entry.revision) if entry else (0, 0)
        try:
            await store.write(HOST, lambda unit: unit.context.put("s", "n", value + 1, revision))
        except ConflictError:
            return False
        return True

    await asyncio.gather(*(add() for _ in range(8)))
    with store.reading() as unit:
        entry = unit.context.get("s", "n")
    assert entry is not None
    assert entry.value == 100
    store.close()


def put(name: str, then: Callable[[UnitOfWork], Any] = lambda _: None) -> Any:
    def work(unit: UnitOfWork) -> int:
        revision = unit.resources.put([ResourceRecord(type="t", id=name)]).revision
        then(unit)
        return revision

    return work


async def together(store: Store, *works: Any) -> list[Any]:
    """What comes of work that waited for the same turn."""
    with store.writing(HOST):
        under_way = [asyncio.ensure_future(store.write(HOST, work)) for work in works]
        await asyncio.sleep(0.2)
    return await asyncio.gather(*under_way, return_exceptions=True)


async def test_of_writes_that_are_committed_together_each_is_all_or_nothing(url: str) -> None:
    store = Store(url)

    def fail(_: UnitOfWork) -> None:
        raise ZeroDivisionError

    one, failed, other = await together(store, put("a"), put("b", fail), put("c"))
    assert (one, other) == (1, 2)
    assert isinstance(failed, ZeroDivisionError)
    assert contents(url)[1:] == (["a", "c"], [1, 2])
    store.close()


async def test_a_write_that_ends_the_transaction_of_others_fails_alone(url: str) -> None:
    store = Store(url)

    def end(unit: UnitOfWork) -> None:
        driver: Any = unit.connection.connection.dbapi_connection
        if driver.__class__.__module__.startswith("psycopg"):
            driver.close()
        else:
            driver.rollback()  # as SQLite does when the disk is full
        unit.changes.keys_after(0, limit=1)
        raise ZeroDivisionError

    before, ending, after = await together(store, put("a"), put("b", end), put("c"))
    assert isinstance(ending, Exception)
    assert (before, after) == (1, 2)
    assert contents(url)[1:] == (["a", "c"], [1, 2])
    store.close()


async def test_a_write_that_was_called_off_before_its_turn_writes_nothing(url: str) -> None:
    store = Store(url)
    with store.writing(HOST):
        first, called_off = (asyncio.ensure_future(store.write(HOST, put(name))) for name in "ab")
        await asyncio.sleep(0.2)  # they wait for their turn by now
        called_off.cancel()
        await asyncio.wait([called_off])
    assert await first == 1
    assert await store.write(HOST, put("c")) == 2
    assert contents(url)[1] == ["a", "c"]
    store.close()


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_a_killed_writer_loses_nothing_acknowledged_and_leaves_no_half_batch(
    url: str, lines: Any
) -> None:
    batch = 50
    writer = start(url, "p", 10_000, batch)
    acknowledged = -1
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged + 1 >= lines:
            break
    writer.kill()
    rest, _ = writer.communicate()
    acknowledged = max([acknowledged, *map(int, rest.split())])
    counter, ids, revisions = contents(url)
    assert counter >= acknowledged + 1
    assert len(ids) == counter * batch
    assert revisions == list(range(1, len(revisions) + 1))
    after = start(url, "q", 1, batch)
    after.communicate(timeout=60)
    assert after.returncode == 0
    assert contents(url)[0] == counter + 1


def test_a_transaction_that_fails_midway_leaves_nothing(url: str) -> None:
    store = Store(url)

    def write_and_fail() -> None:
        with store.writing(HOST) as unit:
            unit.context.put("s", "k", 1)
            unit.resources.put([ResourceRecord(type="t", id="a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert contents(url) == (0, [], [])
    store.close()


async def test_two_servers_over_stdio_share_one_store(tmp_path: Any) -> Any:
    def server() -> Client[Any]:
        environment = {"OPSWRIGHT_STATE_DIR": str(tmp_path), "OPSWRIGHT_MIND": "skills"}
        arguments = ["-m", "opswright_knowledge", "--toolsets", "all"]
        return Client(StdioTransport(sys.executable, arguments, env=environment, keep_alive=False))

    async with server() as one, server() as other:
        vpc = {"type": "ec2:vpc", "id": "vpc-1"}
        await one.call_tool("record_resources", {"resources": [vpc], "by": {"agent": "a"}})
        found = await other.call_tool("find_resources", {"type": "ec2:vpc"})
        assert found.structured_content["items"][0]["recorded_by"] == "a"
        await other.call_tool(
            "set_context", {"scope": "s", "key": "k", "value": 1, "expected_revision": 0}
        )
        stale = await one.call_tool(
            "set_context",
            {"scope": "s", "key": "k", "value": 2, "expected_revision": 0},
            raise_on_error=False,
        )
        assert stale.is_error
        assert "revision 2, not 0" in stale.content[0].text
        (content,) = await one.read_resource("knowledge://changes")
        assert '"revision":2' in content.text
