"""Exports: what the text makes when deployed is what the tool makes, judged alike."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent
from tests.conftest import need

from opswright_aws_devops.balancers.state import LoadBalancer, judge_load_balancer, load_state
from opswright_aws_devops.cloudformation.lint import is_installed, lint
from opswright_aws_devops.cloudformation.templates import parsed
from opswright_aws_devops.databases.parts import load_database
from opswright_aws_devops.export.intent import Place
from opswright_aws_devops.export.model import REF_GIVES, Assembly, Part, Ref
from opswright_aws_devops.export.script.writing import FUNCTIONS, as_script
from opswright_aws_devops.export.steps import BUILDERS
from opswright_aws_devops.export.terraform.hcl import snake_case
from opswright_aws_devops.export.terraform.writing import KINDS, as_configuration
from opswright_aws_devops.networking.checks import Network, judge_network, load_network
from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.buckets import load_bucket
from opswright_aws_devops.tools.databases import Database, judge_database
from opswright_aws_devops.tools.security_groups import SecurityGroups, inbound
from opswright_core.aws import AwsSessions, AwsTarget
from opswright_core.verdicts import Check, Unread

NETWORK = {"tool": "create_network", "arguments": {"name": "shop"}}
GROUPS = {
    "tool": "create_security_groups",
    "arguments": {"name": "shop", "vpc_id": "${network.vpc_id}"},
}
BALANCER = {
    "tool": "create_load_balancer",
    "arguments": {
        "name": "shop",
        "vpc_id": "${network.vpc_id}",
        "subnet_ids": "${network.public_subnet_ids}",
        "security_group_ids": ["${security_groups.load_balancer_sg_id}"],
    },
}
DATABASE = {
    "tool": "create_database",
    "arguments": {
        "name": "shop",
        "subnet_ids": "${network.database_subnet_ids}",
        "security_group_ids": ["${security_groups.database_sg_id}"],
    },
}
AURORA = {
    "tool": "create_aurora_cluster",
    "arguments": {
        "name": "shop",
        "subnet_ids": "${network.database_subnet_ids}",
        "security_group_ids": ["${security_groups.database_sg_id}"],
    },
}
BUCKET = {"tool": "create_bucket", "arguments": {"name": "shop-releases-1"}}
WEB = {
    "tool": "create_web_tier",
    "arguments": {
        "name": "shop",
        "subnet_ids": "${network.private_subnet_ids}",
        "security_group_ids": ["${security_groups.app_sg_id}"],
        "target_group_arn": "${load_balancer.target_group_arn}",
        "artifact_bucket": "${bucket.bucket}",
    },
}
WHOLE = [NETWORK, GROUPS, BALANCER, DATABASE, BUCKET, WEB]


async def text_of(agent: Agent, path: Path, steps: list[Any], **more: Any) -> str:
    answer = await agent.call("export_application", steps=steps, path=str(path), **more)
    assert answer["path"] == str(path)
    return path.read_text()


async def deployed(agent: Agent, tmp_path: Path, steps: list[Any]) -> dict[str, str]:
    """The outputs of a stack of the exported template, by what its references name.

    moto works no outputs out for what a change set created.
    """
    text = await text_of(agent, tmp_path / "template.yaml", steps)
    made = await agent.call(
        "deploy_stack", name="shop", template=text, capabilities=["CAPABILITY_NAMED_IAM"]
    )
    assert made["status"] == "done", made
    ids: dict[str, str] = made["outputs"]["resources"]

    def value(written: Any) -> str:
        match written:
            case {"!Ref": key}:
                return ids[key]
            case {"!GetAtt": path}:
                return ids[path.split(".")[0]]
            case {"!Join": [separator, parts]}:
                return str(separator).join(value(part) for part in parts)
        return str(written)

    return {key: value(output["Value"]) for key, output in parsed(text)["Outputs"].items()}


def under(outputs: dict[str, str], prefix: str) -> dict[str, Any]:
    """A step's outputs by the tool's own names; lists are split."""
    own = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", key.removeprefix(prefix)).lower(): value
        for key, value in outputs.items()
        if key.startswith(prefix)
    }
    return {key: v.split(",") if key.endswith("_ids") else v for key, v in own.items()}


def failed(checks: list[Check]) -> list[str]:
    assert checks
    return [c.name for c in checks if c.verdict != "PASS"]


async def test_an_exported_network_is_the_one_that_the_tool_builds(
    stack_cloud: Any, connect: Any, tmp_path: Path
) -> None:
    """On ministack, which associates route tables; it has no NAT gateways in stacks, moto has."""
    network = {**NETWORK, "arguments": {"name": "shop", "nat": "none"}}
    async with connect(create_server) as client:
        own = under(await deployed(Agent(client), tmp_path, [network, BUCKET]), "Network")
    a = AwsSessions().open(AwsTarget())
    made = Network(
        name="shop", cidr="10.0.0.0/16", azs=["eu-west-1a", "eu-west-1b"], nat_gateway_ids=[], **own
    )
    beyond = ["The default security group lets nothing through"]  # no stack changes that group
    assert failed(judge_network(made, load_network(a, made.vpc_id))) == beyond
    state = load_bucket(a, "shop-releases-1")
    assert state.encrypted
    assert state.versioned
    assert state.public_access_blocked


async def test_exported_private_subnets_leave_by_the_nat_gateway_of_their_zone(
    agent: Agent, tmp_path: Path, client_of: Callable[[str], Any]
) -> None:
    outputs = await deployed(agent, tmp_path, [NETWORK])
    made = under(outputs, "Network")
    tables = client_of("ec2").describe_route_tables(RouteTableIds=made["route_table_ids"])
    ways = [
        route.get("NatGatewayId") or route.get("GatewayId")
        for table in tables["RouteTables"]
        for route in table["Routes"]
        if route["DestinationCidrBlock"] == "0.0.0.0/0"
    ]
    assert ways == [made["internet_gateway_id"], *made["nat_gateway_ids"]]


async def test_an_exported_application_has_the_shape_that_the_tools_give_it(
    agent: Agent, tmp_path: Path, client_of: Callable[[str], Any]
) -> None:
    outputs = await deployed(agent, tmp_path, [NETWORK, GROUPS, BALANCER, BUCKET, DATABASE, WEB])
    a = AwsSessions().open(AwsTarget())
    groups = SecurityGroups(**under(outputs, "SecurityGroups"))
    there = client_of("ec2").describe_security_groups(GroupIds=list(groups.model_dump().values()))
    rules = {g["GroupId"]: inbound(g) for g in there["SecurityGroups"]}
    assert rules[groups.database_sg_id] == {("tcp", 5432, 5432, groups.app_sg_id)}
    assert rules[groups.app_sg_id] == {("tcp", 8080, 8080, groups.load_balancer_sg_id)}
    assert {r[1] for r in rules[groups.load_balancer_sg_id]} == {80, 443}
    balancer = LoadBalancer(
        load_balancer_name="shop", target_group_name="shop", **under(outputs, "LoadBalancer")
    )
    assert (
        failed(judge_load_balancer(balancer, load_state(a, "shop"), scheme="internet-facing")) == []
    )
    own = under(outputs, "Database")
    database = Database(
        db_instance_id="shop", engine="postgres", multi_az=True, encrypted=True, secret_arn="",
        endpoint="", port=5432, subnet_group=own["subnet_group"],
    )  # fmt: skip
    found = failed(judge_database(database, True, load_database(a, "shop")))
    # moto's CloudFormation knows none of the three properties.
    assert set(found) <= {
        "Its password is in Secrets Manager",
        "Deletion protection is on",
        "It is in its subnet group",
    }
    (group,) = client_of("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"]) == (2, 6)
    assert group["TargetGroupARNs"] == [balancer.target_group_arn]


async def test_an_exported_template_passes_cfn_lint(agent: Agent, tmp_path: Path) -> None:
    need("cfn-lint", is_installed(), "the extra lint is not installed")
    text = await text_of(agent, tmp_path / "all.yaml", WHOLE)
    found = lint(text, ["eu-west-1"])
    assert not isinstance(found, Unread)
    assert [str(f) for f in found if f.level == "error"] == []


async def test_a_template_keeps_data_and_holds_no_secret(agent: Agent, tmp_path: Path) -> None:
    text = await text_of(agent, tmp_path / "all.yaml", WHOLE)
    assert text.count("DeletionPolicy: Snapshot") == 1
    assert text.count("DeletionPolicy: Retain") == 1
    assert "ManageMasterUserPassword: true" in text
    assert "MasterUserPassword:" not in text.replace("ManageMasterUserPassword:", "")


async def test_terraform_refers_by_address_and_guards_data(agent: Agent, tmp_path: Path) -> None:
    text = await text_of(agent, tmp_path / "main.tf", WHOLE, format="terraform")
    assert 'resource "aws_vpc" "network_vpc" {' in text
    assert re.search(r"vpc_id += aws_vpc\.network_vpc\.id", text)
    assert "assume_role_policy = jsonencode({" in text
    assert 'Resource = "arn:aws:s3:::${aws_s3_bucket.bucket_bucket.bucket}/releases/*"' in text
    assert 'final_snapshot_identifier   = "shop-final"' in text
    assert 'output "network_public_subnet_ids"' in text
    guarded = {
        named
        for named, body in re.findall(r'resource "(\w+)" "\w+" {\n(.*?)\n}\n', text, re.DOTALL)
        if "prevent_destroy = true" in body
    }
    assert {"aws_db_instance", "aws_s3_bucket"} <= guarded
    assert "aws_vpc" not in guarded
    assert "import {" not in text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("VpcId", "vpc_id"), ("VPCZoneIdentifier", "vpc_zone_identifier"),
        ("TargetGroupARNs", "target_group_ar_ns"), ("MultiAZ", "multi_az"),
        ("DBSubnetGroupName", "db_subnet_group_name"), ("S3Bucket", "s3_bucket"),
        ("VPCSecurityGroups", "vpc_security_groups"), ("DNSName", "dns_name"),
    ],
)  # fmt: skip
def test_names_in_snake_case_keep_their_words_together(name: str, written: str) -> None:
    assert snake_case(name) == written


async def test_a_long_text_is_a_resource_and_a_short_one_in_the_answer(agent: Agent) -> None:
    short = await agent.call("export_application", steps=[BUCKET])
    assert "AWS::S3::BucketPolicy" in short["text"]
    long = await agent.call("export_application", steps=WHOLE)
    assert long["text"] == ""
    (held,) = await agent.client.read_resource(long["whole"])
    text = json.loads(held.text)["text"]
    assert long["summary"].endswith(f"{len(text.encode())} bytes")
    assert "ManageMasterUserPassword: true" in text


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([GROUPS], "no step before it is called 'network'"),
        ([NETWORK, {**GROUPS, "arguments": {"name": "s", "vpc_id": "${network.vpc}"}}],
         "no output"),
        ([NETWORK, {**GROUPS, "arguments": {"name": "s", "vpc_id": "x${network.vpc_id}"}}],
         "no reference"),
        ([NETWORK, NETWORK], "Two steps are called 'network'"),
        ([{**NETWORK, "arguments": {"name": "Shop!"}}], "create_network, name"),
        ([{**NETWORK, "arguments": {"name": "shop", "size": 1}}], "takes no size"),
        ([{**NETWORK, "arguments": {}}], "needs name"),
        ([{**NETWORK, "arguments": {"name": "shop", "cidr": "10.0.0.0/30"}}], "between /16 and"),
        ([NETWORK, {**GROUPS, "arguments": {**GROUPS["arguments"], "app_port": 22}}], "Session"),  # type: ignore[dict-item]
    ],
)  # fmt: skip
async def test_what_a_tool_would_refuse_is_refused(
    agent: Agent, steps: list[Any], said: str
) -> None:
    assert said in await agent.refused("export_application", steps=steps)


class Watching(dict[str, Any]):
    """Arguments that note which of them were looked at."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)


@pytest.mark.parametrize("step", [*WHOLE, AURORA], ids=lambda step: step["tool"])
async def test_no_argument_of_a_tool_is_dropped(agent: Agent, step: dict[str, Any]) -> None:
    tools = {tool.name: tool for tool in await agent.client.list_tools()}
    declared = tools[step["tool"]].input_schema["properties"]
    own = declared.keys() - {"target", "dry_run", "approval"}
    given = {key: declared[key].get("default") for key in own} | step["arguments"]
    arguments = Watching(given)
    BUILDERS[step["tool"]]("It", arguments, Place("eu-west-1", "aws", ("eu-west-1a", "eu-west-1b")))
    # The network's zones are counted before.
    assert own - arguments.read <= {"az_count"}


async def test_a_file_is_never_overwritten(agent: Agent, tmp_path: Path) -> None:
    (there := tmp_path / "a.yaml").write_text("mine")
    for path in (
        str(there),
        "relative.yaml",
        str(tmp_path / "a.tf"),
        str(tmp_path / "no" / "a.yaml"),
    ):
        await agent.refused("export_application", steps=[BUCKET], path=path)
    assert there.read_text() == "mine"


async def test_text_that_terraform_would_take_for_its_own_is_escaped(
    agent: Agent, tmp_path: Path
) -> None:
    arguments = {**BALANCER["arguments"], "health_check_path": '/%{if}"'}  # type: ignore[dict-item]
    steps = [NETWORK, GROUPS, {**BALANCER, "arguments": arguments}]
    text = await text_of(agent, tmp_path / "main.tf", steps, format="terraform")
    assert '= "/%%{if}\\""' in text


def test_terraform_has_words_for_every_type_and_a_name_for_each_resource() -> None:
    assert KINDS.keys() >= FUNCTIONS.keys() | REF_GIVES.keys()
    parts = [Part(key, "AWS::SQS::Queue", {"QueueName": key}) for key in ("ShopDb", "ShopDB")]
    text = as_configuration(
        Assembly("shop", "eu-west-1", parts, {"Url": Ref("ShopDB", "QueueUrl")})
    )
    assert re.findall(r'resource "aws_sqs_queue" "(\w+)"', text) == ["shop_db", "shop_db_2"]
    assert "value = aws_sqs_queue.shop_db_2.url" in text
    script = as_script(
        Assembly("shop", "eu-west-1", parts, {"A": Ref("ShopDb", "Arn"), "B": Ref("ShopDB", "Arn")})
    )
    assert re.findall(r'"[AB]": (\w+)\["Arn"\]', script) == ["shop_db", "shop_db_"]
