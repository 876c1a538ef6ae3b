"""Tearing an application down: all of it, in order, nothing else; not done while some is left."""

from collections.abc import Callable
from typing import Any

from fastmcp import Client

from opswright_aws_devops.applications import Tagged, changes_of, in_undo_order, not_made_by
from opswright_aws_devops.ownership import REQUEST_TAG
from opswright_aws_devops.server import create_server
from opswright_core.changes import Record
from opswright_core.settings import Settings

Clients = Callable[[str], Any]


async def test_an_application_is_torn_down_in_the_reverse_order_of_its_needs(
    agent: Any, balancer: dict[str, str], web_arguments: Any, inventory: Any, client_of: Clients
) -> None:
    await agent.call("create_web_tier", **web_arguments)
    await agent.call("create_hosted_zone", name="example.com")
    await agent.call("set_dns_record", name="www.example.com", alias_to="shop")
    await agent.call("create_bucket", name="other-logs")
    preview = await agent.call("preview_teardown", application="shop")
    assert [change["tool"] for change in preview["changes"]] == [
        "set_dns_record", "create_web_tier", "create_load_balancer", "create_security_groups",
        "create_network",
    ]  # fmt: skip
    assert all(not change["blocked_by"] for change in preview["changes"])
    assert preview["not_ours"] == []
    report = await agent.call("handle_task", task="tear down the application named shop")
    assert (report["status"], report["skill"]) == ("completed", "tear_down_application"), report[
        "summary"
    ]
    left = {kind: ids for kind, ids in inventory().items() if ids}
    assert left == {"Buckets": ["other-logs"]}
    zone = client_of("route53").list_hosted_zones()["HostedZones"][0]["Id"]
    records = client_of("route53").list_resource_record_sets(HostedZoneId=zone)
    assert {r["Type"] for r in records["ResourceRecordSets"]} == {"NS", "SOA"}


async def test_a_website_goes_with_its_certificate_in_another_region(
    agent: Any, client_of: Clients, cloud: Any
) -> None:
    import boto3

    await agent.call("create_hosted_zone", name="example.com")
    task = "host a static website named shop-site on domain www.example.com"
    hosted = await agent.call("handle_task", task=task)
    assert hosted["status"] == "completed", hosted
    preview = await agent.call("preview_teardown", application="shop-site")
    assert [(c["tool"], c["region"]) for c in preview["changes"]] == [
        ("set_dns_record", "eu-west-1"), ("set_dns_record", "eu-west-1"),
        ("create_static_website", "eu-west-1"), ("create_certificate", "us-east-1"),
    ]  # fmt: skip
    report = await agent.call("handle_task", task="tear down the website shop-site")
    assert report["status"] == "completed", report["summary"]
    acm = boto3.client("acm", endpoint_url=cloud.endpoint, region_name="us-east-1")
    assert acm.list_certificates()["CertificateSummaryList"] == []
    assert client_of("s3").list_buckets()["Buckets"] == []


async def test_what_carries_the_tag_and_was_made_elsewhere_is_named_and_left(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_queue", name="shop")
    tags = {"opswright:name": "shop"}
    url = client_of("sqs").create_queue(QueueName="by-hand", tags=tags)["QueueUrl"]
    arn = "arn:aws:sqs:eu-west-1:123456789012:by-hand"
    assert (await agent.call("preview_teardown", application="shop"))["not_ours"] == [arn]
    report = await agent.call("handle_task", task="tear down the application named shop")
    assert report["status"] == "partial"
    assert arn in report["summary"]
    assert report["outputs"]["left"] == [arn]
    assert client_of("sqs").list_queues()["QueueUrls"] == [url]


async def test_nothing_is_undone_while_another_application_uses_it(
    agent: Any, client_of: Clients, network: dict[str, Any]
) -> None:
    asked = {"name": "crm", "vpc_id": network["vpc_id"]}
    crm = await agent.call("create_security_groups", **asked)
    answer = await agent.client.call_tool(
        "handle_task", {"task": "tear down the application named shop"}, raise_on_error=False
    )
    report = answer.structured_content
    assert report["status"] == "failed"
    assert "Nothing was undone" in report["summary"]
    assert crm["change_id"] in report["summary"]
    assert client_of("ec2").describe_vpcs(VpcIds=[network["vpc_id"]])["Vpcs"]


async def test_an_undo_that_fails_stops_it_and_says_what_is_left(
    watched: Any, client_of: Clients
) -> None:
    await watched.call("create_queue", name="shop", max_receives=0)
    topic = await watched.call("create_topic", name="shop")
    watched.sessions.refused["DeleteQueue"] = 0
    answer = await watched.client.call_tool(
        "handle_task", {"task": "tear down the application named shop"}, raise_on_error=False
    )
    report = answer.structured_content
    assert report["status"] == "partial"
    assert "is not down" in report["summary"]
    assert topic["change_id"] in report["summary"]
    assert len(client_of("sqs").list_queues()["QueueUrls"]) == 1


async def test_what_carries_another_tag_is_found_by_it(agent: Any, client_of: Clients) -> None:
    made = (await agent.call("create_queue", name="orders", max_receives=0))["outputs"]
    client_of("sqs").tag_queue(QueueUrl=made["queue_url"], Tags={"app": "sales"})
    asked = {"application": "sales", "tag_key": "app"}
    preview = await agent.call("preview_teardown", **asked)
    assert [change["tool"] for change in preview["changes"]] == ["create_queue"]
    assert (await agent.call("preview_teardown", application="sales"))["changes"] == []


async def test_what_could_not_be_looked_through_is_said(watched: Any) -> None:
    await watched.call("create_queue", name="shop")
    watched.sessions.refused["GetResources"] = 0
    preview = await watched.call("preview_teardown", application="shop")
    assert len(preview["changes"]) == 1
    assert any("tag:GetResources" in one for one in preview["unread"])
    report = await watched.call("handle_task", task="tear down the application named shop")
    assert report["status"] == "partial"
    assert "tag:GetResources" in report["summary"]


async def test_each_undo_is_approved_with_the_whole_plan_in_sight(
    agent: Any, settings: Settings
) -> None:
    import dataclasses

    await agent.call("create_queue", name="shop", max_receives=0)
    await agent.call("create_topic", name="shop")
    careful = create_server(dataclasses.replace(settings, approvals="token"))
    approvals: list[str] = []
    async with Client(careful) as client:
        for number in (1, 2):
            asked = {
                "task": "tear down the application named shop",
                "context": {"approvals": approvals},
            }
            report = (await client.call_tool("handle_task", asked)).structured_content
            assert report["status"] == "needs_approval", report
            assert f"{number} of 2" in report["summary"]
            assert "delete queue shop" in report["summary"]
            approvals = [report["approvals"][0]["token"]]
        asked = {**asked, "context": {"approvals": approvals}}
        report = (await client.call_tool("handle_task", asked)).structured_content
    assert report["status"] == "completed", report


async def test_an_application_that_nobody_made_is_said_to_be_none(agent: Any) -> None:
    report = await agent.call("handle_task", task="tear down the application named nothing")
    assert "No standing change made nothing" in report["summary"]


HERE = "aws:1:eu-west-1"


def record(change_id: str, tool: str, scope: str = HERE, **arguments: Any) -> Record:
    made = arguments.pop("made", [])
    resources = {
        one: {"resource": {"type": "t", "id": one, "name": one}, "undo": [], "done": True}
        for one in made
    }
    return Record(change_id, tool=tool, arguments=arguments, scope=scope, steps=resources)


def test_the_same_name_in_another_region_or_account_is_another_application() -> None:
    standing = [
        record("a", "create_queue", name="shop", made=["qa"]),
        record("b", "create_queue", "aws:1:us-east-1", name="shop", made=["qb"]),
        record("c", "create_queue", "aws:2:eu-west-1", name="shop", made=["qc"]),
        record("d", "set_dns_record", name="shop"),
    ]
    assert [r.change_id for r in changes_of(standing, "shop", [], HERE)] == ["a"]


def test_what_uses_another_goes_first_whatever_the_order_of_making() -> None:
    network = record("n", "create_network", made=["vpc-1"])
    groups = record("g", "create_security_groups", vpc_id="vpc-1", made=["sg-1"])
    web = record("w", "create_web_tier", groups=["sg-1"], made=["asg"])
    for given in ([network, groups, web], [web, groups, network], [groups, network, web]):
        assert [r.change_id for r in in_undo_order(given)] == ["w", "g", "n"]


def test_what_serves_an_application_without_a_name_of_its_own_goes_with_it() -> None:
    network = record("n", "create_network", name="shop", made=["vpc-1"])
    endpoint = record("e", "create_endpoints", vpc_id="vpc-1", made=["vpce-1"])
    other = record("o", "create_security_groups", name="crm", vpc_id="vpc-1")
    apart = record("p", "create_endpoints", vpc_id="vpc-2")
    chosen = changes_of([apart, other, endpoint, network], "shop", [], HERE)
    assert [r.change_id for r in chosen] == ["e", "n"]


def test_what_goes_with_something_made_is_not_foreign() -> None:
    web = record("w", "create_web_tier", made=["asg-shop"])
    asg = Tagged("arn:aws:autoscaling:r:1:g:x:autoScalingGroupName/asg-shop", {REQUEST_TAG: "r1"})
    server = Tagged("arn:aws:ec2:r:1:instance/i-1", {"aws:autoscaling:groupName": "asg-shop"})
    volume = Tagged("arn:aws:ec2:r:1:volume/vol-1", {REQUEST_TAG: "r1"})
    foreign = Tagged("arn:aws:ec2:r:1:volume/vol-2", {REQUEST_TAG: "r2"})
    assert not_made_by([asg, server, volume, foreign], [web]) == [foreign]
