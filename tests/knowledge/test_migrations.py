"""Every version of the schema is brought up to date, once, with all that it holds."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastmcp import Client
from sqlalchemy import Connection, create_engine, text

from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings
from opswright_knowledge.records import HOST
from opswright_knowledge.server import create_server
from opswright_knowledge.storage import upgrade
from opswright_knowledge.storage.dialect import dialect_of
from opswright_knowledge.storage.schema import VERSIONS, metadata
from opswright_knowledge.store import Store

FIRST = Path(__file__).with_name("first_version.sql")


@pytest.fixture
def first(tmp_path: Path) -> str:
    """A file as the first version of the server left it, before there were migrations."""
    import sqlite3

    with sqlite3.connect(tmp_path / "first.db") as db:
        db.executescript(FIRST.read_text())
    db.close()
    return f"sqlite:///{tmp_path}/first.db"


def open_and_close(url: str) -> None:
    store = Store(url)
    try:
        with store.reading() as unit:
            assert unit.revision >= 0
    finally:
        store.close()


def looked_at(url: str, look: Callable[[Connection], Any]) -> Any:
    engine = dialect_of(url).engine()
    with engine.connect() as connection:
        found = look(connection)
    engine.dispose()
    return found


def test_the_versions_in_the_code_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(upgrade.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == VERSIONS


def test_the_migrations_make_the_schema_of_the_code(empty_url: str) -> None:
    open_and_close(empty_url)

    def differences(connection: Connection) -> Any:
        options = {"include_name": lambda name, kind, _: kind != "table" or "_words" not in name}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return [difference for difference in found if difference[0] != "remove_table"]

    assert looked_at(empty_url, differences) == []


def test_a_new_file_is_made_as_the_migrations_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, migrated = (f"sqlite:///{tmp_path}/{name}.db" for name in ("made", "migrated"))
    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "_migrate", None)
        open_and_close(made)
    with monkeypatch.context() as patched:
        patched.setattr("opswright_knowledge.storage.sqlite.SQLite.create", lambda *_: False)
        open_and_close(migrated)
    assert looked_at(made, _everything) == looked_at(migrated, _everything)


def _everything(connection: Connection) -> Any:
    """Every table and index as it was asked for, spaces aside, and every row."""
    tables = {name: " ".join((sql or "").split()) for name, sql in _tables(connection)}
    rows = {
        name: sorted(map(tuple, connection.exec_driver_sql(f'SELECT * FROM "{name}"')), key=str)
        for name, sql in tables.items()
        if sql.startswith("CREATE TABLE") and "_words_" not in name
    }
    return tables, rows


async def test_all_that_the_first_version_kept_is_there_after(
    first: str, settings: Settings
) -> None:
    async with Client(create_server(settings, first)) as client:

        async def ask(tool: str, **arguments: Any) -> Any:
            return (await client.call_tool(tool, arguments)).structured_content

        vpc, subnet = (await ask("find_resources"))["items"][::-1]
        assert (vpc["id"], vpc["name"], vpc["tags"]) == ("vpc-1", "Café main", {"team": "payments"})
        assert (vpc["revision"], vpc["recorded_by"], vpc["step"]) == (4, "aws_devops", "network")
        assert subnet["relations"] == [{"kind": "in", "to": "vpc-1"}]
        assert (await ask("find_resources", query="cafe"))["total"] == 1
        assert (await ask("find_resources", tag="team=payments"))["total"] == 1
        assert (await ask("walk_relations", id="vpc-1"))["found"] == 1
        assert [d["version"] for d in (await ask("list_deployments"))["items"]] == ["v2", "v1"]
        assert (await ask("recall", query="payment databases"))["total"] == 1
        (replicas,) = (await ask("get_context", scope="env:prod"))["items"]
        assert (replicas["value"], replicas["revision"]) == ({"web": 3}, 10)
        assert (await ask("read_messages", recipient="cost"))["total"] == 1  # that to all
        everything = await ask("read_messages", recipient="cost", unacknowledged_only=False)
        assert everything["total"] == 2
        run = await ask("get_run", run_id="run-1")
        assert (run["plan"], run["steps"]) == ({"steps": [1]}, [{"id": "network"}])
        log = await ask("changes_since")
        assert (log["revision"], len(log["changes"])) == (14, 14)
        written = await ask("set_context", scope="env:prod", key="replicas", value={"web": 4})
        assert written["revision"] == 15


def test_the_first_use_alone_migrates(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_and_close(first)

    def migrate(*_: Any) -> None:
        raise AssertionError("migrated again")

    monkeypatch.setattr(upgrade, "_migrate", migrate)
    open_and_close(first)


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = looked_at(first, _tables)
    migrate = upgrade._migrate

    def fail(*args: Any) -> None:
        migrate(*args)
        raise OSError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "_migrate", fail)
        with pytest.raises(OpswrightError, match="cut off"):
            open_and_close(first)
    assert looked_at(first, _tables) == before
    store = Store(first)
    with store.reading() as unit:
        assert unit.revision == 14
    store.close()


def _tables(connection: Connection) -> Any:
    return connection.execute(text("SELECT name, sql FROM sqlite_master ORDER BY name")).all()


async def test_keys_of_before_they_were_encoded_are_brought_over(
    empty_url: str, settings: Settings
) -> None:
    twins = [{"type": "a/b", "id": "c/d"}, {"type": "50%", "id": "x"}, {"type": "a", "id": "e/f"}]
    async with Client(create_server(settings, empty_url)) as client:
        await client.call_tool("record_resources", {"resources": twins})
        await client.call_tool("set_context", {"scope": "env:a/b", "key": "k", "value": 1})
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE changes SET key = replace(replace(key, '%2F', '/'), '%25', '%')")
        )
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    engine.dispose()
    async with Client(create_server(settings, empty_url)) as client:
        log = (await client.call_tool("changes_since", {})).structured_content
        asked = {"query": "e/f"}
        found = (await client.call_tool("find_resources", asked)).structured_content
    assert [one["id"] for one in found["items"]] == ["e/f"]
    keys = [change["key"] for change in log["changes"]]
    assert keys == ["a%2Fb/c/d", "50%25/x", "a/e/f", "env:a%2Fb/k"]


OPEN = """
import sys
from opswright_knowledge.records import Provenance
from opswright_knowledge.store import Store
with Store(sys.argv[1]).writing(Provenance(agent=sys.argv[2])) as unit:
    unit.context.put("opened", sys.argv[2], True)
"""


@pytest.mark.slow
def test_eight_processes_that_start_at_once_make_the_tables_once(empty_url: str) -> None:
    assert opened_at_once(empty_url) == 8


@pytest.mark.slow
def test_eight_processes_that_start_at_once_migrate_an_old_file_once(first: str) -> None:
    assert opened_at_once(first) == 8


def opened_at_once(url: str) -> int:
    """How many of eight processes wrote to a store that they all open first."""

    def start(number: int) -> Any:
        command = [sys.executable, "-c", OPEN, url, f"p{number}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=150)

    with ThreadPoolExecutor(8) as pool:
        for done in pool.map(start, range(8)):
            assert done.returncode == 0, done.stderr
    store = Store(url)
    with store.reading() as unit:
        written = unit.context.find("opened")[1]
    store.close()
    return written


def test_a_version_that_this_server_does_not_know_is_refused(empty_url: str) -> None:
    store = Store(empty_url)
    with store.writing(HOST) as unit:
        unit.context.put("s", "k", 1)
    store.close()
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    engine.dispose()
    with pytest.raises(OpswrightError, match=r"schema version 0099.*Upgrade opswright-knowledge"):
        open_and_close(empty_url)
