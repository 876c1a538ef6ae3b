"""Changes of what is there: databases, servers, groups, certificates; and their way back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent
from tests.aws_devops.test_balancers_and_servers import self_signed

from opswright_aws_devops.differences import Planned, differences, is_not
from opswright_aws_devops.instances.group_releases import Group
from opswright_aws_devops.tools.database_updates import CLASS, STANDBY, STORAGE, Now, judge_settings
from opswright_aws_devops.tools.group_updates import judge_group
from opswright_aws_devops.tools.listener_certificates import lost_domains
from opswright_core.errors import ConflictError

Clients = Callable[[str], Any]


# Databases.


@pytest.fixture
def rds(client_of: Clients, cloud: Any) -> Any:
    rds = client_of("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="shop", Engine="postgres", DBInstanceClass="db.t4g.medium",
        AllocatedStorage=50, MultiAZ=True, BackupRetentionPeriod=7, MasterUsername="dbadmin",
        ManageMasterUserPassword=True, PreferredBackupWindow="01:00-01:30",
        PreferredMaintenanceWindow="sun:04:00-sun:05:00",
    )  # fmt: skip
    return rds


def database(rds: Any) -> dict[str, Any]:
    (found,) = rds.describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    assert isinstance(found, dict)
    return found


async def test_a_database_is_changed_and_gets_all_back_but_its_storage(
    agent: Agent, rds: Any
) -> None:
    asked = {
        "db_instance_id": "shop", "instance_class": "db.r6g.large", "storage_gb": 100,
        "multi_az": False, "backup_days": 3, "backup_window": "02:00-02:30",
    }  # fmt: skip
    planned = await agent.call("update_database", **asked, dry_run=True)
    details = [action["detail"] for action in planned["plan"]["actions"]]
    assert f"{CLASS} db.t4g.medium → db.r6g.large" in details
    assert not planned["plan"]["reversible"]
    warnings = " ".join(planned["plan"]["warnings"])
    for risk in ("failover", "does not shrink", "One zone only", "older than 3 days"):
        assert risk in warnings
    change = await agent.call("update_database", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    found = database(rds)
    assert (found["DBInstanceClass"], found["AllocatedStorage"], found["MultiAZ"]) == (
        "db.r6g.large", 100, False,
    )  # fmt: skip
    assert found["PreferredMaintenanceWindow"] == "sun:04:00-sun:05:00"
    assert (await agent.call("update_database", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    found = database(rds)
    assert (found["DBInstanceClass"], found["AllocatedStorage"], found["MultiAZ"]) == (
        "db.t4g.medium", 100, True,
    )  # fmt: skip
    assert (found["BackupRetentionPeriod"], found["PreferredBackupWindow"]) == (7, "01:00-01:30")


REFUSED_OF_DATABASES: list[tuple[dict[str, Any], str]] = [
    ({}, "Nothing to change"),
    ({"db_instance_id": "none", "multi_az": True}, "There is no DB instance"),
    ({"storage_gb": 40}, "never shrinks"),
    ({"storage_gb": 52}, "give 55 or more"),
    ({"backup_window": "2 o'clock"}, "02:00-02:30"),
    ({"backup_window": "02:00-02:10"}, "shorter than 30 minutes"),
    ({"maintenance_window": "sunday"}, "sun:04:00-sun:05:00"),
    ({"backup_days": 0}, "greater than or equal to 1"),
]


async def test_what_a_database_cannot_become_is_refused(
    agent: Agent, rds: Any, watched: Any
) -> None:
    for changed, said in REFUSED_OF_DATABASES:
        asked = {"db_instance_id": "shop", **changed}
        assert said in await agent.refused("update_database", **asked), changed
    watched.sessions.once["DescribeDBInstances"] = lambda: rds.modify_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.m6g.large", ApplyImmediately=True
    )
    answer = await watched.client.call_tool(
        "update_database", {"db_instance_id": "shop", "backup_days": 9}, raise_on_error=False
    )
    assert "changed by somebody else" in answer.structured_content["error"]
    assert database(rds)["BackupRetentionPeriod"] == 7


SETTINGS = {CLASS: "db.t4g.medium", STORAGE: 55, STANDBY: True, "PreferredMaintenanceWindow": "sun"}


@pytest.mark.parametrize(
    ("now", "wanted", "at_once", "verdicts"),
    [
        (Now(SETTINGS, {}, "available"), {CLASS: "db.t4g.medium"}, True, ["PASS", "PASS"]),
        (Now(SETTINGS, {}, "modifying"), {STORAGE: 50}, True, ["FAIL", "PASS"]),
        (Now(SETTINGS, {}, "storage-optimization"), {STORAGE: 60}, True, ["PASS", "FAIL"]),
        (Now(SETTINGS, {CLASS: "db.x"}, "available"), {CLASS: "db.x"}, True, ["PASS", "FAIL"]),
        (Now(SETTINGS, {CLASS: "db.x"}, "available"), {CLASS: "db.x"}, False, ["PASS", "PASS"]),
    ],
)
def test_a_setting_that_waits_for_the_window_is_as_asked_only_where_waiting_was(
    now: Now, wanted: dict[str, Any], at_once: bool, verdicts: list[str]
) -> None:
    assert [c.verdict for c in judge_settings("shop", now, wanted, at_once=at_once)] == verdicts


# Servers.


@pytest.fixture
def server(client_of: Clients, cloud: Any) -> str:
    made = client_of("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="t3.micro"
    )
    return str(made["Instances"][0]["InstanceId"])


def of_server(client_of: Clients, server: str) -> tuple[str, str]:
    found = client_of("ec2").describe_instances(InstanceIds=[server])["Reservations"][0]
    return found["Instances"][0]["InstanceType"], found["Instances"][0]["State"]["Name"]


async def test_a_server_is_stopped_resized_started_and_made_what_it_was(
    watched: Any, server: str, client_of: Clients
) -> None:
    asked = {"instance_id": server, "instance_type": "t3.large"}
    planned = await watched.call("resize_instance", **asked, dry_run=True)
    assert planned["plan"]["actions"][0]["detail"] == "t3.micro → t3.large"
    assert "down for some minutes" in planned["plan"]["warnings"][0]
    for refused in ("ModifyInstanceAttribute", "StartInstances"):
        cut_off = await watched.cut_off("resize_instance", refused, **asked)
        assert of_server(client_of, server)[1] == "stopped"
        undone = await watched.call("undo_change", change_id=cut_off["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
        assert of_server(client_of, server) == ("t3.micro", "running")
    await watched.cut_off("resize_instance", "StartInstances", **asked)
    change = await watched.call("resize_instance", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert change["outputs"]["was"] == "t3.micro"
    assert of_server(client_of, server) == ("t3.large", "running")
    assert (await watched.call("resize_instance", **asked))["reused"]
    undone = await watched.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert of_server(client_of, server) == ("t3.micro", "running")


async def test_a_server_that_is_stopped_stays_so_and_what_cannot_be_is_refused(
    agent: Agent, server: str, client_of: Clients
) -> None:
    ec2 = client_of("ec2")
    for wanted, said in (
        ("t3.none", "is not offered"),
        ("m6g.large", "holds a system for x86_64"),
    ):
        asked = {"instance_id": server, "instance_type": wanted}
        assert said in await agent.refused("resize_instance", **asked)
    said = await agent.refused(
        "resize_instance", instance_id="i-0123456789abcdef0", instance_type="t3.large"
    )
    assert "does not exist" in said
    ec2.stop_instances(InstanceIds=[server])
    planned = await agent.call(
        "resize_instance", instance_id=server, instance_type="t3.large", dry_run=True
    )
    assert planned["plan"]["warnings"] == []
    await agent.call("resize_instance", instance_id=server, instance_type="t3.large")
    assert of_server(client_of, server) == ("t3.large", "stopped")
    group = {"Key": "aws:autoscaling:groupName", "Value": "shop"}
    ec2.create_tags(Resources=[server], Tags=[group])
    said = await agent.refused("resize_instance", instance_id=server, instance_type="t3.small")
    assert "update_auto_scaling_group" in said


# Groups.


@pytest.fixture
def asg(client_of: Clients, cloud: Any) -> Any:
    """A group that somebody made, of two servers from version 1 of a template."""
    ec2, asg = client_of("ec2"), client_of("autoscaling")
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    made = ec2.create_launch_template(LaunchTemplateName="shop", LaunchTemplateData=data)
    asg.create_auto_scaling_group(
        AutoScalingGroupName="shop", MinSize=2, MaxSize=4, DesiredCapacity=2,
        AvailabilityZones=["eu-west-1a", "eu-west-1b"],
        LaunchTemplate={
            "LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1",
        },
    )  # fmt: skip
    return asg


def of_group(asg: Any) -> tuple[int, int, int, str]:
    (group,) = asg.describe_auto_scaling_groups(AutoScalingGroupNames=["shop"])["AutoScalingGroups"]
    sizes = group["MinSize"], group["MaxSize"], group["DesiredCapacity"]
    return (*sizes, group["LaunchTemplate"]["Version"])


async def test_a_group_gets_sizes_and_a_template_version_and_what_it_had_back(
    agent: Agent, asg: Any, client_of: Clients
) -> None:
    asked = {
        "asg_name": "shop", "max_size": 6, "desired": 3, "instance_type": "t3.large",
    }  # fmt: skip
    planned = await agent.call("update_auto_scaling_group", **asked, dry_run=True)
    actions = planned["plan"]["actions"]
    assert [action["verb"] for action in actions] == ["create", "modify", "replace"]
    assert "instance_type t3.micro → t3.large" in actions[0]["detail"]
    assert "max_size 4 → 6" in actions[1]["detail"]
    assert any("terminated and another launched" in w for w in planned["plan"]["warnings"])
    change = await agent.call("update_auto_scaling_group", **asked)
    assert of_group(asg) == (2, 6, 3, "2")
    (version,) = client_of("ec2").describe_launch_template_versions(
        LaunchTemplateName="shop", Versions=["2"]
    )["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["InstanceType"] == "t3.large"
    assert version["LaunchTemplateData"]["ImageId"] == "ami-12c6146b"
    verdicts = {c["name"]: c["verdict"] for c in change["checks"]}
    assert verdicts.pop("All servers are of its template version") == "UNKNOWN"
    assert set(verdicts.values()) == {"PASS"}
    assert any("replaces no servers" in gap for gap in change["gaps"])
    assert (await agent.call("update_auto_scaling_group", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert of_group(asg) == (2, 4, 2, "1")


REFUSED_OF_GROUPS: list[tuple[dict[str, Any], str]] = [
    ({}, "Nothing to change"),
    ({"asg_name": "none", "desired": 1}, "no auto-scaling group"),
    ({"min_size": 5}, "they have to grow in that order"),
    ({"desired": 5}, "they have to grow in that order"),
    ({"instance_type": "t3.none"}, "is not offered"),
    ({"image": "ami-0123456789abcdef0"}, "does not exist"),
]


async def test_what_a_group_cannot_become_is_refused_and_what_was_cut_off_goes_on(
    watched: Any, asg: Any
) -> None:
    for changed, said in REFUSED_OF_GROUPS:
        asked = {"asg_name": "shop", **changed}
        assert said in await watched.refused("update_auto_scaling_group", **asked), changed
    asked = {"asg_name": "shop", "instance_type": "t3.large", "min_size": 1, "refresh": False}
    cut_off = await watched.cut_off(
        "update_auto_scaling_group", "CreateLaunchTemplateVersion", **asked
    )
    assert of_group(asg) == (1, 4, 2, "1")
    resumed = await watched.call("update_auto_scaling_group", **asked)
    assert resumed["change_id"] == cut_off["change_id"]
    assert of_group(asg) == (1, 4, 2, "2")
    await watched.call("undo_change", change_id=cut_off["change_id"])
    assert of_group(asg) == (2, 4, 2, "1")


GROUP = Group(
    name="shop", template={"LaunchTemplateId": "lt", "Version": "2"}, version=2,
    data={"InstanceType": "t3.large"}, min_size=1, max_size=2, balanced=True, desired=2,
    running={"i-1": 2, "i-2": 2},
)  # fmt: skip


@pytest.mark.parametrize(
    ("group", "verdicts"),
    [
        (GROUP, ["PASS", "PASS", "PASS"]),
        (replace(GROUP, data={"InstanceType": "t3.micro"}), ["FAIL", "PASS", "PASS"]),
        (replace(GROUP, running={"i-1": 2}), ["PASS", "FAIL", "PASS"]),
        (replace(GROUP, running={"i-1": 2, "i-2": 1}), ["PASS", "PASS", "FAIL"]),
    ],
)
def test_a_group_is_as_asked_when_all_its_servers_are(group: Group, verdicts: list[str]) -> None:
    wanted = {"instance_type": "t3.large", "image": None}
    checks = judge_group(group, wanted, refresh=True, replaces=True)
    assert [c.verdict for c in checks] == verdicts


# Certificates of listeners.


async def test_a_listener_shows_another_certificate_and_the_old_one_again(
    agent: Agent, client_of: Clients
) -> None:
    acm, elb, ec2 = client_of("acm"), client_of("elbv2"), client_of("ec2")
    first, second = (acm.import_certificate(**self_signed())["CertificateArn"] for _ in range(2))
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]][:2]
    balancer = elb.create_load_balancer(Name="shop", Subnets=subnets)["LoadBalancers"][0]
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    where = {"LoadBalancerArn": balancer["LoadBalancerArn"], "DefaultActions": fixed}
    shown = {"Certificates": [{"CertificateArn": first}]}
    secure = elb.create_listener(**where, Protocol="HTTPS", Port=443, **shown)["Listeners"][0]
    plain = elb.create_listener(**where, Protocol="HTTP", Port=80)["Listeners"][0]

    def certificate() -> str:
        (found,) = elb.describe_listeners(ListenerArns=[secure["ListenerArn"]])["Listeners"]
        return str(found["Certificates"][0]["CertificateArn"])

    asked = {"listener_arn": secure["ListenerArn"], "certificate_arn": second}
    change = await agent.call("set_listener_certificate", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert certificate() == second
    assert (await agent.call("set_listener_certificate", **asked))["reused"]
    await agent.call("undo_change", change_id=change["change_id"])
    assert certificate() == first
    for changed, said in (
        ({"listener_arn": plain["ListenerArn"]}, "is HTTP, which has no certificate"),
        ({"certificate_arn": second[:-4] + "0000"}, "does not exist"),
    ):
        assert said in await agent.refused("set_listener_certificate", **{**asked, **changed})


def test_a_wildcard_covers_one_label() -> None:
    old = ["shop.example.com", "a.shop.example.com", "example.com"]
    assert lost_domains(old, ["*.example.com"]) == ["a.shop.example.com", "example.com"]
    assert lost_domains(old, old) == []


# What all of them share.


def test_only_what_was_asked_for_and_is_not_so_differs() -> None:
    found = differences({"a": 1, "b": None, "c": 3}, {"a": 2, "b": "x", "c": 3, "d": None})
    assert [str(one) for one in found.values()] == ["a 1 → 2", "b none → x"]


def test_a_plan_holds_while_what_it_read_is_the_same() -> None:
    seen = [1, 1, 2]
    planned = Planned("It", lambda: seen.pop(0))
    assert (planned.read(), planned.confirm()) == (1, 1)
    with pytest.raises(ConflictError, match="It was changed by somebody else"):
        planned.confirm()


def test_the_read_of_an_inverse_finds_what_is_not_as_before() -> None:
    import jmespath

    expression = f"[?{is_not({'size': 2, 'name': 'a`b', 'on': False})}]"
    same = {"size": 2, "name": "a`b", "on": False}
    others = [{**same, "size": 3}, {**same, "name": "c"}, {**same, "on": True}]
    assert jmespath.search(expression, [same, *others]) == others
