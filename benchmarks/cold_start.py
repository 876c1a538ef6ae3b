"""What a server costs its host before it is of use: from spawn to tools/list, on stdio.

CPU-seconds (user and system, of the server's process) and resident memory of each of the six
servers, beside a FastMCP server and an SDK server with one tool each, started in turn in the same
run so that whatever else the machine does falls on all of them; and the orchestrator's command
line, from spawn to its end. Linux only (/proc).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFERENCE = "FastMCP hello"
GOAL_RATIO = 1.0
GOAL_RSS_MB = 110
GOAL_HELP_SECONDS = 0.3
EVERY_TOOL = ["--allow-writes", "--toolsets", "all"]
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
SERVERS = ("aws-devops", "cicd", "metrics", "security", "cost", "knowledge")
ENTRANTS: dict[str, list[str]] = {
    REFERENCE: [sys.executable, str(HERE / "reference/fastmcp_hello.py")],
    "SDK hello": [sys.executable, str(HERE / "reference/sdk_hello.py")],
    **{f"opswright-{name}": [str(BIN / f"opswright-{name}")] for name in SERVERS},
}
CLIENT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


@dataclass(frozen=True)
class Start:
    """One start of one server."""

    cpu_seconds: float
    rss_mb: float
    tools: int


def start(command: list[str], state_dir: str) -> Start:
    """Start a server, list its tools, and read what that has cost so far."""
    environ = {**os.environ, "OPSWRIGHT_STATE_DIR": state_dir}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    ) as server:
        _send(server, id=0, method="initialize", params=CLIENT)
        _answer(server, 0)
        _send(server, method="notifications/initialized")
        _send(server, id=1, method="tools/list", params={})
        tools = _answer(server, 1)["tools"]
        measured = Start(_cpu_seconds(server.pid), _rss_mb(server.pid), len(tools))
        server.kill()
    return measured


def help_cpu_seconds() -> float:
    """The CPU-seconds of `opswright --help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(BIN / "opswright"), "--help"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _send(server: subprocess.Popen[str], **message: Any) -> None:
    assert server.stdin
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()


def _answer(server: subprocess.Popen[str], number: int) -> dict[str, Any]:
    assert server.stdout
    for line in server.stdout:
        message = json.loads(line)
        if message.get("id") == number:
            result: dict[str, Any] = message["result"]
            return result
    raise RuntimeError(f"{server.args!r} ended without an answer")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ours(name: str) -> bool:
    """Whether a server of the table is one that the goal is for."""
    return name.startswith("opswright-")


def main() -> int:
    """Print the table; exit code 1 when a server misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (default: 7)")
    parser.add_argument("--only", help="only our servers whose name contains this")
    parser.add_argument(
        "--every-tool",
        action="store_true",
        help="our servers with all toolsets and writes, as the orchestrator starts them",
    )
    arguments = parser.parse_args()
    chosen = {
        name: command + (EVERY_TOOL if ours(name) and arguments.every_tool else [])
        for name, command in ENTRANTS.items()
        if not ours(name) or (arguments.only or "") in name
    }
    starts: dict[str, list[Start]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as state_dir:
        for name, command in chosen.items():  # compiles what is not compiled; not counted
            start(command, f"{state_dir}/{name}")
        for _ in range(arguments.rounds):
            for name, command in chosen.items():
                starts[name].append(start(command, f"{state_dir}/{name}"))
    reference = _median(starts[REFERENCE], "cpu_seconds")
    missed = False
    print(f"{'':24}{'CPU-s':>8}{'ratio':>8}{'RSS MB':>8}{'tools':>7}")
    for name, runs in starts.items():
        cpu_seconds, rss_mb = _median(runs, "cpu_seconds"), _median(runs, "rss_mb")
        ratio = cpu_seconds / reference
        line = f"{name:24}{cpu_seconds:8.2f}{ratio:8.2f}{rss_mb:8.0f}{runs[0].tools:7}"
        over = ours(name) and (ratio > GOAL_RATIO or rss_mb > GOAL_RSS_MB)
        missed |= over
        print(line + ("  over the goal" if over else ""))
    help_seconds = statistics.median(help_cpu_seconds() for _ in range(arguments.rounds))
    missed |= help_seconds > GOAL_HELP_SECONDS
    print(f"{'opswright --help':24}{help_seconds:8.2f}")
    print(
        f"Median of {arguments.rounds} starts each, in turn. Goal: ratio at most {GOAL_RATIO}, RSS "
        f"at most {GOAL_RSS_MB} MB, --help at most {GOAL_HELP_SECONDS} CPU-s."
    )
    return int(missed)


def _median(runs: list[Start], field: str) -> float:
    return statistics.median([float(getattr(run, field)) for run in runs])


if __name__ == "__main__":
    sys.exit(main())
