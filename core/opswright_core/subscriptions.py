"""Tells clients that a resource changed, in both protocol eras.

A client of 2026-07-28 holds a `subscriptions/listen` stream open; one of 2025-11-25 sends
`resources/subscribe` and is notified on its connection. An event carries no content and is not
replayed: whoever missed one reads the resource again. URIs match exactly.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from mcp.server.connection import Connection
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

MOST_URIS = 1000
"""How many resources one older connection may subscribe to."""

Listener = Callable[[ServerEvent], None]


class Subscriptions:
    """Who listens to the resources of one server."""

    def __init__(self) -> None:
        self._bus = _Bus()
        self._listen = ListenHandler(self._bus)
        self._wanted: Counter[str] = Counter()
        self._older: WeakKeyDictionary[Connection, _OlderClient] = WeakKeyDictionary()
        self.before_listening: Callable[[], None] | None = None
        """Called in a worker thread before a subscription is confirmed: from then on every change
        has to be told."""

    @property
    def wanted(self) -> frozenset[str]:
        """The URIs that somebody listens to now. From any thread."""
        return frozenset(self._wanted)

    def publish(self, uri: str) -> None:
        """Say that a resource changed. From any thread; costs nothing while nobody listens."""
        self.announce(ResourceUpdated(uri=uri))

    def announce(self, event: ServerEvent) -> None:
        """The same for any event of the protocol, such as a changed list of tools."""
        self._bus.announce(event)

    def serve(self, mcp: Any) -> None:
        """Add the requests of both eras to a FastMCP server, which ships none."""
        add = mcp._mcp_server.add_request_handler
        add("subscriptions/listen", SubscriptionsListenRequestParams, self._listening)
        add("resources/subscribe", SubscribeRequestParams, self._subscribe)
        add("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def _listening(
        self, ctx: Any, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        uris = set(params.notifications.resource_subscriptions or ())
        try:
            await self._want(uris)
            return await self._listen(ctx, params)
        finally:
            self._want_no_more(uris)

    async def _subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        connection: Connection = ctx.session._connection  # a session is one request's
        client = self._older.get(connection)
        if client is None:
            client = self._older[connection] = _OlderClient(connection)
            connection.exit_stack.callback(self._bus.subscribe(client.deliver))
            connection.exit_stack.callback(client.close)
            connection.exit_stack.callback(lambda: self._want_no_more(client.uris))
        if len(client.uris) >= MOST_URIS:
            raise MCPError(INVALID_PARAMS, f"at most {MOST_URIS} subscriptions per connection")
        fresh = {str(params.uri)} - client.uris
        client.uris.add(str(params.uri))
        await self._want(fresh)
        return EmptyResult()

    async def _unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        if client := self._older.get(ctx.session._connection):
            self._want_no_more({str(params.uri)} & client.uris)
            client.uris.discard(str(params.uri))
        return EmptyResult()

    async def _want(self, uris: set[str]) -> None:
        self._wanted.update(uris)
        if self.before_listening is not None:
            await asyncio.to_thread(self.before_listening)

    def _want_no_more(self, uris: set[str]) -> None:
        self._wanted.subtract(uris)
        for uri in uris:
            if self._wanted[uri] <= 0:
                del self._wanted[uri]


class _Bus:
    """The SDK's bus for events from any thread: each listener is called on its own loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[asyncio.AbstractEventLoop, Listener]] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        key = object()
        self._listeners[key] = (asyncio.get_running_loop(), listener)

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    def announce(self, event: ServerEvent) -> None:
        for loop, listener in list(self._listeners.values()):
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

    def deliver(self, event: ServerEvent) -> None:
        """Tell it in turn; a client that reads slowly gets one event for many of a resource."""
        if isinstance(event, ResourceUpdated) and event.uri in self.uris:
            self._pending[event.uri] = None
            if self._sending is None or self._sending.done():
                self._sending = asyncio.create_task(self._send())

    def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        while self._pending:
            uri = next(iter(self._pending))
            del self._pending[uri]
            await self._connection.send_resource_updated(uri)
