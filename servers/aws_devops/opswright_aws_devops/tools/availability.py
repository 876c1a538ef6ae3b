"""High availability: whether a VPC's service outlives the loss of one availability zone."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops import readiness
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.networking.routing import next_hop, tables_of
from opswright_aws_devops.resource_kinds import values_in
from opswright_core.aws import HERE, Aws, Target, tags_of
from opswright_core.parallel import each
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, check, worst

Read = list[dict[str, Any]] | Unread


class HighAvailability(BaseModel):
    """Whether a VPC outlives the loss of a zone; UNKNOWN when what decides could not be read."""

    vpc_id: str
    verdict: Verdict = Field(description="Of `checks` alone")
    summary: str
    checks: list[Check]
    readiness: list[Check] = Field(
        description="Whether somebody hears of a failure, and what is lost can be made again"
    )


class VpcState(BaseModel):
    """What was read of a VPC: AWS's own descriptions, or why they could not be read."""

    model_config = ConfigDict(frozen=True)
    subnets: Read = Field(default_factory=list)
    tables: Read = Field(default_factory=list)
    nats: Read = Field(default_factory=list)
    instances: Read = Field(default_factory=list)
    groups: Read = Field(default_factory=list)
    balancers: Read = Field(default_factory=list)
    target_groups: Read = Field(default_factory=list)
    health: dict[str, Read] = Field(default_factory=dict)
    """Target health descriptions by target group ARN."""
    databases: Read = Field(default_factory=list)
    caches: Read = Field(default_factory=list)
    endpoints: Read = Field(default_factory=list)
    emulated: bool = False


@read_tool
def verify_high_availability(vpc_id: VpcId, target: Target = HERE) -> HighAvailability:
    """Check that a VPC's service outlives one zone: servers, NAT, databases, load balancers."""
    a = aws(target)
    must_find_vpc(a, vpc_id)
    state = load(a, vpc_id)
    checks = judge(state)
    ready = readiness.judge(
        readiness.load(a, state.instances, state.groups), state.balancers, state.groups,
        state.target_groups, state.databases,
    )  # fmt: skip
    verdict = worst(c.verdict for c in checks)
    failed = [c.name for c in checks if c.verdict != "PASS"]
    said = "; ".join(dict.fromkeys(failed)) if failed else f"all {len(checks)} checks passed"
    if not checks:
        said = "there is nothing in it to judge"
    if lacking := [c for c in ready if c.verdict != "PASS"]:
        named = dict.fromkeys(f"{c.name} ({c.verdict})" for c in lacking)
        said += f". Besides: {'; '.join(named)}"
    return HighAvailability(
        vpc_id=vpc_id,
        verdict=verdict,
        summary=f"{vpc_id}: {verdict}: {said}",
        checks=checks,
        readiness=ready,
    )


def load(a: Aws, vpc_id: str) -> VpcState:
    """Read what the checks need; what is refused is kept as `Unread`."""
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    running = [*here, {"Name": "instance-state-name", "Values": ["running"]}]

    def pages(service: str, operation: str, items: str, **params: Any) -> Read:
        return attempt(lambda: a.pages(service, operation, items, **params))

    subnets = pages("ec2", "describe_subnets", "Subnets", Filters=here)
    reservations = pages("ec2", "describe_instances", "Reservations", Filters=running)
    target_groups = _where(
        pages("elbv2", "describe_target_groups", "TargetGroups"), lambda g: g.get("VpcId") == vpc_id
    )
    groups = pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    if not isinstance(groups, Unread):
        if isinstance(subnets, Unread):
            groups = subnets
        else:
            ids = {subnet["SubnetId"] for subnet in subnets}
            groups = _where(groups, lambda g: not ids.isdisjoint(values_in(g)))
    elb = a.client("elbv2")

    def health_of(arn: str) -> Read:
        return attempt(
            lambda: elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        )

    arns = [] if isinstance(target_groups, Unread) else [
        group["TargetGroupArn"] for group in target_groups
    ]  # fmt: skip
    return VpcState(
        subnets=subnets,
        tables=pages("ec2", "describe_route_tables", "RouteTables", Filters=here),
        nats=_where(
            pages("ec2", "describe_nat_gateways", "NatGateways", Filter=here),
            lambda nat: nat["State"] == "available",
        ),
        instances=reservations
        if isinstance(reservations, Unread)
        else [i for r in reservations for i in r["Instances"]],
        groups=groups,
        balancers=_where(
            pages("elbv2", "describe_load_balancers", "LoadBalancers"),
            lambda balancer: balancer.get("VpcId") == vpc_id,
        ),
        target_groups=target_groups,
        health=dict(zip(arns, each(arns, health_of), strict=True)),
        databases=_where(
            pages("rds", "describe_db_instances", "DBInstances"),
            lambda db: db.get("DBSubnetGroup", {}).get("VpcId") == vpc_id,
        ),
        caches=attempt(lambda: _caches(a, vpc_id)),
        endpoints=_where(
            pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=here),
            lambda endpoint: endpoint.get("VpcEndpointType") == "Interface",
        ),
        emulated=a.is_emulator,
    )


def _caches(a: Aws, vpc_id: str) -> list[dict[str, Any]]:
    """The VPC's caches: replication groups, and the clusters that are in none."""
    subnets = a.pages("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups")
    own = {group["CacheSubnetGroupName"] for group in subnets if group.get("VpcId") == vpc_id}
    if not own:
        return []
    clusters = a.pages("elasticache", "describe_cache_clusters", "CacheClusters")
    here = [cluster for cluster in clusters if cluster.get("CacheSubnetGroupName") in own]
    groups = {cluster.get("ReplicationGroupId") for cluster in here}
    found = a.pages("elasticache", "describe_replication_groups", "ReplicationGroups")
    return [
        *(group for group in found if group["ReplicationGroupId"] in groups),
        *(cluster for cluster in here if not cluster.get("ReplicationGroupId")),
    ]


def _where(items: Read, keep: Callable[[dict[str, Any]], bool]) -> Read:
    return items if isinstance(items, Unread) else [item for item in items if keep(item)]


def judge(state: VpcState) -> list[Check]:
    """Every check that what is in the VPC calls for."""
    return [
        *_instances(state),
        *_nats(state),
        *_each(
            "Auto-scaling group keeps two instances or more over two zones or more",
            state.groups,
            "AutoScalingGroupName",
            _group,
        ),
        *_each(
            "Load balancer is in two zones or more", state.balancers, "LoadBalancerArn", _balancer
        ),
        *_target_groups(state),
        *_target_zones(state),
        *_each(
            "Database has a standby in another zone",
            state.databases,
            "DBInstanceIdentifier",
            lambda db: (bool(db["MultiAZ"]), f"MultiAZ={db['MultiAZ']}"),
        ),
        *_cache_checks(state.caches),
        *_each(
            "Interface endpoint is in two subnets or more",
            state.endpoints,
            "VpcEndpointId",
            lambda endpoint: (len(endpoint["SubnetIds"]) >= 2, ", ".join(endpoint["SubnetIds"])),
        ),
    ]


def _cache_checks(caches: Read) -> list[Check]:
    """Whether each cache fails over to another zone; a cluster of its own never does."""
    name = "Cache fails over to another zone"
    if isinstance(caches, Unread):
        return [check(name, caches)]
    checks = []
    for cache in caches:
        of = cache.get("ReplicationGroupId") or cache["CacheClusterId"]
        failover, zones = cache.get("AutomaticFailover"), cache.get("MultiAZ")
        said = f"AutomaticFailover={failover}, MultiAZ={zones}" if failover else "a single cluster"
        checks.append(check(name, failover == "enabled" and zones == "enabled", said, of))
    return checks


def _each(
    name: str,
    items: Read,
    id_key: str,
    judged: Callable[[dict[str, Any]], tuple[bool, str]],
) -> list[Check]:
    """One check per item; a single UNKNOWN when they could not be read."""
    if isinstance(items, Unread):
        return [check(name, items)]
    return [check(name, *judged(item), item[id_key]) for item in items]


def _group(group: dict[str, Any]) -> tuple[bool, str]:
    zones = sorted(group["AvailabilityZones"])
    said = f"at least {group['MinSize']} instances over {', '.join(zones)}"
    return group["MinSize"] >= 2 and len(zones) >= 2, said


def _balancer(balancer: dict[str, Any]) -> tuple[bool, str]:
    zones = sorted(zone["ZoneName"] for zone in balancer["AvailabilityZones"])
    return len(zones) >= 2, ", ".join(zones)


def _instances(state: VpcState) -> list[Check]:
    name = "Running instances of a service are in two zones or more"
    if isinstance(state.instances, Unread):
        return [check(name, state.instances)]
    zones: dict[str, list[str]] = defaultdict(list)
    for instance in state.instances:
        tags = tags_of(instance.get("Tags"))
        service = tags.get("aws:autoscaling:groupName") or tags.get("Name")
        zone = instance["Placement"]["AvailabilityZone"]
        zones[service or instance["InstanceId"]].append(zone)
    spanning = {
        group["AutoScalingGroupName"]
        for group in ([] if isinstance(state.groups, Unread) else state.groups)
        if len(group["AvailabilityZones"]) > 1
    }
    checks = []
    for service, placed in sorted(zones.items()):
        said = ", ".join(f"{placed.count(zone)} in {zone}" for zone in sorted(set(placed)))
        spread = len(set(placed)) > 1
        if not spread and state.emulated and service in spanning:
            said += "; the emulator does not spread a group's instances over its zones as AWS does"
            checks.append(Check(name=name, verdict="UNKNOWN", evidence=said, resource=service))
        else:
            checks.append(check(name, spread, said, service))
    return checks


def _nats(state: VpcState) -> list[Check]:
    name = "Private subnets use a NAT gateway of their own zone"
    if isinstance(state.subnets, Unread):
        return [check(name, state.subnets)]
    if isinstance(state.tables, Unread):
        return [check(name, state.tables)]
    if isinstance(state.nats, Unread):
        return [check(name, state.nats)]
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in state.subnets}
    nat_zone = {nat["NatGatewayId"]: zone_of.get(nat["SubnetId"]) for nat in state.nats}
    hops = {s: next_hop(table) or "" for s, table in tables_of(zone_of, state.tables).items()}
    return [
        check(
            name,
            nat_zone.get(hop) == zone_of[subnet_id],
            f"in {zone_of[subnet_id]}, uses {hop} in {nat_zone.get(hop, 'no zone: not available')}",
            subnet_id,
        )
        for subnet_id, hop in sorted(hops.items())
        if hop.startswith("nat-")
    ]


def _target_zones(state: VpcState) -> list[Check]:
    """Whether the targets of each group, by the instances that they are, are in two zones."""
    if isinstance(state.instances, Unread) or isinstance(state.target_groups, Unread):
        return []  # said by the checks of these themselves
    zones = {i["InstanceId"]: i["Placement"]["AvailabilityZone"] for i in state.instances}
    checks = []
    for group in state.target_groups:
        health = state.health.get(group["TargetGroupArn"], [])
        if isinstance(health, Unread) or group.get("TargetType") != "instance":
            continue
        placed = [zones.get(target["Target"]["Id"], "") for target in health]
        known = sorted({zone for zone in placed if zone})
        if not known:
            continue
        name, said = "Targets of a group are in two zones or more", ", ".join(known)
        if len(known) < 2 and state.emulated and len(placed) > 1:
            said += "; the emulator does not spread a group's instances over its zones as AWS does"
            unknown = Check(
                name=name, verdict="UNKNOWN", evidence=said, resource=group["TargetGroupArn"]
            )
            checks.append(unknown)
        else:
            checks.append(check(name, len(known) >= 2, said, group["TargetGroupArn"]))
    return checks


def _target_groups(state: VpcState) -> list[Check]:
    name = "Target group checks health, and no target is unhealthy"
    if isinstance(state.target_groups, Unread):
        return [check(name, state.target_groups)]
    checks = []
    for group in state.target_groups:
        arn = group["TargetGroupArn"]
        health = state.health.get(arn, [])
        if isinstance(health, Unread):
            checks.append(check(name, health, resource=arn))
            continue
        states = [target["TargetHealth"]["State"] for target in health]
        sick = [s for s in states if s in {"unhealthy", "unavailable"}]
        said = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states))) or "no targets"
        good = bool(group.get("HealthCheckEnabled")) and not sick
        checks.append(check(name, good, said, arn))
    return checks
