"""Reads one account once: every answer is kept, every refusal says which permission was missing."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from opswright_core.aws import Aws, is_absent, translate
from opswright_core.errors import CloudError, EmulatorGapError
from opswright_core.parallel import AT_ONCE, each
from opswright_core.permissions import action_of
from opswright_core.verdicts import Unread, attempt

T = TypeVar("T")
U = TypeVar("U")
Load = TypeVar("Load", bound=Callable[..., Any])

_RAISE: Any = object()


class UnreadError(Exception):
    """A judge asked for what could not be read; the runner makes it UNKNOWN."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.reason)
        self.unread = unread


@dataclass(frozen=True)
class Fact:
    """One thing that was read, with AWS's field names; what could not be read is `Unread`.

    Asking for an unread field raises UnreadError, so that no judge can take it for empty.
    """

    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    region: str = ""
    """Where it is, if not where it was read."""

    def __getitem__(self, name: str) -> Any:
        return known(self.fields[name])

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or `default` where AWS left it out."""
        return known(self.fields.get(name, default))


def known(value: T | Unread) -> T:
    """The value itself. Raises UnreadError when it could not be read."""
    if isinstance(value, Unread):
        raise UnreadError(value)
    return value


class Reader:
    """Reads of one account and region; made for one tool call, so that nothing in it is stale."""

    def __init__(
        self,
        aws: Aws,
        at_once: int = AT_ONCE,
        vpc_id: str | None = None,
        buckets: frozenset[str] | None = None,
    ) -> None:
        self.aws = aws
        self.at_once = at_once
        self.vpc_id = vpc_id
        """Where set, what takes a call for each instance or load balancer is read in it alone."""
        self.buckets = buckets
        """Where set, the only ones that are read."""
        self.read_at = datetime.now(UTC)
        self._facts: dict[Any, Future[Any]] = {}
        self._lock = threading.Lock()

    def load(self, loader: Callable[["Reader"], T]) -> T:
        """What a loader reads, read once however many ask. Raises CloudError as the loader did."""
        with self._lock:
            future = self._facts.get(loader)
            mine = future is None
            if future is None:
                future = self._facts[loader] = Future()
        if mine:
            try:
                future.set_result(loader(self))
            except Exception as exc:
                future.set_exception(exc)
        answer: T = future.result()
        return answer

    def call(self, service: str, operation: str, *, absent: Any = _RAISE, **params: Any) -> Any:
        """One AWS call. A NotFound-like answer gives `absent`, if given; else raises CloudError."""
        client = self.aws.client(service)
        try:
            return getattr(client, operation)(**params)
        except Exception as exc:
            error = _named(exc, client, operation)
            if absent is not _RAISE and _says_absent(exc, error):
                return absent
            raise error from exc

    def pages(self, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        """Every item of a paginated AWS call. Raises CloudError."""
        try:
            return self.aws.pages(service, operation, key, **params)
        except Exception as exc:
            raise _named(exc, self.aws.client(service), operation) from exc

    def maybe(self, service: str, operation: str, *, absent: Any = _RAISE, **params: Any) -> Any:
        """The same as `call`, with `Unread` in place of an exception."""
        return attempt(lambda: self.call(service, operation, absent=absent, **params))

    def each(self, items: Iterable[T], read: Callable[[T], U]) -> list[U]:
        """Read something of every item, `at_once` at a time; in the order of the items."""
        return each(items, read, self.at_once)


def account_wide(load: Load) -> Load:
    """Mark a loader of what every region answers alike, so that one of them is asked."""
    load.account_wide = True  # type: ignore[attr-defined]
    return load


def picked(answer: Any, *path: str) -> Any:
    """The part of an answer at a path; an `Unread` stays what it is, a missing key gives None."""
    for key in path:
        if isinstance(answer, Unread) or answer is None:
            return answer
        answer = answer.get(key)
    return answer


def _named(exc: Exception, client: Any, operation: str) -> Exception:
    """The translated error, with the operation also where no answer of AWS's tells it."""
    error = translate(exc)
    if isinstance(error, CloudError) and not error.operation:
        name = client.meta.method_to_api_mapping[operation]
        error.operation = action_of(client.meta.service_model, name)
    return error


def _says_absent(exc: Exception, error: Exception) -> bool:
    return is_absent(exc) and not isinstance(error, EmulatorGapError)
