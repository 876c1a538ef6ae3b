"""The watch over every test's statements sees what it is for."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, select, update
from tests.knowledge.statements import NAMED, unnamed, watched

from opswright_knowledge.records import HOST
from opswright_knowledge.storage import prepared
from opswright_knowledge.storage.schema import changes, context, memories, messages, metadata
from opswright_knowledge.store import Store


def test_all_tables_with_a_namespace_are_watched() -> None:
    named = {table.name for table in metadata.tables.values() if "namespace" in table.c}
    assert named == set(NAMED.split("|"))


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (select(changes), {"changes"}),
        (select(changes).where(changes.c.namespace == 1), set()),
        (select(changes).where(changes.c.revision == 1), {"changes"}),
        (select(memories, messages).where(memories.c.namespace == 1), {"messages"}),
        (select(memories.alias("m")).where(memories.c.revision == 1), {"memories"}),
        (update(context).values(namespace=1, value=2), {"context"}),
        (delete(context).where(context.c.key == "k"), {"context"}),
        ("INSERT INTO changes (revision, key) VALUES (?, ?)", {"changes"}),
        ("INSERT INTO changes (namespace, key) VALUES (?, ?)", set()),
        ("SELECT revision FROM namespaces WHERE number = ?", set()),
    ],
)
def test_a_statement_without_its_namespace_is_seen(statement: Any, tables: set[str]) -> None:
    assert unnamed(str(statement)) == tables


def test_a_storage_that_forgot_the_namespace_would_be_caught(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import true

    from opswright_knowledge.storage.unit_of_work import UnitOfWork

    store = Store(url)
    with store.writing(HOST) as unit:
        unit.context.put("s", "k", 1)
    monkeypatch.setattr(UnitOfWork, "own", lambda *_: true())
    with watched() as found, store.reading() as unit:
        unit.context.get("s", "k")
    store.close()
    assert len(found) == 1
    found.clear()


def test_a_prepared_statement_that_forgot_the_namespace_would_be_caught(tmp_path: Path) -> None:
    statement = select(context.c.value).where(context.c.key == bindparam("k"))
    store = Store(f"sqlite:///{tmp_path}/knowledge.db")
    with watched() as found, store.reading() as unit:
        assert unit.run(statement, {"k": "a"}) == []
    store.close()
    del prepared.made[statement, ("k", "own_namespace")]
    assert len(found) == 1
