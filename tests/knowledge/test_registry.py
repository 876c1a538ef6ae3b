from typing import Any

import pytest

from opswright_knowledge.records import Counts
from opswright_knowledge.tools.registry import in_words

VPC = {
    "type": "ec2:vpc",
    "id": "vpc-1",
    "name": "main",
    "region": "eu-west-1",
    "account": "123",
    "attributes": {"cidr": "10.0.0.0/16"},
}
SUBNET = {
    "type": "ec2:subnet",
    "id": "subnet-1",
    "region": "eu-west-1",
    "tags": {"team": "web"},
    "attributes": {"network": {"zone": "eu-west-1a"}, "a.b": "dotted"},
    "relations": [{"kind": "in", "to": "vpc-1"}],
}
GROUP_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123:targetgroup/web/1"
WEB = [
    VPC,
    SUBNET,
    {
        "type": "elb:target_group",
        "id": "web",
        "arn": GROUP_ARN,
        "relations": [{"kind": "in", "to": "vpc-1"}],
    },
    {
        "type": "elb:load_balancer",
        "id": "front",
        "status": "active",
        "attributes": {"listeners": 2, "public": True},
        "relations": [{"kind": "routes_to", "to": GROUP_ARN}],
    },
]


async def test_a_recorded_resource_is_found_with_who_wrote_it_and_when(ask: Any) -> None:
    by = {"agent": "aws_devops", "run_id": "run-1", "step": "network"}
    recorded = await ask("record_resources", resources=[VPC], by=by)
    assert recorded == {"revision": 1, "count": 1, "unchanged": 0}
    (found,) = (await ask("find_resources", type="ec2:vpc"))["items"]
    assert {**found, **VPC} == found
    assert (found["recorded_by"], found["run_id"], found["revision"]) == ("aws_devops", "run-1", 1)
    assert found["at"] == found["seen_at"] == "2026-11-02T09:00:00.000+00:00"


async def test_fields_left_out_keep_their_value_and_fields_sent_replace_it(ask: Any) -> None:
    await ask("record_resources", resources=[{**VPC, "attributes": {"cidr": "10.0.0.0/16"}}])
    await ask("record_resources", resources=[{"type": "ec2:vpc", "id": "vpc-1", "name": "renamed"}])
    (found,) = (await ask("find_resources"))["items"]
    assert found["name"] == "renamed"
    assert found["region"] == "eu-west-1"
    assert found["attributes"] == {"cidr": "10.0.0.0/16"}


async def test_a_resource_that_says_nothing_new_gets_no_revision_but_is_seen_later(
    ask: Any, clock: Any
) -> None:
    await ask("record_resources", resources=[VPC])
    clock.forward(hours=1)
    again = await ask("record_resources", resources=[VPC, SUBNET])
    assert again == {"revision": 2, "count": 2, "unchanged": 1}
    vpc = (await ask("find_resources", type="ec2:vpc"))["items"][0]
    assert vpc["revision"] == 1
    assert vpc["at"] < vpc["seen_at"] == "2026-11-02T10:00:00.000+00:00"


async def test_a_batch_with_one_conflict_records_nothing_and_shows_the_current_value(
    ask: Any, fail: Any
) -> None:
    await ask("record_resources", resources=[VPC], by={"agent": "cicd"})
    text = await fail(
        "record_resources", resources=[SUBNET, {**VPC, "name": "x", "expected_revision": 7}]
    )
    assert "revision 1, not 7" in text
    assert '"name":"main"' in text
    assert "cicd" in text
    assert "expected_revision=1" in text
    assert (await ask("find_resources"))["total"] == 1


async def test_expected_revision_0_creates_only_what_is_not_there(ask: Any, fail: Any) -> None:
    await ask("record_resources", resources=[{**VPC, "expected_revision": 0}])
    assert "revision 1, not 0" in await fail(
        "record_resources", resources=[{**VPC, "expected_revision": 0}]
    )
    text = await fail("record_resources", resources=[{**SUBNET, "expected_revision": 3}])
    assert "not recorded" in text


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ([], "at least 1"),
        ([{"type": "ec2:vpc"}], "resources.0.id is required"),
        ([{"type": "ec2:vpc", "id": "\u200b"}], "no visible character"),
        ([{"type": "ec2:vpc", "id": "x" * 601}], "at most 600"),
        ([{**VPC, "colour": "red"}], "colour"),
        ([{**VPC, "attributes": {"policy": "x" * 11_000}}], "at most 10,000 are kept"),
    ],
)
async def test_what_cannot_be_recorded_is_refused_with_the_reason(
    fail: Any, resources: Any, says: str
) -> None:
    assert says in await fail("record_resources", resources=resources)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"type": "ec2:subnet"}, ["subnet-1"]),
        ({"query": "MAIN"}, ["vpc-1"]),
        ({"query": "subnet eu-west"}, ["subnet-1"]),
        ({"query": "100%"}, []),
        ({"tag": "team"}, ["subnet-1"]),
        ({"tag": "team=web"}, ["subnet-1"]),
        ({"tag": "team=db"}, []),
        ({"account": "123"}, ["vpc-1"]),
        ({"region": "eu-west-1"}, ["subnet-1", "vpc-1"]),
        ({"id": "vpc-1"}, ["vpc-1"]),
        ({"id": GROUP_ARN}, ["web"]),
        ({"id": "vpc"}, []),
        ({"status": "active"}, ["front"]),
        ({"status": "active", "type": "ec2:vpc"}, []),
        ({"attribute": "cidr"}, ["vpc-1"]),
        ({"attribute": "cidr=10.0.0.0/16"}, ["vpc-1"]),
        ({"attribute": "cidr=10.0"}, []),
        ({"attribute": "listeners=2"}, ["front"]),
        ({"attribute": "public=true"}, ["front"]),
        ({"attribute": "public=false"}, []),
        ({"attribute": "network.zone=eu-west-1a"}, ["subnet-1"]),
        ({"attribute": "a.b=dotted"}, ["subnet-1"]),
        ({"attribute": 'it\'s "quoted"=1'}, []),
        ({"related_to": "vpc-1"}, ["subnet-1", "web"]),
        ({"related_to": "subnet-1"}, ["vpc-1"]),
        ({"related_to": "web"}, ["vpc-1", "front"]),
        ({"related_to": GROUP_ARN}, ["vpc-1", "front"]),
    ],
)
async def test_resources_are_found_by_each_filter(ask: Any, asked: Any, ids: Any) -> None:
    await ask("record_resources", resources=WEB)
    answer = await ask("find_resources", **asked)
    assert sorted(item["id"] for item in answer["items"]) == sorted(ids)
    assert answer["total"] == len(ids)


async def test_pages_go_on_where_the_last_ended_even_when_others_write_meanwhile(ask: Any) -> Any:
    def nodes(prefix: str, many: int) -> list[dict[str, str]]:
        return [{"type": "ec2:instance", "id": f"{prefix}-{i:03}"} for i in range(many)]

    await ask("record_resources", resources=nodes("i-b", 120))
    first = await ask("find_resources")
    assert len(first["items"]) <= 50
    assert first["total"] == 120
    await ask("record_resources", resources=nodes("i-a", 10))
    seen = [item["id"] for item in first["items"]]
    cursor = first["cursor"]
    while cursor:
        following = await ask("find_resources", cursor=cursor)
        seen += [item["id"] for item in following["items"]]
        cursor = following["cursor"]
    assert seen == [f"i-b-{i:03}" for i in range(120)]


@pytest.mark.parametrize("cursor", ["x", "50", "!!!", "WzFd", "bnVsbA"])
async def test_a_cursor_of_another_list_is_refused(fail: Any, cursor: Any) -> None:
    assert "not a cursor of this list" in await fail("find_resources", cursor=cursor)


async def test_nothing_found_does_not_claim_that_nothing_exists(ask: Any) -> None:
    assert "does not mean that nothing exists" in (await ask("find_resources", type="x"))["summary"]


async def test_a_deleted_resource_leaves_lists_and_walks_and_comes_back_when_recorded(
    ask: Any,
) -> None:
    await ask("record_resources", resources=WEB)
    gone = [{"type": "ec2:subnet", "id": "subnet-1"}]
    assert (await ask("mark_deleted", resources=gone))["revision"] == 5
    assert (await ask("mark_deleted", resources=gone))["unchanged"] == 1
    assert (await ask("find_resources", type="ec2:subnet"))["total"] == 0
    assert "subnet-1" not in str((await ask("walk_relations", id="vpc-1"))["resources"])
    await ask("record_resources", resources=[SUBNET])
    assert (await ask("find_resources", type="ec2:subnet"))["items"][0]["deleted_at"] is None
    changes = (await ask("changes_since", revision=4))["changes"]
    assert [c["operation"] for c in changes] == ["deleted", "created"]


async def test_marking_tells_what_was_never_recorded(ask: Any, fail: Any) -> None:
    await ask("record_resources", resources=[VPC])
    unknown = {"type": "ec2:vpc", "id": "vpc-9"}
    assert "ec2:vpc/vpc-9" in await fail("mark_deleted", resources=[unknown])
    marked = await ask("mark_deleted", resources=[{"type": "ec2:vpc", "id": "vpc-1"}, unknown])
    assert marked == {"revision": 2, "count": 1, "unchanged": 0, "unknown": ["ec2:vpc/vpc-9"]}
    assert (await ask("find_resources"))["total"] == 0


async def test_of_a_resource_given_twice_the_later_fields_count(ask: Any) -> None:
    later = {"type": "ec2:vpc", "id": "vpc-1", "name": "later"}
    assert (await ask("record_resources", resources=[VPC, later]))["count"] == 1
    (found,) = (await ask("find_resources"))["items"]
    assert (found["name"], found["region"], found["revision"]) == ("later", "eu-west-1", 1)


async def test_secrets_and_hidden_text_are_not_kept(ask: Any) -> None:
    attributes = {
        "password": "hunter2hunter2",
        "note": "a\u202eb\x1b[31m",
        "key": "AKIA" + "A" * 16,
    }
    await ask("record_resources", resources=[{**VPC, "attributes": attributes}])
    kept = (await ask("find_resources"))["items"][0]["attributes"]
    assert kept == {"password": "[redacted]", "note": "ab[31m", "key": "[redacted]"}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"a": 1}, "1 resource: 1 a"),
        ({"a": 1, "b": 2000}, "2,001 resources: 2,000 b, 1 a"),
        (
            {str(i): 1 for i in range(10)},
            "10 resources: 1 0, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 2 of 2 other types",
        ),
    ],
)
def test_counts_in_words_name_the_most_frequent_types(counts: Any, words: Any) -> None:
    assert in_words(Counts(counts)) == words


def test_where_counting_stopped_the_answer_says_so() -> None:
    told = in_words(Counts({"a": 10_000, "b": 1}, complete=False))
    assert told == "More than 10,000 resources; of 10,001: 10,000 a, 1 b"
