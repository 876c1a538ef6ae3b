"""The journal against what is there: whether what a change made still is as it was made."""

from typing import Any

from pydantic import ValidationError, validate_call

from opswright_core.aws import is_absent, translate
from opswright_core.canonical import canonical_json
from opswright_core.change_tools import undo_change_scope
from opswright_core.changes import Record, Work
from opswright_core.errors import NotFoundError, OpswrightError
from opswright_core.redact import MASK
from opswright_core.runtime import Runtime
from opswright_core.undo import NO_READ
from opswright_core.verdicts import Check, Verdict


def drift_of(rt: Runtime, record: Record) -> list[Check]:
    """What is, for all that a finished change made: first its tool's own checks, then each thing.

    FAIL: it was read and differs or is gone. UNKNOWN: it could not be read, which everything is
    from another account. Nothing is changed.
    """
    try:
        undo_change_scope(rt, record)
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, OpswrightError):
            raise
        return [Check(name=_AS_MADE.format(record.tool), verdict="UNKNOWN", evidence=str(error))]
    return [*_verified(rt, record), *_existing(rt, record)]


_AS_MADE = "{} verifies as when it was made"


def _verified(rt: Runtime, record: Record) -> list[Check]:
    """The tool's own verification, made again."""
    name = _AS_MADE.format(record.tool)
    try:
        work = _remade(rt, record)
        checks: list[Check] = work.verify(work.outputs.model_validate(record.outputs))
        return checks
    except Exception as exc:
        error = translate(exc)
        if is_absent(exc) or isinstance(error, NotFoundError):
            return [Check(name=name, verdict="FAIL", evidence=str(error))]
        if not isinstance(error, OpswrightError):
            raise
        return [Check(name=name, verdict="UNKNOWN", evidence=str(error))]


def _remade(rt: Runtime, record: Record) -> Work[Any]:
    """The work of a change, from its tool and the arguments that it was given.

    Raises OpswrightError when the server has no such tool, when an argument was a secret (which the
    journal does not keep), or when the arguments do not fit the tool of this version.
    """
    make = rt.makers.get(record.tool)
    if make is None:
        raise OpswrightError(f"this server has no tool {record.tool} to look with")
    if MASK in canonical_json(record.arguments):
        raise OpswrightError("an argument was a secret, which the journal does not keep")
    try:
        work: Work[Any] = validate_call(make)(**record.arguments)
    except ValidationError as exc:
        raise OpswrightError(f"its arguments do not fit {record.tool} any more: {exc}") from exc
    return work


_OPPOSITE: dict[Verdict, Verdict] = {"PASS": "FAIL", "FAIL": "PASS", "UNKNOWN": "UNKNOWN"}


def _existing(rt: Runtime, record: Record) -> list[Check]:
    """Each thing whose removal the journal knows how to verify: it is gone when that verifies."""
    found = []
    for step in record.undo_steps:
        handler = rt.undo_handlers.get(step.kind)
        undone = handler.verify(step) if handler else None
        if undone is None or undone.evidence == NO_READ:
            continue
        name = f"There is still something for undo to do: {step.description}"
        verdict: Verdict = _OPPOSITE[undone.verdict]
        found.append(Check(name=name, verdict=verdict, evidence=undone.evidence))
    return found
