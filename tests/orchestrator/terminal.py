"""Runs `opswright` in a shell without a terminal, and in a real pseudo-terminal."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opswright.cli import main

PATIENCE_SECONDS = 90
CARRY_OUT = {"run", "resume", "undo"}


class Terminal:
    """Runs `opswright` as a person's shell would, without a terminal."""

    def __init__(self, tmp_path: Path, config: Path) -> None:
        self.tmp_path, self.config = tmp_path, config
        # Where the tests themselves have a size set, it would go before the terminal's own.
        own = {
            name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}
        }
        self.environment = {**own, "OPSWRIGHT_STATE_DIR": str(tmp_path / "state")}

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command; one that carries out no run in this process, to be quick."""
        if CARRY_OUT.intersection(arguments[:1]):  # DBOS holds on to the streams it finds
            return subprocess.run(
                self.command(*arguments),
                capture_output=True,
                text=True,
                check=False,
                cwd=self.tmp_path,
                env=self.environment,
                timeout=120,
            )
        return self._here(*arguments)

    def _here(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        out, errors = self.tmp_path / "stdout.log", self.tmp_path / "stderr.log"
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(self.tmp_path),
            out.open("w") as to_out,
            errors.open("w") as to_errors,
            open(os.devnull) as nothing,
            contextlib.redirect_stdout(to_out),
            contextlib.redirect_stderr(to_errors),
        ):
            patch.setattr(sys, "stdin", nothing)
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(list(arguments))
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, out.read_text(), errors.read_text())

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "opswright", *arguments]

    def run(self, request: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return self("run", request, "--config", str(self.config), *more)

    @contextlib.contextmanager
    def in_pty(self, *arguments: str, columns: int = 100, **env: str) -> Iterator["Pty"]:
        """Start a command in a pseudo-terminal of 40 lines."""
        primary, secondary = pty.openpty()
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            cwd=self.tmp_path,
            env={**self.environment, "TERM": "xterm-256color", **env},
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )
        os.close(secondary)
        try:
            yield Pty(process, primary)
        finally:
            process.kill()
            process.wait()
            os.close(primary)


def _take_the_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Pty:
    """The person's side of a pseudo-terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self._process, self._descriptor = process, descriptor
        self.raw = ""

    @property
    def text(self) -> str:
        """What was shown so far, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.raw)

    @property
    def pid(self) -> int:
        """The process of the command."""
        return self._process.pid

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, wanted: str) -> None:
        """Read until a text was shown."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"never shown: {wanted!r} in {self.text}"
            assert self._read() or wanted in self.text, f"ended without {wanted!r}: {self.text}"

    def end(self) -> int:
        """Read until the command ends; its exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=PATIENCE_SECONDS)

    def _read(self) -> bool:
        """Read what there is; False once the other side has closed."""
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE_SECONDS)
        if not ready:
            return False
        try:
            read = os.read(self._descriptor, 65536)
        except OSError:  # Linux says so when the last process has left the terminal
            return False
        self.raw += read.decode(errors="replace")
        return bool(read)
