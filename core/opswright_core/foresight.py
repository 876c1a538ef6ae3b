"""What undoing a change would meet and lose, read before anything of it is undone.

A replay waits for what is still in use, with the steps before it done. What somebody put into
something that a change made, and that no step removes, is better told before the first step.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol, runtime_checkable

from opswright_core.changes import Record
from opswright_core.runtime import Runtime
from opswright_core.undo import UndoStep


class Foreseen(NamedTuple):
    """What is in the way of an undo, so that it would stop half-way, and what to know before it."""

    in_the_way: list[str]
    warnings: list[str]


@runtime_checkable
class Foresight(Protocol):
    """An undo handler that can tell, by reading, what one of its steps would meet and lose."""

    def foresee(self, step: UndoStep, going: Collection[str]) -> Foreseen:
        """What is in the step's way and what goes with it; `going` are ids that go anyway."""


def foreseen(rt: Runtime, record: Record, together: Iterable[Record] = ()) -> Foreseen:
    """What undoing a change would meet and lose, when those of `together` are undone before it."""
    going = {
        name
        for one in (record, *together)
        for resource in one.resources
        if resource.action == "created"
        for name in (resource.id, resource.name)
    }
    found = Foreseen([], [])
    for step in record.undo_steps:
        handler = rt.undo_handlers.get(step.kind)
        if isinstance(handler, Foresight):
            said = handler.foresee(step, going)
            found.in_the_way.extend(said.in_the_way)
            found.warnings.extend(said.warnings)
    return found
