"""Servers as processes, for tests of what only a process shows."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELF = [sys.executable, str(ROOT / "tests/core/shelf.py")]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def serving(
    command: Sequence[str], state_dir: Path, *flags: str, host: str = "127.0.0.1", **extra: str
) -> Iterator[str]:
    """Run a server over HTTP on a free port; gives its base address once it answers."""
    port = free_port()
    speaking = ["--http"] if "serve" in command else ["--transport", "http"]
    arguments = [*speaking, "--port", str(port)]
    path = state_dir.parent / f"server-{port}.log"
    with path.open("ab") as log:
        child = subprocess.Popen(
            [*command, *arguments, "--host", host, *flags],
            env=environment(OPSWRIGHT_STATE_DIR=str(state_dir), **extra),
            stdout=log,
            stderr=log,
        )
        try:
            base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"{base}/health", timeout=5).close()
                    break
                except OSError:
                    assert child.poll() is None, path.read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield base
        finally:
            child.terminate()
            child.wait(timeout=20)
