"""The command line over the real servers and a sandbox of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opswright import sandbox
from opswright.sandbox import REGION, Sandbox, sandbox_dir


@dataclass(frozen=True)
class CommandLine:
    """`opswright` with a state directory of its own."""

    state_dir: Path
    cwd: Path

    def __call__(self, *arguments: str, config: Path | None = None) -> tuple[int, Any]:
        """Run a command with --json; its exit code and document."""
        extra = ["--config", str(config)] if config else []
        done = subprocess.run(
            [sys.executable, "-m", "opswright", *arguments, *extra, "--json"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.cwd,
            env=self.environment,
            timeout=170,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    @property
    def environment(self) -> dict[str, str]:
        """The environment without the developer's credentials, settings and keys."""
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("AWS_", "OPSWRIGHT_", "ANTHROPIC_"))
        }
        return {**kept, "OPSWRIGHT_STATE_DIR": str(self.state_dir)}

    @property
    def agents_state_dir(self) -> Path:
        """Where the servers keep their journal and knowledge in the sandbox."""
        return sandbox_dir(self.state_dir)

    @property
    def emulator(self) -> Sandbox:
        """The running sandbox."""
        running = sandbox.status(sandbox_dir(self.state_dir))
        assert running is not None
        return running

    def client(self, service: str) -> Any:
        """A boto3 client of the sandbox's account, to look for oneself."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint,
            region_name=REGION,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )


@pytest.fixture(scope="module")
def opswright(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line; its sandbox is stopped at the end of the module."""
    state_dir = tmp_path_factory.mktemp("state")
    yield CommandLine(state_dir, tmp_path_factory.mktemp("cwd"))
    sandbox.down(sandbox_dir(state_dir))
