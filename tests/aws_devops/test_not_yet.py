"""AWS does not know at once what it has just made: builds wait for it, wrong ids do not."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from fastmcp import Client
from tests.core.aws_front import Front, refusal

from opswright_aws_devops.server import create_server
from opswright_core.not_yet import having_made, is_not_yet
from opswright_core.settings import Settings

NOT_YET = {
    "CreateSubnet": ("InvalidVpcID.NotFound", "The vpc ID '{VpcId}' does not exist"),
    "ModifyVpcAttribute": ("InvalidVpcID.NotFound", "The vpc ID '{VpcId}' does not exist"),
    "AttachInternetGateway": (
        "InvalidInternetGatewayID.NotFound",
        "The internetGateway ID '{InternetGatewayId}' does not exist",
    ),
    "CreateRouteTable": ("InvalidVpcID.NotFound", "The vpc ID '{VpcId}' does not exist"),
    "AssociateRouteTable": (
        "InvalidRouteTableID.NotFound", "The routeTable ID '{RouteTableId}' does not exist",
    ),
    "CreateRoute": (
        "InvalidRouteTableID.NotFound", "The routeTable ID '{RouteTableId}' does not exist",
    ),
    "CreateNatGateway": (
        "InvalidAllocationID.NotFound", "The allocation ID '{AllocationId}' does not exist",
    ),
    "AuthorizeSecurityGroupIngress": (
        "InvalidGroup.NotFound", "The security group '{GroupId}' does not exist",
    ),
    "AddRoleToInstanceProfile": ("NoSuchEntity", "The role with name {RoleName} cannot be found."),
}  # fmt: skip
"""By action: the code and the words with which AWS answers one that came too early."""

TIMES = 2
"""So often each of them is refused before it is carried out."""


class Early(Front):
    """An AWS that knows nothing new at the first two calls of each action."""

    def __init__(self, emulator: str) -> None:
        super().__init__(emulator)
        self.refusals: Counter[str] = Counter()
        self.made: Counter[str] = Counter()

    def forward(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        action = sent.get("Action", "")
        self.made[action] += 1
        if action in NOT_YET and self.refusals[action] < TIMES:
            self.refusals[action] += 1
            code, message = NOT_YET[action]
            return refusal(code, message.format(**sent))
        return super().forward(path, headers, body)


@pytest.fixture
def early(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Early]:
    made = Early(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.close()


async def test_a_build_waits_for_what_it_has_just_made_to_be_known(
    settings: Settings, early: Early
) -> None:
    async with Client(create_server(settings)) as client:
        network = await client.call_tool("create_network", {"name": "shop", "nat": "single"})
        assert network.structured_content["status"] == "done", network.structured_content
        outputs = network.structured_content["outputs"]
        machine = await client.call_tool(
            "create_instance",
            {"name": "shop", "subnet_id": outputs["private_subnet_ids"][0],
             "security_group_ids": await groups(client, outputs["vpc_id"])},
        )  # fmt: skip
        assert machine.structured_content["status"] == "done", machine.structured_content
    assert {action: early.refusals[action] for action in NOT_YET} == dict.fromkeys(NOT_YET, TIMES)
    assert early.made["CreateVpc"] == early.made["CreateNatGateway"] - TIMES == 1


async def groups(client: Any, vpc_id: str) -> list[str]:
    made = await client.call_tool("create_security_groups", {"name": "shop", "vpc_id": vpc_id})
    return [made.structured_content["outputs"]["app_sg_id"]]


def request(**body: Any) -> dict[str, Any]:
    return {"url_path": "/", "body": body, "context": {}}


ABSENT = {"Code": "InvalidVpcID.NotFound", "Message": "The vpc ID 'vpc-1a' does not exist"}
UNNAMED = {"Code": "TargetGroupNotFound", "Message": "One or more target groups not found"}
PRINCIPAL = {"Code": "MalformedPolicy", "Message": "Invalid principal in policy"}
POLICY = b'{"Policy": "{\\"AWS\\": \\"arn:aws:iam::111122223333:role/shop\\"}"}'


@pytest.mark.parametrize(
    ("operation", "error", "sent", "waits"),
    [
        ("CreateSubnet", ABSENT, request(VpcId="vpc-1a"), True),
        ("CreateSubnet", ABSENT, request(VpcId="vpc-1a", Other="shop"), True),
        ("CreateListener", UNNAMED, request(TargetGroupArn="arn:x:targetgroup/shop/1"), True),
        ("PutBucketPolicy", PRINCIPAL, {"url_path": "/files", "body": POLICY}, True),
        # What it names was not made here, though the request has what was.
        ("RunInstances", {**ABSENT, "Message": "The subnet ID 'subnet-9' does not exist"},
         request(SubnetId="subnet-9", GroupId="sg-2b"), False),
        ("CreateSubnet", ABSENT, request(VpcId="vpc-1a0"), False),
        ("CreateListener", UNNAMED, request(TargetGroupArn="arn:x:targetgroup/other/1"), False),
        # An answer to those who ask, and as good as done to those who take away.
        ("DescribeVpcs", ABSENT, request(VpcId="vpc-1a"), False),
        ("DeleteVpc", ABSENT, request(VpcId="vpc-1a"), False),
        ("CreateSubnet", {"Code": "InvalidSubnet.Conflict", "Message": "vpc-1a"},
         request(VpcId="vpc-1a"), False),
    ],
)  # fmt: skip
def test_only_what_names_something_made_here_came_too_early(
    operation: str, error: dict[str, str], sent: dict[str, Any], waits: bool
) -> None:
    with having_made([{"vpc": "vpc-1a"}, ["sg-2b"], "shop"], lambda: False):
        assert is_not_yet(operation, error, sent) is waits
    assert not is_not_yet(operation, error, sent), "outside a change nothing is waited for"


def test_nothing_is_sent_again_once_the_change_is_stopped() -> None:
    with having_made(["vpc-1a"], lambda: True):
        assert not is_not_yet("CreateSubnet", ABSENT, request(VpcId="vpc-1a"))


async def test_a_wrong_id_of_the_caller_is_told_at_once(settings: Settings, early: Early) -> None:
    wrong = {"name": "blog", "vpc_id": "vpc-0123456789abcdef0"}
    async with Client(create_server(settings)) as client:
        refused = await client.call_tool("create_security_groups", wrong, raise_on_error=False)
    assert "vpc-0123456789abcdef0" in str(refused.content)
    assert max(early.made.values()) <= 2
