"""`opswright-cost doctor`: what a server needs, what was found, how to mend it."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from opswright_core.aws import Aws, translate
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.permissions import actions_of, denied_actions, policies, principal_arn
from opswright_core.runtime import Runtime
from opswright_core.settings import Settings

State = Literal["ok", "problem", "unknown"]
MOST_NAMED = 12


class Line(BaseModel):
    """One thing that was looked at. What could not be read is `unknown`, never `ok`."""

    model_config = ConfigDict(frozen=True)
    what: str
    state: State
    found: str
    mend: str = ""


Examination = Callable[[Settings], Line]
"""A server's own look at something it needs, such as a command on the PATH."""


async def examine(server: Any) -> list[Line]:
    """Look at what a server needs, with the tools that its settings offer.

    Nothing is changed but the state directory, which is made when it is not there.
    """
    rt: Runtime = server.opswright_runtime
    lines = [_python(), _state(rt), _journal(rt)]
    reads, changes = await _actions(server)
    if rt.permissions is None:
        why = "this server does not declare what its tools need"
        lines.append(Line(what="permissions", state="unknown", found=why))
    elif any(rt.permissions.values()):
        lines += _aws(rt, sorted({*reads, *changes}))
    lines.append(_model(rt.settings))
    return [*lines, *(look(rt.settings) for look in rt.examinations)]


async def iam_policies(server: Any) -> list[dict[str, Any]]:
    """The least IAM policy for the tools on offer, in documents that each fit a managed policy.

    Raises BadInputError when none is declared.
    """
    rt: Runtime = server.opswright_runtime
    if rt.permissions is None:
        raise BadInputError(f"the {rt.server} server does not declare what its tools need")
    return policies(*await _actions(server))


async def _actions(server: Any) -> tuple[list[str], list[str]]:
    """What the reading tools on offer need, and what the changing ones do."""
    declared = server.opswright_runtime.permissions or {}
    tools = await server.list_tools()
    changing = {t.name for t in tools if t.tags & {"write", "destructive"}}
    reading = {t.name for t in tools} - changing
    return actions_of(declared, reading), actions_of(declared, changing)


def _python() -> Line:
    found = ".".join(map(str, sys.version_info[:3]))
    return Line(what="python", state="ok", found=f"{found} at {sys.executable}")


def _state(rt: Runtime) -> Line:
    place = rt.settings.state_dir
    probe = place / f".doctor-{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_text("ok", encoding="utf-8")
        probe.unlink()
    except OSError as exc:
        mend = "make it writable, or choose another with OPSWRIGHT_STATE_DIR or --state-dir"
        return Line(what="state directory", state="problem", found=str(exc), mend=mend)
    return Line(what="state directory", state="ok", found=f"{place} is writable")


def _journal(rt: Runtime) -> Line:
    if not rt.journal.path.exists():
        return Line(what="journal", state="ok", found="none yet; the first change begins it")
    try:
        broken = rt.journal.broken_at()
    except Exception as exc:  # whatever a damaged file makes SQLite or the parser say
        mend = "move the file away and keep it; a new one is begun. Undo of earlier changes is lost"
        return Line(what="journal", state="problem", found=f"cannot be read: {exc}", mend=mend)
    if broken is not None:
        mend = f"compare {rt.journal.path} with a backup: an event was altered or removed"
        return Line(what="journal", state="problem", found=f"broken at {broken}", mend=mend)
    return Line(what="journal", state="ok", found=f"intact, {rt.journal.length()} events")


def _aws(rt: Runtime, actions: list[str]) -> list[Line]:
    try:
        session = rt.aws_sessions.open()
        caller, account = session.caller_arn, session.account_id
        endpoint = session.client("sts").meta.endpoint_url
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, OpswrightError):
            raise
        return [  # the error says itself how to mend it
            Line(what="AWS credentials", state="problem", found=str(error)),
            Line(what="permissions", state="unknown", found="there is no one to ask about"),
        ]
    return [
        Line(what="AWS credentials", state="ok", found=f"{caller} in account {account}"),
        Line(what="region", state="ok", found=f"{session.region}, from {_region_source()}"),
        _endpoint(session, endpoint),
        _permissions(session, caller, actions),
    ]


def _region_source() -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return name
    return f"the profile {os.environ.get('AWS_PROFILE', 'default')}"


def _endpoint(session: Aws, sts: str) -> Line:
    if session.is_emulator:
        return Line(what="endpoint", state="ok", found=f"an emulator at {sts}; no real account")
    if sts.startswith(("http://127.", "http://localhost", "http://[::1]")):
        return Line(
            what="endpoint",
            state="problem",
            found=f"{sts} for some services, the real AWS for others; treated as real",
            mend="set AWS_ENDPOINT_URL for all services, or unset every AWS_ENDPOINT_URL_…",
        )
    return Line(what="endpoint", state="ok", found=f"the real AWS ({sts})")


def _permissions(session: Aws, caller: str, actions: list[str]) -> Line:
    def line(state: State, found: str, mend: str = "") -> Line:
        return Line(what="permissions", state=state, found=found, mend=mend)

    if not actions:
        return line("ok", "the chosen toolsets need none")
    if session.is_emulator:
        return line("unknown", f"an emulator grants all of the {len(actions)} that are needed")
    see = "compare them with `doctor --iam-policy`"
    try:
        iam = session.client("iam")
        principal = principal_arn(iam, caller)
        if principal is None:
            return line("unknown", f"IAM cannot simulate {caller}", see)
        denied = denied_actions(iam, principal, actions)
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, OpswrightError):
            raise
        return line("unknown", f"{len(actions)} needed; IAM was not asked: {error}", see)
    if denied:
        more = len(denied) - MOST_NAMED
        named = ", ".join(denied[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return line(
            "problem",
            f"{len(denied)} of {len(actions)} are not allowed on every resource: {named}",
            "attach what `doctor --iam-policy` prints; a policy for certain resources may do",
        )
    return line("ok", f"all {len(actions)} that are needed are allowed")


def _model(settings: Settings) -> Line:
    if settings.mind == "skills":
        return Line(what="model", state="ok", found="not used (OPSWRIGHT_MIND=skills)")
    key, package = bool(os.environ.get("ANTHROPIC_API_KEY")), find_spec("anthropic") is not None
    if key and package:
        found = f"ANTHROPIC_API_KEY is set; {settings.model} does handle_task"
        return Line(what="model", state="ok", found=found)
    found = "a key, but no anthropic package" if key else "no ANTHROPIC_API_KEY"
    mend = "pip install 'opswright-core[claude]'" if key else "set ANTHROPIC_API_KEY"
    if settings.mind == "auto":
        found = f"{found}; skills do handle_task"
    state: State = "problem" if settings.mind == "claude" or key else "ok"
    return Line(what="model", state=state, found=found, mend=mend)


def shown(lines: Sequence[Line]) -> str:
    """The lines for a terminal."""
    from opswright_core.text import clean

    width = max(len(line.what) for line in lines)
    rows = []
    for line in lines:
        rows.append(f"{line.state:<8} {line.what:<{width}}  {clean(line.found, 700)}")
        if line.mend and line.state != "ok":
            rows.append(f"{'':<8} {'':<{width}}  to mend it: {line.mend}")
    return "\n".join(rows)
