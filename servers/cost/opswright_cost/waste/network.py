"""Elastic IPs, load balancers and NAT gateways that carry nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from opswright_core.aws import tags_of
from opswright_core.parallel import each
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt
from opswright_cost.components import Component, monthly_usd
from opswright_cost.inventory import balancer_component
from opswright_cost.prices import PriceBook
from opswright_cost.series import Series, read_series
from opswright_cost.waste.findings import LEAST_DAYS, WINDOW_DAYS, Finding, Sweep

TRAFFIC = {
    "application": ("AWS/ApplicationELB", "RequestCount"),
    "network": ("AWS/NetworkELB", "ProcessedBytes"),
}
"""Reported only when not zero; ConsumedLCUs is always, so it tells silence from no data."""


def find_network_waste(sweep: Sweep) -> None:
    """Look at every Elastic IP, load balancer and NAT gateway of the region."""
    a = sweep.aws
    addresses = sweep.read("Elastic IPs", lambda: a.pages("ec2", "describe_addresses", "Addresses"))
    sweep.findings += judge_addresses(addresses or [], sweep.book)
    balancers = sweep.read(
        "load balancers", lambda: a.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    )
    if balancers:
        _balancers(sweep, balancers)
    gateways = sweep.read(
        "NAT gateways", lambda: a.pages("ec2", "describe_nat_gateways", "NatGateways")
    )
    if gateways:
        _gateways(sweep, [g for g in gateways if g["State"] == "available"])


def judge_addresses(addresses: Sequence[Mapping[str, Any]], book: PriceBook) -> list[Finding]:
    """Elastic IPs that are associated with nothing."""
    return [
        Finding(
            kind="unassociated_address",
            resource=address.get("AllocationId", address["PublicIp"]),
            name=clean(tags_of(address.get("Tags")).get("Name", address["PublicIp"]), 80),
            why=f"{address['PublicIp']} is associated with nothing",
            monthly_usd=monthly_usd(book, Component(kind="elastic_ip")),
            risk="medium",
            next="release_address (the same address cannot be had again)",
        )
        for address in addresses
        if not address.get("AssociationId") and not address.get("InstanceId")
    ]


def _balancers(sweep: Sweep, balancers: list[dict[str, Any]]) -> None:
    traffic = attempt(lambda: _balancer_traffic(sweep, balancers))
    if isinstance(traffic, Unread):
        sweep.unread.append(f"load balancer traffic: {traffic.reason}")
        traffic = {}
    silent = {b["LoadBalancerArn"] for b in balancers if traffic.get(b["LoadBalancerArn"]) is None}
    targets = attempt(lambda: _target_counts(sweep, silent)) if silent else {}
    if isinstance(targets, Unread):
        sweep.unread.append(f"load balancer targets: {targets.reason}")
        targets = {}
    unknown = []
    for balancer in balancers:
        arn = balancer["LoadBalancerArn"]
        why = judge_balancer(targets.get(arn), traffic.get(arn))
        if why is None:
            unknown += [balancer["LoadBalancerName"]] if traffic.get(arn) is None else []
            continue
        sweep.findings.append(
            Finding(
                kind="idle_load_balancer",
                resource=arn.split("loadbalancer/")[-1],
                name=balancer["LoadBalancerName"],
                why=f"{balancer['Type']} load balancer: {why}",
                monthly_usd=monthly_usd(sweep.book, balancer_component(balancer)),
                risk="medium",
                next="check DNS names that point to it, then delete it",
            )
        )
    sweep.undetermined("load balancers whose traffic is not known", unknown)


def judge_balancer(targets: int | None, traffic: float | None) -> str | None:
    """Why a balancer is idle, or None when it is not or nobody knows; traffic None: no data."""
    if traffic == 0:
        return f"no traffic in {WINDOW_DAYS} days"
    if traffic is None and targets == 0:
        return "no target is registered (its traffic is not known)"
    return None


def _balancer_traffic(sweep: Sweep, balancers: list[dict[str, Any]]) -> dict[str, float | None]:
    wanted: dict[str, Series] = {}
    for balancer in balancers:
        if balancer["Type"] in TRAFFIC:
            arn = balancer["LoadBalancerArn"]
            namespace, metric = TRAFFIC[balancer["Type"]]
            dimensions = (("LoadBalancer", arn.split("loadbalancer/")[-1]),)
            wanted[arn] = Series(namespace, metric, dimensions, "Sum")
            wanted[f"{arn} lcu"] = Series(namespace, "ConsumedLCUs", dimensions, "Sum")
    values = read_series(sweep.aws, wanted, now=sweep.now, days=WINDOW_DAYS)
    return {
        arn: sum(values[arn]) if values[arn] or len(values[f"{arn} lcu"]) >= LEAST_DAYS else None
        for arn in wanted
        if not arn.endswith(" lcu")
    }


def _target_counts(sweep: Sweep, arns: set[str]) -> dict[str, int]:
    """How many targets each of these load balancers has registered in its target groups.

    A call for each group: only for balancers whose traffic does not tell whether they are used.
    """
    client = sweep.aws.client("elbv2")
    groups = [
        group
        for group in sweep.aws.pages("elbv2", "describe_target_groups", "TargetGroups")
        if not arns.isdisjoint(group.get("LoadBalancerArns", []))
    ]

    def registered(group: dict[str, Any]) -> int:
        health = client.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        return len(health["TargetHealthDescriptions"])

    counts = dict.fromkeys(arns, 0)
    for group, count in zip(groups, each(groups, registered), strict=True):
        for arn in arns.intersection(group["LoadBalancerArns"]):
            counts[arn] += count
    return counts


def _gateways(sweep: Sweep, gateways: list[dict[str, Any]]) -> None:
    wanted = {
        g["NatGatewayId"]: Series(
            "AWS/NATGateway", "BytesOutToDestination", (("NatGatewayId", g["NatGatewayId"]),), "Sum"
        )
        for g in gateways
    }
    values = attempt(lambda: read_series(sweep.aws, wanted, now=sweep.now, days=WINDOW_DAYS))
    if isinstance(values, Unread):
        sweep.unread.append(f"NAT gateway traffic: {values.reason}")
        return
    silent = [
        g
        for g in gateways
        if (v := values[g["NatGatewayId"]]) and len(v) >= LEAST_DAYS and sum(v) == 0
    ]
    sweep.findings += [
        Finding(
            kind="idle_nat_gateway",
            resource=g["NatGatewayId"],
            name=clean(tags_of(g.get("Tags")).get("Name", ""), 80),
            why=f"no byte sent out in {WINDOW_DAYS} days",
            monthly_usd=monthly_usd(sweep.book, Component(kind="nat_gateway")),
            risk="medium",
            next="check the routes that point to it, then delete it and release its address",
        )
        for g in silent
    ]
    unknown = [i for i, v in values.items() if sum(v) == 0 and len(v) < LEAST_DAYS]
    sweep.undetermined("NAT gateways without enough traffic data", unknown)
