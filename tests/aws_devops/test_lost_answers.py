"""A server killed after AWS did something and before it heard of it: its undo leaves nothing."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.aws_devops.refusing import RefusingSessions
from tests.core.aws_front import Answer, Call, Front
from tests.core.processes import environment

from opswright_aws_devops.server import create_server
from opswright_core.journal import Journal
from opswright_core.settings import Settings

NETWORK = {"name": "shop", "nat": "single"}


@pytest.fixture
def front(cloud: Any) -> Iterator[Front]:
    made = Front(cloud.endpoint)
    yield made
    made.close()


def kill_the_writer(settings: Settings) -> None:
    """End the process that the journal names as the owner of the change."""
    journal = Journal(settings.state_dir / "journal.db", "test")
    (change_id,) = Journal(settings.state_dir / "journal.db", "aws_devops").recent()
    (begun,) = [e.body for e in journal.events(change_id) if e.kind == "applying"]
    os.kill(int(begun["owner"].split(":")[1]), signal.SIGKILL)


async def started_and_killed(
    settings: Settings, front: Front, at: str, tool: str, arguments: dict[str, Any]
) -> str:
    """Begin a change in a process that is killed when AWS has done `at`; its change's id."""
    front.before_answer[at] = lambda: kill_the_writer(settings)
    flags = ["--allow-writes", "--approvals", "auto", "--toolsets", "all"]
    flags += ["--state-dir", str(settings.state_dir)]
    transport = StdioTransport(
        sys.executable, ["-m", "opswright_aws_devops", *flags],
        env=environment(AWS_ENDPOINT_URL=front.url), keep_alive=False,
    )  # fmt: skip
    with pytest.raises(Exception):  # noqa: B017, PT011 (however a client says that it is gone)
        async with Client(transport) as client:
            await client.call_tool(tool, arguments)
    front.before_answer.clear()
    (change_id,) = Journal(settings.state_dir / "journal.db", "aws_devops").recent()
    return change_id


def left(client_of: Callable[[str], Any]) -> dict[str, int]:
    ec2 = client_of("ec2")
    return {
        "vpcs": sum(not v["IsDefault"] for v in ec2.describe_vpcs()["Vpcs"]),
        "addresses": len(ec2.describe_addresses()["Addresses"]),
        "gateways": len(ec2.describe_internet_gateways()["InternetGateways"]),
        "nats": sum(g["State"] != "deleted" for g in ec2.describe_nat_gateways()["NatGateways"]),
    }


@pytest.mark.parametrize("at", ["CreateVpc", "AssociateRouteTable", "CreateNatGateway"])
async def test_what_was_made_without_an_answer_is_found_and_undone(
    settings: Settings, front: Front, client_of: Callable[[str], Any], at: str
) -> None:
    before = left(client_of)
    change_id = await started_and_killed(settings, front, at, "create_network", NETWORK)
    assert left(client_of) != before
    async with Client(create_server(settings)) as client:
        cut_off = await client.call_tool(
            "get_change", {"change_id": change_id}, raise_on_error=False
        )
        assert cut_off.structured_content["status"] == "interrupted"
        undone = (
            await client.call_tool("undo_change", {"change_id": change_id})
        ).structured_content
    assert undone["status"] == "done"
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left(client_of) == before


async def test_a_server_started_without_an_answer_is_found_and_not_started_twice(
    settings: Settings, front: Front, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    inside = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
    group = ec2.describe_security_groups(Filters=inside)["SecurityGroups"][0]["GroupId"]
    asked = {"name": "shop", "subnet_id": subnet["SubnetId"], "security_group_ids": [group]}
    change_id = await started_and_killed(settings, front, "RunInstances", "create_instance", asked)

    def states() -> list[str]:
        found = ec2.describe_instances()["Reservations"]
        return [i["State"]["Name"] for r in found for i in r["Instances"]]

    assert states() == ["running"]
    async with Client(create_server(settings)) as client:
        again = (await client.call_tool("create_instance", asked)).structured_content
        assert (again["status"], again["change_id"]) == ("done", change_id)
        assert states() == ["running"]
        call = {"change_id": change_id}
        undone = (await client.call_tool("undo_change", call)).structured_content
    assert undone["status"] == "done"
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert states() == ["terminated"]


async def test_an_endpoint_made_without_an_answer_is_found_and_not_made_twice(
    settings: Settings, front: Front, client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    asked = {"name": "shop", "vpc_id": ec2.describe_vpcs()["Vpcs"][0]["VpcId"], "services": ["s3"]}
    change_id = await started_and_killed(
        settings, front, "CreateVpcEndpoint", "create_vpc_endpoints", asked
    )

    def there() -> int:
        found = ec2.describe_vpc_endpoints()["VpcEndpoints"]
        return sum(endpoint["State"] != "deleted" for endpoint in found)

    assert there() == 1
    async with Client(create_server(settings)) as client:
        again = (await client.call_tool("create_vpc_endpoints", asked)).structured_content
        assert (again["status"], again["change_id"]) == ("done", change_id)
        assert there() == 1
        call = {"change_id": change_id}
        undone = (await client.call_tool("undo_change", call)).structured_content
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert there() == 0


def lose_once(front: Front, action: str) -> None:
    """The next answer to an operation does not arrive."""

    def lose() -> None:
        front.before_answer.clear()
        raise ConnectionAbortedError

    front.before_answer[action] = lose


@pytest.fixture
def losing(front: Front, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`losing("CreateVpc")`: from then on AWS is behind a front that loses that one answer."""

    def begin(action: str) -> None:
        lose_once(front, action)
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)

    return begin


async def test_a_lost_answer_is_not_success_and_what_would_be_made_twice_is_not_sent_again(
    settings: Settings, front: Front, client_of: Callable[[str], Any],
    losing: Callable[[str], None],
) -> None:  # fmt: skip
    before = left(client_of)
    losing("CreateVpc")
    async with Client(create_server(settings)) as client:
        lost = await client.call_tool("create_network", NETWORK, raise_on_error=False)
        assert lost.is_error
        assert lost.structured_content["status"] == "outcome_unknown"
        assert left(client_of)["vpcs"] == before["vpcs"] + 1
        made = (await client.call_tool("create_network", NETWORK)).structured_content
        assert (made["status"], len(front.calls("CreateVpc"))) == ("done", 1)
        call = {"change_id": made["change_id"]}
        undone = (await client.call_tool("undo_change", call)).structured_content
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left(client_of) == before


async def test_what_was_made_by_its_name_without_an_answer_is_taken_up_at_once_and_undone(
    settings: Settings, front: Front, client_of: Callable[[str], Any], tmp_path: Path,
    losing: Callable[[str], None],
) -> None:  # fmt: skip
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'hello'\n")
    asked = {"name": "hello", "code": str(tmp_path), "handler": "app.handler"}
    losing("CreateFunction")
    async with Client(create_server(settings)) as client:
        made = await client.call_tool("create_function", {**asked, "runtime": "python3.13"})
        assert made.structured_content["status"] == "done"
        assert len(front.calls("CreateFunction")) == 2
        functions = client_of("lambda").list_functions()["Functions"]
        assert [function["FunctionName"] for function in functions] == ["hello"]
        call = {"change_id": made.structured_content["change_id"]}
        undone = (await client.call_tool("undo_change", call)).structured_content
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert client_of("lambda").list_functions()["Functions"] == []


async def test_what_cannot_be_looked_for_is_said_to_be_unknown(
    settings: Settings, front: Front, client_of: Callable[[str], Any]
) -> None:
    change_id = await started_and_killed(
        settings, front, "CreateInternetGateway", "create_network", NETWORK
    )
    server, sessions = create_server(settings), RefusingSessions()
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    sessions.refused["DescribeInternetGateways"] = 0
    async with Client(server) as client:
        call = {"change_id": change_id, "dry_run": True}
        planned = (await client.call_tool("undo_change", call)).structured_content
        undone = (
            await client.call_tool("undo_change", {"change_id": change_id})
        ).structured_content
    doubt = "Whether 'ec2:internet-gateway shop' took effect is not known: its answer was lost."
    assert any(doubt in warning for warning in planned["plan"]["warnings"])
    assert "UNKNOWN" in {c["verdict"] for c in undone["checks"]}
    assert left(client_of)["gateways"] == 1


class OnceEach(Front):
    """Refuses a second group of one name, as Auto Scaling does and moto does not."""

    def __init__(self, emulator: str) -> None:
        super().__init__(emulator)
        self.groups: set[str] = set()

    def forward(self, call: Call) -> Answer:
        if call.action == "CreateAutoScalingGroup":
            name = call.sent["AutoScalingGroupName"]
            if name in self.groups:
                self.signed_by.append((call.action, ""))
                return call.refused("AlreadyExists", "Launch failed: a group by this name exists")
            self.groups.add(name)
        return super().forward(call)


async def test_a_group_made_without_an_answer_is_taken_up_at_once_made_once_and_undone(
    agent: Any, settings: Settings, cloud: Any, client_of: Callable[[str], Any],
    web_arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    front = OnceEach(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    lose_once(front, "CreateAutoScalingGroup")
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("create_web_tier", web_arguments)).structured_content
        assert made["status"] == "done", made
        assert len(front.calls("CreateAutoScalingGroup")) == 2
        groups = client_of("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        assert [group["AutoScalingGroupName"] for group in groups] == ["shop"]
        call = {"change_id": made["change_id"]}
        undone = (await client.call_tool("undo_change", call)).structured_content
    front.close()
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert client_of("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
