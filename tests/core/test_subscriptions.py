"""Clients of both eras are told when a resource changes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.messages import MessageHandler
from fastmcp.client.transports import StdioTransport
from mcp.client.subscriptions import ResourceUpdated, listen
from tests.core.processes import SHELF, environment, serving
from tests.core.shelf import create_server

from opswright_core import subscriptions
from opswright_core.settings import Settings
from opswright_core.subscriptions import Subscriptions

# The client's methods of the older era warn that there is a newer one.
pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

CHANGES = "journal://changes"


class Inbox(MessageHandler):
    """The URIs a client was told of, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def on_resource_updated(self, message: Any) -> None:
        self.told.put_nowait(str(message.params.uri))

    async def until(self, wanted: Callable[[str], bool]) -> str:
        """The next URI that is wanted; those before it are dropped."""
        async with asyncio.timeout(30):
            while not wanted(uri := await self.told.get()):
                pass
        return uri


@contextlib.asynccontextmanager
async def subscribed(where: Any, era: str, *uris: str) -> AsyncIterator[tuple[Any, Inbox]]:
    """A client that subscribed to resources in its era's way."""
    inbox = Inbox()
    older = era == "legacy"
    async with Client(where, mode=era, message_handler=inbox if older else None) as client:
        if older:
            for uri in uris:
                await client.session.subscribe_resource(uri)
            yield client, inbox
            return
        async with listen(client.session, resource_subscriptions=list(uris)) as stream:

            async def pump() -> None:
                async for event in stream:
                    assert isinstance(event, ResourceUpdated)
                    inbox.told.put_nowait(event.uri)

            pumping = asyncio.create_task(pump())
            yield client, inbox
            pumping.cancel()


def runtime_of(server: Any) -> Any:
    return server.opswright_runtime


@pytest.fixture
def server(settings: Settings) -> Any:
    return create_server(settings)


async def test_a_change_is_announced_and_its_resource_shows_it(server: Any, era: str) -> None:
    async with subscribed(server, era, CHANGES) as (client, inbox):
        done = (await client.call_tool("shelve", {"names": ["lamp"]})).structured_content
        assert await inbox.until(CHANGES.__eq__) == CHANGES
        index = json.loads((await client.read_resource(CHANGES))[0].text)
        one = json.loads((await client.read_resource(f"{CHANGES}/{done['change_id']}"))[0].text)
    assert index["changes"][0]["change_id"] == done["change_id"]
    assert index["changes"][0]["status"] == "done"
    assert [e["kind"] for e in one["events"]][-1] == "done"


async def test_one_change_can_be_followed(settings: Settings, era: str) -> None:
    import dataclasses

    server = create_server(dataclasses.replace(settings, approvals="token"))
    async with Client(server) as other:
        asked = (await other.call_tool("shelve", {"names": ["lamp"]})).structured_content
    uri = f"{CHANGES}/{asked['change_id']}"
    approved = {"names": ["lamp"], "approval": asked["approval"]["token"]}
    async with subscribed(server, era, uri) as (client, inbox):
        await client.call_tool("shelve", {"names": ["rug"]})
        await client.call_tool("shelve", approved)
        assert await inbox.until(lambda _: True) == uri


async def test_a_server_publishes_what_it_likes_from_any_thread(server: Any, era: str) -> None:
    publish = runtime_of(server).subscriptions.publish
    async with subscribed(server, era, "shelf://a", "shelf://b") as (_, inbox):
        await asyncio.to_thread(publish, "shelf://unasked")
        await asyncio.to_thread(publish, "shelf://a")
        publish("shelf://b")
        told = [await inbox.until(lambda _: True) for _ in range(2)]
    assert told == ["shelf://a", "shelf://b"]


async def test_an_unsubscribed_resource_is_announced_no_more(server: Any) -> None:
    publish = runtime_of(server).subscriptions.publish
    async with subscribed(server, "legacy", "shelf://a", "shelf://b") as (client, inbox):
        await client.session.unsubscribe_resource("shelf://a")
        publish("shelf://a")
        publish("shelf://b")
        assert await inbox.until(lambda _: True) == "shelf://b"


async def test_a_server_knows_what_is_listened_to(server: Any, era: str) -> None:
    subject = runtime_of(server).subscriptions
    assert subject.wanted == frozenset()
    async with subscribed(server, era, "shelf://a", "shelf://b"):
        assert subject.wanted == {"shelf://a", "shelf://b"}
        async with subscribed(server, era, "shelf://a"):
            assert subject.wanted == {"shelf://a", "shelf://b"}
        async with asyncio.timeout(30):
            while subject._wanted["", "shelf://a"] > 1:
                await asyncio.sleep(0.01)
        assert subject.wanted == {"shelf://a", "shelf://b"}
    async with asyncio.timeout(30):
        while subject.wanted:
            await asyncio.sleep(0.01)


async def test_what_is_subscribed_twice_is_wanted_until_unsubscribed_once(server: Any) -> None:
    subject = runtime_of(server).subscriptions
    async with subscribed(server, "legacy", "shelf://a", "shelf://a") as (client, _):
        await client.session.unsubscribe_resource("shelf://a")
        assert subject.wanted == frozenset()
        await client.session.unsubscribe_resource("shelf://a")
        assert subject.wanted == frozenset()


async def test_unsubscribing_from_nothing_is_no_error(server: Any) -> None:
    async with Client(server, mode="legacy") as client:
        await client.session.unsubscribe_resource("shelf://a")


async def test_a_client_that_left_costs_nothing(server: Any, era: str) -> None:
    listeners = runtime_of(server).subscriptions._bus._listeners
    async with subscribed(server, era, "shelf://a"):
        assert len(listeners) == 1
    async with asyncio.timeout(30):
        while listeners:
            await asyncio.sleep(0.01)
    runtime_of(server).subscriptions.publish("shelf://a")


async def test_subscribing_twice_is_being_told_once(server: Any) -> None:
    publish = runtime_of(server).subscriptions.publish
    async with subscribed(server, "legacy", "shelf://a", "shelf://a", "shelf://b") as (_, inbox):
        publish("shelf://a")
        publish("shelf://b")
        told = [await inbox.until(lambda _: True) for _ in range(2)]
    assert told == ["shelf://a", "shelf://b"]


async def test_the_number_of_subscriptions_is_bounded(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MOST_URIS", 2)
    async with Client(server, mode="legacy") as client:
        for uri in ("shelf://a", "shelf://b"):
            await client.session.subscribe_resource(uri)
        with pytest.raises(Exception, match="at most 2 subscriptions"):
            await client.session.subscribe_resource("shelf://c")


async def test_a_slow_client_gets_one_event_for_many_of_a_resource() -> None:
    sent: list[str] = []
    ready = asyncio.Event()

    class Slow:
        async def send_resource_updated(self, uri: str) -> None:
            sent.append(uri)
            await ready.wait()

    client = subscriptions._OlderClient(Slow())  # type: ignore[arg-type]
    client.uris = {"shelf://a", "shelf://b"}
    for uri in ["shelf://a", *["shelf://b"] * 100]:
        client.deliver(ResourceUpdated(uri=uri))
        await asyncio.sleep(0)
    ready.set()
    assert client._sending is not None
    await client._sending
    assert sent == ["shelf://a", "shelf://b"]
    client.close()


def test_publishing_to_a_loop_that_has_ended_is_no_error() -> None:
    subject = Subscriptions()

    async def leave_behind() -> None:
        subject._bus.subscribe(lambda _: None)

    asyncio.run(leave_behind())
    subject.publish("shelf://a")


async def test_over_stdio_and_http_it_is_the_same(era: str, tmp_path: Path) -> None:
    flags = ["--allow-writes", "--approvals", "auto"]
    stdio = StdioTransport(
        SHELF[0],
        [*SHELF[1:], *flags, "--state-dir", str(tmp_path / "stdio" / "state")],
        env=environment(),
        keep_alive=False,
    )
    (tmp_path / "http").mkdir()
    with serving(SHELF, tmp_path / "http" / "state", *flags) as base:
        for where in (stdio, f"{base}/mcp"):
            async with subscribed(where, era, CHANGES) as (client, inbox):
                await client.call_tool("shelve", {"names": ["lamp"]})
                assert await inbox.until(lambda _: True) == CHANGES
                await client.call_tool("shelve", {"names": ["rug"]})
                assert await inbox.until(lambda _: True) == CHANGES
