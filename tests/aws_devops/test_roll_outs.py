"""Roll-outs that take time: waited for, and when AWS gives them up, told with the way back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.answering import AnsweringSessions
from tests.aws_devops.conftest import Agent, Watched

from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

Clients = Callable[[str], Any]
OLD, NEW = "public.ecr.aws/team/shop:1.0", "public.ecr.aws/team/shop:1.1"
TRIPPED = "ECS deployment circuit breaker: tasks failed to start."


@asynccontextmanager
async def watching(settings: Settings, sessions: AnsweringSessions) -> AsyncIterator[Watched]:
    settings = replace(settings, approvals="token")  # of a real account none are automatic
    server = create_server(settings)
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    async with Client(server) as client:
        yield Watched(client, sessions=sessions)


async def approved(agent: Watched, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool, and once more with the approval of its plan; what the change came to."""
    planned = await agent.client.call_tool(tool, arguments)
    token = planned.structured_content["approval"]["token"]
    answer = await agent.client.call_tool(
        tool, {**arguments, "approval": token}, raise_on_error=False
    )
    change: dict[str, Any] = answer.structured_content
    return change


# Container services.


class Scheduler:
    """What ECS tells of a service's deployments, look by look, once its revision is another."""

    def __init__(self, before: str, *looks: tuple[str, int]) -> None:
        self.before, self.looks = before, list(looks)
        """Of each look the state of the new deployment and how many of its tasks run."""

    def __call__(self, answer: dict[str, Any]) -> None:
        (service,) = answer["services"]
        state, running = "COMPLETED", service["desiredCount"]
        if service["taskDefinition"] != self.before:
            state, running = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        service["runningCount"] = running
        newest = {
            "id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": service["taskDefinition"],
            "rolloutState": state, "desiredCount": 2, "runningCount": running,
        }  # fmt: skip
        service["deployments"] = [newest]
        if state == "FAILED":  # the circuit breaker has returned to the revision before
            newest["rolloutStateReason"] = TRIPPED
            newest["status"] = "ACTIVE"
            back = {"status": "PRIMARY", "taskDefinition": self.before}
            service["deployments"].append({**newest, **back, "rolloutState": "IN_PROGRESS"})


@pytest.fixture
def service(client_of: Clients) -> Callable[[], str]:
    """A service that somebody made; gives the revision that it runs."""
    ecs = client_of("ecs")
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="shop", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256",
        memory="512", containerDefinitions=[{"name": "web", "image": OLD, "essential": True}],
    )  # fmt: skip
    ecs.create_service(cluster="shop", serviceName="shop", taskDefinition="shop", desiredCount=2)

    def revision() -> str:
        (found,) = ecs.describe_services(cluster="shop", services=["shop"])["services"]
        arn: str = found["taskDefinition"]
        return arn

    return revision


async def test_a_release_is_done_when_its_tasks_run_and_not_before(
    settings: Settings, service: Callable[[], str]
) -> None:
    sessions = AnsweringSessions(is_real=True)
    looks = ("IN_PROGRESS", 2), ("COMPLETED", 1), ("COMPLETED", 2)
    sessions.amends["DescribeServices"] = scheduler = Scheduler(service(), *looks)
    async with watching(settings, sessions) as agent:
        change = await approved(agent, "update_container_service", service="shop", image=NEW)
    assert scheduler.looks == [("COMPLETED", 2)]
    assert change["status"] == "done"
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
    assert service().endswith("shop:2")


async def test_a_release_that_ecs_gives_up_ends_failed_with_the_cause_and_the_revision_before(
    settings: Settings, service: Callable[[], str], client_of: Clients
) -> None:
    before = service()
    sessions = AnsweringSessions(is_real=True)
    sessions.amends["DescribeServices"] = Scheduler(before, ("IN_PROGRESS", 0), ("FAILED", 0))
    async with watching(settings, sessions) as agent:
        change = await approved(agent, "update_container_service", service="shop", image=NEW)
        assert change["status"] == "failed"
        assert TRIPPED in change["error"]
        assert "shop is back at shop:1" in change["error"]
        assert service() == before
        left = client_of("ecs").list_task_definitions(familyPrefix="shop")
        assert left["taskDefinitionArns"] == [before]
        sessions.amends["DescribeServices"] = Scheduler(before, ("COMPLETED", 2))
        again = await approved(agent, "update_container_service", service="shop", image=NEW)
        assert again["status"] == "done"


async def test_a_release_on_an_emulator_that_tells_of_roll_outs(
    stacks: Agent, stack_cloud: Clients
) -> None:
    """ministack keeps deployments and counts tasks; it has no Application Auto Scaling."""
    ecs, ec2 = stack_cloud("ecs"), stack_cloud("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="shop", networkMode="awsvpc", requiresCompatibilities=["FARGATE"],
        cpu="256", memory="512",
        containerDefinitions=[{"name": "shop", "image": OLD, "essential": True}],
    )  # fmt: skip
    ecs.create_service(
        cluster="shop", serviceName="shop", taskDefinition="shop:1", desiredCount=2,
        launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )  # fmt: skip

    def runs() -> tuple[str, int]:
        (found,) = ecs.describe_services(cluster="shop", services=["shop"])["services"]
        return found["taskDefinition"].rpartition("/")[2], found["runningCount"]

    asked = {"cluster": "shop", "service": "shop"}
    released = await stacks.call("update_container_service", **asked, image=NEW)
    told = {check["name"]: (check["verdict"], check["evidence"]) for check in released["checks"]}
    assert told["The roll-out is over"] == ("PASS", "COMPLETED")
    assert told["Its tasks run"] == ("PASS", "2 of 2")
    assert runs() == ("shop:2", 2)
    await stacks.call("undo_change", change_id=released["change_id"])
    assert runs() == ("shop:1", 2)
    said = await stacks.refused("update_container_service", **asked, desired_count=3)
    assert "The backend does not implement DescribeScalableTargets" in said


# Auto-scaling groups.


class Refreshes:
    """The instance refreshes of a group, as EC2 Auto Scaling would tell them, look by look."""

    def __init__(self, sessions: AnsweringSessions, asg: Any, *looks: str) -> None:
        self.asg, self.looks = asg, list(looks)
        self.version = "1"
        """Of the servers that run."""
        self.newest: dict[str, Any] | None = None
        self.started = 0
        sessions.answers["StartInstanceRefresh"] = self.start
        sessions.answers["DescribeInstanceRefreshes"] = self.describe
        sessions.answers["CancelInstanceRefresh"] = self.cancel
        sessions.amends["DescribeAutoScalingGroups"] = self.show

    def start(self) -> dict[str, Any]:
        self.started += 1
        self.newest = {
            "InstanceRefreshId": f"refresh-{self.started}", "AutoScalingGroupName": "shop",
            "Status": "Pending", "PercentageComplete": 0,
        }  # fmt: skip
        return {"InstanceRefreshId": self.newest["InstanceRefreshId"]}

    def describe(self) -> dict[str, Any]:
        if self.newest is None:
            return {"InstanceRefreshes": []}
        if self.looks:
            self.newest["Status"] = status = self.looks.pop(0)
            if status == "Failed":
                self.newest["StatusReason"] = "i-1 failed its health checks."
            if status == "Successful":
                self.version = launched(self.asg)
        return {"InstanceRefreshes": [self.newest]}

    def cancel(self) -> dict[str, Any]:
        assert self.newest is not None
        self.looks = ["Cancelling", "Cancelled"]
        return {"InstanceRefreshId": self.newest["InstanceRefreshId"]}

    def show(self, answer: dict[str, Any]) -> None:
        """The emulator tells its template's default version of every server."""
        for group in answer["AutoScalingGroups"]:
            for instance in group["Instances"]:
                instance["LaunchTemplate"]["Version"] = self.version


@pytest.fixture
def asg(client_of: Clients) -> Any:
    """A group of two that somebody made."""
    asg, ec2 = client_of("autoscaling"), client_of("ec2")
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateName="shop", LaunchTemplateData=data)
    zone = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    asg.create_auto_scaling_group(
        AutoScalingGroupName="shop", MinSize=1, MaxSize=4, DesiredCapacity=2,
        VPCZoneIdentifier=zone, LaunchTemplate={"LaunchTemplateName": "shop", "Version": "1"},
    )  # fmt: skip
    return asg


def launched(asg: Any) -> str:
    """The version that the group launches."""
    (group,) = asg.describe_auto_scaling_groups()["AutoScalingGroups"]
    version: str = group["LaunchTemplate"]["Version"]
    return version


ASKED = {"asg_name": "shop", "instance_type": "t3.large"}


async def test_the_servers_of_a_group_are_replaced_and_put_back_by_the_undo(
    settings: Settings, asg: Any
) -> None:
    sessions = AnsweringSessions()
    refreshes = Refreshes(sessions, asg, "Pending", "InProgress", "Successful")
    async with watching(settings, sessions) as agent:
        change = await approved(agent, "update_auto_scaling_group", **ASKED)
        assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
        assert (launched(asg), refreshes.version) == ("2", "2")
        undone = await approved(agent, "undo_change", change_id=change["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
        assert (launched(asg), refreshes.started) == ("1", 2)


@pytest.mark.parametrize("status", ["Failed", "RollbackSuccessful"])
async def test_a_refresh_that_fails_ends_the_change_with_the_cause_and_the_way_back(
    settings: Settings, asg: Any, status: str
) -> None:
    sessions = AnsweringSessions()
    refreshes = Refreshes(sessions, asg, "InProgress", status)
    async with watching(settings, sessions) as agent:
        change = await approved(agent, "update_auto_scaling_group", **ASKED)
        assert change["status"] == "failed"
        assert f"instance refresh of shop is {status}" in change["error"]
        assert ("failed its health checks" in change["error"]) == (status == "Failed")
        assert "undo_change" in change["error"]
        assert (launched(asg), refreshes.version) == ("2", "1")
        await approved(agent, "undo_change", change_id=change["change_id"])
        assert (launched(asg), refreshes.started) == ("1", 1)
