"""How the calls of steps are sent: for their effect alone, or until IAM's news has spread."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

SPREAD_SECONDS = 90.0
"""IAM reaches other services within about a minute ("Troubleshoot IAM", eventual consistency)."""


def send(call: Callable[..., Any], **parameters: Any) -> dict[str, bool]:
    """Make a call whose answer is not needed, as a step's result."""
    call(**parameters)
    return {"done": True}


def once_spread(call: Callable[[], T], refusal: str) -> T:
    """Call until a service knows what IAM has just made.

    `refusal` is the pattern of what it says until then; any other error is raised at once.
    """
    deadline = time.monotonic() + SPREAD_SECONDS
    while True:
        try:
            return call()
        except Exception as exc:
            if not re.search(refusal, str(exc), re.IGNORECASE) or time.monotonic() > deadline:
                raise
        time.sleep(5)
