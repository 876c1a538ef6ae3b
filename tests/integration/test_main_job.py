"""The main job, end to end: stdio servers, the sandbox, and the account read with boto3.

The tests of this module run in order on one sandbox, as a person would work: deploy, look, ship
a new version, roll back, ask, undo.
"""

import base64
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.integration.conftest import CommandLine

from opswright.config import Server, child_environment, command_of
from opswright_core.journal import Journal

GOAL = "Deploy a three-tier web application with high availability and monitoring"
AGENTS = {"aws_devops", "cicd", "metrics", "security", "cost", "knowledge"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(opswright: CommandLine) -> dict[str, Any]:
    """The report of the main job, run once."""
    code, report = opswright("run", GOAL, "--sandbox")
    assert (code, report["status"]) == (0, "done"), json.dumps(report, indent=1)[:4000]
    return dict(report)


@pytest.fixture(scope="module")
def values(opswright: CommandLine, built: dict[str, Any]) -> dict[str, Any]:
    """The outputs of each step of the main job."""
    _, shown = opswright("status", built["run_id"])
    return {s["step_id"]: s["value"].get("outputs", s["value"]) for s in shown["steps"]}


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in resource.get("Tags", [])}


def test_the_plan_is_verified_priced_and_says_who_does_what_and_why(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    assert set(built["agents"]) == AGENTS
    assert built["estimate"]["monthly_usd"] > 100
    assert not built["estimate"]["unpriced"]
    _, shown = opswright("status", built["run_id"])
    assert shown["run"]["approved_by"] == "sandbox"


def test_the_network_spans_two_zones_with_three_tiers_and_a_nat_gateway_each(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    ec2, network = opswright.client("ec2"), values["network"]
    vpc_filter = [{"Name": "vpc-id", "Values": [network["vpc_id"]]}]
    subnets = {s["SubnetId"]: s for s in ec2.describe_subnets(Filters=vpc_filter)["Subnets"]}
    tiers = [network[f"{tier}_subnet_ids"] for tier in ("public", "private", "database")]
    assert sorted(i for tier in tiers for i in tier) == sorted(subnets)
    assert all(len({subnets[i]["AvailabilityZone"] for i in tier}) == 2 for tier in tiers)
    gateways = ec2.describe_nat_gateways(Filters=vpc_filter)["NatGateways"]
    assert sorted(g["NatGatewayId"] for g in gateways) == sorted(network["nat_gateway_ids"])
    zone_of_gateway = {
        g["NatGatewayId"]: subnets[g["SubnetId"]]["AvailabilityZone"] for g in gateways
    }
    assert len(set(zone_of_gateway.values())) == 2
    routes = {
        association["SubnetId"]: {r.get("DestinationCidrBlock"): r for r in table["Routes"]}
        for table in ec2.describe_route_tables(Filters=vpc_filter)["RouteTables"]
        for association in table["Associations"]
        if "SubnetId" in association
    }
    public, private, database = tiers
    assert all(
        routes[i]["0.0.0.0/0"]["GatewayId"] == network["internet_gateway_id"] for i in public
    )
    for subnet in private:
        gateway = routes[subnet]["0.0.0.0/0"]["NatGatewayId"]
        assert zone_of_gateway[gateway] == subnets[subnet]["AvailabilityZone"]
    assert all("0.0.0.0/0" not in routes[i] for i in database)


def test_the_security_groups_are_chained_from_the_internet_to_the_database(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    groups = values["firewall"]
    ids = [groups["load_balancer_sg_id"], groups["app_sg_id"], groups["database_sg_id"]]
    found = opswright.client("ec2").describe_security_groups(GroupIds=ids)["SecurityGroups"]
    rules = {g["GroupId"]: g["IpPermissions"] for g in found}
    balancer, app, database = (rules[i] for i in ids)
    assert {p["FromPort"] for p in balancer} == {80, 443}
    assert [
        (p["FromPort"], [g["GroupId"] for g in p["UserIdGroupPairs"]], p["IpRanges"]) for p in app
    ] == [(8080, [ids[0]], [])]
    assert [
        (p["FromPort"], [g["GroupId"] for g in p["UserIdGroupPairs"]], p["IpRanges"])
        for p in database
    ] == [(5432, [ids[1]], [])]


def test_the_database_is_multi_az_encrypted_private_and_its_password_is_a_secret(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    database = values["database"]
    (found,) = opswright.client("rds").describe_db_instances(
        DBInstanceIdentifier=database["db_instance_id"]
    )["DBInstances"]
    assert found["MultiAZ"] is True
    assert found["StorageEncrypted"] is True
    assert found["PubliclyAccessible"] is False
    assert found["BackupRetentionPeriod"] >= 7
    assert {s["SubnetIdentifier"] for s in found["DBSubnetGroup"]["Subnets"]} == set(
        values["network"]["database_subnet_ids"]
    )
    assert [g["VpcSecurityGroupId"] for g in found["VpcSecurityGroups"]] == [
        values["firewall"]["database_sg_id"]
    ]
    secret = opswright.client("secretsmanager").describe_secret(SecretId=database["secret_arn"])
    assert secret["ARN"] == database["secret_arn"]


def test_the_web_tier_runs_behind_the_load_balancer(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    elbv2, web, balancer = opswright.client("elbv2"), values["web"], values["balancer"]
    (group,) = opswright.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[web["asg_name"]]
    )["AutoScalingGroups"]
    assert group["MinSize"] >= 2
    assert set(group["VPCZoneIdentifier"].split(",")) == set(
        values["network"]["private_subnet_ids"]
    )
    assert group["TargetGroupARNs"] == [balancer["target_group_arn"]]
    assert group["HealthCheckType"] == "ELB"
    (found,) = elbv2.describe_load_balancers(LoadBalancerArns=[balancer["load_balancer_arn"]])[
        "LoadBalancers"
    ]
    assert found["Scheme"] == "internet-facing"
    assert len(found["AvailabilityZones"]) == 2
    (listener,) = elbv2.describe_listeners(LoadBalancerArn=balancer["load_balancer_arn"])[
        "Listeners"
    ]
    assert listener["DefaultActions"][0]["TargetGroupArn"] == balancer["target_group_arn"]
    health = elbv2.describe_target_health(TargetGroupArn=balancer["target_group_arn"])
    running = {i["InstanceId"] for i in group["Instances"]}
    assert {t["Target"]["Id"] for t in health["TargetHealthDescriptions"]} == running
    (template,) = opswright.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=web["launch_template_id"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    data = template["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert all(m["Ebs"]["Encrypted"] for m in data["BlockDeviceMappings"])
    assert "KeyName" not in data


def test_the_release_is_the_tag_with_its_digest_and_the_servers_are_told_to_check_it(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    release, deploy = values["release"], values["deploy"]
    body = opswright.client("s3").get_object(
        Bucket=release["artifact_bucket"], Key=release["artifact_key"]
    )
    content = body["Body"].read()
    assert hashlib.sha256(content).hexdigest() == release["artifact_sha256"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        (app,) = [name for name in archive.getnames() if name.endswith("app.py")]
        member = archive.extractfile(app)
        assert member is not None
        assert 'VERSION = "v1.0.0"' in member.read().decode()
    (version,) = opswright.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=values["web"]["launch_template_id"],
        Versions=[str(deploy["launch_template_version"])],
    )["LaunchTemplateVersions"]
    script = base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()
    assert release["artifact_sha256"] in script
    assert release["artifact_key"] in script


def test_the_alarms_reach_a_topic_and_the_dashboard_is_there(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    cloudwatch, alarms = opswright.client("cloudwatch"), values["alarms"]
    found = cloudwatch.describe_alarms(AlarmNames=alarms["alarm_names"])["MetricAlarms"]
    assert len(found) == alarms["alarm_count"] >= 7
    assert all(alarms["topic_arn"] in alarm["AlarmActions"] for alarm in found)
    watched = {alarm["MetricName"] for alarm in found}
    assert watched >= {
        "HTTPCode_ELB_5XX_Count",
        "TargetResponseTime",
        "UnHealthyHostCount",
        "FreeStorageSpace",
        "DatabaseConnections",
    }
    assert {a["Namespace"] for a in found if a["MetricName"] == "CPUUtilization"} == {
        "AWS/EC2",
        "AWS/RDS",
    }
    dashboard = cloudwatch.get_dashboard(DashboardName=values["dashboard"]["dashboard_name"])
    assert json.loads(dashboard["DashboardBody"])["widgets"]


def test_the_artifact_bucket_is_private_encrypted_and_versioned(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    s3, name = opswright.client("s3"), values["artifacts"]["bucket"]
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]


def test_the_report_says_what_was_verified_and_what_the_emulator_could_not_do(
    built: dict[str, Any],
) -> None:
    assert built["verified"]["PASS"] > 40
    assert built["highlights"]["address"].startswith("http://")
    assert built["highlights"]["version"] == "v1.0.0"
    assert "review" in built["verdicts"]
    assert any("forwards no traffic" in gap for gap in built["gaps"])
    assert any("alarms" in gap for gap in built["gaps"])
    assert built["not_done"] == []
    assert built["unrecorded"] == []
    assert any("undo" in line for line in built["next"])


async def test_the_knowledge_server_holds_what_happened(
    opswright: CommandLine, built: dict[str, Any], values: dict[str, Any]
) -> None:
    transport = StdioTransport(
        command_of(Server(command="opswright-knowledge")),
        ["--toolsets", "all"],
        env=child_environment({"OPSWRIGHT_STATE_DIR": str(opswright.agents_state_dir)}),
        keep_alive=False,
    )

    async with Client(transport) as client:

        async def read(uri: str) -> Any:
            return json.loads((await client.read_resource(uri))[0].text)

        vpc = await read(f"knowledge://resources/ec2:vpc/{values['network']['vpc_id']}")
        assert vpc["run_id"] == built["run_id"]
        deployments = await read("knowledge://deployments/sample-app/production")
        assert "v1.0.0" in json.dumps(deployments)
        inbox = json.dumps(await read("knowledge://agents/cicd/inbox"))
        assert values["web"]["asg_name"] in inbox
        assert values["balancer"]["target_group_arn"] in inbox
        assert "three-tier" in json.dumps(await read("knowledge://agents/aws_devops/memory"))
        run = await read(f"knowledge://runs/{built['run_id']}")
        assert run["status"] == "done"
        dependents = await client.call_tool(
            "walk_relations", {"id": values["network"]["vpc_id"], "direction": "in"}
        )
        assert values["balancer"]["load_balancer_arn"] in json.dumps(dependents.structured_content)


def test_the_journal_has_every_change_with_its_inverse_and_no_password(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    journal = Journal(opswright.agents_state_dir / "journal.db", "test")
    assert journal.broken_at() is None
    _, shown = opswright("status", built["run_id"])
    changes = [change for step in shown["steps"] for change in step["change_ids"]]
    assert len(changes) == 10
    for change in changes:
        events = journal.events(change)
        assert events[-1].kind == "done"
        assert any(e.body.get("undo") for e in events if e.kind == "step_done")
    raw = (opswright.agents_state_dir / "journal.db").read_bytes()
    assert b"MasterUserPassword" not in raw


def test_the_same_request_again_changes_nothing(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    code, again = opswright("run", GOAL, "--sandbox")
    assert (code, again["status"]) == (0, "done")
    assert {item["action"] for item in again["built"]} == {"existed before"}
    code, refused = opswright("undo", again["run_id"])
    assert code == 1
    assert "changed nothing" in refused["error"]


def test_a_new_version_is_deployed(opswright: CommandLine, built: dict[str, Any]) -> None:
    code, report = opswright("run", "Deploy version v1.1.0 of the sample app", "--sandbox")
    assert (code, report["status"]) == (0, "done")
    assert report["highlights"] == {"version": "v1.1.0", "rollback target": "v1.0.0"}
    assert report["verdicts"]["health"].startswith("PASS")


def test_the_last_deployment_is_rolled_back(opswright: CommandLine, built: dict[str, Any]) -> None:
    code, report = opswright("run", "Roll back the last deployment", "--sandbox")
    assert (code, report["status"]) == (0, "done")
    assert report["highlights"]["version"] == "v1.0.0"
    assert report["verdicts"]["health"].startswith("PASS")


@pytest.mark.parametrize(
    ("request_", "agent", "skill"),
    [
        ("Audit the security of this account", "security", "audit"),
        ("Find what we waste money on", "cost", "savings"),
        ("Why is the web tier unhealthy?", "metrics", "web_tier"),
        ("Create an encrypted S3 bucket named opswright-tried-it", "aws_devops", "bucket"),
    ],
)
def test_a_request_is_handed_to_the_agent_with_the_skill_for_it(
    opswright: CommandLine, built: dict[str, Any], request_: str, agent: str, skill: str
) -> None:
    code, report = opswright("run", request_, "--sandbox")
    assert (code, report["status"]) == (0, "done")
    assert agent in report["agents"]
    assert skill in report["answers"]["task"]["skill"]
    assert report["answers"]["task"]["summary"]


def test_a_stopped_instance_is_named_as_the_cause(
    opswright: CommandLine, values: dict[str, Any]
) -> None:
    group = opswright.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[values["web"]["asg_name"]]
    )["AutoScalingGroups"][0]
    victim = group["Instances"][0]["InstanceId"]
    opswright.client("ec2").stop_instances(InstanceIds=[victim])
    _, report = opswright("run", "Why is the web tier unhealthy?", "--sandbox")
    assert victim in json.dumps(report["answers"])
    opswright.client("ec2").start_instances(InstanceIds=[victim])


def test_a_bucket_made_on_request_is_encrypted_and_can_be_undone(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    _, runs = opswright("status")
    (bucket_run,) = [r for r in runs if "opswright-tried-it" in r["goal"]]
    s3 = opswright.client("s3")
    assert s3.get_bucket_encryption(Bucket="opswright-tried-it")
    code, report = opswright("undo", bucket_run["run_id"])
    assert (code, report["verified"]["FAIL"], report["verified"]["UNKNOWN"]) == (0, 0, 0)
    assert "opswright-tried-it" not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_what_no_one_can_do_is_said_with_what_is_possible(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    code, answer = opswright("run", "Paint the office green", "--sandbox")
    assert code == 1
    assert "nothing was done" in answer["error"]
    assert "Roll back the last deployment" in answer["error"]


def test_undo_removes_it_all_and_the_account_is_empty(
    opswright: CommandLine, built: dict[str, Any]
) -> None:
    code, report = opswright("undo", built["run_id"])
    assert (code, report["status"]) == (0, "done"), json.dumps(report, indent=1)[:4000]
    assert report["verified"]["FAIL"] == report["verified"]["UNKNOWN"] == 0
    ec2 = opswright.client("ec2")
    assert [v for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]] == []
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    assert {g["State"] for g in gateways} <= {"deleted"}
    assert ec2.describe_addresses()["Addresses"] == []
    reservations = ec2.describe_instances()["Reservations"]
    assert {i["State"]["Name"] for r in reservations for i in r["Instances"]} <= {"terminated"}
    assert opswright.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert opswright.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert opswright.client("elbv2").describe_target_groups()["TargetGroups"] == []
    assert opswright.client("rds").describe_db_instances()["DBInstances"] == []
    assert opswright.client("s3").list_buckets()["Buckets"] == []
    assert opswright.client("secretsmanager").list_secrets()["SecretList"] == []
    assert opswright.client("sns").list_topics()["Topics"] == []
    assert opswright.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert opswright.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    parameters = opswright.client("ssm").describe_parameters()["Parameters"]
    assert [p["Name"] for p in parameters if not p["Name"].startswith("/aws/service/")] == []
    assert opswright.client("iam").list_roles()["Roles"] == []
    _, shown = opswright("status", built["run_id"])
    assert shown["run"]["undone_by"] == report["run_id"]
