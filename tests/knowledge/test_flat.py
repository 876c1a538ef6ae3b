"""Reads cost the same however many records there are, counted in SQLite's own instructions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opswright_knowledge.records import (
    DeploymentRecord,
    MemoryRecord,
    MessageRecord,
    ResourceRecord,
)
from opswright_knowledge.storage import names, resource_search, unit_of_work
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
    "memories": lambda unit: unit.memories.newest("a", limit=10),
    "changes": lambda unit: unit.changes.latest(limit=10),
}


def _fill(store: Store, begin: int, end: int) -> None:
    with store.writing(None) as unit:
        unit.resources.put(
            [
                ResourceRecord(
                    type=("ec2:volume", "ec2:instance")[number % 2],
                    id=f"r-{number:06}",
                    region="eu-west-1",
                    relations=[{"kind": kind, "to": "hub"} for kind in ("in", "uses")],
                )
                for number in range(begin, end)
            ]
        )
        unit.memories.put("a", [MemoryRecord(text=f"m {number}") for number in range(begin, end)])
        for number in range(begin, end):
            unit.messages.send("a", MessageRecord(recipient="b", intent="inform", content="hello"))
            unit.context.put("s", f"key{number}", number)
            unit.deployments.record(
                DeploymentRecord(application="shop", environment="prod", version=f"v{number}")
            )


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


def test_reads_take_no_more_instructions_with_ten_times_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MOST_NAMES", 40)
    monkeypatch.setattr(resource_search, "MOST_COUNTED", 40)
    monkeypatch.setattr(unit_of_work, "MOST_COUNTED", 40)
    store = Store(f"sqlite:///{tmp_path}/k.db")
    _fill(store, 0, 150)
    before = {name: _instructions(store, read) for name, read in READS.items()}
    _fill(store, 150, 1500)
    after = {name: _instructions(store, read) for name, read in READS.items()}
    store.close()
    grown = {n: (before[n], after[n]) for n in READS if after[n] > 1.5 * before[n] + 20}
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
