"""Reads cost the same however many records there are, counted in the database's own steps."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_knowledge.records import (
    DeploymentRecord,
    MemoryRecord,
    MessageRecord,
    Provenance,
    ResourceRecord,
)
from opswright_knowledge.storage import (
    full_text,
    messages,
    names,
    postings,
    resource_search,
    unit_of_work,
)
from opswright_knowledge.store import Store

READS: dict[str, Callable[[Any], Any]] = {
    "ids": lambda unit: unit.names.beginning("id", "r-", limit=10),
    "ids of a type": lambda unit: unit.names.beginning(
        "id", given={"type": "ec2:volume"}, limit=10
    ),
    "applications": lambda unit: unit.names.beginning("application", limit=10),
    "environments": lambda unit: unit.names.beginning("environment", limit=10),
    "scopes": lambda unit: unit.names.beginning("scope", limit=10),
    "keys": lambda unit: unit.names.beginning("key", limit=10),
    "threads": lambda unit: unit.names.beginning("thread", limit=10),
    "records": lambda unit: unit.names.beginning("record", limit=10),
    "agents": lambda unit: unit.names.agents(),
    "neighbours of a hub": lambda unit: unit.resource_search.find(related_to="hub", limit=10),
    "a page of a region": lambda unit: unit.resource_search.find(region="eu-west-1", limit=10),
    "a page of a common word": lambda unit: unit.resource_search.find(query="shop", limit=10),
    "a page of a common word, deep": lambda unit: unit.resource_search.find(
        query="shop", after=("ec2:volume", "r-000100"), limit=10
    ),
    "a page of two common words": lambda unit: unit.resource_search.find(
        query="shop instance", limit=10
    ),
    "a page of how words begin": lambda unit: unit.resource_search.find(query="sho", limit=10),
    "a page of a tag": lambda unit: unit.resource_search.find(tag="team=web", limit=10),
    "a page of a tag of a type": lambda unit: unit.resource_search.find(
        tag="team=web", type="ec2:volume", limit=10
    ),
    "a page of a tag's key": lambda unit: unit.resource_search.find(tag="team", limit=10),
    "a page of an attribute": lambda unit: unit.resource_search.find(
        attribute="owner=web", limit=10
    ),
    "a page of a status": lambda unit: unit.resource_search.find(status="running", limit=10),
    "a resource by its id": lambda unit: unit.resource_search.find(id="r-000007"),
    "recall by a common word": lambda unit: unit.memories.search(["failed"]),
    "recall by two common words": lambda unit: unit.memories.search(["failed", "steps"]),
    "recall by words of which none holds both": lambda unit: unit.memories.search(["web", "mail"]),
    "recall by a rare word": lambda unit: unit.memories.search(["number7"]),
    "a page of a type, deep": lambda unit: unit.resource_search.find(
        type="ec2:volume", after=("ec2:volume", "r-000100"), limit=10
    ),
    "memories": lambda unit: unit.memories.newest("a", limit=10),
    "memories of all agents": lambda unit: unit.memories.newest(limit=10),
    "memories of a rare kind": lambda unit: unit.memories.newest("a", kind="preference", limit=10),
    "changes": lambda unit: unit.changes.latest(limit=10),
    "changes since the first": lambda unit: unit.changes.after(0, limit=10),
    "changes of an agent": lambda unit: unit.changes.after(0, agent="scanner", limit=10),
    "changes of an agent, newest first": lambda unit: unit.changes.after(
        0, agent="scanner", newest_first=True, limit=10
    ),
    "changes of a kind": lambda unit: unit.changes.after(0, kind="context", limit=10),
    "changes of a kind by an agent that made none": lambda unit: unit.changes.after(
        0, agent="scanner", kind="context", limit=10
    ),
    "changes of an agent and a kind": lambda unit: unit.changes.after(
        0, agent="scanner", kind="memory", limit=10
    ),
    "an inbox": lambda unit: unit.messages.find("b", limit=10),
    "what waits of messages to all": lambda unit: unit.messages.find("c", limit=10),
    "how much waits of messages to all": lambda unit: unit.messages.count("c", 1_000),
    "messages to all, read or not": lambda unit: unit.messages.find(
        "c", unacknowledged_only=False, limit=10
    ),
    "a thread": lambda unit: unit.messages.find("c", thread="none", limit=10),
    "what runs where": lambda unit: unit.deployments.running(limit=10),
    "what runs of an application": lambda unit: unit.deployments.running(application="shop"),
    "what runs in an environment": lambda unit: unit.deployments.running(environment="prod"),
    "what runs in a place": lambda unit: unit.deployments.running(
        application="shop", environment="prod"
    ),
}


def _fill(store: Store, begin: int, end: int) -> None:
    _tell_all(store, begin, end)
    with store.writing(Provenance(agent="scanner")) as unit:
        unit.memories.put("scanner", [_memory(number) for number in range(begin, end)])
    with store.writing(None) as unit:
        unit.resources.put(
            [
                ResourceRecord(
                    type=("ec2:volume", "ec2:instance")[number % 2],
                    id=f"r-{number:06}",
                    name=("shop", "shore")[number // 2 % 2],
                    region="eu-west-1",
                    status="running",
                    attributes={"owner": "web"},
                    tags={"team": "web"},
                    relations=[{"kind": kind, "to": "hub"} for kind in ("in", "uses")],
                )
                for number in range(begin, end)
            ]
        )
        unit.memories.put("a", [_memory(number) for number in range(begin, end)])
        for number in range(begin, end):
            unit.messages.send("a", MessageRecord(recipient="b", intent="inform", content="hello"))
            unit.context.put("s", f"key{number}", number)
            unit.deployments.record(
                DeploymentRecord(application="shop", environment="prod", version=f"v{number}")
            )


def _tell_all(store: Store, begin: int, end: int) -> None:
    """Send messages to all, of which the reader leaves the first ones unread, and the last."""
    reader = Provenance(agent="c")
    with store.writing(reader) as unit:
        for number in range(begin, end):
            told = MessageRecord(recipient="*", intent="inform", content="hello")
            message_id, *_ = unit.messages.send("a", told)
            if number not in {3, 9, 1499}:
                unit.messages.acknowledge([message_id])


def _memory(number: int) -> MemoryRecord:
    return MemoryRecord(text=f"{('web', 'mail')[number % 2]} failed at step number{number}")


def _steps(store: Store, read: Callable[[Any], Any]) -> int:
    """What a read takes: tens of instructions of SQLite's virtual machine, or PostgreSQL's rows."""
    return (_instructions if store.url.startswith("sqlite") else _rows)(store, read)


def _rows(store: Store, read: Callable[[Any], Any]) -> int:
    """How many rows and entries of indexes PostgreSQL looks at; each whole table, a million."""
    from sqlalchemy import event

    sent: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append((statement, parameters))

    with store.reading() as unit:
        event.listen(unit.connection, "before_cursor_execute", note)
        read(unit)
        event.remove(unit.connection, "before_cursor_execute", note)
        explain = "EXPLAIN (ANALYZE, FORMAT JSON)"
        plans = [
            unit.connection.exec_driver_sql(f"{explain} {statement}", parameters).scalar_one()
            for statement, parameters in sent
        ]
    return sum(_looked_at(plan["Plan"]) for (plan,) in plans)


def _looked_at(node: dict[str, Any]) -> int:
    each = sum(
        node.get(what, 0)
        for what in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    whole = 1_000_000 if node["Node Type"] == "Seq Scan" else 0
    return int(each * node["Actual Loops"] + whole + sum(map(_looked_at, node.get("Plans", []))))


def _instructions(store: Store, read: Callable[[Any], Any]) -> int:
    """How many tens of instructions SQLite's virtual machine takes for a read."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    with store.reading() as unit:
        sqlite: Any = unit.connection.connection.driver_connection
        sqlite.set_progress_handler(count, 10)
        try:
            read(unit)
        finally:
            sqlite.set_progress_handler(None, 0)
    return taken


def test_reads_take_no_more_steps_with_ten_times_the_records(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MOST_NAMES", 40)
    for module in (messages, resource_search, unit_of_work):
        monkeypatch.setattr(module, "MOST_COUNTED", 40)
    monkeypatch.setattr(full_text, "COMMON", 40)
    monkeypatch.setattr(postings, "SAMPLE", 20)
    monkeypatch.setattr(postings, "MOST_LED", 40)
    store = Store(empty_url)
    _fill(store, 0, 150)
    before = {name: _steps(store, read) for name, read in READS.items()}
    _fill(store, 150, 1500)
    after = {name: _steps(store, read) for name, read in READS.items()}
    store.close()
    grown = {n: (before[n], after[n]) for n in READS if after[n] > 1.5 * before[n] + 50}
    assert not grown


def test_a_neighbour_by_two_relations_comes_once_and_pages_lead_to_all(url: str) -> None:
    store = Store(url)
    _fill(store, 0, 25)
    seen: list[str] = []
    after = None
    with store.reading() as unit:
        while True:
            found, counts = unit.resource_search.find(related_to="hub", after=after, limit=10)
            assert counts.total == 25
            seen += [one.id for one in found[:10]]
            if len(found) <= 10:
                break
            after = (found[9].type, found[9].id)
    store.close()
    assert sorted(seen) == [f"r-{number:06}" for number in range(25)]
