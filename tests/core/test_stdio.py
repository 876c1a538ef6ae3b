"""Over stdin and stdout: every message whole, whatever carries it and whatever else is printed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.core.processes import environment

LONGER_THAN_A_PIPE = "ä" * 300_000
CALLS = range(3, 60)

SERVER = """
import os, subprocess, sys, tempfile
from pathlib import Path
from pydantic import BaseModel
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool

class Answer(BaseModel):
    size: int = 0
    text: str = ""

@read_tool
def measure(text: str) -> Answer:
    "Say how long a text is."
    return Answer(size=len(text), text=text[:5000])

@read_tool
def disturb() -> Answer:
    "Print, and read what is there to read."
    print("printed", flush=True)
    os.write(1, b"written")
    subprocess.run(["sh", "-c", "echo said; cat"], check=True)
    return Answer(text=sys.stdin.read())

settings = Settings(state_dir=Path(tempfile.mkdtemp()))
tools = [measure, disturb]
build_server("s", title="S", instructions="-", tools=tools, settings=settings).run("stdio")
print("ended")
"""


def message(method: str, number: int | None = None, **params: Any) -> bytes:
    said = {"jsonrpc": "2.0", "method": method, "params": params}
    more = {} if number is None else {"id": number}
    return json.dumps(said | more, ensure_ascii=False).encode() + b"\n"


def call(number: int, tool: str, **arguments: Any) -> bytes:
    return message("tools/call", number, name=tool, arguments=arguments)


GREETING = message(
    "initialize", 0, protocolVersion="2025-11-25", capabilities={},
    clientInfo={"name": "test", "version": "1"},
) + message("notifications/initialized")  # fmt: skip


@contextmanager
def serving(stdin: Any, stdout: Any, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=environment(TMPDIR=str(log.parent)), stdin=stdin, stdout=stdout, stderr=stderr,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def by_number(lines: bytes) -> dict[int, Any]:
    answers = [json.loads(line) for line in lines.splitlines()]
    return {answer["id"]: answer["result"].get("structuredContent") for answer in answers}


def test_every_message_arrives_whole_however_it_was_cut(tmp_path: Path) -> None:
    sent = [
        GREETING,
        b"no message\n\n\xff\n",
        call(1, "measure", text=LONGER_THAN_A_PIPE),
        *(call(number, "measure", text="x" * 5000) for number in CALLS),
        call(2, "disturb"),
    ]
    whole = b"".join(sent)
    with serving(subprocess.PIPE, subprocess.PIPE, tmp_path / "log") as child:
        assert child.stdin
        assert child.stdout
        for at in range(0, len(whole), 70_001):  # all of it before any answer is read
            child.stdin.write(whole[at : at + 70_001])
            child.stdin.flush()
        found = by_number(b"".join(child.stdout.readline() for _ in [0, 1, 2, *CALLS]))
        child.stdin.close()
        rest = child.stdout.read()
        assert child.wait(timeout=20) == 0
    assert sorted(found) == [0, 1, 2, *CALLS]
    assert found[1]["size"] == len(LONGER_THAN_A_PIPE)
    assert {found[number]["size"] for number in CALLS} == {5000}
    # What a tool and its children print is no message, and the host's lines are not theirs.
    assert found[2]["text"] == ""
    assert rest == b"ended\n"
    log = (tmp_path / "log").read_text()
    assert all(word in log for word in ("printed", "written", "said"))


def test_a_socket_carries_both_ways_and_blocks_again_after(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()  # as Node gives its children
    with ours, theirs, serving(theirs, theirs, tmp_path / "log") as child:
        ours.sendall(GREETING + call(1, "measure", text="x"))
        with ours.makefile("rb") as lines:
            assert by_number(lines.readline() + lines.readline())[1]["size"] == 1
        ours.shutdown(socket.SHUT_WR)
        assert child.wait(timeout=20) == 0
        assert os.get_blocking(theirs.fileno())  # whoever else holds it


def test_a_file_is_read_and_written_too(tmp_path: Path) -> None:
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_bytes(GREETING)
    with (
        asked.open("rb") as stdin,
        answered.open("wb") as stdout,
        serving(stdin, stdout, tmp_path / "log") as child,
    ):
        assert child.wait(timeout=60) == 0
    assert by_number(answered.read_bytes().removesuffix(b"ended\n")) == {0: None}


def test_a_host_that_reads_no_more_ends_the_server_by_closing(tmp_path: Path) -> None:
    with serving(subprocess.PIPE, subprocess.PIPE, tmp_path / "log") as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(GREETING)
        child.stdin.flush()
        child.stdout.readline()
        child.stdout.close()
        child.stdin.write(call(1, "measure", text="x"))
        child.stdin.close()
        child.wait(timeout=20)
    log = (tmp_path / "log").read_text()
    assert "BrokenPipeError" in log  # from printing «ended»
    assert "ExceptionGroup" not in log
