"""Leaves an agent that keeps failing alone for a while, then lets a call try it again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

FAILURES, OPEN_SECONDS = 3, 30.0


@dataclass
class Breaker:
    """A circuit breaker: `closed` lets calls through, `open` none.

    It opens at the third failure in a row. After 30 s it is `half-open`: what is tried then closes
    it by its success or opens it again by its failure.
    """

    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    failures: int = 0
    _open_until: float = 0.0

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Where it stands now."""
        if self.failures < FAILURES:
            return "closed"
        return "open" if self.clock() < self._open_until else "half-open"

    def succeeded(self) -> None:
        """Note a call that was answered."""
        self.failures = 0

    def failed(self) -> None:
        """Note a start or a call that failed."""
        self.failures += 1
        if self.failures >= FAILURES:
            self._open_until = self.clock() + OPEN_SECONDS
