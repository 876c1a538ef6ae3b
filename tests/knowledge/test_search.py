"""Finding resources through the word index: the same answers as by reading each record."""

from typing import Any

import pytest

from opswright_knowledge.records import Counts, MemoryRecord, ResourceRecord
from opswright_knowledge.store import Store

ODD = {
    "tags": {"a\nb": 'say "hi"\tnow', "Owner": "Ünï côde", "long": "x" * 80, "sign": "---"},
    "attributes": {"rate": 1.5, "on": True, "off": False, "net.work": {"zo ne": "eu/1"}, "n": 3},
}


@pytest.fixture
async def odd(ask: Any) -> Any:
    await ask("record_resources", resources=[{"type": "t", "id": "odd", **ODD}])
    await ask("record_resources", resources=[{"type": "t", "id": "other", "status": "say hi"}])
    return ask


@pytest.mark.parametrize(
    "asked",
    [
        {"tag": 'a\nb=say "hi"\tnow'}, {"tag": "a\nb"}, {"tag": "Owner=Ünï côde"},
        {"tag": "long=" + "x" * 80}, {"tag": "sign=---"}, {"attribute": "rate=1.5"},
        {"attribute": "on=true"}, {"attribute": "on=true", "id": "odd"},
        {"attribute": "off=False"}, {"attribute": "n=3"},
        {"attribute": "n"},
    ],
    ids=str,
)  # fmt: skip
async def test_odd_tags_and_attributes_are_found(odd: Any, asked: dict[str, str]) -> None:
    found = await odd("find_resources", **asked)
    assert [one["id"] for one in found["items"]] == ["odd"]


@pytest.mark.parametrize(
    "asked",
    [{"tag": "Owner=Uni code"}, {"tag": "long=" + "x" * 79}, {"attribute": "rate=1"},
     {"status": "say"}, {"attribute": "on=1"}, {"attribute": "n=true"}, {"attribute": "off=0"},
     {"attribute": "on=1", "id": "odd"}, {"attribute": "n=true", "id": "odd"},
     {"attribute": "n=33"}, {"tag": "owner"}],
    ids=str,
)  # fmt: skip
async def test_what_shares_words_but_not_the_value_is_left_out(odd: Any, asked: Any) -> None:
    assert (await odd("find_resources", **asked))["items"] == []


def test_pages_of_a_common_word_meet_every_resource_once_and_say_how_far_they_count(
    url: str,
) -> None:
    store = Store(url)
    records = [ResourceRecord(type=f"t{n % 3}", id=f"r{n:04}", name="shop") for n in range(1_200)]
    with store.writing(None) as unit:
        unit.resources.put(records)
    seen: list[str] = []
    after = None
    while True:
        with store.reading() as unit:
            found, counts = unit.resource_search.find(query="shop", after=after, limit=500)
        seen += [one.id for one in found[:500]]
        if len(found) <= 500:
            break
        after = (found[499].type, found[499].id)
    assert seen == [record.id for record in records]
    assert (counts.total, counts.complete) == (1_001, False)
    with store.reading() as unit:
        assert unit.resource_search.find(type="t1")[1] == Counts({"t1": 400})
    store.close()


def test_changes_are_counted_to_their_end_but_no_further_than_that(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opswright_knowledge.storage.unit_of_work.MOST_COUNTED", 5)
    store = Store(url)
    with store.writing(None) as unit:
        unit.memories.put("a", [MemoryRecord(text=f"number {n}") for n in range(9)])
    with store.reading() as unit:
        assert unit.changes.after(5)[1] == 4
        assert unit.changes.after(0)[1] == 6
        assert unit.memories.newest("a")[1] == 6
    store.close()


async def test_sqlite_looks_few_relations_up_by_their_index_from_the_first_start_on(
    ask: Any, url: str
) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL keeps statistics of its own")
    import sqlite3

    await ask("find_resources")
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        asked = "SELECT id FROM resource_relations WHERE namespace = 1 AND target IN ('a')"
        plan = db.execute(f"EXPLAIN QUERY PLAN {asked}").fetchall()
    db.close()
    assert "resource_relations_target (namespace=? AND target=?)" in plan[0][3]
