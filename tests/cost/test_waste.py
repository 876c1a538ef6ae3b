from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from opswright_core.aws import Aws
from opswright_core.canonical import canonical_json

HOUR = 730


async def waste(cost: Any, **arguments: Any) -> dict[str, Any]:
    async with cost() as client:
        r = await client.call_tool("find_waste", arguments)
    answer: dict[str, Any] = r.structured_content
    return answer


def of_kind(answer: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [f for f in answer["findings"] if f["kind"] == kind]


def run(ec2: Any, instance_type: str = "t3.small") -> dict[str, Any]:
    made = ec2.run_instances(
        ImageId="ami-12345678", InstanceType=instance_type, MinCount=1, MaxCount=1
    )
    instance: dict[str, Any] = made["Instances"][0]
    return instance


async def test_an_empty_account_has_no_waste_and_says_what_was_looked_at(
    cost: Any, cloud: Any
) -> None:
    answer = await waste(cost)
    assert answer["total"] == 0
    assert answer["monthly_usd"] == 0
    assert answer["summary"].startswith("Nothing found in eu-west-1 among 0 volumes")
    assert {"volumes", "Elastic IPs", "instances", "databases", "log groups", "buckets"} <= set(
        answer["looked_at"]
    )


async def test_unattached_volumes_come_costliest_first(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    for size, kind in [(10, "gp3"), (100, "gp2"), (50, "gp3")]:
        ec2.create_volume(AvailabilityZone="eu-west-1a", Size=size, VolumeType=kind)
    answer = await waste(cost)
    assert [f["monthly_usd"] for f in answer["findings"]] == [11.0, 4.4, 0.88]
    assert {f["kind"] for f in answer["findings"]} == {"unattached_volume"}
    assert answer["monthly_usd"] == 16.28
    assert answer["by_kind"]["unattached_volume"] == {"count": 3, "monthly_usd": 16.28}
    assert answer["is_lower_bound"] is False


async def test_small_savings_can_be_left_out(cost: Any, client_of: Callable[[str], Any]) -> None:
    for size in (10, 100):
        client_of("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=size, VolumeType="gp3")
    answer = await waste(cost, min_monthly_usd=5)
    assert [f["monthly_usd"] for f in answer["findings"]] == [8.8]


async def test_a_volume_without_a_price_is_none_and_never_zero(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    client_of("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=10, VolumeType="standard")
    answer = await waste(cost)
    assert answer["findings"][0]["monthly_usd"] is None
    assert answer["is_lower_bound"] is True


async def test_an_unassociated_address_costs_3_65_a_month(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    allocation = client_of("ec2").allocate_address(Domain="vpc")["AllocationId"]
    (finding,) = (await waste(cost))["findings"]
    assert finding["kind"] == "unassociated_address"
    assert finding["resource"] == allocation
    assert finding["monthly_usd"] == 3.65


def balancer(client_of: Callable[[str], Any]) -> str:
    ec2 = client_of("ec2")
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:2]]
    made = client_of("elbv2").create_load_balancer(Name="web", Subnets=subnets, Type="application")
    arn: str = made["LoadBalancers"][0]["LoadBalancerArn"]
    return arn


async def test_a_load_balancer_without_targets_is_waste(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    balancer(client_of)
    (finding,) = of_kind(await waste(cost), "idle_load_balancer")
    assert finding["name"] == "web"
    assert finding["monthly_usd"] == pytest.approx(18.40)
    assert "no target is registered" in finding["why"]


async def test_a_load_balancer_with_requests_is_not_waste(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    name = balancer(client_of).split("loadbalancer/")[-1]
    put_daily("AWS/ApplicationELB", "RequestCount", ("LoadBalancer", name), [5.0] * 3)
    assert of_kind(await waste(cost), "idle_load_balancer") == []


async def test_a_load_balancer_that_was_silent_for_the_window_is_waste(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    name = balancer(client_of).split("loadbalancer/")[-1]
    put_daily("AWS/ApplicationELB", "ConsumedLCUs", ("LoadBalancer", name), [0.0] * 10)
    (finding,) = of_kind(await waste(cost), "idle_load_balancer")
    assert finding["why"].endswith("no traffic in 14 days")


def gateway(client_of: Callable[[str], Any]) -> str:
    ec2 = client_of("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)
    gateway_id: str = made["NatGateway"]["NatGatewayId"]
    return gateway_id


async def test_a_silent_nat_gateway_is_waste(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    gateway_id = gateway(client_of)
    metric = ("AWS/NATGateway", "BytesOutToDestination", ("NatGatewayId", gateway_id))
    put_daily(*metric, [0.0] * 10)
    (finding,) = of_kind(await waste(cost), "idle_nat_gateway")
    assert finding["resource"] == gateway_id
    assert finding["monthly_usd"] == pytest.approx(35.04)


async def test_a_nat_gateway_without_data_is_undetermined(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    gateway_id = gateway(client_of)
    answer = await waste(cost)
    assert of_kind(answer, "idle_nat_gateway") == []
    assert any(gateway_id in note and "traffic data" in note for note in answer["unread"])
    assert answer["is_lower_bound"] is True


async def test_a_nat_gateway_with_traffic_is_not_waste(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    metric = ("AWS/NATGateway", "BytesOutToDestination", ("NatGatewayId", gateway(client_of)))
    put_daily(*metric, [0.0] * 9 + [1e6])
    answer = await waste(cost)
    assert of_kind(answer, "idle_nat_gateway") == []
    assert answer["unread"] == []


async def test_a_stopped_instance_costs_its_volumes_and_they_count_once(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    instance = run(ec2)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    answer = await waste(cost)
    (finding,) = of_kind(answer, "stopped_instance")
    size = ec2.describe_volumes()["Volumes"][0]["Size"]
    assert finding["monthly_usd"] == pytest.approx(size * 0.11)
    assert of_kind(answer, "gp2_volume") == []


async def test_an_idle_instance_is_found_once_and_a_busy_one_is_not(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    idle, busy = run(client_of("ec2"), "t2.large"), run(client_of("ec2"))
    put_daily("AWS/EC2", "CPUUtilization", ("InstanceId", idle["InstanceId"]), [3.0] * 14)
    put_daily("AWS/EC2", "CPUUtilization", ("InstanceId", busy["InstanceId"]), [3.0] * 13 + [6.0])
    answer = await waste(cost)
    (finding,) = of_kind(answer, "idle_instance")
    assert finding["resource"] == idle["InstanceId"]
    assert finding["monthly_usd"] == pytest.approx(730 * 0.1008, abs=0.006)
    assert of_kind(answer, "previous_generation") == []


async def test_an_instance_without_cpu_data_is_undetermined(
    cost: Any, client_of: Callable[[str], Any], put_daily: Callable[..., None]
) -> None:
    instance_id = run(client_of("ec2"))["InstanceId"]
    put_daily("AWS/EC2", "CPUUtilization", ("InstanceId", instance_id), [1.0] * 3)
    answer = await waste(cost)
    assert of_kind(answer, "idle_instance") == []
    assert any(instance_id in note and "CPU data" in note for note in answer["unread"])


async def test_a_previous_generation_saves_the_difference(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    run(client_of("ec2"), "t2.large")
    (finding,) = of_kind(await waste(cost), "previous_generation")
    assert finding["monthly_usd"] == pytest.approx(730 * (0.1008 - 0.0912), abs=0.01)


@pytest.mark.parametrize(("connections", "found"), [([0.0] * 14, 1), ([0.0] * 13 + [1.0], 0)])
async def test_a_database_nobody_connects_to_is_waste(
    cost: Any,
    client_of: Callable[[str], Any],
    put_daily: Callable[..., None],
    connections: list[float],
    found: int,
) -> None:
    client_of("rds").create_db_instance(
        DBInstanceIdentifier="old",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        StorageType="gp3",
        MasterUsername="old",
        MasterUserPassword="not-a-real-one",
    )
    put_daily("AWS/RDS", "DatabaseConnections", ("DBInstanceIdentifier", "old"), connections)
    findings = of_kind(await waste(cost), "idle_database")
    assert len(findings) == found
    assert all(
        f["monthly_usd"] == pytest.approx(730 * 0.017 + 20 * 0.127, abs=0.01) for f in findings
    )


async def test_logs_and_buckets_without_an_end_are_found(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    logs, s3 = client_of("logs"), client_of("s3")
    logs.create_log_group(logGroupName="/app/kept")
    logs.create_log_group(logGroupName="/app/short")
    logs.put_retention_policy(logGroupName="/app/short", retentionInDays=7)
    place = {"LocationConstraint": "eu-west-1"}
    for name in ("plain-bucket", "tidy-bucket"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    rule = {
        "ID": "tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    s3.put_bucket_lifecycle_configuration(
        Bucket="tidy-bucket", LifecycleConfiguration={"Rules": [rule]}
    )
    answer = await waste(cost)
    assert [f["resource"] for f in of_kind(answer, "log_group_without_retention")] == ["/app/kept"]
    (bucket,) = of_kind(answer, "bucket_without_lifecycle")
    assert bucket["resource"] == "plain-bucket"
    assert bucket["monthly_usd"] is None


async def test_old_snapshots_of_volumes_that_are_gone_have_no_known_price(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    volumes = [
        ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"] for _ in range(2)
    ]
    gone, _ = (ec2.create_snapshot(VolumeId=v)["SnapshotId"] for v in volumes)
    ec2.delete_volume(VolumeId=volumes[0])
    async with cost(lambda: datetime.now(UTC) + timedelta(days=60)) as client:
        r = await client.call_tool("find_waste", {})
    own = of_kind(r.structured_content, "orphan_snapshot")
    assert [f["resource"] for f in own if "8 GB" in f["why"]] == [gone]
    assert all(f["monthly_usd"] is None for f in own)
    assert "at most $0.40 a month" in next(f["why"] for f in own if f["resource"] == gone)


@pytest.mark.parametrize("code", ["AccessDenied", "ThrottlingException"])
async def test_what_could_not_be_read_is_named_and_the_rest_goes_on(
    cost: Any, client_of: Callable[[str], Any], code: str
) -> None:
    client_of("ec2").allocate_address(Domain="vpc")
    read = Aws.pages

    def refused(self: Aws, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        if operation in {"describe_volumes", "describe_db_instances"}:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
        return read(self, service, operation, key, **params)

    with patch.object(Aws, "pages", refused):
        answer = await waste(cost)
    assert [f["kind"] for f in answer["findings"]] == ["unassociated_address"]
    assert sorted(note.partition(":")[0] for note in answer["unread"]) == ["databases", "volumes"]
    assert answer["is_lower_bound"] is True
    assert "volumes" not in answer["looked_at"]


async def test_five_thousand_volumes_fit_the_budget_and_can_be_paged(cost: Any, cloud: Any) -> None:
    read = Aws.pages
    volumes = [
        {
            "VolumeId": f"vol-{n:017x}",
            "VolumeType": "gp3",
            "Size": 1 + n,
            "State": "available",
            "Tags": [{"Key": "Name", "Value": f"a volume with a rather long name {n}" * 3}],
        }
        for n in range(5000)
    ]

    def many(self: Aws, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        if operation == "describe_volumes":
            return volumes
        return read(self, service, operation, key, **params)

    with patch.object(Aws, "pages", many):
        first = await waste(cost, limit=200)
        second = await waste(cost, limit=200, cursor=first["cursor"])
    assert first["total"] == 5000
    assert first["by_kind"]["unattached_volume"]["count"] == 5000
    assert len(canonical_json(first)) <= 16_000
    assert first["findings"][0]["monthly_usd"] == 440
    assert first["findings"][-1]["monthly_usd"] > second["findings"][0]["monthly_usd"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"min_monthly_usd": -1}, "greater than or equal to 0"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"cursor": "made-up"}, "cursor does not fit"),
        ({"target": {"region": "nowhere"}}, "not an AWS region name"),
    ],
)
async def test_bad_input_is_explained(
    cost: Any, cloud: Any, call: dict[str, Any], said: str
) -> None:
    async with cost() as client:
        r = await client.call_tool("find_waste", call, raise_on_error=False)
    assert r.is_error
    assert said in r.content[0].text


async def test_a_load_balancer_with_targets_and_no_data_is_undetermined(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    arn, elb, ec2 = balancer(client_of), client_of("elbv2"), client_of("ec2")
    instance_id = run(ec2)["InstanceId"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    group_arn = group["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group_arn, Targets=[{"Id": instance_id}])
    elb.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group_arn}],
    )
    answer = await waste(cost)
    assert of_kind(answer, "idle_load_balancer") == []
    assert any("load balancers whose traffic is not known: 1 (web)" in n for n in answer["unread"])


async def test_metrics_that_may_not_be_read_call_nothing_idle(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    run(client_of("ec2"))
    gateway(client_of)
    balancer(client_of)
    read = Aws.pages

    def denied(self: Aws, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        if service == "cloudwatch" or operation == "describe_target_groups":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return read(self, service, operation, key, **params)

    with patch.object(Aws, "pages", denied):
        answer = await waste(cost)
    assert not [f for f in answer["findings"] if f["kind"].startswith("idle")]
    noted = {note.partition(":")[0] for note in answer["unread"]}
    assert noted >= {
        "instance CPU",
        "NAT gateway traffic",
        "load balancer traffic",
        "load balancer targets",
    }
