"""Exports of what exists: deployed elsewhere, they make it again; nothing is lost in silence."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.aws_devops.conftest import Agent
from tests.aws_devops.services import lay_messaging
from tests.aws_devops.test_export_script import (
    build,
    differences,
    emptied,
    run,
    settings_of,
)
from tests.aws_devops.test_exports import BALANCER, BUCKET, DATABASE, GROUPS, NETWORK

from opswright.sandbox import Sandbox
from opswright_aws_devops.cloudformation.lint import lint
from opswright_aws_devops.cloudformation.templates import parsed
from opswright_aws_devops.export.existing.described import Parts
from opswright_aws_devops.export.existing.groups import security_groups
from opswright_aws_devops.export.existing.joining import _in_order, _joined
from opswright_core.verdicts import Unread

ASSUMED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                   "Action": "sts:AssumeRole"}],
}  # fmt: skip


async def export(agent: Agent, path: Path, **arguments: Any) -> tuple[str, dict[str, Any]]:
    answer = await agent.call("export_resources", path=str(path), **arguments)
    return path.read_text(), answer


async def test_an_exported_vpc_is_built_again_as_it_was(
    agent: Agent,
    cloud: Sandbox,
    client_of: Callable[[str], Any],
    inventory: Callable[[], dict[str, list[str]]],
    tmp_path: Path,
) -> None:
    """By the script, which is compared setting by setting, and by CloudFormation."""
    await build(agent, [NETWORK, GROUPS, BALANCER, DATABASE, BUCKET])
    vpc = next(v for v in client_of("ec2").describe_vpcs()["Vpcs"] if not v["IsDefault"])
    chosen = {"vpc_id": vpc["VpcId"], "resource_ids": ["shop-releases-1"]}
    before = settings_of(client_of)
    there = {kind: len(found) for kind, found in inventory().items()}
    script = tmp_path / "vpc.py"
    text, answer = await export(agent, script, format="boto3", **chosen)
    assert not re.search(
        r"(vpc|subnet|sg|rtb|igw|nat|eipalloc)-[0-9a-f]{8}", text.partition("\n\n")[2]
    )
    told = "\n".join(answer["left_out"])
    assert "shop: its data; restore a snapshot" in told
    assert "shop-releases-1: its objects" in told

    template, answer = await export(agent, tmp_path / "vpc.yaml", **chosen)
    resources = parsed(template)["Resources"]
    assert {r["DeletionPolicy"] for r in resources.values()} == {"Retain"}
    assert "MasterUserPassword:" not in template.replace("ManageMasterUserPassword:", "")
    assert "opswright:" not in template
    found = lint(template, ["eu-west-1"])
    assert not isinstance(found, Unread), found
    assert [str(f) for f in found if f.level == "error"] == []

    emptied(cloud, client_of)
    made = run(script)
    assert made.returncode == 0, made.stderr
    assert differences(before, settings_of(client_of)) == []

    emptied(cloud, client_of)
    template = re.sub(r"\n +EngineVersion: .*", "", template)  # moto's own is one AWS lacks
    stack = await agent.call("deploy_stack", name="again", template=template)
    assert stack["status"] == "done"
    assert {kind: len(found) for kind, found in inventory().items()} == there


async def test_what_is_outside_of_the_choice_is_a_parameter(
    agent: Agent, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    ec2, iam = client_of("ec2"), client_of("iam")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    text, _ = await export(agent, tmp_path / "a.yaml", resource_ids=[subnet])
    (parameter,) = [p for p in parsed(text)["Parameters"].values() if p["Default"] == vpc_id]
    assert parameter == {"Type": "String", "Default": vpc_id}

    iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(ASSUMED))
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}))  # fmt: skip
    sqs, sns = client_of("sqs"), client_of("sns")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": "3"})
    sqs.create_queue(QueueName="jobs", Attributes={"RedrivePolicy": redrive}, tags={"app": "shop"})
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    names = ["reader", "dead", "jobs", "news"]
    text, answer = await export(agent, tmp_path / "b.yaml", resource_ids=names)
    resources = parsed(text)["Resources"]
    redrive_policy = resources["JobsQueue"]["Properties"]["RedrivePolicy"]
    assert redrive_policy == {
        "deadLetterTargetArn": {"!GetAtt": "DeadQueue.Arn"}, "maxReceiveCount": 3,
    }  # fmt: skip
    (subscription,) = [r for r in resources.values() if r["Type"] == "AWS::SNS::Subscription"]
    assert subscription["Properties"]["Endpoint"] == {"!GetAtt": "DeadQueue.Arn"}
    assert subscription["Properties"]["TopicArn"] == {"!Ref": "NewsTopic"}
    assert resources["ReaderRole"]["Properties"]["Policies"][0]["PolicyName"] == "own"
    told = "\n".join(answer["left_out"])
    assert "news: a subscription by email" in told
    assert "a@example.com" not in text
    found = lint(text, ["eu-west-1"])
    assert not isinstance(found, Unread), found
    assert [str(f) for f in found if f.level == "error"] == []
    tagged, _ = await export(agent, tmp_path / "c.yaml", tag="app=shop")
    assert list(parsed(tagged)["Resources"]) == ["JobsQueue"]
    (given,) = parsed(tagged)["Parameters"].values()
    assert given["Default"].endswith(":dead")


def made_by_hand(clients: Callable[[str], Any]) -> dict[str, Any]:
    """What `lay_messaging` makes, by what it is set to."""
    ec2, sqs, sns = clients("ec2"), clients("sqs"), clients("sns")
    attributes = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for url in sorted(sqs.list_queues()["QueueUrls"])
    ]
    kept = ("QueueArn", "RedrivePolicy", "Policy", "VisibilityTimeout")
    here = [{"Name": "group-name", "Values": ["blog-*"]}]
    groups = ec2.describe_security_groups(Filters=here)["SecurityGroups"]
    ours = {group["GroupId"]: group["GroupName"] for group in groups}
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    states = [{"Name": "instance-state-name", "Values": ["running"]}]
    (server,) = ec2.describe_instances(Filters=states)["Reservations"][0]["Instances"]
    return {
        "queues": [{k: json.loads(one[k]) if "Policy" in k else one[k] for k in kept if k in one}
                   for one in attributes],
        "subscriptions": [(one["Protocol"], one["Endpoint"])
                          for one in sns.list_subscriptions()["Subscriptions"]],
        "rules": sorted(
            (group["GroupName"], rule["FromPort"], ours[pair["GroupId"]])
            for group in groups for rule in group["IpPermissions"]
            for pair in rule["UserIdGroupPairs"]
        ),
        "endpoint": [endpoint[key] for key in ("ServiceName", "VpcEndpointType")],
        "server": [server["ImageId"], server["InstanceType"], server["MetadataOptions"]],
    }  # fmt: skip


async def test_queues_topics_servers_endpoints_and_rules_are_made_again_by_a_script(
    agent: Agent, cloud: Sandbox, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    network = (await agent.call("create_network", name="shop", nat="none"))["outputs"]
    vpc_id, subnets = network["vpc_id"], network["private_subnet_ids"]
    ec2 = client_of("ec2")
    group = ec2.create_security_group(GroupName="shop", Description="shop", VpcId=vpc_id)
    named = lay_messaging(client_of, vpc_id, subnets, [group["GroupId"]])
    before = made_by_hand(client_of)
    assert before["rules"] == [("blog-one", 9, "blog-two"), ("blog-two", 9, "blog-one")]
    script = tmp_path / "blog.py"
    await export(agent, script, vpc_id=vpc_id, resource_ids=named, format="boto3")
    emptied(cloud, client_of)
    looked = run(script, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    made = run(script)
    assert made.returncode == 0, made.stderr
    assert made_by_hand(client_of) == before
    again = run(script)
    assert (again.returncode, again.stderr) == (0, "")
    assert "created " not in again.stdout
    assert made_by_hand(client_of) == before


async def test_a_queue_of_that_name_that_is_another_s_stops_the_script(
    agent: Agent, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    client_of("sqs").create_queue(QueueName="jobs")
    await export(agent, tmp_path / "a.py", resource_ids=["jobs"], format="boto3")
    stopped = run(tmp_path / "a.py")
    assert "Queue jobs exists and was not made by this script" in stopped.stderr


INJECTING = {
    "hcl": '"}\nresource "null_resource" "x" {}\n',
    "interpolated": '${file("/etc/passwd")} %{if true}',
    "python": "'); __import__('os').system('id') #",
    "yaml": "x: !Sub '${AWS::AccountId}'\n- &a *a",
    "json": '\\", "Type": "AWS::IAM::User"',
    "unicode": "\u00fcber \U0001f600",
}


async def test_a_value_that_would_inject_stays_a_value_in_every_format(
    agent: Agent, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    tags = [{"Key": key, "Value": value} for key, value in INJECTING.items()]
    made = client_of("ec2").create_vpc(
        CidrBlock="10.7.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )
    chosen = {"resource_ids": [made["Vpc"]["VpcId"]]}
    template, _ = await export(agent, tmp_path / "a.yaml", **chosen)
    (vpc,) = parsed(template)["Resources"].values()
    assert {tag["Key"]: tag["Value"] for tag in vpc["Properties"]["Tags"]} == INJECTING
    script, _ = await export(agent, tmp_path / "a.py", format="boto3", **chosen)
    constants = {n.value for n in ast.walk(ast.parse(script)) if isinstance(n, ast.Constant)}
    assert set(INJECTING.values()) <= constants
    terraform, _ = await export(agent, tmp_path / "a.tf", format="terraform", **chosen)
    assert re.findall(r'^resource "(\w+)"', terraform, re.MULTILINE) == ["aws_vpc"]
    for key, value in INJECTING.items():
        text = json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
        assert re.search(rf"^    {key} += {re.escape(text)}$", terraform, re.MULTILINE)


async def test_a_web_tier_is_exported_without_its_user_data(
    agent: Agent, network: dict[str, Any], web_arguments: dict[str, Any], tmp_path: Path
) -> None:
    await agent.call("create_web_tier", **web_arguments)
    names = ["shop"]
    text, answer = await export(agent, tmp_path / "a.yaml", resource_ids=names)
    resources = parsed(text)["Resources"]
    kinds = {r["Type"] for r in resources.values()}
    assert kinds >= {"AWS::EC2::LaunchTemplate", "AWS::AutoScaling::AutoScalingGroup",
                     "AWS::IAM::Role", "AWS::IAM::InstanceProfile",
                     "AWS::AutoScaling::ScalingPolicy"}  # fmt: skip
    assert "UserData" not in text
    assert "shop: its user data, which may hold secrets" in answer["left_out"]
    group = resources["ShopAutoScalingGroup"]["Properties"]
    assert group["LaunchTemplate"]["Version"] == {
        "!GetAtt": "ShopLaunchTemplate.LatestVersionNumber"
    }
    found = lint(text, ["eu-west-1"])
    assert not isinstance(found, Unread), found
    assert [str(f) for f in found if f.level == "error"] == []


async def test_what_cannot_be_exported_is_refused_by_name(agent: Agent, tmp_path: Path) -> None:
    assert "Say what to export" in await agent.refused("export_resources")
    assert "No resource vpc-0" in await agent.refused("export_resources", resource_ids=["vpc-0"])
    assert "Nothing fits" in await agent.refused("export_resources", tag="none=such")


async def test_a_task_in_words_writes_the_code_and_builds_nothing(
    agent: Agent, inventory: Callable[[], dict[str, list[str]]], client_of: Callable[[str], Any]
) -> None:
    before = inventory()
    task = "write me Terraform code for a three-tier application called shop"
    written = await agent.call("handle_task", task=task)
    assert written["status"] == "completed", written
    assert "as terraform for eu-west-1" in written["summary"]
    assert written["summary"].endswith("Nothing was built.")
    vpc_id = client_of("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    there = inventory()
    exported = await agent.call("handle_task", task=f"export {vpc_id} as a CloudFormation template")
    assert exported["status"] == "completed", exported
    assert "AWS::EC2::VPC" in json.dumps(exported["outputs"])
    assert (before["Vpcs"], inventory()) == ([], there)


def test_groups_that_let_each_other_in_refer_in_no_circle() -> None:
    def group(name: str, *sources: str) -> dict[str, Any]:
        pairs = [{"GroupId": f"sg-{source}"} for source in sources]
        ports = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": pairs}
        out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        return {
            "GroupId": f"sg-{name}", "GroupName": name, "Description": name, "VpcId": "vpc-1",
            "IpPermissions": [ports], "IpPermissionsEgress": [out],
        }  # fmt: skip

    it = Parts(a=None)  # type: ignore[arg-type]
    security_groups(it, [group("a", "b", "a"), group("b", "c"), group("c", "a")], {})
    it.a = type("A", (), {"partition": "aws"})()
    ordered = _in_order([_joined(part, it) for part in it.parts])
    rules = [part for part in ordered if part.type == "AWS::EC2::SecurityGroupIngress"]
    assert len(rules) == 2  # a by itself, and c by a
    inline = [len(p.properties.get("SecurityGroupIngress", [])) for p in ordered]
    assert sum(inline) == 2
    assert all("SecurityGroupEgress" not in part.properties for part in ordered)
