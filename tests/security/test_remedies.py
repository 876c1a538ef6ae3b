"""The three remedies: planned, applied, verified, undone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from opswright_security.server import create_server

Connect = Callable[..., AbstractAsyncContextManager[Any]]
Clients = Callable[[str], Any]
WORLD = "0.0.0.0/0"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


async def undone(client: Any, change: dict[str, Any]) -> None:
    answer = (
        await client.call_tool("undo_change", {"change_id": change["change_id"]})
    ).structured_content
    assert answer["status"] == "done", answer
    assert {c["verdict"] for c in answer["checks"]} == {"PASS"}


@pytest.fixture
def opened(client_of: Clients) -> str:
    ec2 = client_of("ec2")
    group: str = ec2.create_security_group(GroupName="web", Description="x")["GroupId"]
    both = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": WORLD, "Description": "for now"}, {"CidrIp": "10.0.0.0/8"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
    }
    wide = {
        "IpProtocol": "tcp",
        "FromPort": 8000,
        "ToPort": 8100,
        "IpRanges": [{"CidrIp": WORLD}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[both, wide])
    return group


def sources(client_of: Clients, group: str) -> set[tuple[int, str, str]]:
    found = client_of("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    return {
        (rule["FromPort"], r.get("CidrIp") or r["CidrIpv6"], r.get("Description", ""))
        for rule in found["IpPermissions"]
        for r in [*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", [])]
    }


@pytest.mark.parametrize("cidr", [WORLD, "::/0"])
async def test_exactly_one_rule_is_closed_and_opened_again(
    connect: Connect, client_of: Clients, opened: str, cidr: str
) -> None:
    before = sources(client_of, opened)
    arguments = {"group_id": opened, "protocol": "tcp", "port": "22", "cidr": cidr}
    async with connect(create_server) as client:
        planned = await client.call_tool(
            "close_security_group_rule", {**arguments, "dry_run": True}
        )
        assert planned.structured_content["status"] == "planned"
        assert sources(client_of, opened) == before
        done = (await client.call_tool("close_security_group_rule", arguments)).structured_content
        assert done["status"] == "done"
        assert done["outputs"] == {"group_id": opened, "rule": f"tcp 22 from {cidr}"}
        after = sources(client_of, opened)
        assert {entry[:2] for entry in before - after} == {(22, cidr)}
        assert len(before - after) == 1
        again = (await client.call_tool("close_security_group_rule", arguments)).structured_content
        assert again["reused"] is True
        await undone(client, done)
    assert sources(client_of, opened) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"port": "8050"}, "close protocol='tcp', port='8000-8100', cidr='0.0.0.0/0'"),
        ({"port": "99999"}, "port '99999' is none"),
        ({"port": "ssh"}, "port 'ssh' is none"),
        ({"port": "22", "protocol": "all"}, "pass port='all'"),
        ({"port": "22", "cidr": "everybody"}, "no address range"),
        ({"port": "22", "group_id": "sg-0123"}, "No security group sg-0123"),
        ({"port": "22", "group_id": "web"}, "group_id"),
    ],
)
async def test_a_rule_that_cannot_be_closed_is_explained_before_anything_is_sent(
    connect: Connect, client_of: Clients, opened: str, arguments: dict[str, str], says: str
) -> None:
    before = sources(client_of, opened)
    defaults = {"group_id": opened, "protocol": "tcp", "cidr": WORLD}
    async with connect(create_server) as client:
        r = await client.call_tool(
            "close_security_group_rule", {**defaults, **arguments}, raise_on_error=False
        )
    assert r.is_error
    assert says in r.content[0].text
    assert sources(client_of, opened) == before


async def test_a_rule_that_is_not_there_leaves_nothing_to_do(connect: Connect, opened: str) -> None:
    arguments = {"group_id": opened, "protocol": "tcp", "port": "443", "cidr": WORLD}
    async with connect(create_server) as client:
        r = await client.call_tool("close_security_group_rule", arguments)
    assert "nothing to close" in r.structured_content["summary"]


@pytest.mark.parametrize("before", [None, {"BlockPublicAcls": True}])
async def test_a_bucket_is_blocked_and_gets_back_what_it_had(
    connect: Connect, client_of: Clients, before: dict[str, bool] | None
) -> None:
    s3 = client_of("s3")
    s3.create_bucket(
        Bucket="files-of-ours",
        CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
    )
    if before:
        s3.put_public_access_block(Bucket="files-of-ours", PublicAccessBlockConfiguration=before)

    def block() -> dict[str, bool] | None:
        try:
            found = s3.get_public_access_block(Bucket="files-of-ours")
        except s3.exceptions.ClientError:
            return None
        return {k: v for k, v in found["PublicAccessBlockConfiguration"].items() if v}

    async with connect(create_server) as client:
        call = {"bucket": "files-of-ours"}
        done = (await client.call_tool("block_public_access", call)).structured_content
        assert (done["status"], done["outputs"]) == ("done", call)
        assert block() == dict.fromkeys(BLOCKS, True)
        assert (await client.call_tool("block_public_access", call)).structured_content["reused"]
        await undone(client, done)
    assert block() == before


async def test_imdsv2_is_required_and_given_back(connect: Connect, client_of: Clients) -> None:
    ec2 = client_of("ec2")
    instance = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0]
    call = {"instance_id": instance["InstanceId"]}

    def tokens() -> str:
        found = ec2.describe_instances(InstanceIds=[call["instance_id"]])["Reservations"][0]
        answer: str = found["Instances"][0]["MetadataOptions"]["HttpTokens"]
        return answer

    async with connect(create_server) as client:
        done = (await client.call_tool("require_imdsv2", call)).structured_content
        assert (done["status"], done["outputs"], tokens()) == ("done", call, "required")
        assert (await client.call_tool("require_imdsv2", call)).structured_content["reused"]
        await undone(client, done)
    assert tokens() == "optional"


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("block_public_access", {"bucket": "no-such-bucket"}, "No bucket 'no-such-bucket'"),
        ("block_public_access", {"bucket": "NOT A BUCKET"}, "bucket"),
        (
            "require_imdsv2",
            {"instance_id": "i-0123456789abcdef0"},
            "No instance i-0123456789abcdef0",
        ),
        ("require_imdsv2", {"instance_id": "web-1"}, "instance_id"),
    ],
)
async def test_what_is_not_there_is_not_changed(
    connect: Connect, cloud: Any, tool: str, arguments: dict[str, str], says: str
) -> None:
    async with connect(create_server) as client:
        r = await client.call_tool(tool, arguments, raise_on_error=False)
    assert r.is_error
    assert says in r.content[0].text
