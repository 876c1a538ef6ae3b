"""A second AWS emulator, for what moto does not do: change sets, roll-back and drift of stacks."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / ".tools" / "ministack" / "bin" / "ministack"
"""It pins another botocore than ours, so it lives in an environment of its own."""

WAIT_SECONDS = 60


@contextmanager
def running(log: Path) -> Iterator[str]:
    """Run ministack on a free port of 127.0.0.1; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",  # no container is wanted
    }
    endpoint = f"http://127.0.0.1:{port}"
    with log.open("wb") as said:
        child = subprocess.Popen([str(PROGRAM)], env=environment, stdout=said, stderr=said)
        try:
            _await(endpoint, child, log)
            yield endpoint
        finally:
            child.terminate()
            child.wait(timeout=20)


def reset(endpoint: str) -> None:
    """Empty every account of it."""
    request = urllib.request.Request(f"{endpoint}/_ministack/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def _await(endpoint: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"ministack did not start: {log.read_text()[-500:]}")
