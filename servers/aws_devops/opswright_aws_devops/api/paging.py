"""One answer of several pages: as many items as fit, and a cursor that goes on after them.

By botocore's own paginators' descriptions. A cursor holds the service's token and how many items of
its page were given already, so that an answer cut to the budget loses nothing.
"""

import base64
import binascii
import json
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.api.models import Operation
from opswright_core.canonical import size_bytes
from opswright_core.errors import BadInputError
from opswright_core.pages import PAGE_BYTES

MOST_PAGES = 20
MOST_SECONDS = 12.0
"""No further page is asked for then; filters may leave page after page empty."""

Answer = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """Some of a paged answer: `data` as the service shapes it, `count` items of it."""

    data: Answer
    count: int
    cursor: str | None
    key: str
    """Where in the answer the items are, like `Reservations`."""


def pagination_of(operation: Operation) -> Mapping[str, Any] | None:
    """How botocore goes through the operation's pages; None where it has none."""
    from botocore.exceptions import UnknownServiceError

    from opswright_core.service_models import service_models

    try:
        declared = service_models(None).load_service_model(operation.service, "paginators-1")
    except UnknownServiceError:
        return None
    paging: Mapping[str, Any] | None = declared["pagination"].get(operation.name)
    return paging


def read_pages(
    send: Callable[[Answer], Answer],
    paging: Mapping[str, Any],
    parameters: Answer,
    show: Callable[[Answer], Answer],
    *,
    cursor: str | None,
    limit: int,
    measured: Callable[[Answer], Any],
) -> Listing:
    """Read up to `limit` items, and give as many as `measured(data)` fits into a page's budget.

    `send` makes the call, `show` turns an answer (or a part of it, in its place) into what may be
    shown. Raises BadInputError for a cursor that was not made here.
    """
    import jmespath

    inputs, outputs = _several(paging["input_token"]), _several(paging["output_token"])
    keys = _several(paging["result_key"])
    token, skip = _decoded(cursor, inputs)
    first: Answer | None = None
    items: list[Any] = []
    places: list[tuple[Answer, int]] = []  # where each item can be read again from
    others: dict[str, list[Any]] = {}
    deadline, following = time.monotonic() + MOST_SECONDS, None
    for _ in range(MOST_PAGES):
        answer = send({**parameters, **token})
        first = answer if first is None else first
        found = jmespath.search(keys[0], answer) or []
        items += found[skip:]
        places += [(token, number) for number in range(skip, len(found))]
        for key in () if skip else keys[1:]:
            others.setdefault(key, []).extend(jmespath.search(key, answer) or [])
        following = _following(answer, paging, inputs, outputs)
        if following is None or following == token:
            following = None
            break
        token, skip = following, 0
        if len(items) >= limit or time.monotonic() > deadline:
            break
    frame = show(_filled(first or {}, keys[0], [], others, outputs))
    given = _that_fit(
        items[:limit],
        lambda some: jmespath.search(keys[0], show(_filled({}, keys[0], some, {}, []))),
        lambda some: size_bytes(measured(_filled(frame, keys[0], some, {}, []))),
    )
    data, count = _filled(frame, keys[0], given, {}, []), len(given)
    if count < len(items):
        return Listing(data, count, _encoded(*places[count]), keys[0])
    return Listing(data, count, _encoded(following, 0) if following else None, keys[0])


def _that_fit(
    items: list[Any],
    show: Callable[[list[Any]], list[Any]],
    size: Callable[[list[Any]], int],
) -> list[Any]:
    """As many of the items as fit a page, shown; one at least. What is not given is not shown.

    Showing is what costs (each text is looked through for secrets), and one page of a service may
    hold thousands of deep items.
    """
    given: list[Any] = []
    while len(given) < len(items) and (not given or size(given) <= PAGE_BYTES):
        given += show(items[len(given) : 2 * len(given) + 1])
    if size(given) <= PAGE_BYTES:
        return given
    counts = range(1, len(given) + 1)
    return given[: max(1, bisect_right(counts, PAGE_BYTES, key=lambda n: size(given[:n])))]


def _filled(
    page: Answer, key: str, items: list[Any], others: dict[str, list[Any]], outputs: list[str]
) -> Answer:
    """A page with these items in place, without the service's own tokens."""
    data = {name: value for name, value in page.items() if name not in outputs}
    for path, value in {**others, key: items}.items():
        data = _put(data, path.split("."), value)
    return data


def _put(data: Answer, path: list[str], value: Any) -> Answer:
    head, *rest = path
    inner = data.get(head)
    return {
        **data,
        head: _put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value,
    }


def _following(
    answer: Answer, paging: Mapping[str, Any], inputs: list[str], outputs: list[str]
) -> Answer | None:
    import jmespath

    if (more := paging.get("more_results")) and not jmespath.search(more, answer):
        return None
    tokens = {
        name: jmespath.search(expression, answer)
        for name, expression in zip(inputs, outputs, strict=True)
    }
    given = {name: token for name, token in tokens.items() if token}
    return given or None


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _encoded(token: Answer, skip: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([token, skip]).encode()).decode()


def _decoded(cursor: str | None, inputs: list[str]) -> tuple[Answer, int]:
    if cursor is None:
        return {}, 0
    try:
        token, skip = json.loads(base64.urlsafe_b64decode(cursor))
        if token.keys() <= set(inputs) and isinstance(skip, int) and skip >= 0:
            return token, skip
    except (binascii.Error, ValueError, TypeError, AttributeError):
        pass
    raise BadInputError("This cursor is of another call. Call again without a cursor.")
