import json
from typing import Any

import pytest
from tests.metrics.conftest import WebTier

from opswright_core.verdicts import Unread
from opswright_metrics.server import create_server
from opswright_metrics.tools.alarm_specs import alarms_for, max_connections
from opswright_metrics.tools.subjects import Database, Subjects, TargetGroup

GIB = 2**30


async def create(client: Any, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("create_alarms", arguments, raise_on_error=False)
    assert not result.is_error, result.content[0].text
    answer: dict[str, Any] = result.structured_content
    return answer


def everything(tier: WebTier, asg: str, database: str) -> dict[str, Any]:
    return {
        "name": "shop",
        "load_balancer_arn": tier.load_balancer_arn,
        "target_group_arn": tier.target_group_arn,
        "asg_name": asg,
        "db_instance_id": database,
    }


async def test_every_resource_gets_its_alarms_and_they_notify_the_topic(
    connect: Any, client_of: Any, tier: WebTier, asg: str, database: str
) -> None:
    async with connect(create_server) as client:
        done = await create(
            client, **everything(tier, asg, database), notify_email="ops@example.org"
        )
    assert done["status"] == "done"
    assert {c["verdict"] for c in done["checks"]} == {"PASS"}
    outputs = done["outputs"]
    assert outputs["alarm_names"] == [
        "shop-elb-5xx", "shop-target-5xx", "shop-latency-p95", "shop-unhealthy-hosts",
        "shop-asg-cpu", "shop-db-cpu", "shop-db-storage", "shop-db-connections",
    ]  # fmt: skip
    assert outputs["alarm_count"] == 8
    alarms = client_of("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 8
    assert all(a["AlarmActions"] == a["OKActions"] == [outputs["topic_arn"]] for a in alarms)
    by_name = {a["AlarmName"]: a for a in alarms}
    assert by_name["shop-db-storage"]["Threshold"] == 4 * GIB
    assert by_name["shop-latency-p95"]["ExtendedStatistic"] == "p95"
    assert by_name["shop-db-connections"]["Threshold"] == int(GIB // 9_531_392 * 0.8)
    assert any("never evaluates" in gap for gap in done["gaps"])


async def test_only_alarms_of_this_account_may_publish_to_the_topic_and_only_over_tls(
    connect: Any, client_of: Any, asg: str
) -> None:
    async with connect(create_server) as client:
        done = await create(client, name="shop", asg_name=asg)
    sns = client_of("sns")
    attributes = sns.get_topic_attributes(TopicArn=done["outputs"]["topic_arn"])["Attributes"]
    publish, tls = json.loads(attributes["Policy"])["Statement"]
    assert publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert publish["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert not attributes.get("KmsMasterKeyId")  # alarms cannot publish through alias/aws/sns


async def test_a_repeat_changes_nothing_and_a_plan_sends_nothing(
    connect: Any, client_of: Any, asg: str
) -> None:
    async with connect(create_server) as client:
        planned = await create(client, name="shop", asg_name=asg, dry_run=True)
        assert planned["status"] == "planned"
        assert not client_of("cloudwatch").describe_alarms()["MetricAlarms"]
        await create(client, name="shop", asg_name=asg)
        again = await create(client, name="shop", asg_name=asg)
    assert again["reused"]


async def test_undo_leaves_no_alarm_no_topic_and_no_subscription(
    connect: Any, client_of: Any, asg: str
) -> None:
    async with connect(create_server) as client:
        done = await create(client, name="shop", asg_name=asg, notify_email="ops@example.org")
        undone = await client.call_tool("undo_change", {"change_id": done["change_id"]})
    assert undone.structured_content["status"] == "done"
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert not client_of("cloudwatch").describe_alarms()["MetricAlarms"]
    assert not client_of("sns").list_topics()["Topics"]
    assert not client_of("sns").list_subscriptions()["Subscriptions"]


async def test_a_drifted_alarm_is_mended_and_undo_restores_it_as_it_was(
    connect: Any, client_of: Any, asg: str
) -> None:
    cloudwatch = client_of("cloudwatch")

    def threshold() -> float:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["shop-asg-cpu"])["MetricAlarms"]
        return float(alarm["Threshold"])

    async with connect(create_server) as client:
        done = await create(client, name="shop", asg_name=asg)
        cloudwatch.put_metric_alarm(
            AlarmName="shop-asg-cpu", Namespace="AWS/EC2", MetricName="CPUUtilization",
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": asg}], Statistic="Average",
            Period=300, EvaluationPeriods=3, DatapointsToAlarm=3, Threshold=99.0,
            ComparisonOperator="GreaterThanThreshold", TreatMissingData="missing",
            AlarmActions=[done["outputs"]["topic_arn"]], OKActions=[done["outputs"]["topic_arn"]],
        )  # fmt: skip
        cloudwatch.tag_resource(
            ResourceARN="arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-asg-cpu",
            Tags=[{"Key": "managed-by", "Value": "opswright"}],
        )
        mended = await create(client, name="shop", asg_name=asg)
        assert [a["verb"] for a in (await shown_plan(client, mended))] == ["modified"]
        assert threshold() == 80
        undone = await client.call_tool("undo_change", {"change_id": mended["change_id"]})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert threshold() == 99


async def shown_plan(client: Any, done: dict[str, Any]) -> list[dict[str, str]]:
    return [{"verb": r["action"]} for r in done["resources"]]


async def test_an_address_added_later_is_subscribed_and_undone_alone(
    connect: Any, client_of: Any, asg: str
) -> None:
    async with connect(create_server) as client:
        await create(client, name="shop", asg_name=asg)
        added = await create(client, name="shop", asg_name=asg, notify_email="ops@example.org")
        assert [r["type"] for r in added["resources"]] == ["sns:subscription"]
        undone = await client.call_tool("undo_change", {"change_id": added["change_id"]})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert not client_of("sns").list_subscriptions()["Subscriptions"]
    assert len(client_of("sns").list_topics()["Topics"]) == 1


async def test_a_topic_policy_changed_by_hand_is_put_right_and_undo_restores_it(
    connect: Any, client_of: Any, asg: str
) -> None:
    sns = client_of("sns")
    async with connect(create_server) as client:
        done = await create(client, name="shop", asg_name=asg)
        arn = done["outputs"]["topic_arn"]
        theirs = json.dumps({"Version": "2012-10-17", "Statement": []})
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=theirs)
        mended = await create(client, name="shop", asg_name=asg)
        assert not mended["reused"]
        policy = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
        assert len(json.loads(policy)["Statement"]) == 2
        undone = await client.call_tool("undo_change", {"change_id": mended["change_id"]})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    policy = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    assert json.loads(policy)["Statement"] == []


async def test_names_taken_by_others_are_refused_before_anything_is_sent(
    connect: Any, client_of: Any, asg: str
) -> None:
    client_of("cloudwatch").put_metric_alarm(
        AlarmName="shop-asg-cpu", Namespace="X", MetricName="Y", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    client_of("sns").create_topic(Name="blog-alerts")
    async with connect(create_server) as client:
        for name in ("shop", "blog"):
            result = await client.call_tool(
                "create_alarms", {"name": name, "asg_name": asg}, raise_on_error=False
            )
            assert result.is_error
            assert "opswright did not make" in result.content[0].text
    assert len(client_of("sns").list_topics()["Topics"]) == 1


async def test_a_customer_managed_key_is_taken_and_an_aws_managed_one_refused(
    connect: Any, client_of: Any, asg: str
) -> None:
    kms = client_of("kms")
    key_id = kms.create_key(Description="alarms")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/ours", TargetKeyId=key_id)
    async with connect(create_server) as client:
        planned = await create(client, name="shop", asg_name=asg, kms_key_id=key_id, dry_run=True)
        assert any("admits cloudwatch" in warning for warning in planned["plan"]["warnings"])
        done = await create(client, name="shop", asg_name=asg, kms_key_id=key_id)
        refused = await client.call_tool(
            "create_alarms",
            {"name": "blog", "asg_name": asg, "kms_key_id": "alias/aws/sns"},
            raise_on_error=False,
        )
    arn = done["outputs"]["topic_arn"]
    attributes = client_of("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    assert attributes["KmsMasterKeyId"] == key_id
    assert refused.is_error
    assert "customer-managed" in refused.content[0].text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "shop"}, "at least one of"),
        ({"name": "shop", "asg_name": "nope"}, "no Auto Scaling group 'nope'"),
        ({"name": "shop", "load_balancer_arn": "web"}, "is not the ARN of"),
        ({"name": "shop", "target_group_arn": "web"}, "not a target group's ARN"),
        ({"name": "shop", "db_instance_id": "nope"}, "DBInstanceNotFound"),
        ({"name": "a b", "asg_name": "x"}, "name"),
        ({"name": "shop", "asg_name": "x", "notify_email": "ops"}, "notify_email"),
    ],
)
async def test_bad_input_says_what_is_wrong(
    connect: Any, cloud: Any, arguments: dict[str, Any], said: str
) -> None:
    async with connect(create_server) as client:
        result = await client.call_tool("create_alarms", arguments, raise_on_error=False)
    assert result.is_error
    assert said in result.content[0].text


def database(**changed: Any) -> Database:
    given: dict[str, Any] = {
        "id": "db", "engine": "postgres", "engine_version": "16.3", "instance_class": "db.t3.micro",
        "allocated_gib": 20, "memory_bytes": GIB,
    }  # fmt: skip
    return Database(**{**given, **changed})


@pytest.mark.parametrize(
    ("db", "limit"),
    [
        (database(), 112),
        (database(memory_bytes=256 * GIB), 5000),
        (database(engine="mysql"), 85),
        (database(engine="mariadb", engine_version="10.11.6"), 42),
        (database(engine="mariadb", engine_version="10.4.1"), 85),
    ],
)
def test_connection_limits_follow_the_published_formulas(db: Database, limit: int) -> None:
    assert max_connections(db) == limit


def test_an_alarm_whose_threshold_cannot_be_derived_is_left_out_with_the_reason() -> None:
    unread = Unread(operation="ec2:DescribeInstanceTypes", reason="AccessDenied")
    wanted = alarms_for(Subjects(database=database(memory_bytes=unread)))
    assert [spec.suffix for spec in wanted.specs] == ["db-cpu", "db-storage"]
    assert "AccessDenied" in wanted.left_out[0]
    wanted = alarms_for(Subjects(database=database(engine="aurora-postgresql")))
    assert [spec.suffix for spec in wanted.specs] == ["db-cpu"]
    assert len(wanted.left_out) == 2


def test_a_network_load_balancer_gets_host_alarms_and_no_http_ones() -> None:
    group = TargetGroup(dimension="targetgroup/web/1", load_balancer="net/web/1")
    wanted = alarms_for(Subjects(load_balancer="net/web/1", target_group=group))
    assert [(s.suffix, s.namespace) for s in wanted.specs] == [
        ("unhealthy-hosts", "AWS/NetworkELB")
    ]
    assert "Network Load Balancer" in wanted.left_out[0]
    loose = TargetGroup(dimension="targetgroup/web/1", load_balancer=None)
    assert "attached to no load balancer" in alarms_for(Subjects(target_group=loose)).left_out[0]
