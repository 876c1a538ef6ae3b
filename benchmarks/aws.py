"""What it takes aws_devops to see a large account: calls, time and memory of the inventory.

The account is a loopback stub in a process of its own (`reference/aws_account.py`) that speaks the
services' protocols, pages as they do, and answers each call after 30 ms. The server is a real one
on stdio. Its calls are held against those of an ideal pager, which reads full pages and the largest
batches. Then the plan of a three-tier network, with the stub answering at once. Linux only (/proc).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SERVER = Path(sys.executable).parent / "opswright-aws-devops"
GOAL_CALLS = 1.3
GOAL_SECONDS = 10.0
GOAL_RSS_MB = 150
GOAL_PLAN_MS = 50.0
DELAY_MS = 30
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


@contextlib.contextmanager
def account() -> Iterator[str]:
    """The stub's address."""
    stub = [sys.executable, str(HERE / "reference/aws_account.py")]
    with subprocess.Popen(stub, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


class Server:
    """The server on stdio."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._number = 0
        self._request("initialize", HELLO)
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's structured content."""
        result = self._request("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result["content"][0]["text"]
        content: dict[str, Any] = result["structuredContent"]
        return content

    @property
    def rss_mb(self) -> float:
        """The most memory that it ever held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == self._number:
                result: dict[str, Any] = message["result"]
                return result
        raise RuntimeError("the server ended")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()


@contextlib.contextmanager
def server(endpoint: str, *flags: str) -> Iterator[Server]:
    """A server of its own, that has read nothing yet."""
    with tempfile.TemporaryDirectory() as state:
        environ = {
            **os.environ,
            "OPSWRIGHT_STATE_DIR": state, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        }  # fmt: skip
        with subprocess.Popen(
            [str(SERVER), *flags],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True,
        ) as process:  # fmt: skip
            try:
                yield Server(process)
            finally:
                process.kill()


def told(endpoint: str, path: str) -> dict[str, Any]:
    """What the stub says of itself."""
    with urllib.request.urlopen(f"{endpoint}/bench/{path}") as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def inventory(endpoint: str) -> tuple[float, float, dict[str, Any]]:
    """Seconds of a server's first and of its second reading, and what the stub saw of a third."""
    with server(endpoint) as client:
        seconds = []
        for _ in range(2):
            told(endpoint, f"delay/{DELAY_MS}")
            begun = time.perf_counter()
            listed = client.call("list_resources")
            seconds.append(time.perf_counter() - begun)
        seen = told(endpoint, "calls")
        assert listed["unread"] == [], listed["unread"]
        assert listed["total"] == seen["resources"], (listed["total"], seen["resources"])
        return seconds[0], seconds[1], {**seen, "rss_mb": client.rss_mb}


def plan_ms(endpoint: str, times: int) -> float:
    """Milliseconds of a dry run, the median."""
    told(endpoint, "delay/0")
    with server(endpoint, "--allow-writes") as client:
        taken = []
        for _ in range(times + 1):
            begun = time.perf_counter()
            change = client.call("create_network", name="plan", dry_run=True)
            taken.append(1000 * (time.perf_counter() - begun))
            assert change["status"] == "planned", change
        return statistics.median(taken[1:])  # the first makes the clients, and the stub its answers


def measure(rounds: int) -> bool:
    """Print the figures; True when a goal is missed."""
    with account() as endpoint:
        inventory(endpoint)  # the stub makes its answers
        readings = [inventory(endpoint) for _ in range(rounds)]
        plan = plan_ms(endpoint, 20)
    first = statistics.median(reading[0] for reading in readings)
    again = statistics.median(reading[1] for reading in readings)
    seen = readings[0][2]
    ratio = seen["calls"] / seen["ideal"]
    rss = max(reading[2]["rss_mb"] for reading in readings)
    print(f"load {os.getloadavg()[0]:.1f}; {seen['resources']} resources, {DELAY_MS} ms a call")
    print(f"calls      {seen['calls']:6} {ratio:6.2f} x the ideal {seen['ideal']}"
          f"   goal {GOAL_CALLS}")  # fmt: skip
    ideal_seconds = seen["ideal"] * DELAY_MS / 1000
    print(f"first      {first:6.2f} s {first / ideal_seconds:5.2f} x the ideal calls one by one"
          f"   goal {GOAL_SECONDS} s")  # fmt: skip
    print(f"again      {again:6.2f} s {again / ideal_seconds:5.2f} x")
    print(f"memory     {rss:6.0f} MB   goal {GOAL_RSS_MB} MB")
    print(f"plan       {plan:6.1f} ms   goal {GOAL_PLAN_MS} ms")
    return (
        ratio > GOAL_CALLS or first > GOAL_SECONDS or rss > GOAL_RSS_MB or plan > GOAL_PLAN_MS
    )  # fmt: skip


def main() -> int:
    """Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="servers measured (default: 3)")
    return int(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    sys.exit(main())
