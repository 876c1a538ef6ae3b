"""A PostgreSQL server of the tests' own: a throw-away cluster on a free port of 127.0.0.1."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
USER = "postgres"


def binaries() -> Path | None:
    """Where pg_ctl and initdb are, or None on a machine without PostgreSQL."""
    if INSTALLED:
        return INSTALLED[-1]
    found = shutil.which("pg_ctl")
    return Path(found).parent if found else None


@dataclass(frozen=True)
class Postgres:
    """A running cluster. PostgreSQL refuses to run as root, so root hands it to `postgres`."""

    home: Path
    port: int
    bin: Path

    @classmethod
    def create(cls, bin_dir: Path) -> "Postgres":
        """Make a cluster and start it."""
        home = Path(tempfile.mkdtemp(prefix="opswright-postgres-"))
        if os.getuid() == 0:
            os.chown(home, pwd.getpwnam(USER).pw_uid, -1)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made = cls(home, port, bin_dir)
        made._run(
            "initdb", "--pgdata", f"{home}/data", "--username", USER, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        made.start()
        return made

    def start(self) -> None:
        """Start the cluster and wait until it answers."""
        # Durability of the cluster itself is not under test; fsync on a busy machine is.
        options = f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = f"{self.home}/log"
        self._run("pg_ctl", "start", "-w", "-D", f"{self.home}/data", "-l", log, "-o", options)

    def stop(self, how: str = "immediate") -> None:
        """Stop it: `immediate` is a crash, `fast` ends the connections in order."""
        self._run("pg_ctl", "stop", "-w", "-m", how, "-D", f"{self.home}/data")

    def new_database(self) -> str:
        """An empty database's URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        """Stop the cluster and delete its files."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *args: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        # Not captured by pipe: the server would inherit it, and reading to its end never ended.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                [*as_user, str(self.bin / program), *args],
                cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=60,
            )  # fmt: skip
            if done.returncode:
                said.seek(0)
                raise RuntimeError(f"{program} failed: {said.read()}")
