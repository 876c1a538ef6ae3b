from collections.abc import Callable
from typing import Any

import pytest

BUDGET = {"name": "team-shop", "monthly_usd": 200, "notify_email": "team@example.com"}


@pytest.fixture
def volume(client_of: Callable[[str], Any]) -> str:
    made = client_of("ec2").create_volume(
        AvailabilityZone="eu-west-1a", Size=12, VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}],
    )  # fmt: skip
    volume_id: str = made["VolumeId"]
    return volume_id


async def test_a_deleted_volume_is_kept_as_a_snapshot_and_comes_back(
    cost: Any, volume: str, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    async with cost() as client:
        r = await client.call_tool("delete_unattached_volume", {"volume_id": volume})
        done = r.structured_content
        assert done["status"] == "done"
        assert [c["verdict"] for c in done["checks"]] == ["PASS", "PASS"]
        snapshot_id = done["outputs"]["snapshot_id"]
        assert ec2.describe_volumes()["Volumes"] == []
        undone = await client.call_tool("undo_change", {"change_id": done["change_id"]})
    assert undone.structured_content["status"] == "done"
    (restored,) = ec2.describe_volumes()["Volumes"]
    tags = {t["Key"]: t["Value"] for t in restored["Tags"]}
    assert restored["SnapshotId"] == snapshot_id
    assert (restored["Size"], restored["VolumeType"]) == (12, "gp3")
    assert tags == {"Name": "data", "opswright:restored-from": volume}


async def test_the_plan_shows_what_goes_and_what_the_snapshot_costs(
    cost: Any, volume: str, client_of: Callable[[str], Any]
) -> None:
    async with cost() as client:
        call = {"volume_id": volume, "dry_run": True}
        r = await client.call_tool("delete_unattached_volume", call)
    plan = r.structured_content["plan"]
    assert r.structured_content["status"] == "planned"
    assert [(a["verb"], a["type"]) for a in plan["actions"]] == [
        ("create", "ec2:snapshot"),
        ("delete", "ec2:volume"),
    ]
    assert plan["reversible"] is True
    assert "at most $0.60 a month" in plan["warnings"][0]
    assert len(client_of("ec2").describe_volumes()["Volumes"]) == 1


async def test_deleting_it_again_changes_nothing(cost: Any, volume: str) -> None:
    async with cost() as client:
        first = await client.call_tool("delete_unattached_volume", {"volume_id": volume})
        again = await client.call_tool("delete_unattached_volume", {"volume_id": volume})
    assert again.structured_content["reused"] is True
    assert again.structured_content["outputs"] == first.structured_content["outputs"]


async def test_an_attached_volume_is_refused(cost: Any, client_of: Callable[[str], Any]) -> None:
    ec2 = client_of("ec2")
    ec2.run_instances(ImageId="ami-12345678", InstanceType="t3.small", MinCount=1, MaxCount=1)
    attached = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    async with cost() as client:
        call = {"volume_id": attached}
        r = await client.call_tool("delete_unattached_volume", call, raise_on_error=False)
    assert r.is_error
    assert "nothing was deleted" in r.content[0].text
    assert len(ec2.describe_volumes()["Volumes"]) == 1


async def test_an_address_is_released_for_good(cost: Any, client_of: Callable[[str], Any]) -> None:
    ec2 = client_of("ec2")
    address = ec2.allocate_address(Domain="vpc")
    async with cost() as client:
        call = {"allocation_id": address["AllocationId"]}
        dry = await client.call_tool("release_address", {**call, "dry_run": True})
        assert dry.structured_content["plan"]["reversible"] is False
        r = await client.call_tool("release_address", call)
        again = await client.call_tool("release_address", call)
    assert r.structured_content["status"] == "done"
    assert r.structured_content["outputs"]["public_ip"] == address["PublicIp"]
    assert r.structured_content["undo"] == []
    assert again.structured_content["reused"] is True
    assert ec2.describe_addresses()["Addresses"] == []


async def test_an_address_in_use_is_refused(cost: Any, client_of: Callable[[str], Any]) -> None:
    ec2 = client_of("ec2")
    made = ec2.run_instances(
        ImageId="ami-12345678", InstanceType="t3.small", MinCount=1, MaxCount=1
    )
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=allocation, InstanceId=made["Instances"][0]["InstanceId"])
    async with cost() as client:
        call = {"allocation_id": allocation}
        r = await client.call_tool("release_address", call, raise_on_error=False)
    assert r.is_error
    assert "nothing was released" in r.content[0].text


@pytest.mark.parametrize(
    ("tool", "call", "said"),
    [
        ("delete_unattached_volume", {"volume_id": "vol-0123456789abcdef0"}, "There is no volume"),
        ("delete_unattached_volume", {"volume_id": "data"}, "volume_id"),
        ("release_address", {"allocation_id": "eipalloc-0123456789abcdef0"}, "no Elastic IP"),
        ("release_address", {"allocation_id": "1.2.3.4"}, "allocation_id"),
        ("create_budget", {**BUDGET, "monthly_usd": 0}, "greater than 0"),
        ("create_budget", {**BUDGET, "notify_email": "nobody"}, "notify_email"),
        ("create_budget", {**BUDGET, "name": "a:b"}, "name"),
    ],
)
async def test_bad_input_is_explained(
    cost: Any, cloud: Any, tool: str, call: dict[str, Any], said: str
) -> None:
    async with cost() as client:
        r = await client.call_tool(tool, call, raise_on_error=False)
    assert r.is_error
    assert said in r.content[0].text


async def test_a_budget_is_created_listed_and_undone(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    async with cost() as client:
        r = await client.call_tool("create_budget", BUDGET)
        done = r.structured_content
        assert done["status"] == "done"
        assert done["outputs"] == {"name": "team-shop", "monthly_usd": 200}
        assert "never mails" in done["gaps"][0]
        listed = (await client.call_tool("list_budgets", {})).structured_content
        assert [(b["name"], b["limit"], b["state"]) for b in listed["items"]] == [
            ("team-shop", 200, "ok")
        ]
        again = await client.call_tool("create_budget", BUDGET)
        assert again.structured_content["reused"] is True
        await client.call_tool("undo_change", {"change_id": done["change_id"]})
        empty = (await client.call_tool("list_budgets", {})).structured_content
    assert empty["total"] == 0


async def test_a_budget_mails_at_80_percent_and_when_all_is_forecast(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    async with cost() as client:
        await client.call_tool("create_budget", BUDGET)
    account = client_of("sts").get_caller_identity()["Account"]
    alerts = client_of("budgets").describe_notifications_for_budget(
        AccountId=account, BudgetName="team-shop"
    )["Notifications"]
    assert sorted((a["NotificationType"], a["Threshold"]) for a in alerts) == [
        ("ACTUAL", 80.0),
        ("FORECASTED", 100.0),
    ]


async def test_another_budget_of_the_same_name_is_a_conflict(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    async with cost() as client:
        await client.call_tool("create_budget", BUDGET)
        call = {**BUDGET, "monthly_usd": 300}
        r = await client.call_tool("create_budget", call, raise_on_error=False)
    assert r.is_error
    assert "exists already" in r.content[0].text
