"""A store that goes away says so, and is there again with all that it acknowledged."""

import asyncio
import functools
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastmcp import Client
from tests.core.processes import free_port
from tests.postgres import Postgres

from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings
from opswright_knowledge.records import HOST, ResourceRecord
from opswright_knowledge.server import create_server
from opswright_knowledge.storage.unit_of_work import UnitOfWork
from opswright_knowledge.store import Store


@pytest.fixture
def running(postgres: Postgres) -> Iterator[Postgres]:
    """The cluster; running again afterwards, whatever happened."""
    yield postgres
    if not (postgres.home / "data/postmaster.pid").exists():
        postgres.start()


async def test_an_outage_is_told_and_over_when_the_database_is_back(
    settings: Settings, running: Postgres, postgres_url: str
) -> None:
    url = postgres_url.replace("postgres@", "postgres:hidden@")
    value = {"scope": "s", "key": "k", "value": 1}
    async with Client(create_server(settings, url)) as client:

        async def said(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            assert result.is_error
            text: str = result.content[0].text
            return text

        written = await client.call_tool("set_context", value)
        running.stop()
        for told in (
            await said("set_context", **{**value, "value": 2}),
            await said("get_context", scope="s"),
        ):
            assert "cannot be used" in told
            assert "OPSWRIGHT_KNOWLEDGE_URL" in told or "try again" in told
            assert "hidden" not in told
        with pytest.raises(Exception, match="cannot be used"):
            await client.list_resources()
        with pytest.raises(Exception, match="cannot be used"):
            await client.read_resource("knowledge://changes")
        running.start()
        (entry,) = (await client.call_tool("get_context", {"scope": "s"})).structured_content[
            "items"
        ]
        assert (entry["value"], entry["revision"]) == (1, written.structured_content["revision"])
        again = await client.call_tool("set_context", {**value, "value": 3})
        assert again.structured_content["revision"] == entry["revision"] + 1


async def test_a_crash_of_the_database_amid_writes_loses_nothing_acknowledged(
    running: Postgres, postgres_url: str
) -> None:
    store = Store(postgres_url)
    acknowledged: list[str] = []
    refused: list[str] = []
    over = asyncio.Event()

    def put(records: list[ResourceRecord], unit: UnitOfWork) -> None:
        unit.resources.put(records)

    async def write(writer: int) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            records = [ResourceRecord(type="t", id=f"{writer}-{number}")]
            try:
                await store.write(HOST, functools.partial(put, records))
            except OpswrightError as exc:
                refused.append(str(exc))
                await asyncio.sleep(0.05)
                continue
            acknowledged.append(records[0].id)

    async def more(many: int) -> None:
        goal = len(acknowledged) + many
        while len(acknowledged) < goal:
            await asyncio.sleep(0.01)

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    try:
        await asyncio.wait_for(more(50), 60)
        await asyncio.to_thread(running.stop)
        await asyncio.to_thread(running.start)
        before = len(acknowledged)
        await asyncio.wait_for(more(50), 60)
    finally:
        over.set()
        await asyncio.gather(*writers)
    assert refused
    assert len(acknowledged) > before
    assert all("cannot be used" in why for why in refused)
    with store.reading() as unit:
        found, counts = unit.resource_search.find(limit=100_000)
        changes, _ = unit.changes.after(0, limit=100_000)
    store.close()
    assert {one.id for one in found} >= set(acknowledged)
    assert [change.revision for change in changes] == list(range(1, counts.total + 1))


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    settings: Settings,
) -> None:
    url = f"postgresql://someone:hidden@127.0.0.1:{free_port()}/knowledge"
    async with Client(create_server(settings, url)) as client:
        result = await client.call_tool("list_runs", {}, raise_on_error=False)
    told = result.content[0].text
    assert result.is_error
    assert "cannot be used" in told
    assert "Check that it runs and can be reached from here" in told
    assert "hidden" not in told


async def test_a_database_that_is_read_only_or_not_whole_is_read_as_far_as_it_goes(
    settings: Settings, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    record = ("record_resources", {"resources": [{"type": "t", "id": "i", "tags": {"a": "b"}}]})

    async def said(tool: str, arguments: Any) -> str:
        async with Client(create_server(settings, postgres_url)) as client:
            await client.call_tool("find_resources", {})  # a connection that was read with
            result = await client.call_tool(tool, arguments, raise_on_error=False)
        return str(result.content[0].text)

    def command(statement: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(statement)

    await said(*record)
    command(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert '"id":"i"' in await said("find_resources", {"tag": "a=b"})
    told = await said("set_context", {"scope": "s", "key": "k", "value": 1})
    assert "Nothing was written: it is a standby, or was set read-only" in told
    command("BEGIN READ WRITE; DROP TABLE resource_tags; COMMIT")
    assert "are not as this server left them" in await said("find_resources", {"tag": "a=b"})
    assert '"id":"i"' in await said("find_resources", {})


async def test_a_missing_driver_names_the_command_that_installs_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    async with Client(create_server(settings, "postgresql://a@127.0.0.1/b")) as client:
        result = await client.call_tool("list_runs", {}, raise_on_error=False)
    assert result.is_error
    assert "pip install 'opswright-knowledge[postgres]'" in result.content[0].text


async def test_a_full_disk_is_told_loses_nothing_and_is_over_when_there_is_room(
    settings: Settings, tmp_path: Any
) -> None:
    from sqlalchemy import Engine, event

    most = [0]

    def bound(connection: Any, _: Any) -> None:
        if most[0]:
            connection.execute(f"PRAGMA max_page_count={most[0]}")

    url = f"sqlite:///{tmp_path}/knowledge.db"
    async with Client(create_server(settings, url)) as client:
        await client.call_tool("list_runs", {})
    most[0] = 120  # as SQLite finds it when the disk has no page left
    kept, told = 0, ""
    event.listen(Engine, "connect", bound)
    try:
        async with Client(create_server(settings, url)) as client:
            while not told:
                batch = [
                    {"type": "t", "id": f"{kept + n}", "attributes": {"x": "y" * 900}}
                    for n in range(10)
                ]
                result = await client.call_tool(
                    "record_resources", {"resources": batch}, raise_on_error=False
                )
                if result.is_error:
                    told = result.content[0].text
                else:
                    kept += 10
            page = (await client.call_tool("find_resources", {})).structured_content
    finally:
        event.remove(Engine, "connect", bound)
    assert "Free space on the disk and try again" in told
    assert page["total"] == kept > 0
    async with Client(create_server(settings, url)) as client:
        await client.call_tool("record_resources", {"resources": [{"type": "t", "id": "more"}]})
        page = (await client.call_tool("find_resources", {})).structured_content
    assert page["total"] == kept + 1
