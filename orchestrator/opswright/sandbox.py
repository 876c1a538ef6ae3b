"""An AWS emulator (moto) as a child process, for the demo and the tests.

It outlives the command that started it, so that `run`, `status` and `undo` work one after another,
and keeps its state for as long as it runs. moto is not thread-safe, so it is served by one thread.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REGION = "eu-west-1"
START_SECONDS = 60.0

_started: list["subprocess.Popen[bytes]"] = []
"""Children of this process, kept so that they are not collected while they run."""


def sandbox_dir(state_dir: Path) -> Path:
    """The state directory of the sandbox, apart from that of real accounts."""
    return state_dir / "sandbox"


class SandboxError(Exception):
    """The sandbox could not be started or is not there."""


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that runs: `endpoint` is what AWS_ENDPOINT_URL is set to."""

    endpoint: str
    pid: int

    def environment(self) -> dict[str, str]:
        """Return the variables that send the AWS calls of a child process here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def up(state_dir: Path) -> Sandbox:
    """Return the running sandbox of a state directory, started if need be. Raises SandboxError."""
    if running := status(state_dir):
        return running
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _file(state_dir).unlink(missing_ok=True)
    log_path = state_dir / "sandbox.log"
    with log_path.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "opswright.sandbox", str(state_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ,
                "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
                "MOTO_ACM_VALIDATION_WAIT": "0",  # seconds; a minute by default
            },
        )
    _started.append(child)
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if running := status(state_dir):
            return running
        time.sleep(0.05)
    child.kill()
    last = log_path.read_text(errors="replace").strip().splitlines()[-1:] or ["it wrote nothing"]
    hint = "; install it with `pip install 'opswright[sandbox]'`" if "moto" in last[0] else ""
    raise SandboxError(f"the sandbox did not start: {last[0]}{hint} (log: {log_path})")


def down(state_dir: Path) -> bool:
    """Stop the sandbox and forget its state; False when none ran."""
    running = status(state_dir)
    _file(state_dir).unlink(missing_ok=True)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while _runs(running.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _runs(running.pid):
        os.kill(running.pid, signal.SIGKILL)
    return True


def status(state_dir: Path) -> Sandbox | None:
    """Return the sandbox of a state directory if it runs."""
    try:
        known = Sandbox(**json.loads(_file(state_dir).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return known if _runs(known.pid) else None


def _file(state_dir: Path) -> Path:
    return state_dir / "sandbox.json"


def _runs(pid: int) -> bool:
    for child in _started:
        if child.pid == pid:
            return child.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _mend_moto() -> None:
    """Let instances follow their launch template; moto 5.2.5 falls short in two places.

    It parses user data when a template is made but not when a version is added, and then fails on
    its own assertion (ec2/models/launch_templates.py); and it starts instances without the
    template's metadata options, with a spare root volume beside the template's disks
    (ec2/models/instances.py).
    """
    from moto.core.types import Base64EncodedString
    from moto.ec2.models.instances import InstanceBackend
    from moto.ec2.models.launch_templates import LaunchTemplateVersion

    def user_data(version: Any) -> Any:
        data = version.data.get("UserData")
        return Base64EncodedString(data) if isinstance(data, str) else data

    start = InstanceBackend.run_instances

    def run_instances(backend: Any, *args: Any, **kwargs: Any) -> Any:
        if template := kwargs.get("launch_template"):
            data = backend._get_template_from_args(template).data
            followed = {
                "metadata_options": data.get("MetadataOptions"),
                "block_device_mappings": data.get("BlockDeviceMappings"),
            }
            kwargs = {**{name: value for name, value in followed.items() if value}, **kwargs}
        return start(backend, *args, **kwargs)

    setattr(LaunchTemplateVersion, "user_data", property(user_data))  # noqa: B010 (for mypy)
    setattr(InstanceBackend, "run_instances", run_instances)  # noqa: B010 (for mypy)


def _serve(state_dir: Path) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    _mend_moto()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=False)
    sandbox = Sandbox(f"http://127.0.0.1:{server.server_port}", os.getpid())
    written = _file(state_dir).with_suffix(".tmp")
    written.write_text(json.dumps(asdict(sandbox)))
    written.replace(_file(state_dir))
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
