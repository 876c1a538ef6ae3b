"""What the operator of a server chose; read once, in `main`, and passed in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from opswright_core.errors import BadInputError

ApprovalPolicy = Literal["token", "elicit", "out-of-band", "deny", "auto"]
Mind = Literal["auto", "claude", "skills"]
Answers = Literal["both", "structured"]

DEFAULT_MODEL = "claude-sonnet-5-5"


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """`OPSWRIGHT_STATE_DIR`, or the platform's state directory for opswright."""
    if chosen := environ.get("OPSWRIGHT_STATE_DIR"):
        return Path(chosen).expanduser()
    from platformdirs import user_state_path

    return user_state_path("opswright", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A server's settings; `from_environment` fills them from `OPSWRIGHT_*` variables."""

    allow_writes: bool = False
    toolsets: frozenset[str] = frozenset({"default"})
    approvals: ApprovalPolicy = "token"
    mind: Mind = "auto"
    model: str = DEFAULT_MODEL
    state_dir: Path = field(default_factory=state_directory)
    answers: Answers = "both"
    """`structured` makes the text of an answer one line, for hosts that pass both forms on."""
    wait_seconds: float = 25.0
    """How long a call may wait before it answers `working`; hosts give up at 30-60 s."""
    approval_seconds: float = 600.0
    """How long an approval can be used."""
    elicit_seconds: float = 120.0
    """How long the host's user may take to answer a question about a change."""
    reading_seconds: float = 1.0
    """What is declined sooner was declined by the host: no person reads a plan so fast."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read `OPSWRIGHT_ALLOW_WRITES`, `_TOOLSETS`, `_APPROVALS`, `_MIND`, `_MODEL` and so on."""
        approvals = environ.get("OPSWRIGHT_APPROVALS", "token")
        mind = environ.get("OPSWRIGHT_MIND", "auto")
        answers = environ.get("OPSWRIGHT_ANSWERS", "both")
        return cls(
            allow_writes=environ.get("OPSWRIGHT_ALLOW_WRITES", "").lower() in {"1", "true", "yes"},
            toolsets=parse_toolsets(environ.get("OPSWRIGHT_TOOLSETS", "default")),
            approvals=_one_of(ApprovalPolicy, approvals, "OPSWRIGHT_APPROVALS"),
            mind=_one_of(Mind, mind, "OPSWRIGHT_MIND"),
            model=environ.get("OPSWRIGHT_MODEL") or DEFAULT_MODEL,
            state_dir=state_directory(environ),
            answers=_one_of(Answers, answers, "OPSWRIGHT_ANSWERS"),
        )


def parse_toolsets(text: str) -> frozenset[str]:
    """`a, b` → {"a", "b"}; empty means the default toolset."""
    return frozenset(part.strip() for part in text.split(",") if part.strip()) or frozenset(
        {"default"}
    )


def _one_of(choices: Any, value: str, source: str) -> Any:
    if value not in get_args(choices):
        raise BadInputError(
            f"{source} is {value!r}; it takes one of {', '.join(get_args(choices))}"
        )
    return value
