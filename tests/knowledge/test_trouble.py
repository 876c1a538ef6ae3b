"""A store that cannot be used says why, and what to do."""

import dataclasses
import os
import sqlite3
from functools import partial
from typing import Any

import pytest
from fastmcp import Client
from sqlalchemy.engine import make_url

from opswright_core.errors import BadInputError, OpswrightError
from opswright_knowledge.records import HOST
from opswright_knowledge.server import create_server
from opswright_knowledge.storage.dialect import dialect_of
from opswright_knowledge.storage.sqlite import SQLite
from opswright_knowledge.store import Store


async def complaint(settings: Any, url: str, tool: Any = "find_resources", **arguments: Any) -> Any:
    async with Client(create_server(settings, url)) as client:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error, result.structured_content
    return result.content[0].text


async def test_a_damaged_file_is_named_and_left_alone(settings: Any, tmp_path: Any) -> None:
    file = tmp_path / "knowledge.db"
    file.write_bytes(b"this is no database at all, it is only text" * 100)
    text = await complaint(settings, f"sqlite:///{file}")
    assert str(file) in text
    assert "restore a backup" in text
    assert file.read_bytes().startswith(b"this is no database")


async def test_a_file_damaged_in_the_middle_is_an_error_not_an_answer(
    settings: Any, tmp_path: Any
) -> None:
    file = tmp_path / "knowledge.db"
    store = Store(f"sqlite:///{file}")
    with store.writing(HOST) as unit:
        for number in range(300):
            unit.context.put("s", f"k{number}", "x" * 500)
    store.close()
    content = bytearray(file.read_bytes())
    for at in range(4096 * 8, len(content), 4096):
        content[at : at + 4096] = os.urandom(len(content[at : at + 4096]))
    file.write_bytes(content)
    text = await complaint(settings, f"sqlite:///{file}", "get_context", scope="s")
    assert "damaged" in text


async def test_a_newer_store_is_not_touched(settings: Any, tmp_path: Any) -> None:
    file = tmp_path / "knowledge.db"
    with Store(f"sqlite:///{file}").writing(HOST) as unit:
        unit.context.put("s", "k", 1)
    with sqlite3.connect(file) as db:
        db.execute("UPDATE alembic_version SET version_num = '0099'")
    db.close()
    text = await complaint(settings, f"sqlite:///{file}")
    assert "schema version 0099" in text
    assert "Upgrade opswright-knowledge" in text


async def test_a_read_only_store_is_read_but_not_written(settings: Any, tmp_path: Any) -> None:
    file = tmp_path / "knowledge.db"
    store = Store(f"sqlite:///{file}")
    with store.writing(HOST) as unit:
        unit.context.put("s", "k", 1)
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    text = await complaint(settings, url, "set_context", scope="s", key="k", value=2)
    assert "Nothing was written" in text
    async with Client(create_server(settings, url)) as client:
        answer = await client.call_tool("get_context", {"scope": "s"})
    assert answer.structured_content["items"][0]["value"] == 1
    store.close()


async def test_a_directory_that_cannot_be_made_is_named(settings: Any, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    text = await complaint(settings, f"sqlite:///{tmp_path}/file/knowledge.db")
    assert "cannot be used" in text
    assert "directory" in text


async def test_a_store_is_usable_again_once_the_trouble_is_gone(
    settings: Any, tmp_path: Any
) -> None:
    (tmp_path / "place").write_text("in the way")
    url = f"sqlite:///{tmp_path}/place/knowledge.db"
    async with Client(create_server(settings, url)) as client:
        first = await client.call_tool("find_resources", {}, raise_on_error=False)
        assert first.is_error
        (tmp_path / "place").unlink()
        second = await client.call_tool("find_resources", {})
    assert second.structured_content["total"] == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://user:secret@db/knowledge", "only sqlite and postgresql are supported"),
        ("postgresql+asyncpg://user:secret@db/x", "only sqlite and postgresql are supported"),
        ("postgresql://user:secret@db", "names no database"),
        ("sqlite+aiosqlite:///x.db", "only sqlite and postgresql are supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
async def test_a_url_that_cannot_be_used_says_which_can(settings: Any, url: str, says: str) -> None:
    text = await complaint(settings, url)
    assert says in text
    assert "sqlite:////path/to/knowledge.db" in text
    assert "secret" not in text
    with pytest.raises(BadInputError, match=says):
        dialect_of(url)


def failing_with(name: str) -> Any:
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SQLITE_BUSY", "Another process holds it"),
        ("SQLITE_BUSY_SNAPSHOT", "Another process holds it"),
        ("SQLITE_READONLY_DIRECTORY", "make the file and its directory writable"),
        ("SQLITE_FULL", "Free space on the disk"),
        ("SQLITE_CORRUPT_VTAB", "damaged"),
        ("SQLITE_CANTOPEN", "directory exists"),
        ("SQLITE_IOERR", "Check the file"),
    ],
)
def test_each_kind_of_trouble_has_its_advice(name: str, advice: Any) -> None:
    error = SQLite(make_url("sqlite:////srv/knowledge.db")).explain(failing_with(name))
    assert isinstance(error, OpswrightError)
    assert "/srv/knowledge.db" in str(error)
    assert "it went wrong" in str(error)
    assert advice.lower() in str(error).lower()


async def test_the_store_is_readable_by_its_owner_alone(settings: Any) -> None:
    async with Client(create_server(settings)) as client:
        await client.call_tool("changes_since", {})
    file = settings.state_dir / "knowledge.db"
    assert file.stat().st_mode & 0o077 == 0


async def test_the_url_comes_from_the_environment(
    settings: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OPSWRIGHT_KNOWLEDGE_URL", f"sqlite:///{tmp_path}/shared.db")
    async with Client(create_server(settings)) as client:
        await client.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
    assert (tmp_path / "shared.db").exists()


async def test_a_read_only_server_still_keeps_records_and_offers_the_default_tools(
    settings: Any,
) -> None:
    narrow = dataclasses.replace(settings, allow_writes=False, toolsets=frozenset({"default"}))
    async with Client(partial(create_server, narrow)()) as client:
        names = {tool.name for tool in await client.list_tools()}
        await client.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
    assert {"record_resources", "remember", "send_message", "set_context"} <= names
    assert not names & {"record_run", "get_run", "mark_deleted", "forget_memory", "record_report"}
