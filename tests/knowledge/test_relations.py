from typing import Any

import pytest
from tests.knowledge.test_registry import GROUP_ARN, WEB

from opswright_knowledge.cycles import circles


def node(name: str, *targets: str) -> dict[str, Any]:
    relations = [{"kind": "uses", "to": target} for target in targets]
    return {"type": "t", "id": name, "relations": relations}


async def test_dependents_are_walked_through_ids_and_arns_nearest_first(ask: Any) -> None:
    await ask("record_resources", resources=WEB)
    walk = await ask("walk_relations", id="vpc-1")
    assert [(r["id"], r["depth"], r["through"]) for r in walk["resources"]] == [
        ("subnet-1", 1, "subnet-1 in vpc-1"),
        ("web", 1, "web in vpc-1"),
        ("front", 2, "front routes_to web"),
    ]
    assert walk["complete"]
    assert "3 resources rely on vpc-1" in walk["summary"]
    direct = await ask("walk_relations", id="vpc-1", depth=1)
    assert direct["found"] == 2


async def test_a_walk_outwards_shows_what_a_resource_needs_even_unrecorded_ones(ask: Any) -> None:
    await ask("record_resources", resources=WEB[1:])
    walk = await ask("walk_relations", id="front", direction="out")
    assert [(r["type"], r["id"]) for r in walk["resources"]] == [
        ("elb:target_group", "web"),
        ("", "vpc-1"),
    ]
    both = await ask("walk_relations", id=GROUP_ARN, direction="both", depth=2)
    assert [r["id"] for r in both["resources"]] == ["vpc-1", "front", "subnet-1"]


async def test_a_walk_ends_in_a_circle_of_relations(ask: Any) -> None:
    ring = [
        {"type": "t", "id": f"n{i}", "relations": [{"kind": "uses", "to": f"n{(i + 1) % 4}"}]}
        for i in range(4)
    ]
    await ask("record_resources", resources=ring)
    assert (await ask("walk_relations", id="n0", depth=10))["found"] == 3


async def test_a_walk_from_nowhere_says_so(fail: Any) -> None:
    assert "find_resources" in await fail("walk_relations", id="sg-none")
    assert "depth" in await fail("walk_relations", id="sg-none", depth=11)


async def test_a_resource_that_refers_to_itself_is_not_its_own_dependent(ask: Any) -> None:
    await ask("record_resources", resources=[node("sg", "sg"), node("web", "sg")])
    walk = await ask("walk_relations", id="sg")
    assert [r["id"] for r in walk["resources"]] == ["web"]
    assert (await ask("find_cycles"))["cycles"] == []


async def test_the_shortest_way_between_two_resources_is_told_step_by_step(ask: Any) -> None:
    await ask("record_resources", resources=WEB)
    way = await ask("walk_relations", id="front", to="vpc-1", direction="out")
    assert [r["through"] for r in way["resources"]] == ["front routes_to web", "web in vpc-1"]
    assert way["summary"] == "2 steps: front routes_to web; web in vpc-1"
    by_arn = await ask("walk_relations", id="subnet-1", to=GROUP_ARN, direction="both")
    assert [r["id"] for r in by_arn["resources"]] == ["vpc-1", "web"]
    longer = [node(f"n{i}", f"n{i + 1}") for i in range(6)]
    await ask("record_resources", resources=[*longer, node("n0", "n1", "n4")])
    short = await ask("walk_relations", id="n0", to="n5", direction="out")
    assert [r["id"] for r in short["resources"]] == ["n4", "n5"]


async def test_no_way_says_what_was_searched_and_an_unknown_end_is_an_error(
    ask: Any, fail: Any
) -> None:
    await ask("record_resources", resources=WEB)
    none = await ask("walk_relations", id="vpc-1", to="subnet-1", direction="out")
    assert (none["found"], none["complete"]) == (0, True)
    assert "No way from vpc-1 to subnet-1 within 10 steps" in none["summary"]
    assert "both" in none["summary"]
    assert "'vpc-9' is recorded" in await fail("walk_relations", id="vpc-1", to="vpc-9")


async def test_circles_are_found_the_most_entangled_first(ask: Any) -> None:
    arn = "arn:aws:x:y:z:thing/a"
    records = [node("a", "b"), node("b", arn), node("c", "d"), node("d", "e"), node("e", "c", "a")]
    await ask("record_resources", resources=[{**records[0], "arn": arn}, *records[1:]])
    told = await ask("find_cycles")
    assert told["cycles"] == [
        {"ids": ["c", "d", "e"], "group": 3},
        {"ids": ["a", "b"], "group": 2},
    ]
    assert (told["found"], told["complete"]) == (2, True)
    await ask("mark_deleted", resources=[{"type": "t", "id": "d"}])
    assert (await ask("find_cycles"))["found"] == 1


@pytest.mark.parametrize(
    ("relations", "found"),
    [
        ([], []),
        ([("a", "b"), ("b", "c")], []),
        ([("a", "a")], []),
        ([("a", "b"), ("b", "a"), ("b", "b")], [(["a", "b"], 2)]),
        ([("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")], [(["a", "b", "c"], 3)]),
        ([("x", "a"), ("a", "b"), ("b", "a"), ("b", "y")], [(["a", "b"], 2)]),
        ([("b", "c"), ("c", "b"), ("a", "b"), ("c", "a")], [(["a", "b", "c"], 3)]),
    ],
)
def test_a_circle_is_the_shortest_through_the_first_of_its_group(
    relations: Any, found: Any
) -> None:
    assert circles(relations) == found


def test_circles_are_found_in_a_long_chain_without_recursion() -> None:
    many = 20_000
    chain = [(f"{i:05}", f"{(i + 1) % many:05}") for i in range(many)]
    ((ids, group),) = circles(chain)
    assert (len(ids), group) == (many, many)
