"""Costs over several regions: sums are exact, items say where they are, refusals are told."""

from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import pytest
from fastmcp import Client
from tests.cost.conftest import TODAY
from tests.denied import REFUSED, DeniedSessions

from opswright_core.settings import Settings
from opswright_cost.server import create_server

HERE, THERE, DENIED = "eu-west-1", "us-east-1", "us-west-2"
EVERY = {"region": f"{HERE},{THERE},{DENIED}"}


@pytest.fixture
def spare_volumes(cloud: Any) -> dict[str, str]:
    """An unattached volume of 100 GB per region; its id by region."""
    return {
        region: boto3.client("ec2", endpoint_url=cloud.endpoint, region_name=region).create_volume(
            AvailabilityZone=f"{region}a", Size=100, VolumeType="gp3"
        )["VolumeId"]
        for region in (HERE, THERE, DENIED)
    }


@pytest.fixture
def ask(settings: Settings) -> Callable[..., Any]:
    """`await ask(tool, sessions, **arguments)` is an answer of a cost server on those sessions."""

    async def asked(tool: str, sessions: Any = None, **arguments: Any) -> Any:
        made: Any = partial(create_server, clock=lambda: TODAY)(settings)
        made.opswright_runtime.aws_sessions = sessions or DeniedSessions()
        async with Client(made) as client:
            return (await client.call_tool(tool, arguments)).structured_content

    return asked


async def test_waste_of_three_regions_is_added_up(
    ask: Callable[..., Any], spare_volumes: dict[str, str]
) -> None:
    found = await ask("find_waste", DeniedSessions(DENIED), target=EVERY)
    assert {(f["region"], f["resource"]) for f in found["findings"]} == {
        (region, volume) for region, volume in spare_volumes.items() if region != DENIED
    }
    ones = [await ask("find_waste", target={"region": region}) for region in (HERE, THERE)]
    assert found["monthly_usd"] == pytest.approx(sum(one["monthly_usd"] for one in ones))
    assert found["by_kind"]["unattached_volume"]["count"] == found["total"] == 2
    assert found["looked_at"]["volumes"] == 2
    assert found["is_lower_bound"]
    (line,) = found["unread"]
    assert line.startswith(f"{DENIED}: nothing could be read")
    assert REFUSED in line


async def test_what_runs_everywhere_is_priced_by_the_list_of_each_region(
    ask: Callable[..., Any], spare_volumes: dict[str, str]
) -> None:
    found = await ask("estimate_existing", DeniedSessions(DENIED), target=EVERY)
    ones = [await ask("estimate_existing", target={"region": region}) for region in (HERE, THERE)]
    assert found["monthly_usd"] == pytest.approx(sum(one["monthly_usd"] for one in ones))
    assert {line["region"] for line in found["lines"]} == {HERE, THERE}
    assert found["counts"]["volumes"] == 2
    assert found["is_lower_bound"]
    assert found["unread"][0].startswith(f"{DENIED}: ")


async def test_instances_of_several_regions_are_judged_each_in_its_own(
    ask: Callable[..., Any], cloud: Any
) -> None:
    made = set()
    for region in (HERE, THERE, DENIED):
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, region_name=region)
        image = ec2.describe_images(Owners=["self"])["Images"]
        name = image[0]["ImageId"] if image else "ami-12345678"
        ran = ec2.run_instances(ImageId=name, MinCount=1, MaxCount=1, InstanceType="t3.large")
        made.add((region, ran["Instances"][0]["InstanceId"]))
    found = await ask("find_rightsizing", DeniedSessions(DENIED), target=EVERY)
    assert {(i["region"], i["instance_id"]) for i in found["items"]} == {
        (region, instance) for region, instance in made if region != DENIED
    }
    assert found["total"] == 2
    assert found["unread"][0].startswith(f"{DENIED}: ")


async def test_buckets_are_counted_once_and_where_they_are(
    ask: Callable[..., Any], client_of: Callable[[str], Any]
) -> None:
    client_of("s3").create_bucket(
        Bucket="logs", CreateBucketConfiguration={"LocationConstraint": HERE}
    )
    found = await ask("find_waste", target={"region": f"{THERE},{HERE}"})
    assert [(f["region"], f["resource"]) for f in found["findings"]] == [(HERE, "logs")]


async def test_waste_is_searched_everywhere_when_the_task_says_so(
    ask: Callable[..., Any], spare_volumes: dict[str, str]
) -> None:
    report = await ask(
        "handle_task", task="find unused resources that cost money in all regions", wait_seconds=50
    )
    assert report["outputs"]["total"] == 3
