"""A git repository with two versions, and a group of servers behind a load balancer."""

import base64
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BUCKET = "opswright-releases"


class GitRepository:
    """A real git repository, worked by the git command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Test")
        self.git("config", "user.email", "test@example.com")

    def git(self, *arguments: str, stamp: str = "2026-01-01T00:00:00Z") -> str:
        environ = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp,
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(
        self, message: str, files: dict[str, str], stamp: str = "2026-01-01T00:00:00Z"
    ) -> str:
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if name == "run":
                path.chmod(0o755)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message, stamp=stamp)
        return self.git("rev-parse", "HEAD")

    def tag(self, version: str, stamp: str = "2026-01-01T00:00:00Z") -> None:
        self.git("tag", "--annotate", "--message", f"Release {version}", version, stamp=stamp)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    """`v1.0.0` and a day later `v1.1.0`, which deletes a file, migrates and says that it breaks."""
    made = GitRepository(tmp_path / "sample")
    first = {
        "run": "#!/bin/sh\necho one\n",
        "app.py": "print(1)\n",
        "old.py": "pass\n",
        "pyproject.toml": "[project]\n",
        ".github/workflows/ci.yml": "on: push\njobs: {}\n",
    }
    made.commit("feat: first", first)
    made.tag("v1.0.0")
    (made.path / "old.py").unlink()
    later = "2026-01-02T00:00:00Z"
    made.commit(
        "feat!: second", {"app.py": "print(2)\n", "migrations/0001.sql": "select 1;\n"}, later
    )
    made.tag("v1.1.0", later)
    return made


@dataclass
class Stage:
    """A group of two servers on a launch template, behind a load balancer, and a bucket."""

    client_of: Callable[[str], Any]
    template_id: str
    target_group_arn: str
    asg_name: str = "shop-asg"
    bucket: str = BUCKET
    first_instances: list[str] = field(default_factory=list)

    def group(self) -> dict[str, Any]:
        """The group as AWS describes it."""
        answer = self.client_of("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[self.asg_name]
        )
        found: dict[str, Any] = answer["AutoScalingGroups"][0]
        return found

    def instances(self) -> list[str]:
        """The ids of the group's instances."""
        return sorted(i["InstanceId"] for i in self.group()["Instances"])

    def user_data(self, instance_id: str) -> str:
        """What an instance was started with."""
        answer = self.client_of("ec2").describe_instance_attribute(
            InstanceId=instance_id, Attribute="userData"
        )
        return base64.b64decode(answer["UserData"].get("Value", "")).decode()

    def health_path(self) -> str:
        """The target group's health check path."""
        answer = self.client_of("elbv2").describe_target_groups(
            TargetGroupArns=[self.target_group_arn]
        )
        return str(answer["TargetGroups"][0]["HealthCheckPath"])

    def arguments(self, release: dict[str, Any]) -> dict[str, Any]:
        """The arguments that deploy a release here."""
        return {
            **{k: v for k, v in release.items() if k != "size_bytes"},
            "asg_name": self.asg_name,
            "target_group_arn": self.target_group_arn,
        }


@pytest.fixture
def stage(client_of: Callable[[str], Any]) -> Stage:
    """What a deployment needs in the account."""
    ec2, elbv2 = client_of("ec2"), client_of("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )
        for n, zone in enumerate("ab")
    ]
    ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    template = ec2.create_launch_template(
        LaunchTemplateName="shop",
        LaunchTemplateData={
            "ImageId": "ami-12345678",
            "InstanceType": "t3.micro",
            "UserData": base64.b64encode(b"#!/bin/bash\necho base\n").decode(),
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    group = elbv2.create_target_group(
        Name="shop", Protocol="HTTP", Port=8080, VpcId=vpc, HealthCheckPath="/"
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = elbv2.create_load_balancer(Name="shop", Subnets=ids)["LoadBalancers"][0]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    client_of("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="shop-asg",
        MinSize=2,
        MaxSize=4,
        DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
        VPCZoneIdentifier=",".join(ids),
        TargetGroupARNs=[group],
    )
    client_of("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    made = Stage(client_of, template, group)
    made.first_instances = made.instances()
    return made


@pytest.fixture
def unused_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def done(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed; a change must be done. Returns the structured content."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    text = result.content[0].text if result.content else ""
    assert not result.is_error, text
    answer: dict[str, Any] = result.structured_content
    if "change_id" in answer:
        assert answer["status"] == "done", answer
    return answer


async def refused(client: Any, tool: str, **arguments: Any) -> str:
    """Call a tool that must fail; returns what it says."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error, result.structured_content
    return str(result.content[0].text)
