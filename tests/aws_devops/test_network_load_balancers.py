"""Network load balancers, each checked behind the tool's back."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.aws_devops.test_balancers_and_servers import self_signed

from opswright_aws_devops.balancers.state import BalancerState, LoadBalancer
from opswright_aws_devops.tools.network_load_balancers import Wanted, judge_network_balancer

Clients = Callable[[str], Any]
Inventory = Callable[[], dict[str, list[str]]]
TOOL = "create_network_load_balancer"


@pytest.fixture
def arguments(network: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "ledger",
        "subnet_ids": network["public_subnet_ids"],
        "security_group_ids": [groups["load_balancer_sg_id"]],
    }


async def test_it_takes_tls_behind_its_groups_once_and_goes_without_a_trace(
    agent: Any, arguments: dict[str, Any], client_of: Clients, inventory: Inventory
) -> None:
    elb = client_of("elbv2")
    certificate = client_of("acm").import_certificate(**self_signed())["CertificateArn"]
    arguments |= {"protocol": "TLS", "certificate_arn": certificate, "target_port": 8443}
    before = inventory()
    planned = await agent.call(TOOL, **arguments, dry_run=True)
    assert planned["status"] == "planned"
    assert inventory() == before
    change = await agent.call(TOOL, **arguments)
    made = change["outputs"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
    arn = made["load_balancer_arn"]
    (found,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    assert (found["Type"], found["Scheme"]) == ("network", "internet-facing")
    assert found["SecurityGroups"] == arguments["security_group_ids"]
    (listener,) = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert (listener["Protocol"], listener["Port"]) == ("TLS", 443)
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    which = [made["target_group_arn"]]
    (group,) = elb.describe_target_groups(TargetGroupArns=which)["TargetGroups"]
    assert (group["Protocol"], group["Port"]) == ("TCP", 8443)
    assert group["HealthCheckProtocol"] == "TCP"
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    assert {"Key": "load_balancing.cross_zone.enabled", "Value": "true"} in attributes
    tagged = elb.describe_tags(ResourceArns=[arn, *which, made["listener_arn"]])
    for described in tagged["TagDescriptions"]:
        assert {"Key": "managed-by", "Value": "opswright"} in described["Tags"]
    assert made["url"] == f"tls://{found['DNSName']}:443"
    assert (await agent.call(TOOL, **arguments))["reused"]
    said = await agent.refused(TOOL, **arguments | {"target_port": 9443})
    assert "with other settings" in said
    await agent.call("undo_change", change_id=change["change_id"])
    assert inventory() == before


async def test_udp_reaches_addresses_inside_and_is_asked_over_http_whether_it_is_well(
    agent: Any, arguments: dict[str, Any], network: dict[str, Any], client_of: Clients
) -> None:
    inside = {"subnet_ids": network["private_subnet_ids"], "internal": True}
    udp = {"protocol": "UDP", "port": 53, "target_type": "ip"}
    planned = await agent.call(TOOL, **arguments | inside | udp, dry_run=True)
    assert any("never healthy" in warning for warning in planned["plan"]["warnings"])
    change = await agent.call(TOOL, **arguments | inside | udp, health_check_path="/up")
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
    which = [change["outputs"]["target_group_arn"]]
    (group,) = client_of("elbv2").describe_target_groups(TargetGroupArns=which)["TargetGroups"]
    assert (group["Protocol"], group["TargetType"]) == ("UDP", "ip")
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"]) == ("HTTP", "/up")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "TLS"}, "certificate_arn together"),
        ({"certificate_arn": "arn:aws:acm:eu-west-1:1:certificate/x"}, "certificate_arn together"),
        ({"name": "internal-ledger"}, "internal-"),
        ({"subnet_ids": "private"}, "no route to an internet gateway"),
        ({"protocol": "HTTP"}, "TCP_UDP"),
    ],
)
async def test_a_bad_one_is_refused(
    agent: Any,
    arguments: dict[str, Any],
    network: dict[str, Any],
    change: dict[str, Any],
    said: str,
) -> None:
    if change.get("subnet_ids") == "private":
        change = {"subnet_ids": network["private_subnet_ids"]}
    assert said in await agent.refused(TOOL, **arguments | change)


def test_one_that_listens_for_something_else_or_lost_its_groups_does_not_pass() -> None:
    made = LoadBalancer(
        load_balancer_arn="arn:b", load_balancer_name="ledger", dns_name="d", url="tcp://d:443",
        target_group_arn="arn:g", target_group_name="ledger", listener_arn="arn:l",
    )  # fmt: skip
    wanted = Wanted(
        subnet_ids=[], security_group_ids=["sg-1"], protocol="TCP", port=443, target_port=443,
        target_type="ip", health_check_path=None, certificate_arn=None, internal=False,
    )  # fmt: skip
    zones = [{"ZoneName": "a"}, {"ZoneName": "b"}]
    balancer = {
        "LoadBalancerArn": "arn:b", "Type": "network", "Scheme": "internet-facing",
        "State": {"Code": "active"}, "AvailabilityZones": zones, "SecurityGroups": ["sg-1"],
    }  # fmt: skip
    group = {"TargetGroupArn": "arn:g", "HealthCheckEnabled": True, "HealthCheckProtocol": "TCP"}
    forward = [{"Type": "forward", "TargetGroupArn": "arn:g"}]
    listener = {"ListenerArn": "arn:l", "Protocol": "TCP", "DefaultActions": forward}

    def failed(**changed: Any) -> list[str]:
        state = BalancerState(
            balancer=balancer | changed.get("balancer", {}),
            group=group,
            listeners={443: listener | changed.get("listener", {})},
        )
        checks = judge_network_balancer(made, wanted, state)
        return [c.name for c in checks if c.verdict != "PASS"]

    assert failed() == []
    assert failed(listener={"Protocol": "UDP"}) == ["It listens for TCP"]
    assert failed(balancer={"SecurityGroups": []}) == ["It has its security groups"]
    assert failed(balancer={"Type": "application"}) == ["It is a network load balancer"]
