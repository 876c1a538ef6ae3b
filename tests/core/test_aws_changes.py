"""A change on an emulated account: approved by itself there, and undone where it was made."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastmcp import Client
from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.journal import Journal
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws, runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool, write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check


class Made(BaseModel):
    vpc_id: str


@write_tool()
def make_vpc(
    cidr: Annotated[str, Field(description="Its block")], target: Target = HERE
) -> Work[Made]:
    """Make a VPC."""
    here = aws(target)
    ec2 = here.client("ec2")

    def plan() -> ChangePlan:
        return ChangePlan(
            summary=f"make {cidr}", actions=[Action(verb="create", type="ec2:vpc", name=cidr)]
        )

    def apply(rec: Recorder) -> Made:
        made = rec.step(
            "vpc",
            lambda: {"vpc_id": ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]},
            undo=lambda r: [
                aws_undo(
                    f"delete VPC {r['vpc_id']}", "ec2", "delete_vpc", {"VpcId": r["vpc_id"]},
                    target=target, region=here.region,
                    gone=("describe_vpcs", {"VpcIds": [r["vpc_id"]]}, "Vpcs[]"),
                )
            ],
        )  # fmt: skip
        return Made(**made)

    def verify(made: Made) -> list[Check]:
        return [check("there", bool(ec2.describe_vpcs(VpcIds=[made.vpc_id])["Vpcs"]))]

    return Work(scope=Scope.of(here), plan=plan, apply=apply, verify=verify, outputs=Made)


@read_tool
def name_zones() -> list[str]:
    """Name the zones, through a call that fails as told."""
    answer = runtime().extras["client"]().describe_availability_zones(DryRun=True)
    return [z["ZoneName"] for z in answer["AvailabilityZones"]]


def create_server(settings: Settings) -> Any:
    return build_server(
        "nets", title="Nets", instructions="Nets.", tools=[make_vpc, name_zones], settings=settings,
        extras={"client": lambda: aws().client("ec2")},
    )  # fmt: skip


Vpcs = Callable[[], list[str]]


@pytest.fixture
def vpcs(client_of: Callable[[str], Any]) -> Vpcs:
    return lambda: [v["VpcId"] for v in client_of("ec2").describe_vpcs()["Vpcs"]]


async def test_a_vpc_is_made_verified_and_undone(settings: Settings, vpcs: Vpcs) -> None:
    before = vpcs()
    async with Client(create_server(settings)) as client:
        made = (await client.call_tool("make_vpc", {"cidr": "10.1.0.0/16"})).structured_content
        assert made["outputs"]["vpc_id"] in vpcs()
        assert made["where"] == "aws:123456789012:eu-west-1"
        undone = await client.call_tool("undo_change", {"change_id": made["change_id"]})
    assert undone.structured_content["status"] == "done"
    assert vpcs() == before


async def test_what_vanished_from_the_account_is_made_again(settings: Settings, vpcs: Vpcs) -> None:
    async with Client(create_server(settings)) as client:
        first = (await client.call_tool("make_vpc", {"cidr": "10.1.0.0/16"})).structured_content
        import boto3

        boto3.client("ec2").delete_vpc(VpcId=first["outputs"]["vpc_id"])
        again = (await client.call_tool("make_vpc", {"cidr": "10.1.0.0/16"})).structured_content
    assert again["status"] == "done"
    assert again["outputs"] != first["outputs"]


async def test_an_approval_holds_for_no_other_region_and_no_other_account(
    settings: Settings,
    vpcs: Vpcs,
    client_of: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, call = vpcs(), {"cidr": "10.1.0.0/16"}
    role = "arn:aws:iam::222222222222:role/other"
    other = client_of("sts").assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
    asking = dataclasses.replace(settings, approvals="token")

    async def make(**more: str) -> Any:
        async with Client(create_server(asking)) as client:
            return await client.call_tool("make_vpc", {**call, **more}, raise_on_error=False)

    asked = (await make()).structured_content
    token = asked["approval"]["token"]
    elsewhere: list[dict[str, str]] = [
        {"AWS_REGION": "us-east-1"},
        {
            "AWS_ACCESS_KEY_ID": other["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": other["SecretAccessKey"],
            "AWS_SESSION_TOKEN": other["SessionToken"],
        },
    ]
    for environment in elsewhere:
        with monkeypatch.context() as moved:
            for name, value in environment.items():
                moved.setenv(name, value)
            refused = await make(approval=token)
        assert refused.is_error
        assert "another target" in refused.content[0].text
    assert vpcs() == before
    journal = Journal(settings.state_dir / "journal.db", "nets")
    refusals = [
        event.body["scope"]
        for change_id in journal.recent()
        for event in journal.events(change_id)
        if event.kind == "approval_refused"
    ]
    assert sorted(refusals) == ["aws:123456789012:us-east-1", "aws:222222222222:eu-west-1"]
    assert (await make(approval=token)).structured_content["status"] == "done"


async def test_one_service_elsewhere_ends_automatic_approval(
    settings: Settings, vpcs: Vpcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vpcs()
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", "https://rds.eu-west-1.amazonaws.com")
    async with Client(create_server(settings)) as client:
        answer = await client.call_tool("make_vpc", {"cidr": "10.1.0.0/16"}, raise_on_error=False)
    assert "is not one" in answer.content[0].text
    assert vpcs() == before


async def test_a_change_is_not_undone_with_another_accounts_credentials(
    settings: Settings, vpcs: Vpcs
) -> None:
    server = create_server(settings)
    async with Client(server) as client:
        made = (await client.call_tool("make_vpc", {"cidr": "10.1.0.0/16"})).structured_content
    elsewhere = create_server(dataclasses.replace(settings))
    session = elsewhere.opswright_runtime.aws_sessions.open()
    session._identity = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:root"}
    async with Client(elsewhere) as client:
        answer = await client.call_tool(
            "undo_change", {"change_id": made["change_id"]}, raise_on_error=False
        )
    assert "was made in aws account 123456789012" in answer.content[0].text
    assert made["outputs"]["vpc_id"] in vpcs()


async def test_a_cloud_error_in_a_read_is_translated_for_the_caller(
    settings: Settings, cloud: Any
) -> None:
    from botocore.stub import Stubber

    server = create_server(settings)
    ec2 = server.opswright_runtime.aws_sessions.open().client("ec2")
    with Stubber(ec2) as stubber:
        stubber.add_client_error("describe_availability_zones", "UnauthorizedOperation", "no")
        async with Client(server) as client:
            answer = await client.call_tool("name_zones", {}, raise_on_error=False)
    assert answer.is_error
    assert "Grant ec2:DescribeAvailabilityZones" in answer.content[0].text


async def test_an_undo_on_the_cloud_is_not_automatic_because_its_scope_says_sandbox(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    server = create_server(settings)
    journal = server.opswright_runtime.journal
    body = {"tool": "t", "arguments": {}, "scope": "sandbox:x", "summary": "", "owner": "h:1:1"}
    journal.append("ch-1", "applying", body)
    step = aws_undo("delete it", "ec2", "delete_vpc", {}, target=HERE, region="eu-west-1")
    done: dict[str, Any] = {
        "name": "n",
        "result": {},
        "undo": [step.model_dump()],
        "resource": None,
    }
    journal.append("ch-1", "step_sent", {"name": "n", "undo": []})
    journal.append("ch-1", "step_done", done)
    journal.append("ch-1", "done", {})
    async with Client(server) as client:
        answer = await client.call_tool("undo_change", {"change_id": "ch-1"}, raise_on_error=False)
    assert "is not one" in answer.content[0].text
