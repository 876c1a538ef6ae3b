"""A client of the server, an environment made through it, and an account's inventory."""

import functools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops import ministack
from tests.aws_devops.account import SERVICES, account
from tests.aws_devops.ground import lay
from tests.aws_devops.refusing import RefusingSessions
from tests.aws_devops.stripping import Account
from tests.conftest import empty, need

from opswright.sandbox import Sandbox
from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings


@dataclass
class Agent:
    """A client of the server; `made` holds the ids of the changes, in the order they were made."""

    client: Any
    made: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed, and return its structured content."""
        answer = await self.client.call_tool(tool, arguments, raise_on_error=False)
        assert not answer.is_error, answer.content[0].text
        content: dict[str, Any] = answer.structured_content
        if content.get("status") == "done" and not content["reused"]:
            self.made.append(content["change_id"])
        return content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must fail, and return what it says."""
        answer = await self.client.call_tool(tool, arguments, raise_on_error=False)
        assert answer.is_error, answer.structured_content
        text: str = answer.content[0].text
        return text


@pytest.fixture
async def agent(cloud: Any, connect: Any) -> AsyncIterator[Agent]:
    async with connect(create_server) as client:
        yield Agent(client)


@dataclass
class Watched(Agent):
    """An agent whose operations can be refused: see `cut_off`."""

    sessions: RefusingSessions = field(default_factory=RefusingSessions)

    async def cut_off(
        self, tool: str, refused: str, *, after: int = 0, **arguments: Any
    ) -> dict[str, Any]:
        """Begin a change whose operation `refused` is denied, `after` so many; what it answers."""
        self.sessions.refused[refused] = after
        answer = await self.client.call_tool(tool, arguments, raise_on_error=False)
        self.sessions.refused.clear()
        change: dict[str, Any] = answer.structured_content
        assert change["status"] == "failed", change
        assert refused in change["error"]
        return change


@pytest.fixture
async def watched(cloud: Any, settings: Settings) -> AsyncIterator[Watched]:
    server = create_server(settings)
    sessions = RefusingSessions()
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    async with Client(server) as client:
        yield Watched(client, sessions=sessions)


@pytest.fixture
async def network(agent: Agent) -> dict[str, Any]:
    outputs: dict[str, Any] = (await agent.call("create_network", name="shop"))["outputs"]
    return outputs


@pytest.fixture
async def groups(agent: Agent, network: dict[str, Any]) -> dict[str, str]:
    change = await agent.call("create_security_groups", name="shop", vpc_id=network["vpc_id"])
    outputs: dict[str, str] = change["outputs"]
    return outputs


@pytest.fixture
async def balancer(agent: Agent, network: dict[str, Any], groups: dict[str, str]) -> dict[str, str]:
    change = await agent.call(
        "create_load_balancer",
        name="shop",
        vpc_id=network["vpc_id"],
        subnet_ids=network["public_subnet_ids"],
        security_group_ids=[groups["load_balancer_sg_id"]],
    )
    outputs: dict[str, str] = change["outputs"]
    return outputs


@pytest.fixture
def web_arguments(
    network: dict[str, Any], groups: dict[str, str], balancer: dict[str, str]
) -> dict[str, Any]:
    return {
        "name": "shop",
        "subnet_ids": network["private_subnet_ids"],
        "security_group_ids": [groups["app_sg_id"]],
        "target_group_arn": balancer["target_group_arn"],
    }


@pytest.fixture
def inventory(client_of: Callable[[str], Any]) -> Callable[[], dict[str, list[str]]]:
    """What is in the account, by kind, without what every account begins with."""

    own = (
        ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        ("ec2", "describe_subnets", "Subnets", "SubnetId"),
        ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
        ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
        ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        ("ec2", "describe_addresses", "Addresses", "AllocationId"),
        ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
        ("ec2", "describe_instances", "Reservations", "ReservationId"),
        ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
        (
            "autoscaling",
            "describe_auto_scaling_groups",
            "AutoScalingGroups",
            "AutoScalingGroupName",
        ),
        ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
        ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
        ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
        ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
        ("iam", "list_roles", "Roles", "RoleName"),
        ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
        ("s3", "list_buckets", "Buckets", "Name"),
    )

    def is_gone(item: dict[str, Any]) -> bool:
        states = {i["State"]["Name"] for i in item.get("Instances", []) if "State" in i}
        return item.get("State") == "deleted" or states == {"terminated"}

    def read() -> dict[str, list[str]]:
        vpcs = client_of("ec2").describe_vpcs()["Vpcs"]
        default = {vpc["VpcId"] for vpc in vpcs if vpc["IsDefault"]}
        found: dict[str, list[str]] = {}
        for service, operation, items, key in own:
            there = getattr(client_of(service), operation)()[items]
            found[items] = [
                item[key]
                for item in there
                if item.get("VpcId") not in default and not is_gone(item)
            ]
        return found

    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.")
    return read


@pytest.fixture(scope="session")
def stack_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator that rolls stacks back and finds their drift."""
    need("ministack", ministack.PROGRAM.is_file(), "it is not installed (make ministack)")
    with ministack.running(tmp_path_factory.mktemp("ministack") / "log") as endpoint:
        yield endpoint


@pytest.fixture
def stack_cloud(stack_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The environment points at that emulator, emptied; gives boto3 clients of it."""
    import boto3

    ministack.reset(stack_emulator)
    for name, value in {
        "AWS_ENDPOINT_URL": stack_emulator,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    return lambda service: boto3.client(service, endpoint_url=stack_emulator)


@pytest.fixture
async def stacks(stack_cloud: Any, connect: Any) -> AsyncIterator[Agent]:
    """A client of a server at that emulator."""
    async with connect(create_server) as client:
        yield Agent(client)


@dataclass
class Ground:
    """An account with one of each thing to change, all that it holds, and a client."""

    watched: Watched
    clients: Callable[[str], Any]
    known: dict[str, Any]
    read: Account
    holds: dict[str, list[Any]]


@pytest.fixture(scope="module")
async def ground(
    emulator: Sandbox, _clients: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """A server whose calls can be refused, in an account with one of each; made once."""
    folder = tmp_path_factory.mktemp("ground")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in emulator.environment().items():
            environment.setenv(name, value)
        empty(emulator)
        settings = Settings(
            allow_writes=True, approvals="auto", mind="skills", state_dir=folder / "state",
            toolsets=frozenset({"all"}),
        )  # fmt: skip
        server, sessions = create_server(settings), RefusingSessions()
        server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
        async with Client(server) as client:
            watched = Watched(client, sessions=sessions)
            known = await lay(watched, _clients, folder)
            read = functools.partial(account, _clients)
            yield Ground(watched, _clients, known, read, read(SERVICES))


@pytest.fixture
def at_it(emulator: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment points at the emulator, with what is in it."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
