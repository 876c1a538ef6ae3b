"""Listeners are told of what was written, by whichever process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.test_subscriptions import subscribed

from opswright_core.settings import Settings
from opswright_knowledge.records import HOST, MemoryRecord
from opswright_knowledge.server import create_server
from opswright_knowledge.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

WRITER = Path(__file__).with_name("writer.py")


async def test_a_listener_is_told_of_what_another_process_wrote(
    url: str, settings: Settings, era: str
) -> None:
    uri = "knowledge://context/shared"
    async with subscribed(create_server(settings, url), era, uri) as (client, inbox):
        await asyncio.to_thread(
            subprocess.run, [sys.executable, str(WRITER), url, "p", "1", "1"], check=True
        )
        assert await inbox.until(lambda _: True) == uri
        answer = await client.call_tool("get_context", {"scope": "shared"})
        assert answer.structured_content["items"][0]["recorded_by"] == "p"


async def test_a_listener_is_not_told_of_other_namespaces(url: str, settings: Settings) -> None:
    own, other = "knowledge://context/s/own", "knowledge://context/s/other"
    server = create_server(settings, url, namespace="team-a")
    store = Store(url)
    async with subscribed(server, "auto", own, other) as (client, inbox):
        with store.within("team-b").writing(HOST) as unit:
            unit.context.put("s", "other", 1)
        await client.call_tool("set_context", {"scope": "s", "key": "own", "value": 1})
        assert await inbox.until(lambda _: True) == own
    store.close()


async def test_the_follower_ends_with_the_last_listener(url: str, settings: Settings) -> None:
    server = create_server(settings, url)
    follower = server.opswright_runtime.extras["follower"]  # type: ignore[attr-defined]
    uri = "knowledge://changes"
    for key in ("a", "b"):
        async with subscribed(server, "auto", uri) as (client, inbox):
            assert follower._thread.is_alive()
            await client.call_tool("set_context", {"scope": "s", "key": key, "value": 1})
            assert await inbox.until(lambda _: True) == uri
        async with asyncio.timeout(30):
            while follower._thread is not None:
                await asyncio.sleep(0.01)


async def test_a_forgotten_memory_leaves_no_text(url: str) -> None:
    store = Store(url)
    with store.writing(HOST) as unit:
        ((memory_id,), _) = unit.memories.put("cost", [MemoryRecord(text="a secret habit")])
        unit.memories.forget(memory_id)
    with store.reading() as unit:
        found, total = unit.changes.of("memory", f"cost/{memory_id}")
    store.close()
    assert total == 2
    assert "secret" not in str(found)
