"""Quotas before a build: allowed, used and wanted, with UNKNOWN for what cannot be read."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber
from fastmcp import Client

from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.quotas import QUOTAS, Build, judge_quota
from opswright_core.aws import HERE
from opswright_core.settings import Settings
from opswright_core.verdicts import Unread

UNREAD = Unread(operation="servicequotas:GetServiceQuota", reason="AccessDenied")


@pytest.mark.parametrize(
    ("wanted", "used", "allowed", "verdict"),
    [
        (1, 4, 5, "PASS"),
        (2, 4, 5, "FAIL"),
        (1, UNREAD, 5, "UNKNOWN"),
        (1, 4, UNREAD, "UNKNOWN"),
        (1, 9, 5, "FAIL"),
    ],
)
def test_used_and_wanted_have_to_fit(
    wanted: int, used: int | Unread, allowed: int | Unread, verdict: str
) -> None:
    assert judge_quota(QUOTAS["vpcs"], wanted, used, allowed).verdict == verdict


def test_every_kind_of_a_build_has_its_quota() -> None:
    assert set(Build.model_fields) - {"instances"} | {"standard_vcpus"} == set(QUOTAS)


async def test_the_emulators_quotas_are_read_and_its_gaps_are_unknown(
    agent: Any, network: dict[str, Any]
) -> None:
    build = {"vpcs": 3, "nat_gateways_per_zone": 1, "elastic_ips": 2, "instances": 2}
    report = await agent.call("check_quota", build=build)
    checks = {check["name"]: check for check in report["checks"]}
    assert (checks["VPCs"]["used"], checks["VPCs"]["allowed"]) == (2, 5)  # one is the default VPC
    assert checks["VPCs"]["verdict"] == "PASS"
    assert checks["NAT gateways per zone"]["used"] == 1
    assert checks["Elastic IPs"]["used"] == 2
    assert checks["Elastic IPs"]["verdict"] == "UNKNOWN"
    assert "does not implement" in checks["Elastic IPs"]["evidence"]
    assert checks["vCPUs of On-Demand Standard instances"]["wanted"] == 4
    assert report["verdict"] == "UNKNOWN"


async def test_what_does_not_fit_says_by_how_much_and_how_to_get_more(
    agent: Any, network: dict[str, Any]
) -> None:
    report = await agent.call("check_quota", build={"vpcs": 4})
    assert report["verdict"] == "FAIL"
    assert report["summary"] == "1 FAIL; no room: VPCs"
    assert report["checks"][0]["evidence"].startswith("2 of 5 used and 4 more wanted")
    how = "--service-code vpc --quota-code L-F678F1CE --desired-value 6"
    assert how in report["checks"][0]["evidence"]


async def test_a_build_that_was_begun_counts_as_used(agent: Any, network: dict[str, Any]) -> None:
    report = await agent.call("check_quota", build={"vpcs": 4}, application="shop")
    (check,) = report["checks"]
    assert (check["verdict"], check["used"], check["wanted"]) == ("PASS", 2, 0)


async def test_a_family_whose_quota_is_not_known_here_is_unknown(agent: Any) -> None:
    report = await agent.call("check_quota", build={"instances": 1}, instance_type="p5.48xlarge")
    assert (report["verdict"], len(report["checks"])) == ("UNKNOWN", 1)
    assert "not of the Standard families" in report["checks"][0]["evidence"]


async def test_running_vcpus_are_counted_and_spot_is_not(
    agent: Any, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    image = ec2.describe_images()["Images"]
    ami = image[0]["ImageId"] if image else "ami-12345678"
    ec2.run_instances(ImageId=ami, MinCount=2, MaxCount=2, InstanceType="m5.xlarge")
    report = await agent.call("check_quota", build={"instances": 1}, instance_type="m5.xlarge")
    assert report["checks"][0]["used"] == 8
    assert report["checks"][0]["wanted"] == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"build": {}}, "build says nothing"),
        ({"build": {"vpcs": -1}}, "greater than or equal to 0"),
        ({"build": {"rockets": 1}}, "rockets is not an argument"),
        ({"build": {"instances": 1}, "instance_type": "x; rm"}, "pattern"),
    ],
)
async def test_a_bad_build_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    assert said in await agent.refused("check_quota", **arguments)


@pytest.mark.usefixtures("cloud")
async def test_aws_default_holds_where_the_account_has_no_value_of_its_own(
    settings: Settings,
) -> None:
    server: Any = create_server(settings)
    client = server.opswright_runtime.aws_sessions.open(HERE).client("service-quotas")
    which = {"ServiceCode": "rds", "QuotaCode": "L-7B6409FD"}
    with Stubber(client) as stub:
        stub.add_client_error("get_service_quota", "NoSuchResourceException", expected_params=which)
        stub.add_response("get_aws_default_service_quota", {"Quota": {"Value": 40.0}}, which)
        async with Client(server) as session:
            answer = await session.call_tool("check_quota", {"build": {"databases": 41}})
    (check,) = answer.structured_content["checks"]
    assert (check["allowed"], check["used"], check["verdict"]) == (40, 0, "FAIL")


async def test_a_three_tier_build_that_does_not_fit_makes_nothing(
    agent: Any, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    for number in range(4):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    said = await agent.refused(
        "handle_task", task="deploy a three-tier web application named shop", wait_seconds=30
    )
    assert "Nothing was made: the quotas leave no room for shop: VPCs (5 of 5 used)" in said
    assert len(ec2.describe_vpcs()["Vpcs"]) == 5
    assert (await agent.call("list_changes"))["total"] == 0
