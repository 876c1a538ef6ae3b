"""What is asked of a store is told from its indexes: no statement reads a table that grows."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from opswright_knowledge.records import ResourceRecord
from opswright_knowledge.storage.unit_of_work import UnitOfWork
from opswright_knowledge.store import Store

CHEAP = re.compile(
    r"^(?:SCAN (?:step|anon_\d+|CONSTANT ROW|\d+ CONSTANT ROWS?|some)\b|(?!SCAN|.*TEMP B-TREE))"
)
NAMED = (
    "type", "id", "application", "environment", "agent", "scope", "key", "run_id", "thread",
    "record",
)  # fmt: skip
LOOKS: dict[str, Callable[[UnitOfWork], Any]] = {
    "names": lambda unit: [unit.names.beginning(what, "a") for what in NAMED],
    "agents": lambda unit: unit.names.agents(),
    "scopes": lambda unit: unit.context.scopes(),
    "an inbox": lambda unit: unit.messages.find("cost"),
    "all messages": lambda unit: unit.messages.find("cost", unacknowledged_only=False),
    "a thread": lambda unit: unit.messages.find("", thread="t"),
    "newest memories": lambda unit: unit.memories.newest("cost"),
    "deployments": lambda unit: unit.deployments.find(),
    "deployments of one": lambda unit: unit.deployments.find(application="shop"),
    "deployments to one": lambda unit: unit.deployments.find(environment="prod"),
    "failed deployments": lambda unit: unit.deployments.find(status="failed"),
    "a page of resources": lambda unit: unit.resource_search.find(type="a", after=["a", "b"]),
    "runs": lambda unit: unit.runs.find(),
    "changes of an agent": lambda unit: unit.changes.after(0, agent="cost"),
    "changes of a kind": lambda unit: unit.changes.after(0, kind="run", newest_first=True),
}  # fmt: skip


SORT = "USE TEMP B-TREE FOR ORDER BY"


def _sorts_a_page_of_each_part(statement: str) -> bool:
    """Whether what is sorted are a few parts, of which each was cut to a page in its own order."""
    return statement.count("LIMIT") == statement.count("UNION ALL") + 2


@contextmanager
def plans() -> Iterator[list[str]]:
    """The steps of the plan of each statement that SQLite is sent."""
    steps: list[str] = []

    def explain(connection: Any, _: Any, statement: str, values: Any, *__: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            told = [row[-1] for row in cursor.fetchall()]
            if _sorts_a_page_of_each_part(statement):
                told = [step for step in told if step != SORT]
            steps.extend(told)

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield steps
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def test_no_look_scans_or_sorts_a_table(tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path}/k.db")
    found = {}
    for name, look in LOOKS.items():
        with store.reading() as unit, plans() as steps:
            look(unit)
        assert steps, name
        found[name] = [step for step in steps if not CHEAP.match(step)]
    store.close()
    assert {name: steps for name, steps in found.items() if steps} == {}


def test_a_scan_would_be_seen(tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path}/k.db")
    with store.reading() as unit, plans() as steps:
        unit.connection.exec_driver_sql("SELECT text FROM memories ORDER BY text")
    store.close()
    assert [step for step in steps if not CHEAP.match(step)] == [
        "SCAN memories",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def record(id: str, **more: Any) -> ResourceRecord:
    return ResourceRecord.model_validate({"type": "t", "id": id, **more})


def test_words_at_the_end_of_a_long_record_are_found(store: Store) -> None:
    items = [{"name": f"item{number}"} for number in range(400)]
    with store.writing(None) as unit:
        unit.resources.put([record("a", attributes={"items": items, "zone": "last words here"})])
    with store.reading() as unit:
        for query in ("name-item399", "last-words", "name-item3", '"words here"'):
            assert unit.resource_search.find(query=query)[1].total == 1, query
        assert unit.resource_search.find(query="item399-item399")[1].total == 0


@pytest.mark.parametrize("value", ["x" * 3000, "é" * 2000, "long " * 600])
def test_a_long_tag_is_kept_whole_and_found(store: Store, value: str) -> None:
    other = value[:-1] + "y"
    with store.writing(None) as unit:
        unit.resources.put([record("a", tags={"note": value}), record("b", tags={"note": other})])
    with store.reading() as unit:
        ((one,), _) = unit.resource_search.find(tag=f"note={value}")
        assert (one.id, one.tags) == ("a", {"note": value})
