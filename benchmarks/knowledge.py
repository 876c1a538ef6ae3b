"""What the knowledge store costs: over stdio beside the npm reference memory server, and at size.

Writes go over stdio to our server on SQLite, one record a call, one after the other and 50 under
way at a time; to the reference server one after the other (concurrent ones would be lost). Each is
durable when it is acknowledged: ours by an fsync, of which the disk's own time is shown beside. The
reference server rewrites its whole file for each write, so that it gets a part of the writes.

Then one server takes in `--resources` resources and a tenth as many memories, and answers at each
power of ten on the way: the median round trip, the processor time that the server takes for a
call, and its memory. `--resources 1000000` is the size of the promises; it takes five to ten
minutes. `--url` puts it all on an empty PostgreSQL instead; the goals are for the round trip then.
Exits with 1 when a goal is missed. Linux only (/proc).
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REFERENCE = "@modelcontextprotocol/server-memory@2026.8.31"
UNDER_WAY = 50
BATCHED = 10_000
ROUNDS = 40
MOST_MS, MOST_RSS_MB, MOST_GROWTH = 10.0, 120.0, 3.0
"""Goals: the server's processor time for a call, which a busy machine changes less than the round
trip beside it; the server's memory; its time for a call beside that at 1,000 resources."""

Call = tuple[str, dict[str, Any]]
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


async def writes(count: int, directory: Path, url: str | None) -> None:
    """Single writes and batches over stdio."""
    from fastmcp import Client

    async with Client(serving(directory, url)) as client:
        await client.call_tool("find_resources", {})
        pid = server_of(os.getpid())

        async def one(number: int) -> None:
            await client.call_tool("record_resources", {"resources": [record(number)]})

        begun, used = time.perf_counter(), cpu_seconds(pid)
        for number in range(count):
            await one(number)
        show(f"{count:,} single writes, one after the other", begun, cpu_seconds(pid) - used)

        numbers = iter(range(count, 2 * count))

        async def worker() -> None:
            for number in numbers:
                await one(number)

        begun, used = time.perf_counter(), cpu_seconds(pid)
        await asyncio.gather(*(worker() for _ in range(UNDER_WAY)))
        show(f"{count:,} single writes, {UNDER_WAY} under way", begun, cpu_seconds(pid) - used)

        begun, used = time.perf_counter(), cpu_seconds(pid)
        for at in range(2 * count, 2 * count + BATCHED, 1000):
            await client.call_tool(
                "record_resources", {"resources": [record(n) for n in range(at, at + 1000)]}
            )
        show(f"{BATCHED:,} in batches of 1,000", begun, cpu_seconds(pid) - used)


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
        show(f"reference server: {count:,} single writes", begun)


def fsyncs(count: int, directory: Path) -> None:
    """What the disk itself takes for as many appended and synced lines."""
    with (directory / "fsync").open("wb") as file:
        begun = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 400)
            file.flush()
            os.fdatasync(file.fileno())
    show(f"the disk alone: {count:,} appended lines, each synced", begun)


def serving(directory: Path, url: str | None) -> Any:
    """Starts our server on the SQLite file of a directory, or on the database of a URL."""
    from fastmcp.client.transports import StdioTransport

    environment = {"OPSWRIGHT_STATE_DIR": str(directory), "PATH": os.environ["PATH"]}
    if url is not None:
        environment |= {
            "OPSWRIGHT_KNOWLEDGE_URL": url,
            "OPSWRIGHT_KNOWLEDGE_NAMESPACE": directory.name,
        }
    return StdioTransport(
        sys.executable, ["-m", "opswright_knowledge"], env=environment, keep_alive=False
    )


async def at_size(size: int, directory: Path, url: str | None) -> bool:
    """Fill one server up to `size` and measure on the way; whether the goals are met."""
    from fastmcp import Client

    steps = [step for step in (1_000, 10_000, 100_000, 1_000_000) if step <= size]
    first: dict[str, float] = {}
    met = True
    stored = 0
    async with Client(serving(directory, url)) as client:
        await client.call_tool("find_resources", {})
        pid = server_of(os.getpid())
        for goal in steps:
            begun, used, added = time.perf_counter(), cpu_seconds(pid), goal - stored
            while stored < goal:
                await fill(client, stored)
                stored += 1000
            each = (time.perf_counter() - begun) / added * 1e6
            cost = (cpu_seconds(pid) - used) / added * 1e6
            print(f"\n{goal:,} resources, {each:.0f} µs each to add (server {cost:.0f} CPU-µs)")
            for name, calls in ways(goal, await deep(client, goal)).items():
                p50, cpu = await timed(client, pid, calls)
                spent = cpu if url is None else p50  # another process does a PostgreSQL's work
                growth = spent / first.setdefault(name, max(spent, 1.0))
                good = spent <= MOST_MS and growth <= MOST_GROWTH
                met = met and good
                missed = "" if good else "  MISSED"
                print(f"  {name:28} p50 {p50:7.2f} ms   {cpu:6.2f} CPU-ms  x{growth:.1f}{missed}")
        peak = peak_mb(pid)
        print(f"\nserver: at most {peak:.0f} MB resident, all writes and reads included")
    return met and peak <= MOST_RSS_MB


async def fill(client: Any, begin: int) -> None:
    """Record the next 1,000 resources and 100 memories."""
    resources = [record(number) for number in range(begin, begin + 1000)]
    await client.call_tool("record_resources", {"resources": resources})
    memories = [
        {"text": f"{WORDS[n // 10 % 8]} of team{n // 10 % 997} failed at step {n}"}
        for n in range(begin, begin + 1000, 10)
    ]
    await client.call_tool("remember", {"agent": "agent", "memories": memories})


def ways(size: int, cursors: dict[str, str]) -> dict[str, list[Call]]:
    """The calls of each way to ask, for a store of so many resources."""

    def find(**asked: Any) -> Call:
        return "find_resources", asked

    some = [number * 7919 % size for number in range(ROUNDS)]
    kinds = [TYPES[n % 6] for n in some]
    return {
        "get by id": [find(id=f"r-{n:08x}") for n in some],
        "page by type": [find(type=kind) for kind in kinds],
        "page by type, deep": [find(type=kind, cursor=cursors[kind]) for kind in kinds],
        "page by a rare word": [find(query=f"r-{n:08x}") for n in some],
        "page by a common word": [find(query=WORDS[n % 8]) for n in some],
        "page by tag": [find(tag=f"team=team{n % 50}") for n in some],
        "page by attribute": [find(attribute=f"owner=team{n % 50}") for n in some],
        "page by region": [find(region="eu-west-1", type=kind) for kind in kinds],
        "recall rare words": [("recall", {"query": f"failed team{n % 997}"}) for n in some],
        "recall common words": [("recall", {"query": "failed step"})] * ROUNDS,
        "walk relations": [
            ("walk_relations", {"id": f"r-{n // 100:08x}", "depth": 2}) for n in some
        ],
        "changes since a revision": [
            ("changes_since", {"revision": size - 100 - n % 100}) for n in some
        ],
        "changes since long ago": [("changes_since", {"revision": 0})] * ROUNDS,
        "single durable write": [
            ("record_resources", {"resources": [record(n) | {"status": f"at {size}"}]})
            for n in some
        ],
    }


async def deep(client: Any, size: int) -> dict[str, str]:
    """The cursors of pages nine tenths down the list of each type."""
    cursors = {}
    for kind in TYPES:
        page = (await client.call_tool("find_resources", {"type": kind})).structured_content
        padded = page["cursor"] + "=" * (-len(page["cursor"]) % 4)
        place = json.loads(base64.urlsafe_b64decode(padded))
        place[-1] = f"r-{size * 9 // 10:08x}"
        cursors[kind] = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    return cursors


async def timed(client: Any, pid: int, calls: list[Call]) -> tuple[float, float]:
    """(median round trip, the server's processor time for a call), in ms."""
    await client.call_tool(*calls[0])
    times = []
    used = cpu_seconds(pid)
    for call in calls:
        begun = time.perf_counter()
        await client.call_tool(*call)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e3, (cpu_seconds(pid) - used) / len(calls) * 1e3


def server_of(parent: int) -> int:
    """The process id of the server that this process has started last."""
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[-1])


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, its finished threads included."""
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) makes of it


def peak_mb(pid: int) -> float:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def show(what: str, begun: float, cpu: float | None = None) -> None:
    used = "" if cpu is None else f"   (server {cpu:.2f} CPU-s)"
    print(f"{what}: {time.perf_counter() - begun:.2f} s{used}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=1_000)
    parser.add_argument("--reference-writes", type=int, default=300)
    parser.add_argument("--resources", type=int, default=10_000)
    parser.add_argument("--url", help="an empty PostgreSQL database, instead of SQLite")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opswright-bench-") as name:
        directory = Path(name)
        fsyncs(arguments.writes, directory)
        asyncio.run(writes(arguments.writes, directory, arguments.url))
        asyncio.run(reference(arguments.reference_writes, directory))
        (directory / "size").mkdir()
        met = asyncio.run(at_size(arguments.resources, directory / "size", arguments.url))
    sys.exit(not met)


if __name__ == "__main__":
    main()
