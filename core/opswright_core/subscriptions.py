"""Tells clients that a resource changed, in both protocol eras.

A client of 2026-07-28 holds a `subscriptions/listen` stream open; one of 2025-11-25 sends
`resources/subscribe` and is notified on its connection. An event carries no content and is not
replayed: whoever missed one reads the resource again. URIs match exactly. Who listens does so in
the namespace of its request, and hears nothing of what is published in another. Over HTTP it ends
with the bearer token of that request, and the client is told why: by the stream's error, or in the
older era by a log message.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import anyio
from mcp.server.connection import Connection
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from opswright_core.errors import BadInputError
from opswright_core.namespaces import sight_of
from opswright_core.token_end import ended, token_of

MOST_URIS = 1000
"""How many resources one older connection may subscribe to."""

Listener = Callable[[ServerEvent], None]

_listening_in: ContextVar[str] = ContextVar("opswright_listening_in", default="")
"""The namespace in which what is subscribed to the bus listens."""


class Subscriptions:
    """Who listens to the resources of one server."""

    def __init__(self) -> None:
        self._bus = _Bus()
        self._listen = ListenHandler(self._bus)
        self._own = ""
        self._server: Any = None
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._older: WeakKeyDictionary[Connection, dict[str, _OlderClient]] = WeakKeyDictionary()
        self.before_listening: Callable[[str], None] | None = None
        """Called with the namespace, in a worker thread, before a subscription is confirmed: from
        then on every change has to be told."""

    @property
    def wanted(self) -> frozenset[str]:
        """The URIs that somebody listens to now, in whichever namespace. From any thread."""
        return frozenset(uri for _, uri in frozenset(self._wanted))

    def wanted_in(self) -> dict[str, frozenset[str]]:
        """The same by namespace."""
        found: dict[str, set[str]] = {}
        for namespace, uri in frozenset(self._wanted):
            found.setdefault(namespace, set()).add(uri)
        return {namespace: frozenset(uris) for namespace, uris in found.items()}

    def publish(self, uri: str, namespace: str | None = None) -> None:
        """Say that a resource changed, to those who listen in a namespace (None: to all).

        From any thread; costs nothing while nobody listens.
        """
        self._bus.announce(ResourceUpdated(uri=uri), namespace)

    def announce(self, event: ServerEvent) -> None:
        """Tell all of any event of the protocol, such as a changed list of tools."""
        self._bus.announce(event)

    def serve(self, mcp: Any, own: str = "") -> None:
        """Add the requests of both eras to a FastMCP server, which ships none.

        `own` is the server's namespace.
        """
        self._own = own
        self._server = mcp
        add = mcp._mcp_server.add_request_handler
        add("subscriptions/listen", SubscriptionsListenRequestParams, self._listening)
        add("resources/subscribe", SubscribeRequestParams, self._subscribe)
        add("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def _listening(
        self, ctx: Any, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        namespace = self._namespace(ctx)
        uris = set(params.notifications.resource_subscriptions or ())
        before = _listening_in.set(namespace)
        try:
            await self._want(namespace, uris)
            with anyio.CancelScope() as scope:
                why: list[str] = []

                def end(reason: str) -> None:
                    why.append(reason)
                    scope.cancel()

                with self._until_token_ends(ctx, end):
                    return await self._listen(ctx, params)
            raise MCPError(INVALID_REQUEST, why[0])
        finally:
            _listening_in.reset(before)
            self._want_no_more(namespace, uris)

    @contextlib.contextmanager
    def _until_token_ends(self, ctx: Any, end: Callable[[str], None]) -> Iterator[None]:
        """Call `end` with why, in here, when the request's token is accepted no more."""
        watching = self._watch_token(ctx, end)
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()

    def _watch_token(self, ctx: Any, end: Callable[[str], None]) -> "asyncio.Task[None] | None":
        token, provider = token_of(ctx.request), getattr(self._server, "auth", None)
        if token is None or provider is None:
            return None

        async def watch() -> None:
            what = await ended(token, provider.verify_token)
            end(
                f"the bearer token of this subscription {what}, so it has ended. Subscribe again "
                "with a valid token, and read anew what you follow."
            )

        return asyncio.create_task(watch())

    async def _subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        connection: Connection = ctx.session._connection  # a session is one request's
        namespace = self._namespace(ctx)
        clients = self._older.setdefault(connection, {})
        if sum(len(one.uris) for one in clients.values()) >= MOST_URIS:
            raise MCPError(INVALID_PARAMS, f"at most {MOST_URIS} subscriptions per connection")
        if (client := clients.get(namespace)) is None:
            client = clients[namespace] = self._older_client(connection, namespace)
        client.watch(self._watch_token(ctx, lambda why: self._end(client, namespace, why)))
        fresh = {str(params.uri)} - client.uris
        client.uris.add(str(params.uri))
        await self._want(namespace, fresh)
        return EmptyResult()

    def _older_client(self, connection: Connection, namespace: str) -> "_OlderClient":
        client = _OlderClient(connection)
        before = _listening_in.set(namespace)
        connection.exit_stack.callback(self._bus.subscribe(client.deliver))
        _listening_in.reset(before)
        connection.exit_stack.callback(client.close)
        connection.exit_stack.callback(lambda: self._want_no_more(namespace, client.uris))
        return client

    def _end(self, client: "_OlderClient", namespace: str, why: str) -> None:
        self._want_no_more(namespace, client.uris)
        client.end(why)

    async def _unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        namespace = self._namespace(ctx)
        if client := self._older.get(ctx.session._connection, {}).get(namespace):
            self._want_no_more(namespace, {str(params.uri)} & client.uris)
            client.uris.discard(str(params.uri))
        return EmptyResult()

    def _namespace(self, ctx: Any) -> str:
        try:
            return sight_of(ctx.request, self._own).namespace
        except BadInputError as exc:
            raise MCPError(INVALID_PARAMS, str(exc)) from exc

    async def _want(self, namespace: str, uris: set[str]) -> None:
        self._wanted.update((namespace, uri) for uri in uris)
        if self.before_listening is not None:
            await asyncio.to_thread(self.before_listening, namespace)

    def _want_no_more(self, namespace: str, uris: set[str]) -> None:
        for uri in uris:
            self._wanted[namespace, uri] -= 1
            if self._wanted[namespace, uri] <= 0:
                del self._wanted[namespace, uri]


class _Bus:
    """The SDK's bus for events from any thread: each listener is called on its own loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[asyncio.AbstractEventLoop, str, Listener]] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        key = object()
        self._listeners[key] = (asyncio.get_running_loop(), _listening_in.get(), listener)

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    def announce(self, event: ServerEvent, namespace: str | None = None) -> None:
        for loop, where, listener in list(self._listeners.values()):
            if namespace in {None, where}:
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    loop.call_soon_threadsafe(listener, event)

    async def publish(self, event: ServerEvent) -> None:
        self.announce(event)


class _OlderClient:
    """One 2025-11-25 connection: what it asked for, and what it has yet to be told."""

    def __init__(self, connection: Connection) -> None:
        self.uris: set[str] = set()
        self._connection = connection
        self._pending: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def watch(self, token: "asyncio.Task[None] | None") -> None:
        """Take the watch over the newest request's token for that over the one before."""
        if self._watching is not None:
            self._watching.cancel()
        self._watching = token

    def end(self, why: str) -> None:
        """Tell it no more, and why."""
        self.uris.clear()
        self._pending.clear()
        message = {"level": "warning", "logger": "opswright", "data": why}
        self._sending = asyncio.create_task(
            self._connection.notify("notifications/message", message)
        )

    def deliver(self, event: ServerEvent) -> None:
        """Tell it in turn; a client that reads slowly gets one event for many of a resource."""
        if isinstance(event, ResourceUpdated) and event.uri in self.uris:
            self._pending[event.uri] = None
            if self._sending is None or self._sending.done():
                self._sending = asyncio.create_task(self._send())

    def close(self) -> None:
        self.watch(None)
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        while self._pending:
            uri = next(iter(self._pending))
            del self._pending[uri]
            await self._connection.send_resource_updated(uri)
