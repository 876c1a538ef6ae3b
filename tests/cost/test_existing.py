from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from opswright_core.aws import Aws
from opswright_core.errors import BadInputError
from opswright_cost.components import Component
from opswright_cost.inventory import Scope, grouped, instance_component

HOUR = 730


@pytest.fixture
def shop(client_of: Callable[[str], Any]) -> dict[str, str]:
    """A VPC with two t3.small instances, a NAT gateway and a database; one instance outside it."""
    ec2 = client_of("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.1.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )
        for n, zone in enumerate("ab")
    ]
    ids = [s["Subnet"]["SubnetId"] for s in subnets]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "shop"}]}]
    made = ec2.run_instances(
        ImageId="ami-12345678",
        InstanceType="t3.small",
        MinCount=2,
        MaxCount=2,
        SubnetId=ids[0],
        TagSpecifications=tags,
    )
    ec2.run_instances(ImageId="ami-12345678", InstanceType="m5.large", MinCount=1, MaxCount=1)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.create_nat_gateway(SubnetId=ids[0], AllocationId=address)
    rds = client_of("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="shop", DBSubnetGroupDescription="shop", SubnetIds=ids
    )
    rds.create_db_instance(
        DBInstanceIdentifier="shop",
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        MultiAZ=True,
        AllocatedStorage=20,
        StorageType="gp3",
        DBSubnetGroupName="shop",
        MasterUsername="shop",
        MasterUserPassword="not-a-real-one",
    )
    return {"vpc_id": vpc, "instance_id": made["Instances"][0]["InstanceId"]}


def _by_note(answer: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(line["component"], line["note"]): line for line in answer["lines"]}


async def test_a_vpc_is_priced_with_what_is_in_it_alone(cost: Any, shop: dict[str, str]) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {"vpc_id": shop["vpc_id"]})
    lines = _by_note(r.structured_content)
    assert lines["ec2 t3.small", "instance"]["quantity"] == 2 * HOUR
    assert lines["nat_gateway", "gateway"]["monthly_usd"] == pytest.approx(730 * 0.048)
    database = "rds postgres db.t4g.medium Multi-AZ"
    assert lines[database, "instance (2 x Single-AZ)"]["monthly_usd"] == pytest.approx(
        730 * 0.069 * 2
    )
    assert lines[database, "storage (2 x Single-AZ)"]["monthly_usd"] == pytest.approx(20 * 0.254)
    assert ("ec2 m5.large", "instance") not in lines
    assert r.structured_content["counts"]["running instances"] == 2


async def test_the_whole_region_counts_everything(cost: Any, shop: dict[str, str]) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {})
    assert ("ec2 m5.large", "instance") in _by_note(r.structured_content)
    assert r.structured_content["counts"]["running instances"] == 3
    assert r.structured_content["region"] == "eu-west-1"


async def test_a_tag_narrows_it_to_what_carries_it(cost: Any, shop: dict[str, str]) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {"tag": "app=shop"})
    assert r.structured_content["counts"]["running instances"] == 2
    assert r.structured_content["counts"]["databases"] == 0


async def test_stopped_instances_cost_their_volumes_only(
    cost: Any, shop: dict[str, str], client_of: Callable[[str], Any]
) -> None:
    client_of("ec2").stop_instances(InstanceIds=[shop["instance_id"]])
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {"vpc_id": shop["vpc_id"]})
    assert r.structured_content["counts"]["running instances"] == 1
    assert r.structured_content["counts"]["volumes"] == 2


async def test_an_empty_region_costs_nothing_and_says_what_was_read(cost: Any, cloud: Any) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {})
    assert r.structured_content["monthly_usd"] == 0
    assert r.structured_content["is_lower_bound"] is False
    assert "Not read: S3" in r.structured_content["assumptions"][0]


async def test_what_may_not_be_read_makes_it_a_lower_bound(cost: Any, shop: dict[str, str]) -> None:
    read = Aws.pages

    def denied(self: Aws, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        if service == "rds":
            error = {
                "Code": "AccessDenied",
                "Message": "not authorized to perform: rds:DescribeDBInstances",
            }
            raise ClientError({"Error": error}, "DescribeDBInstances")
        return read(self, service, operation, key, **params)

    with patch.object(Aws, "pages", denied):
        async with cost() as client:
            r = await client.call_tool("estimate_existing", {"vpc_id": shop["vpc_id"]})
    answer = r.structured_content
    assert answer["is_lower_bound"] is True
    assert "Grant rds:DescribeDBInstances" in answer["unread"][0]


@pytest.mark.parametrize("tag", ["shop", "=shop"])
async def test_a_tag_of_another_form_is_refused(cost: Any, cloud: Any, tag: str) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_existing", {"tag": tag}, raise_on_error=False)
    assert r.is_error
    assert "key=value" in r.content[0].text


def test_scopes_are_parsed() -> None:
    assert Scope.parse(None, "a=b=c").tag == ("a", "b=c")
    assert Scope.parse(None, None).is_whole_region
    with pytest.raises(BadInputError):
        Scope.parse(None, "a")


def test_windows_and_spot_instances_have_no_list_price() -> None:
    windows = {"InstanceType": "m5.large", "PlatformDetails": "Windows"}
    spot = {"InstanceType": "m5.large", "InstanceLifecycle": "spot"}
    assert instance_component(windows).type == "m5.large Windows"
    assert instance_component(spot).type == "m5.large spot"
    assert instance_component({"InstanceType": "m5.large"}).type == "m5.large"


def test_equal_components_are_counted_together() -> None:
    parts = [Component(kind="alarm"), Component(kind="alarm"), Component(kind="secret")]
    assert {c.kind: c.count for c in grouped(parts)} == {"alarm": 2, "secret": 1}
