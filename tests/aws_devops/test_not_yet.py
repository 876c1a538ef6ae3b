"""AWS does not know at once what it has just made: builds wait for it, wrong ids do not."""

import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.core.aws_front import Answer, Call, Front

from opswright_aws_devops.server import create_server
from opswright_core.not_yet import having_made, is_not_yet, pause_after
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
    "RunInstances": (
        "InvalidParameterValue",
        "Value ({IamInstanceProfile.Arn}) for parameter iamInstanceProfile.arn is invalid. "
        "Invalid IAM Instance Profile ARN",
    ),
    "CreateFlowLogs": ("InvalidParameter", "Unable to assume given IAM role"),
    "CreateListener": ("TargetGroupNotFound", "One or more target groups not found"),
    "ModifyTargetGroupAttributes": (
        "TargetGroupNotFound", "Target groups '{TargetGroupArn}' not found",
    ),
    "CreateDBInstance": (
        "DBSubnetGroupNotFoundFault", "DB subnet group '{DBSubnetGroupName}' does not exist.",
    ),
    "CreateAutoScalingGroup": (
        "ValidationError",
        "You must use a valid fully-formed launch template. Value (shop-web) for parameter "
        "iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    ),
    "PutRolePolicy": ("NoSuchEntity", "The role with name {RoleName} cannot be found."),
    "CreateFunction": (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    "AddPermission": (
        "ResourceNotFoundException", "Function not found: arn:aws:lambda:eu-west-1:1:function:tick",
    ),
    "PutTargets": ("ResourceNotFoundException", "Rule {Rule} does not exist."),
    "RegisterTaskDefinition": ("ClientException", "Role is not valid"),
    "CreateService": ("ClusterNotFoundException", "Cluster not found."),
    "RegisterScalableTarget": ("ValidationException", "ECS service doesn't exist: {ResourceId}"),
}  # fmt: skip
"""By operation: the code and the words with which AWS answers one that came too early."""

MADE_ONCE = (
    "CreateVpc", "CreateNatGateway", "RunInstances", "CreateFlowLogs", "CreateLoadBalancer",
    "CreateListener", "CreateDBInstance", "CreateAutoScalingGroup",
    "CreateFunction", "RegisterTaskDefinition", "CreateService",
)  # fmt: skip


def refused_within(code: str, message: str) -> Answer:
    """EC2's refusal of flow logs: it says 200, and has the reason inside."""
    error = f"<error><code>{code}</code><message>{message}</message></error>"
    body = (
        "<CreateFlowLogsResponse><flowLogIdSet/>"
        f"<unsuccessful><item>{error}</item></unsuccessful></CreateFlowLogsResponse>"
    )
    return 200, {"Content-Type": "text/xml"}, body.encode()


class Early(Front):
    """An AWS that knows nothing new at the first call of each operation."""

    def __init__(self, emulator: str) -> None:
        super().__init__(emulator)
        self.too_early: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        """How often each operation was asked for, and how often carried out."""

    def forward(self, call: Call) -> Answer:
        if (action := call.action) in NOT_YET and not self.too_early[action]:
            self.too_early[action] += 1
            code, message = NOT_YET[action]
            if action == "CreateFlowLogs":
                return refused_within(code, message)
            return call.refused(
                code, re.sub(r"{([\w.]+)}", lambda name: call.sent[name[1]], message)
            )
        self.made[action] += 1
        return super().forward(call)


@pytest.fixture
def early(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Early]:
    made = Early(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.close()


async def test_builds_wait_for_what_they_have_just_made_to_be_known_and_make_it_once(
    settings: Settings, early: Early, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'tick'\n")
    async with Client(create_server(settings)) as client:
        built = functools.partial(outputs_of, client)
        network = await built("create_network", name="shop", nat="single")
        await built("create_flow_logs", name="shop", vpc_id=network["vpc_id"])
        groups = await built("create_security_groups", name="shop", vpc_id=network["vpc_id"])
        inside = {"subnet_ids": network["private_subnet_ids"]}
        await built(
            "create_instance",
            name="jobs",
            subnet_id=inside["subnet_ids"][0],
            security_group_ids=[groups["app_sg_id"]],
        )
        balancer = await built(
            "create_load_balancer",
            name="shop",
            vpc_id=network["vpc_id"],
            subnet_ids=network["public_subnet_ids"],
            security_group_ids=[groups["load_balancer_sg_id"]],
        )
        await built(
            "create_database",
            name="shop",
            subnet_ids=network["database_subnet_ids"],
            security_group_ids=[groups["database_sg_id"]],
        )
        await built(
            "create_web_tier",
            name="shop",
            **inside,
            security_group_ids=[groups["app_sg_id"]],
            target_group_arn=balancer["target_group_arn"],
        )
        await built(
            "create_function",
            name="tick",
            code=str(tmp_path),
            runtime="python3.13",
            handler="app.handler",
            schedule="rate(5 minutes)",
        )
        await built(
            "create_container_service",
            name="api",
            image="public.ecr.aws/nginx/nginx:1.29",
            **inside,
            security_group_ids=[groups["app_sg_id"]],
            listener_arn=balancer["listener_arn"],
            path="/api/*",
            max_count=4,
        )
    assert set(early.too_early) == set(NOT_YET)
    assert {operation: early.made[operation] for operation in MADE_ONCE} == dict.fromkeys(
        MADE_ONCE, 1
    )


async def outputs_of(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments, raise_on_error=False)
    assert not answer.is_error, answer.content
    assert answer.structured_content["status"] == "done"
    outputs: dict[str, Any] = answer.structured_content["outputs"]
    return outputs


def request(**body: Any) -> dict[str, Any]:
    return {"url_path": "/", "body": body, "context": {}}


ABSENT = {"Code": "InvalidVpcID.NotFound", "Message": "The vpc ID 'vpc-1a' does not exist"}
LINKED = {
    "Code": "InvalidParameterException", "Message": "Unable to assume the service linked role.",
}  # fmt: skip
PROFILE = "Value (shop) is invalid. Invalid IAM Instance Profile name"
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
        ("CreateService", LINKED, {"body": b'{"cluster": "shop"}'}, True),
        ("CreateService", LINKED, {"body": b'{"cluster": "other"}'}, False),
        ("CreateAutoScalingGroup", {"Code": "ValidationError", "Message": PROFILE},
         request(AutoScalingGroupName="shop"), True),
        # The parameter that it names was not made here, though another was.
        ("CreateEventSourceMapping",
         {"Code": "ResourceNotFoundException", "Message": "Invalid EventSourceArn"},
         request(EventSourceArn="arn:aws:sqs:eu-west-1:999999999999:jobs", FunctionName="shop"),
         False),
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


def test_a_wait_that_gets_long_is_told_with_what_aws_says() -> None:
    told: list[str] = []
    with having_made(["vpc-1a"], lambda: False, told.append):
        assert pause_after(1, "CreateSubnet", ABSENT) < pause_after(5, "CreateSubnet", ABSENT)
    (said,) = told
    assert said.startswith("CreateSubnet is sent again for up to 90 s")
    assert ABSENT["Message"] in said


async def test_a_wrong_id_of_the_caller_is_told_at_once(settings: Settings, early: Early) -> None:
    wrong = {"name": "blog", "vpc_id": "vpc-0123456789abcdef0"}
    async with Client(create_server(settings)) as client:
        refused = await client.call_tool("create_security_groups", wrong, raise_on_error=False)
    assert "vpc-0123456789abcdef0" in str(refused.content)
    assert max(early.made.values()) <= 2
