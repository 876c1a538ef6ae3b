"""Looks for what a change made whose answer was lost, so that its undo does not leave it behind."""

import logging
from collections.abc import Callable
from typing import Any

from pydantic import validate_call

from opswright_core.aws import translate
from opswright_core.canonical import canonical_json
from opswright_core.changes import CUT_OFF, Record, ResourceRef, Work, fold, load
from opswright_core.recorder import Recorder
from opswright_core.redact import MASK
from opswright_core.runtime import Runtime
from opswright_core.undo import UndoStep

log = logging.getLogger(__name__)


def reconcile(rt: Runtime, record: Record) -> Record:
    """Look for what the last step of a change that was cut off may have made; journal the finding.

    The change's tool is asked again what it would do, with the arguments of the journal, and its
    `apply` is followed over the finished steps to the one in doubt, whose `find` looks. Nothing is
    sent. What cannot be looked for (no `find`, a read that is refused, an argument that was secret)
    stays in `in_doubt`.
    """
    make = rt.makers.get(record.tool)
    if not record.in_doubt or record.status not in CUT_OFF or make is None:
        return record
    if MASK in canonical_json(record.arguments):
        return record
    try:
        work: Work[Any] = validate_call(make)(**record.arguments)
        if work.scope.id == record.scope:
            work.apply(_Finder(rt, record))
    except _ReachedError:
        pass
    except Exception as exc:
        log.warning(
            "%s: its last step could not be looked for: %s", record.change_id, translate(exc)
        )
    return load(rt, record.change_id)


class _ReachedError(BaseException):
    """The end of what was sent. No `except Exception` of an `apply` may take it for a failure."""


class _Finder(Recorder):
    """Follows an `apply` without sending anything."""

    def step(
        self,
        name: str,
        send: Callable[[], Any],
        *,
        undo: list[UndoStep] | Callable[[Any], list[UndoStep]] = [],  # noqa: B006 (never changed)
        resource: ResourceRef | Callable[[Any], ResourceRef] | None = None,
        find: Callable[[], Any] | None = None,
        if_missing: bool = False,
    ) -> Any:
        """The result of a finished step; for the one in doubt, what `find` finds."""
        known = self._steps.get(name)
        if known and known.get("done"):
            return known["result"]
        result = find() if known and find else None
        if result is not None:
            return self._finish(name, result, undo, resource)
        if known and find and not known["undo"]:
            self._write("step_failed", {"name": name, "error": "looked for, and not there"})
        raise _ReachedError

    def wait(self, what: str, ready: Callable[[], bool], **_: Any) -> None:
        """What was waited for before the step in doubt has been there once."""

    def reverse(self) -> None:
        """Nothing is returned by looking."""
        raise _ReachedError

    def gap(self, text: str) -> None:
        """What was to be said of it was said, or is when the change is resumed."""

    def _write(self, kind: str, body: dict[str, Any]) -> None:
        def resumed(events: list[Any]) -> bool:
            return fold(self.change_id, events).status not in CUT_OFF

        self._runtime.journal.append(self.change_id, kind, body, unless=resumed)
