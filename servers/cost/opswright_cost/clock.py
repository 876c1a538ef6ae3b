"""The time a server counts windows and ages from; passed to `create_server`."""

from collections.abc import Callable
from datetime import UTC, datetime

from opswright_core.runtime import runtime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """The time of the call under way, by its server's clock."""
    clock: Clock = runtime().extras["clock"]
    return clock()
