"""Journals what a change does, step by step, so that it can be resumed and undone."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from opswright_core.aws import translate
from opswright_core.changes import Record, ResourceRef
from opswright_core.cloud_errors import met_its_earlier_try, one_line
from opswright_core.errors import EndpointError, OpswrightError
from opswright_core.not_yet import having_made
from opswright_core.runtime import Runtime, stop_signal
from opswright_core.undo import UndoStep


class Recorder:
    """Journals what `apply` does, step by step."""

    def __init__(
        self, rt: Runtime, record: Record, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self._runtime = rt
        self._steps = record.steps
        self._stop = stop_signal.get()
        self._told = ""
        self.change_id = record.change_id
        self.progress = progress
        """Tell the caller what is being done, while it waits."""

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
        """Do one thing once and return its JSON result, also when the change is resumed.

        Give `undo` as a list when it is known beforehand (a name, the value to restore): it is then
        on disk before the call is sent. Give a function when it needs the result (an id). `find`
        looks for what a call that was cut off may have made; it returns the result, or None. With
        `if_missing` it looks before the first attempt too: what is there by then is the result, and
        has no inverse in this change.
        """
        known = self._steps.get(name)
        if known and known.get("done"):
            return known["result"]
        self._heed_stop(f"before {name!r}")
        self.progress(name)
        result = None
        if not known and if_missing and find and (there := find()) is not None:
            return self._finish(name, there, [], None)
        if known:
            undo = [UndoStep(**u) for u in known["undo"]] if not callable(undo) else undo
            result = find() if find else None
        else:
            before = [] if callable(undo) else [u.model_dump() for u in undo]
            sent = {"name": name, "undo": before, "undo_by_result": callable(undo)}
            self._write("step_sent", sent)
            self._steps[name] = {"undo": before}
        if result is None:
            result = self._send(name, send, in_doubt=known is not None)
        return self._finish(name, result, undo, resource)

    def _finish(
        self,
        name: str,
        result: Any,
        undo: list[UndoStep] | Callable[[Any], list[UndoStep]],
        resource: ResourceRef | Callable[[Any], ResourceRef] | None,
    ) -> Any:
        done: dict[str, Any] = {"name": name, "result": result}
        done["undo"] = [u.model_dump() for u in (undo(result) if callable(undo) else undo)]
        touched = resource(result) if callable(resource) else resource
        done["resource"] = touched.model_dump() if touched else None
        self._write("step_done", done)
        self._steps[name] = {**done, "done": True}
        return result

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _heed_stop(self, when: str) -> None:
        if self._is_stopped():
            raise OpswrightError(f"Stopped on request {when}. Nothing further was sent.")

    def _send(self, name: str, send: Callable[[], Any], *, in_doubt: bool) -> Any:
        """Send. Only what was surely refused leaves nothing to undo.

        What earlier steps made may be unknown to AWS for a while; a call that finds it so is sent
        again (`not_yet`). A lost answer or a defect after sending keeps its inverse, and so does a
        refusal of a second attempt, which says nothing about the first.
        """
        try:
            with having_made(self._made(), self._is_stopped, self.waits):
                return _sent_once(send)
        except Exception as exc:
            error = translate(exc)
            if isinstance(error, OpswrightError) and not isinstance(error, EndpointError):
                body = {"name": name, "error": str(error), "in_doubt": in_doubt}
                self._write("step_failed", body)
                if not in_doubt:
                    self._steps.pop(name, None)
            raise

    def _made(self) -> Iterator[Any]:
        """The ids and names in this change's steps, of which one may be unknown to AWS yet."""
        for step in self._steps.values():
            yield step.get("result")
            yield [inverse["args"].get("params") for inverse in step.get("undo", [])]

    def wait(
        self,
        what: str,
        ready: Callable[[], bool],
        *,
        timeout_seconds: float,
        every_seconds: float = 5.0,
    ) -> None:
        """Poll until `ready`; raises OpswrightError at the deadline, saying what was waited for."""
        deadline, pause = time.monotonic() + timeout_seconds, min(0.1, every_seconds)
        while not ready():
            self._heed_stop(f"while waiting: {what}")
            if time.monotonic() > deadline:
                raise OpswrightError(
                    f"{what}: not within {timeout_seconds:.0f} s. "
                    "What was made so far is journalled."
                )
            self.progress(f"waiting: {what}")
            time.sleep(pause)
            pause = min(pause * 2, every_seconds)

    def waits(self, why: str) -> None:
        """Say what keeps the step under way waiting, also to those who only read the change."""
        self._heed_stop(f"while it waits: {why}")
        self.progress(why)
        if why != self._told:
            self._told = why
            self._write("waiting", {"text": why})

    def reverse(self) -> None:
        """Replay the inverse of all that was done and forget it, so that a repeat starts afresh.

        For an `apply` that returns by itself to the state before. When a replay fails its error is
        raised and the steps stay journalled, so that `undo_change` can try again.
        """
        inverse = [
            UndoStep(**u) for step in reversed(self._steps.values()) for u in step.get("undo", [])
        ]
        for step in inverse:
            self.progress(f"returning: {step.description}")
            self._runtime.undo_handlers[step.kind].replay(step)
        self._write("reversed", {"steps": [step.description for step in inverse]})
        self._steps.clear()

    def gap(self, text: str) -> None:
        """Say plainly what this backend could not really do."""
        self._write("gap", {"text": text})

    def _write(self, kind: str, body: dict[str, Any]) -> None:
        self._runtime.journal.append(self.change_id, kind, body)


def _sent_once(send: Callable[[], Any]) -> Any:
    """Send, and when its answer was lost and a second try told «there is one already», look again.

    A `send` that looks before it makes finds it then. Of any other the outcome is not known, which
    EndpointError says: the change's repeat finds it.
    """
    try:
        return send()
    except Exception as exc:
        if not met_its_earlier_try(exc):
            raise
        met = exc
    try:
        return send()
    except Exception as exc:
        raise EndpointError(
            f"The answer to a call was lost, and when it was sent again: {one_line(str(met))} What "
            "is there is most likely what the first try made; call again with the same arguments "
            "to go on with it."
        ) from exc
