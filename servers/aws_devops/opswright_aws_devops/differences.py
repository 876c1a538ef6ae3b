"""Settings that are to be others: told in a plan as old → new, and sent only while it holds."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opswright_core.errors import ConflictError

T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """One setting that is not as asked for."""

    setting: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.setting} {_said(self.old)} → {_said(self.new)}"


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None or value == "" else str(value)


def differences(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Difference]:
    """What differs, by setting, in the order asked; None in `wanted` leaves a setting as it is."""
    return {
        setting: Difference(setting, now.get(setting), value)
        for setting, value in wanted.items()
        if value is not None and value != now.get(setting)
    }


def is_not(values: Mapping[str, Any]) -> str:
    """JMESPath that is true of an object as long as one of its fields has another value."""
    return " || ".join(f"{field}!={literal(value)}" for field, value in values.items())


def literal(value: Any) -> str:
    """A value as JMESPath's literal."""
    return "`" + json.dumps(value).replace("`", "\\`") + "`"


class Planned(Generic[T]):
    """What a plan was made from, which must still be so when the change begins."""

    def __init__(self, what: str, read: Callable[[], T]) -> None:
        self._what, self._read = what, read
        self._seen: list[T] = []

    def read(self) -> T:
        """Read for the plan."""
        self._seen = [self._read()]
        return self._seen[0]

    def confirm(self) -> T:
        """Read again before anything is sent.

        Raises ConflictError when something else has changed it since the plan.
        """
        now = self._read()
        if self._seen and now != self._seen[0]:
            raise ConflictError(
                f"{self._what} was changed by somebody else since this was planned; nothing was "
                "sent. Call again for a plan of what it is now."
            )
        return now
