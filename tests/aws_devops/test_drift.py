"""What changes made against what is there, and what undoing them would meet."""

from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client

from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

Clients = Callable[[str], Any]


async def drifts(agent: Any) -> dict[str, dict[str, Any]]:
    """The judgement of each finished change, by its tool."""
    found = await agent.call("find_drift")
    return {drift["tool"]: drift for drift in found["items"]}


async def test_what_was_just_built_has_not_drifted(
    agent: Any, web_arguments: dict[str, Any]
) -> None:
    await agent.call("create_web_tier", **web_arguments)
    await agent.call("create_bucket", name="shop-logs")
    found = await drifts(agent)
    assert len(found) == 5
    wrong = {tool: d["differences"] for tool, d in found.items() if d["verdict"] != "PASS"}
    assert wrong == {}
    assert found["create_network"]["checked"] > 20


async def test_a_rule_that_someone_added_is_drift_of_that_change_alone(
    agent: Any, groups: dict[str, str], client_of: Clients
) -> None:
    client_of("ec2").authorize_security_group_ingress(
        GroupId=groups["app_sg_id"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    found = await drifts(agent)
    assert found["create_network"]["verdict"] == "PASS"
    (difference,) = found["create_security_groups"]["differences"]
    assert difference["verdict"] == "FAIL"
    assert difference["resource"] == groups["app_sg_id"]
    assert "22" in difference["evidence"]


async def test_a_setting_a_tag_and_a_deletion_are_drift(
    agent: Any, network: dict[str, Any], client_of: Clients
) -> None:
    ec2, subnet = client_of("ec2"), network["database_subnet_ids"][0]
    ec2.modify_vpc_attribute(VpcId=network["vpc_id"], EnableDnsHostnames={"Value": False})
    ec2.delete_tags(Resources=[network["vpc_id"]], Tags=[{"Key": "opswright:request"}])
    ec2.delete_subnet(SubnetId=subnet)
    drift = (await drifts(agent))["create_network"]
    assert drift["verdict"] == "FAIL"
    said = str(drift["differences"])
    assert "VPC gives DNS host names" in said
    assert "It keeps the tag opswright:request" in said
    assert f"delete subnet {subnet}" in said


async def test_a_change_by_any_operation_is_compared_too(agent: Any, client_of: Clients) -> None:
    made = await agent.call(
        "change_aws", service="iam", operation="CreateUser", parameters={"UserName": "someone"}
    )
    assert (await drifts(agent))["change_aws"]["verdict"] == "PASS"
    client_of("iam").delete_user(UserName="someone")
    (one,) = (await agent.call("find_drift", change_id=made["change_id"]))["items"]
    assert one["verdict"] == "FAIL"
    preview = await agent.call("preview_undo", change_id=made["change_id"])
    (step,) = preview["changes"][0]["steps"]
    assert step["state"] == "nothing left to do"


async def test_an_undone_change_is_not_compared(agent: Any) -> None:
    made = await agent.call("create_bucket", name="shop-logs")
    await agent.call("undo_change", change_id=made["change_id"])
    assert await drifts(agent) == {}
    preview = await agent.call("preview_undo", change_id=made["change_id"])
    assert "undone already" in preview["changes"][0]["blocked_by"][0]
    assert "No change stands" in (await agent.call("preview_undo"))["summary"]


async def test_another_account_is_unknown_and_never_gone(
    agent: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await agent.call("create_bucket", name="shop-logs")
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    async with Client(create_server(settings)) as elsewhere:
        answer = await elsewhere.call_tool("find_drift", {})
        preview = await elsewhere.call_tool("preview_undo", {"change_id": made["change_id"]})
    (drift,) = answer.structured_content["items"]
    assert drift["verdict"] == "UNKNOWN"
    assert "was made in aws account" in drift["differences"][0]["evidence"]
    assert "was made in aws account" in str(preview.structured_content["changes"][0]["blocked_by"])


async def test_a_preview_tells_each_step_and_what_has_to_be_undone_before(
    agent: Any, groups: dict[str, str], client_of: Clients
) -> None:
    network_id, groups_id = agent.made
    client_of("ec2").delete_security_group(GroupId=groups["database_sg_id"])
    before = await agent.call("preview_undo", change_id=network_id)
    (network,) = before["changes"]
    assert {step["state"] for step in network["steps"]} <= {"would run", "unknown"}
    assert network["differs"] == []
    (blocker,) = network["blocked_by"]
    assert blocker.startswith(f"{groups_id} (Create the security groups of shop")
    both = await agent.call("preview_undo", last=2)
    assert [c["change_id"] for c in both["changes"]] == [groups_id, network_id]
    assert [c["blocked_by"] for c in both["changes"]] == [[], []]
    assert [s["state"] for s in both["changes"][0]["steps"]].count("nothing left to do") == 1
    assert "inverse steps would run" in both["summary"]
    assert any(groups["database_sg_id"] in said or "exactly" in said
               for said in both["changes"][0]["differs"])  # fmt: skip
    # Nothing was done by looking.
    assert len(client_of("ec2").describe_vpcs()["Vpcs"]) == 2


async def test_a_change_that_does_not_exist_is_said(agent: Any) -> None:
    for tool in ("preview_undo", "find_drift"):
        assert "list_changes" in await agent.refused(tool, change_id="ch-0")


async def test_what_a_later_change_set_again_is_no_drift_and_is_undone_after_it(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_queue", name="jobs")
    asked = {"queue": "jobs", "visibility_timeout_seconds": 60}
    first = await agent.call("configure_queue", **asked)
    later = await agent.call("configure_queue", **{**asked, "visibility_timeout_seconds": 90})
    beside = await agent.call("configure_queue", queue="jobs", wait_seconds=7)

    async def verdict_of(change: dict[str, Any]) -> dict[str, Any]:
        (drift,) = (await agent.call("find_drift", change_id=change["change_id"]))["items"]
        return drift  # type: ignore[no-any-return]

    superseded = await verdict_of(first)
    assert superseded["verdict"] == "UNKNOWN"
    assert f"{later['change_id']} (" in superseded["differences"][0]["evidence"]
    assert [(await verdict_of(one))["verdict"] for one in (later, beside)] == ["PASS", "PASS"]

    planned = await agent.call("undo_change", change_id=first["change_id"], dry_run=True)
    (said,) = [w for w in planned["plan"]["warnings"] if "undo that first" in w]
    assert said.startswith(f"{later['change_id']} (")
    assert not any(beside["change_id"] in w for w in planned["plan"]["warnings"])
    (preview,) = (await agent.call("preview_undo", change_id=first["change_id"]))["changes"]
    assert (preview["blocked_by"], preview["later"]) == ([], [said])
    for change in (later, first):
        await agent.call("undo_change", change_id=change["change_id"])
    sqs = client_of("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    now = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (now["VisibilityTimeout"], now["ReceiveMessageWaitTimeSeconds"]) == ("30", "7")


async def test_an_undo_says_before_what_someone_changed_by_hand_since(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_queue", name="jobs")
    change = await agent.call("configure_queue", queue="jobs", visibility_timeout_seconds=60)
    sqs = client_of("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "75"})
    (drift,) = (await agent.call("find_drift", change_id=change["change_id"]))["items"]
    assert drift["verdict"] == "FAIL"
    planned = await agent.call("undo_change", change_id=change["change_id"], dry_run=True)
    (said,) = [w for w in planned["plan"]["warnings"] if "Not as this change left it" in w]
    assert "75" in said


async def test_a_network_in_use_is_refused_its_undo_before_anything_is_removed(
    agent: Any, groups: dict[str, str], client_of: Clients
) -> None:
    network_id, groups_id = agent.made
    said = await agent.refused("undo_change", change_id=network_id)
    assert said.startswith(f"{groups_id} (")
    assert "uses what it made; undo that first" in said
    assert len(client_of("ec2").describe_vpcs()["Vpcs"]) == 2
    assert (await drifts(agent))["create_network"]["verdict"] == "PASS"
