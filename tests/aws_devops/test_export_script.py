"""Exported boto3 scripts: run, they make what the tools make; run again, nothing."""

import ast
import difflib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.aws_devops.conftest import Agent
from tests.aws_devops.test_exports import (
    AURORA,
    BALANCER,
    BUCKET,
    GROUPS,
    NETWORK,
    WHOLE,
    text_of,
)

from opswright.sandbox import Sandbox
from opswright_aws_devops.cloudformation.lint import lint
from opswright_core.verdicts import Unread

DESCRIBED = (
    ("ec2", "describe_vpcs", "Vpcs"),
    ("ec2", "describe_subnets", "Subnets"),
    ("ec2", "describe_route_tables", "RouteTables"),
    ("ec2", "describe_internet_gateways", "InternetGateways"),
    ("ec2", "describe_addresses", "Addresses"),
    ("ec2", "describe_nat_gateways", "NatGateways"),
    ("ec2", "describe_security_groups", "SecurityGroups"),
    ("ec2", "describe_launch_templates", "LaunchTemplates"),
    ("ec2", "describe_launch_template_versions", "LaunchTemplateVersions"),
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
    ("elbv2", "describe_target_groups", "TargetGroups"),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
    ("autoscaling", "describe_policies", "ScalingPolicies"),
    ("rds", "describe_db_instances", "DBInstances"),
    ("rds", "describe_db_subnet_groups", "DBSubnetGroups"),
)
OWN = {
    "PolicyName",  # of scaling; CloudFormation takes none either
    "PolicyARN",
    "RoleId",
    "InstanceProfileId",
    "Instances",  # placed by the emulator
    "ResponseMetadata",
}
RANDOM = re.compile(
    r"\b(vpc|vpc-cidr-assoc|subnet|rtb|rtbassoc|igw|nat|eipalloc|eipassoc|eni|sg|sgr|lt|acl|dopt|i)-[0-9a-f]{8,17}\b"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}"
    r"|\b[0-9a-f]{16}\b|\b\d{1,3}(\.\d{1,3}){3}\b(?!/)|20\d\d-\d\d-\d\d[ T][\d:.+]+Z?"
    r"|secret:[\w!-]+"
)  # fmt: skip


SESSIONS = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def emptied(cloud: Sandbox, clients: Callable[[str], Any]) -> str:
    """Empty the account; the ARN of what stands in for AWS's managed policy, which moto lacks."""
    url = f"{cloud.endpoint}/moto-api/reset"
    urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30).close()
    statement = {"Effect": "Allow", "Action": "ssm:UpdateInstanceInformation", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    made = clients("iam").create_policy(
        PolicyName=SESSIONS.rpartition("/")[2], PolicyDocument=json.dumps(document)
    )
    arn: str = made["Policy"]["Arn"]
    return arn


def settings_of(clients: Callable[[str], Any]) -> str:
    """Everything that was made, without ids, times and what marks its maker."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in sorted(value.items()) if k not in OWN}
        if isinstance(value, list):
            items = [plain(item) for item in value if not is_mark(item)]
            return sorted(items, key=lambda item: json.dumps(item, default=str))
        return RANDOM.sub("*", str(value)) if not isinstance(value, bool | int) else value

    def is_mark(item: Any) -> bool:
        key = str(item.get("Key", "")) if isinstance(item, dict) else ""
        return key.startswith(("opswright:", "export:", "managed-by"))

    found: dict[str, Any] = {}
    for service, operation, items in DESCRIBED:
        asked = {"Versions": ["$Latest"]} if "versions" in operation else {}
        answer = getattr(clients(service), operation)(**asked)[items]
        mine = [item for item in answer if "default" not in str(item.get("GroupName"))]
        found[items] = plain(mine)
    iam, elb, s3 = clients("iam"), clients("elbv2"), clients("s3")
    found["Listeners"] = plain([
        one for balancer in elb.describe_load_balancers()["LoadBalancers"]
        for one in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    ])  # fmt: skip
    found["Roles"] = plain([
        [role, iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]]
        for role in iam.list_roles()["Roles"]
    ])  # fmt: skip
    found["Profiles"] = plain(iam.list_instance_profiles()["InstanceProfiles"])
    for bucket in s3.list_buckets()["Buckets"]:
        which = {"Bucket": bucket["Name"]}
        for operation in (
            "get_bucket_encryption", "get_bucket_versioning", "get_public_access_block",
            "get_bucket_ownership_controls", "get_bucket_lifecycle_configuration",
        ):  # fmt: skip
            try:
                answer = getattr(s3, operation)(**which)
            except s3.exceptions.ClientError as missing:
                answer = {"missing": missing.response["Error"]["Code"]}
            found[operation] = plain({k: v for k, v in answer.items() if k != "ResponseMetadata"})
    return json.dumps(found, indent=1, default=str)


def differences(one: str, other: str) -> list[str]:
    return list(difflib.unified_diff(one.splitlines(), other.splitlines(), n=4, lineterm=""))


def run(script: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", str(script), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=dict(os.environ), timeout=120, check=False
    )


async def build(agent: Agent, steps: list[dict[str, Any]]) -> None:
    """With the tools themselves what the steps say."""
    outputs: dict[str, dict[str, Any]] = {}
    for step in steps:

        def given(value: Any) -> Any:
            if isinstance(value, list):
                return [given(item) for item in value]
            if isinstance(value, str) and (found := re.fullmatch(r"\$\{(\w+)\.(\w+)\}", value)):
                return outputs[found[1]][found[2]]
            return value

        arguments = {key: given(value) for key, value in step["arguments"].items()}
        change = await agent.call(step["tool"], **arguments)
        outputs[step["tool"].removeprefix("create_")] = change["outputs"]


async def test_an_exported_script_makes_what_the_tools_make_and_no_more_when_run_again(
    agent: Agent, cloud: Sandbox, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    await build(agent, WHOLE)
    by_tools = settings_of(client_of)
    stand_in = emptied(cloud, client_of)
    script = tmp_path / "shop.py"
    text = await text_of(agent, script, WHOLE, format="boto3")
    script.write_text(text.replace(SESSIONS, stand_in))

    looked = run(script, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    missing = re.findall("missing  (.*)", looked.stdout)
    assert client_of("s3").list_buckets()["Buckets"] == []

    refused = run(script, "--account", "999999999999")
    assert "not of 999999999999" in refused.stderr
    assert client_of("s3").list_buckets()["Buckets"] == []

    made = run(script)
    assert made.returncode == 0, made.stderr
    assert re.findall("created  (.*)", made.stdout) == missing
    assert differences(by_tools, settings_of(client_of)) == []
    attached = client_of("iam").list_attached_role_policies(RoleName="shop")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [stand_in]
    outputs = json.loads(made.stdout[made.stdout.index("{\n") :])
    assert outputs["NetworkVpcId"].startswith("vpc-")
    assert outputs["DatabaseEndpoint"]

    again = run(script)
    assert again.returncode == 0, again.stderr
    assert "created " not in again.stdout
    assert json.loads(again.stdout[again.stdout.index("{\n") :]) == outputs
    assert differences(by_tools, settings_of(client_of)) == []


async def test_an_aurora_cluster_is_made_as_the_tool_makes_it(
    agent: Agent, cloud: Sandbox, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    steps = [NETWORK, GROUPS, AURORA]

    def made() -> list[Any]:
        rds = client_of("rds")
        kept = ("DBClusterIdentifier", "DBInstanceIdentifier", "DBInstanceClass", "Engine",
                "DBSubnetGroup", "DatabaseName", "StorageEncrypted", "DeletionProtection",
                "BackupRetentionPeriod", "PubliclyAccessible", "CopyTagsToSnapshot")  # fmt: skip
        found = (
            rds.describe_db_clusters()["DBClusters"] + rds.describe_db_instances()["DBInstances"]
        )
        return [{key: str(one[key])[:60] for key in kept if key in one} for one in found]

    await build(agent, steps)
    by_tools = json.loads(RANDOM.sub("*", json.dumps(made())))
    emptied(cloud, client_of)
    script = tmp_path / "shop.py"
    await text_of(agent, script, steps, format="boto3")
    for expected in ("created  DB cluster", "there    DB cluster"):
        ran = run(script)
        assert ran.returncode == 0, ran.stderr
        assert expected in ran.stdout
        assert json.loads(RANDOM.sub("*", json.dumps(made()))) == by_tools
    found = lint(await text_of(agent, tmp_path / "shop.yaml", steps), ["eu-west-1"])
    assert not isinstance(found, Unread), found
    assert [str(f) for f in found if f.level == "error"] == []


async def test_a_script_stops_at_a_name_that_is_another_s(
    agent: Agent, client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    there = {"LocationConstraint": "eu-west-1"}
    client_of("s3").create_bucket(Bucket="shop-releases-1", CreateBucketConfiguration=there)
    script = tmp_path / "shop.py"
    text = await text_of(agent, script, [BUCKET], format="boto3")
    assert "def vpc(" not in text
    stopped = run(script)
    assert stopped.returncode == 1
    assert "Bucket shop-releases-1 exists and was not made by this script" in stopped.stderr
    assert "Traceback" not in stopped.stderr


async def test_text_in_a_script_stays_text(agent: Agent, tmp_path: Path) -> None:
    path = '/"); print("é\\'
    arguments = {**BALANCER["arguments"], "health_check_path": path}  # type: ignore[dict-item]
    steps = [NETWORK, GROUPS, {**BALANCER, "arguments": arguments}]
    text = await text_of(agent, tmp_path / "shop.py", steps, format="boto3")
    constants = [n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)]
    assert path in constants
