"""`opswright doctor`: what is needed, what was found, how to mend it."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from opswright import sandbox
from opswright.config import ConfigError, load_servers
from opswright.registry import Registry
from opswright.sandbox import sandbox_dir
from opswright.session import Place


class Line(BaseModel):
    """One thing that was looked at. `ok` is False only for what keeps opswright from working."""

    what: str
    ok: bool
    found: str
    mend: str = ""


async def examine(config: Path | None, state_dir: Path) -> list[Line]:
    """Look at the machine, the state directory, the agents, the model key and the sandbox."""
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        Line(what="python", ok=True, found=version),
        _state(state_dir),
        *await _agents(config, state_dir),
        _model(),
        _sandbox(state_dir),
    ]


def _state(state_dir: Path) -> Line:
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = state_dir / ".doctor"
        probe.write_text("ok")
        probe.unlink()
    except OSError as exc:
        return Line(
            what="state directory",
            ok=False,
            found=str(exc),
            mend="choose a writable one with OPSWRIGHT_STATE_DIR",
        )
    return Line(what="state directory", ok=True, found=str(state_dir))


async def _agents(config: Path | None, state_dir: Path) -> list[Line]:
    try:
        servers = load_servers(config)
    except ConfigError as exc:
        return [
            Line(
                what="configuration",
                ok=False,
                found=str(exc),
                mend="correct the file, or leave --config out",
            )
        ]
    registry = Registry(servers, Place(state_dir).environment(), state_dir / "logs")
    try:
        await registry.connect()
        lines = []
        for name, agent in registry.agents.items():
            if agent.is_up:
                skills = len(agent.card.get("skills", []))
                lines.append(
                    Line(
                        what=f"agent {name}",
                        ok=True,
                        found=f"{len(agent.tools)} tools, {skills} skills",
                    )
                )
            else:
                mend = f"start it by hand to see why: {servers[name].command or servers[name].url}"
                lines.append(
                    Line(
                        what=f"agent {name}",
                        ok=False,
                        found=agent.error or "not reached",
                        mend=mend,
                    )
                )
        return lines
    finally:
        await registry.close()


def _model() -> Line:
    if not os.environ.get("ANTHROPIC_API_KEY"):
        return Line(
            what="model",
            ok=True,
            found="none: plans come from blueprints and skills",
            mend="set ANTHROPIC_API_KEY to let Claude work in the agents",
        )
    if find_spec("anthropic") is None:
        return Line(
            what="model",
            ok=False,
            found="a key, but no anthropic package",
            mend="pip install 'opswright[claude]'",
        )
    return Line(what="model", ok=True, found="ANTHROPIC_API_KEY is set")


def _sandbox(state_dir: Path) -> Line:
    running = sandbox.status(sandbox_dir(state_dir))
    if running:
        return Line(what="sandbox", ok=True, found=f"runs at {running.endpoint}")
    if find_spec("moto") is None:
        return Line(
            what="sandbox", ok=True, found="not installed", mend="pip install 'opswright[sandbox]'"
        )
    return Line(
        what="sandbox", ok=True, found="installed, not running", mend="opswright sandbox up"
    )
