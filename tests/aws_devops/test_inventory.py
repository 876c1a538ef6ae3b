"""The inventory names every kind of resource it knows, with tags, in few calls, and no values."""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.conftest import Agent
from tests.denied import DeniedSessions

from opswright_aws_devops.resource_kinds import KINDS, as_resource
from opswright_aws_devops.resource_kinds.governance import ROLE
from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

Clients = Callable[[str], Any]
SHOP = [{"Key": "app", "Value": "shop"}]


@pytest.fixture
def furnished(cloud: Any, client_of: Clients) -> dict[str, str]:
    """One of most kinds that no tool of ours makes, all tagged app=shop; ids of some."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = client_of("iam").create_role(
        RoleName="shop-worker",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        Tags=SHOP,
    )["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("main.py", "def handler(event, context): pass")
    function = client_of("lambda").create_function(
        FunctionName="shop-worker", Runtime="python3.12", Role=role, Handler="main.handler",
        Code={"ZipFile": code.getvalue()}, Tags={"app": "shop"},
    )  # fmt: skip
    queue = client_of("sqs").create_queue(QueueName="shop-orders", tags={"app": "shop"})["QueueUrl"]
    queue_arn = "arn:aws:sqs:eu-west-1:123456789012:shop-orders"
    client_of("lambda").create_event_source_mapping(
        EventSourceArn=queue_arn, FunctionName="shop-worker"
    )
    topic = client_of("sns").create_topic(Name="shop-events", Tags=SHOP)["TopicArn"]
    client_of("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    client_of("dynamodb").create_table(
        TableName="shop-carts", BillingMode="PAY_PER_REQUEST", Tags=SHOP,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    client_of("secretsmanager").create_secret(
        Name="shop-db", SecretString="hunter2-never-shown", Tags=SHOP
    )
    client_of("ssm").put_parameter(
        Name="/shop/url", Value="hunter2-never-shown", Type="SecureString", Tags=SHOP
    )
    client_of("acm").request_certificate(DomainName="shop.example.com", Tags=SHOP)
    client_of("ecr").create_repository(repositoryName="shop")
    client_of("cloudformation").create_stack(
        StackName="shop-stack", Tags=SHOP,
        TemplateBody=json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}),
    )  # fmt: skip
    key = client_of("kms").create_key(Tags=[{"TagKey": "app", "TagValue": "shop"}])
    key_id = key["KeyMetadata"]["KeyId"]
    client_of("kms").create_alias(AliasName="alias/shop", TargetKeyId=key_id)
    zone = client_of("route53").create_hosted_zone(Name="shop.example.com", CallerReference="1")
    zone_id = zone["HostedZone"]["Id"].rpartition("/")[2]
    client_of("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=zone_id, AddTags=SHOP
    )
    ecs = client_of("ecs")
    ecs.create_cluster(clusterName="shop", tags=[{"key": "app", "value": "shop"}])
    container = {"name": "web", "image": "nginx", "memory": 128}
    ecs.register_task_definition(
        family="shop", taskRoleArn=role, containerDefinitions=[container]
    )  # fmt: skip
    ecs.create_service(
        cluster="shop", serviceName="web", taskDefinition="shop", desiredCount=1,
        tags=[{"key": "app", "value": "shop"}],
    )  # fmt: skip
    return {
        "role": role, "queue": queue, "topic": topic, "key": key_id, "zone": zone_id,
        "function": function["FunctionArn"],
    }  # fmt: skip


async def every(agent: Agent, **arguments: Any) -> list[dict[str, Any]]:
    """What all pages of list_resources hold."""
    items, cursor = [], None
    while True:
        answer = await agent.call("list_resources", cursor=cursor, **arguments)
        assert answer["unread"] == []
        items += answer["items"]
        if not (cursor := answer["cursor"]):
            return items


async def test_every_kind_is_found_by_its_tag(agent: Agent, furnished: dict[str, str]) -> None:
    found = {item["type"]: item for item in await every(agent, tag="app=shop")}
    assert set(found) == {
        "iam:role", "lambda:function", "sqs:queue", "sns:topic", "dynamodb:table",
        "secretsmanager:secret", "ssm:parameter", "acm:certificate", "cloudformation:stack",
        "kms:key", "route53:hosted-zone", "ecs:cluster", "ecs:service",
    }  # fmt: skip
    assert found["sqs:queue"]["id"] == furnished["queue"]
    assert found["sqs:queue"]["name"] == "shop-orders"
    assert found["sns:topic"]["name"] == "shop-events"
    assert found["kms:key"]["name"] == "alias/shop"
    assert found["ecs:service"]["name"] == "web"
    assert found["route53:hosted-zone"]["id"] == furnished["zone"]
    assert found["iam:role"]["region"] == "global"
    assert found["iam:role"]["state"] == "no use noted"


async def test_names_of_secrets_are_listed_and_never_their_values(
    agent: Agent, furnished: dict[str, str]
) -> None:
    for kind, resource_id in (("secret", "shop-db"), ("parameter", "/shop/url")):
        listed = await agent.call("list_resources", types=[kind])
        shown = await agent.call("get_resource", resource_id=resource_id)
        assert resource_id in {item["name"] for item in listed["items"]}
        assert "hunter2" not in json.dumps([listed, shown])


async def test_a_queue_or_topic_is_in_no_vpc(
    agent: Agent, furnished: dict[str, str], network: dict[str, Any]
) -> None:
    kinds = {item["type"] for item in await every(agent, vpc_id=network["vpc_id"])}
    assert kinds == {
        "ec2:vpc", "ec2:subnet", "ec2:internet-gateway", "ec2:natgateway", "ec2:route-table",
        "ec2:security-group", "ec2:network-interface",
    }  # fmt: skip


async def test_a_short_name_of_several_kinds_is_asked_back(agent: Agent) -> None:
    said = await agent.refused("list_resources", types=["cluster"])
    assert "ecs:cluster, eks:cluster, rds:cluster" in said


async def test_kinds_that_are_the_whole_accounts_come_once_from_several_regions(
    agent: Agent, furnished: dict[str, str]
) -> None:
    wide = {"region": "eu-west-1,us-east-1"}
    for kind in ("iam:role", "route53:hosted-zone"):
        ids = [item["id"] for item in await every(agent, types=[kind], target=wide)]
        assert len(ids) == len(set(ids)) == 1


async def test_tags_that_may_not_be_read_are_named_and_what_carries_them_is_listed(
    agent: Agent, furnished: dict[str, str], settings: Settings
) -> None:
    class NoTags(DeniedSessions):
        def _refuse(self, model: Any, context: dict[str, Any], **more: Any) -> Any:
            self._denied = {"eu-west-1"} if model.name == "GetResources" else set()
            return super()._refuse(model, context, **more)

    server: Any = create_server(settings)
    server.opswright_runtime.aws_sessions = NoTags()
    async with Client(server) as client:
        answer = await client.call_tool("list_resources", {"types": ["queue"]})
    assert [item["id"] for item in answer.structured_content["items"]] == [furnished["queue"]]
    (line,) = answer.structured_content["unread"]
    assert line.startswith("tags of sqs:queue by ")
    assert "tag:GetResources" in line


async def test_resources_are_read_in_batches_not_one_by_one(
    furnished: dict[str, str], client_of: Clients, settings: Settings
) -> None:
    ecs, sqs = client_of("ecs"), client_of("sqs")
    for number in range(11):
        sqs.create_queue(QueueName=f"more-{number}", tags={"app": "shop"})
        ecs.create_service(
            cluster="shop", serviceName=f"more-{number}", taskDefinition="shop", desiredCount=0
        )
    server: Any = create_server(settings)
    sessions = server.opswright_runtime.aws_sessions = DeniedSessions()
    async with Client(server) as client:
        answer = await client.call_tool("list_resources", {"types": ["queue", "ecs:service"]})
    assert answer.structured_content["total"] == 24
    calls = Counter(operation for _, operation in sessions.calls)
    del calls["GetCallerIdentity"]
    assert calls == {
        "ListQueues": 1, "GetResources": 1, "ListClusters": 1, "ListServices": 1,
        "DescribeServices": 2,
    }  # fmt: skip


def test_a_role_in_use_says_when_it_was_used_last() -> None:
    from datetime import UTC, datetime

    from opswright_aws_devops.resource_kinds.governance import _use

    role: dict[str, Any] = {"RoleName": "web", "InstanceProfileList": [{"Arn": "arn"}]}
    used = {**role, "RoleLastUsed": {"LastUsedDate": datetime(2026, 11, 1, tzinfo=UTC)}}
    assert _use(used) == "in use: last 2026-11-01"
    assert _use(role) == "in an instance profile, no use noted"
    assert as_resource(ROLE, {**role, "State": _use(role)}, "eu-west-1").state == _use(role)


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({kind.type for kind in KINDS}) == len(KINDS)
