"""What the knowledge store costs: over stdio beside the npm reference memory server, and at size.

Writes go over stdio to our server on SQLite, one record a call, one after the other and 50 under
way at a time; to the reference server one after the other (concurrent ones would be lost). Each is
durable when it is acknowledged: ours by an fsync, of which the disk's own time is shown beside. The
reference server rewrites its whole file for each write, so that it gets a part of the writes.

What is read is timed at the store, in this process. `--resources 1000000` is the size of the
promises; it takes about ten minutes. Linux only (/proc).
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REFERENCE = "@modelcontextprotocol/server-memory@2026.8.31"
UNDER_WAY = 50
TYPES = ("ec2:instance", "ec2:volume", "ec2:subnet", "s3:bucket", "rds:db", "lambda:function")
WORDS = ("payments", "search", "checkout", "billing", "catalogue", "login", "mail", "reports")


def record(number: int) -> dict[str, Any]:
    """A resource much like those that agents record."""
    return {
        "type": TYPES[number % len(TYPES)],
        "id": f"r-{number:08x}",
        "region": "eu-west-1",
        "account": "111122223333",
        "name": f"{WORDS[number % len(WORDS)]} {number}",
        "status": "available",
        "attributes": {"size": number % 7, "owner": f"team{number % 50}"},
        "tags": {"team": f"team{number % 50}"},
        "relations": [{"kind": "in", "to": f"r-{number // 100:08x}"}],
    }


async def writes(count: int, directory: Path) -> None:
    """Single writes and batches over stdio."""
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    environment = {"OPSWRIGHT_STATE_DIR": str(directory), "PATH": os.environ["PATH"]}
    transport = StdioTransport(
        sys.executable, ["-m", "opswright_knowledge"], env=environment, keep_alive=False
    )
    async with Client(transport) as client:
        await client.call_tool("find_resources", {})

        async def one(number: int) -> None:
            await client.call_tool("record_resources", {"resources": [record(number)]})

        begun = time.perf_counter()
        for number in range(count):
            await one(number)
        show(f"{count:,} single writes, one after the other", time.perf_counter() - begun)

        numbers = iter(range(count, 2 * count))

        async def worker() -> None:
            for number in numbers:
                await one(number)

        begun = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(UNDER_WAY)))
        show(f"{count:,} single writes, {UNDER_WAY} under way", time.perf_counter() - begun)

        begun = time.perf_counter()
        for at in range(2 * count, 3 * count, 1000):
            batch = [record(number) for number in range(at, min(at + 1000, 3 * count))]
            await client.call_tool("record_resources", {"resources": batch})
        show(f"{count:,} in batches of 1,000", time.perf_counter() - begun)


async def reference(count: int, directory: Path) -> None:
    """The reference server's single writes."""
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    if shutil.which("npm") is None:
        print("reference server: skipped, npm is not installed")
        return
    installed = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", REFERENCE],
        cwd=directory, capture_output=True, text=True,
    )  # fmt: skip
    if installed.returncode:
        print(f"reference server: skipped, npm cannot install it: {installed.stderr[:200]}")
        return
    environment = {"MEMORY_FILE_PATH": str(directory / "m.jsonl"), "PATH": os.environ["PATH"]}
    program = directory / "node_modules/.bin/mcp-server-memory"
    transport = StdioTransport(str(program), [], env=environment, keep_alive=False)
    async with Client(transport) as client:
        begun = time.perf_counter()
        for number in range(count):
            entity = {
                "name": f"r-{number}",
                "entityType": "t",
                "observations": [str(record(number))],
            }
            await client.call_tool("create_entities", {"entities": [entity]})
        show(f"reference server: {count:,} single writes", time.perf_counter() - begun)


def fsyncs(count: int, directory: Path) -> None:
    """What the disk itself takes for as many appended and synced lines."""
    with (directory / "fsync").open("wb") as file:
        begun = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 400)
            file.flush()
            os.fdatasync(file.fileno())
    show(f"the disk alone: {count:,} appended lines, each synced", time.perf_counter() - begun)


def reads(size: int, directory: Path) -> None:
    """Time reads at some sizes, up to `size` resources and a tenth as many memories."""
    from opswright_knowledge.records import HOST, MemoryRecord, ResourceRecord
    from opswright_knowledge.store import Store

    store = Store(f"sqlite:///{directory}/large.db")
    stored = 0
    for goal in [step for step in (1_000, 10_000, 100_000, 1_000_000) if step <= size]:
        begun = time.perf_counter()
        added = goal - stored
        while stored < goal:
            upto = min(stored + 1000, goal)
            with store.writing(HOST) as unit:
                unit.resources.put([ResourceRecord(**record(n)) for n in range(stored, upto)])
                memories = [
                    MemoryRecord(text=f"{WORDS[n % 8]} of team{n % 997} failed at step {n}")
                    for n in range(stored, upto, 10)
                ]
                unit.memories.put("agent", memories)
            stored = upto
        each = (time.perf_counter() - begun) / added
        print(f"\n{goal:,} resources: {each * 1e6:.0f} µs to add one in batches of 1,000")
        measure(store, goal)
    store.close()
    print(f"RSS {rss_mb():.0f} MB")


def measure(store: Any, size: int) -> None:
    """Print the median time of each way to read."""
    from opswright_knowledge.records import HOST, ResourceRecord

    def ask(look: Callable[[Any, int], Any]) -> Callable[[int], None]:
        def once(turn: int) -> None:
            with store.reading() as unit:
                look(unit, turn)

        return once

    def write(turn: int) -> None:
        with store.writing(HOST) as unit:
            again = record(turn) | {"status": f"s{size}-{turn}"}
            unit.resources.put([ResourceRecord(**again)])

    ways: dict[str, Callable[[int], None]] = {
        "get by id": ask(lambda u, n: u.resources.get(*_key(n * 7 % size))),
        "page by type": ask(lambda u, n: u.resource_search.find(type=TYPES[n % 6])),
        "page by a rare word": ask(lambda u, n: u.resource_search.find(query=f"r-{n:08x}")),
        "page by a common word": ask(lambda u, n: u.resource_search.find(query=WORDS[n % 8])),
        "page by tag": ask(lambda u, n: u.resource_search.find(tag=f"team=team{n % 50}")),
        "recall rare words": ask(lambda u, n: u.memories.search(["failed", f"team{n * 10 % 997}"])),
        "recall common words": ask(lambda u, n: u.memories.search(["failed", "step"])),
        "single durable write": write,
    }
    for name, once in ways.items():
        times = []
        for turn in range(40):
            begun = time.perf_counter()
            once(turn)
            times.append(time.perf_counter() - begun)
        print(f"  {name:24} p50 {statistics.median(times) * 1000:6.2f} ms")


def _key(number: int) -> tuple[str, str]:
    return TYPES[number % len(TYPES)], f"r-{number:08x}"


def rss_mb() -> float:
    """Resident memory of this process."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1024


def show(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=1_000)
    parser.add_argument("--reference-writes", type=int, default=300)
    parser.add_argument("--resources", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opswright-bench-") as name:
        directory = Path(name)
        fsyncs(arguments.writes, directory)
        asyncio.run(writes(arguments.writes, directory))
        asyncio.run(reference(arguments.reference_writes, directory))
        reads(arguments.resources, directory)


if __name__ == "__main__":
    main()
