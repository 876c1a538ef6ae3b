"""Whether AWS refused a call because it does not know yet what the change under way has just made.

AWS is eventually consistent: an id that one call returned may be unknown to the next one for some
seconds ("Ensuring idempotency and eventual consistency in Amazon EC2", "Troubleshoot IAM"). Such a
call had no effect and may be sent again. A true «not found» looks the same but for the id: it names
what this change did not make, and is told at once.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opswright_core.cloud_errors import ABSENT, one_line

SPREAD_SECONDS = 90.0
"""How long a call is sent again. AWS names no limit; IAM's news take about a minute."""

LONGEST_PAUSE_SECONDS = 5.0

_TOO_EARLY = re.compile(
    "|".join(
        (
            "invalid principal|PrincipalNotFound",  # policies of S3, KMS and SQS; of SNS
            "cannot be assumed by",  # Lambda, functions
            "execution role does not have permissions",  # Lambda, event sources
            "unable to assume|access denied for LogDestination",  # EC2 flow logs, ECS
            "role being passed has the proper permissions|role is not valid",  # ECS
            "invalid IAM instance profile|has no associated IAM roles",  # EC2, Auto Scaling
            "does not have an associated load balancer",  # ECS, a target group's listener
            "service doesn't exist",  # Application Auto Scaling, of ECS
            "launch template.* does not exist",  # Auto Scaling
        )
    ),
    re.IGNORECASE,
)
"""What services say of what was made just now under codes that mean other things too. Terraform's
provider for AWS waits at those of ECS, flow logs and Application Auto Scaling as well."""
_READS_AND_REMOVES = re.compile(
    r"(Describe|Get|List|Head|Search|Lookup|BatchGet|Delete|Detach|Disassociate|Remove|Terminate|"
    r"Deregister|Revoke|Release|Untag|Cancel|Stop)"
)
"""What is absent is an answer to these, which those who call them reckon with."""

_made: ContextVar[frozenset[str]] = ContextVar("opswright_made_here", default=frozenset())
_stopped: ContextVar[Callable[[], bool]] = ContextVar("opswright_made_until", default=bool)
_told: ContextVar[Callable[[str], None]] = ContextVar("opswright_made_told", default=lambda _: None)

TOLD_SECONDS = 3.0
"""A wait that has come to pauses of this length is told: what is refused may be so for good."""


@contextmanager
def having_made(
    values: Iterable[Any],
    stopped: Callable[[], bool],
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Within the block, and in threads of `each`, AWS may not know these ids and names yet.

    Once `stopped` answers yes, nothing is sent again. A wait that gets long is told to `tell`.
    """
    until, told = _stopped.set(stopped), _told.set(tell)
    token = _made.set(frozenset(word for value in values for word in _words(value)))
    try:
        yield
    finally:
        _made.reset(token)
        _stopped.reset(until)
        _told.reset(told)


def is_not_yet(operation: str, error: dict[str, Any], request: dict[str, Any]) -> bool:
    """Whether a refused call only came too early.

    `error` is botocore's (Code, Message), `request` its request before it is signed. What the
    message names of the request has to be made here; when it names nothing, the value of the
    parameter that it names; when it names none either, what the request names.
    """
    made, message = _made.get(), str(error.get("Message", ""))
    if not made or _stopped.get()() or _READS_AND_REMOVES.match(operation):
        return False
    if not (ABSENT.search(str(error.get("Code", ""))) or _TOO_EARLY.search(message)):
        return False
    sent = set(_sent(request))
    named = {word for word in sent if _names(message, word)} or {
        word
        for parameter, value in _parameters(request).items()
        if _names(message, parameter)
        for word in _words(value)
    }
    return any(_names(word, own) for word in named or sent for own in made)


def pause_after(attempt: int, operation: str, error: dict[str, Any]) -> float:
    """The pause in seconds after an attempt, counted from 1; a long one is told, with why."""
    seconds = min(0.2 * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
    if seconds >= TOLD_SECONDS:
        said = one_line(str(error.get("Message", "")))
        _told.get()(
            f"{operation} is sent again for up to {SPREAD_SECONDS:.0f} s, since AWS may not know "
            f"yet what this change has just made: {error.get('Code', '')}: {said}"
        )
    return seconds


def _sent(request: dict[str, Any]) -> Iterator[str]:
    """The ids and names that a request carries, in its path, its query or its body."""
    yield from _words(str(request.get("url_path", "")).split("/"))
    yield from _words(request.get("query_string"))
    body = request.get("body")
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except ValueError:  # XML, or a file
            body = re.findall(r"[\w:./-]+", body) if isinstance(body, str) else None
    yield from _words(body)


def _parameters(request: dict[str, Any]) -> dict[str, Any]:
    """A request's parameters by their names, of the protocols that tell them."""
    body = request.get("body")
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except ValueError:
            return {}
    return body if isinstance(body, dict) else {}


def _words(value: Any) -> Iterator[str]:
    """The texts inside a value that are long enough to be an id or a name."""
    if isinstance(value, str):
        if len(value) > 2:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _words(inner)


def _names(text: str, word: str) -> bool:
    """Whether a text has a word, whole."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
