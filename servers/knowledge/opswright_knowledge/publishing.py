"""Offers the store's resources: lists them, completes their addresses, says when they change."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware, MiddlewareContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Annotations,
    Completion,
    ResourceTemplateReference,
)

from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.guard import ERROR_CHARACTERS
from opswright_core.runtime import enter
from opswright_core.text import clean
from opswright_knowledge.addresses import RUN_PARTS, SCHEME, concerned
from opswright_knowledge.following import Follower
from opswright_knowledge.records import ChangeKind
from opswright_knowledge.resources import INDEXES, TEMPLATES
from opswright_knowledge.store import Store, knowledge

JSON = "application/json"
CHOICES = {"part": RUN_PARTS, "kind": get_args(ChangeKind)}
MOST_COMPLETIONS = 100
"""The protocol's limit."""


def publish(server: FastMCP[Any], store: Store) -> None:
    """Offer the resources and their templates, with completions and events of both eras."""
    for name, (read, _) in INDEXES.items():
        uri = f"{SCHEME}{name}"
        server.resource(uri, name=name, mime_type=JSON, description=read.__doc__)(_first_page(read))
    for template, read in TEMPLATES.items():
        # The parts of an address never become paths of files, so `../x` is a name like others.
        server.resource(template, mime_type=JSON, description=read.__doc__, security=None)(read)
    server.add_middleware(_Dates())
    runtime = server.opswright_runtime  # type: ignore[attr-defined]
    subscriptions = runtime.subscriptions

    def tell(namespace: str, changes: list[tuple[str, str]]) -> None:
        wanted = subscriptions.wanted_in().get(namespace, frozenset())
        for uri in concerned(wanted, changes):
            subscriptions.publish(uri, namespace)

    follower = Follower(store, subscriptions.wanted_in, tell)
    subscriptions.before_listening = follower.begin
    runtime.extras["follower"] = follower

    def complete(ref: Any, argument: Any, context: Any) -> Completion | None:
        if not isinstance(ref, ResourceTemplateReference) or ref.uri not in TEMPLATES:
            return None
        leave = enter(runtime)
        try:
            with _told():
                given = (context and context.arguments) or {}
                return _completion(argument.name, argument.value, given)
        finally:
            leave()

    server.add_completion_handler(complete)


def _first_page(read: Callable[..., str]) -> Callable[[], str]:
    def first_page() -> str:
        return read()

    return first_page


def _completion(name: str, begun: str, given: dict[str, str]) -> Completion:
    if name in CHOICES:
        values = [one for one in CHOICES[name] if one.startswith(begun)]
        total = len(values)
    else:
        with knowledge().reading() as store:
            values, total = store.names.beginning(name, begun, given, limit=MOST_COMPLETIONS)
    shown = values[:MOST_COMPLETIONS]
    return Completion(values=shown, total=total, has_more=total > len(shown))


@contextmanager
def _told() -> Iterator[None]:
    """Let the text of an error reach the caller, as that of a tool's does."""
    try:
        yield
    except OpswrightError as exc:
        code = INVALID_PARAMS if isinstance(exc, BadInputError) else INTERNAL_ERROR
        raise MCPError(code, clean(str(exc), ERROR_CHARACTERS)) from exc


class _Dates(Middleware):
    """Says in lists when an index's records were last written."""

    async def on_list_resources(
        self, context: MiddlewareContext[Any], call_next: Any
    ) -> Sequence[Any]:
        import anyio.to_thread

        listed = await call_next(context)
        with _told():
            times = await anyio.to_thread.run_sync(_last_times)
        return [_dated(resource, times) for resource in listed]


def _last_times() -> dict[str, str]:
    with knowledge().reading() as store:
        times = store.changes.last_times()
    latest = {"changes": max(times.values())} if times else {}
    kinds = {name: times[kind] for name, (_, kind) in INDEXES.items() if kind in times}
    return {f"{SCHEME}{name}": at for name, at in (kinds | latest).items()}


def _dated(resource: Any, times: dict[str, str]) -> Any:
    at = times.get(str(resource.uri))
    if at is None:
        return resource
    return resource.model_copy(update={"annotations": Annotations(last_modified=at)})
