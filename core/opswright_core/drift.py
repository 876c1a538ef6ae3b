"""The journal against what is there: whether what a change made still is as it was made."""

from typing import Any

from pydantic import ValidationError, validate_call

from opswright_core.aws import is_absent, translate
from opswright_core.canonical import canonical_json
from opswright_core.changes import Record, Work
from opswright_core.errors import NotFoundError, OpswrightError
from opswright_core.redact import MASK
from opswright_core.runtime import Runtime
from opswright_core.standing import changed_since, standing_changes, undo_change_scope
from opswright_core.undo import NO_READ
from opswright_core.verdicts import Check, Verdict


def drift_of(rt: Runtime, record: Record) -> list[Check]:
    """What is, for all that a finished change made: first its tool's own checks, then each thing.

    FAIL: it was read and differs or is gone. UNKNOWN: it could not be read, which everything is
    from another account; or it differs, and a later change has modified it. Nothing is changed.
    """
    checks = compared(rt, record)
    if all(check.verdict != "FAIL" for check in checks):
        return checks
    since = changed_since(record, standing_changes(rt))
    return [_unless_superseded(check, since) for check in checks]


def _unless_superseded(check: Check, since: dict[str, list[str]]) -> Check:
    """A difference is no drift where a later change may have made it: that one is judged itself."""
    about = {check.resource} & since.keys() if check.resource else since.keys()
    if check.verdict != "FAIL" or not about:
        return check
    by = ", ".join(dict.fromkeys(change for one in sorted(about) for change in since[one]))
    evidence = f"{check.evidence or 'differs'}; modified since by {by}"
    return check.model_copy(update={"verdict": "UNKNOWN", "evidence": evidence})


def compared(rt: Runtime, record: Record) -> list[Check]:
    """What a finished change made against what is there; nothing of one that did not finish."""
    if record.status != "done" or record.outputs is None:
        return []
    try:
        undo_change_scope(rt, record)
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, OpswrightError):
            raise
        return [Check(name=_AS_MADE.format(record.tool), verdict="UNKNOWN", evidence=str(error))]
    return [*_verified(rt, record), *_existing(rt, record)]


def said(checks: list[Check], verdict: Verdict) -> list[str]:
    """The checks of one verdict, in words."""
    return [
        f"{check.name}: {check.evidence or 'no'}" for check in checks if check.verdict == verdict
    ]


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
