"""Judges what was read of a web tier: checks, and the likely causes ranked. Pure."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.verdicts import Check, Unread, check
from opswright_metrics.tools.reachability import Admission, admits
from opswright_metrics.tools.target_reasons import explain
from opswright_metrics.tools.tier_facts import Instance, LoadBalancer, TargetGroup, Tier


class Cause(BaseModel):
    """A likely cause; `rank` orders them, 1 is surest."""

    model_config = ConfigDict(frozen=True)
    cause: str
    evidence: str
    next: str
    resource: str = ""
    rank: int = Field(5, ge=1, le=9, description="1 surest; 7 and above are symptoms or passing")


def judge(tier: Tier) -> tuple[list[Check], list[Cause]]:
    """Every check made of the tier, and the causes found, surest first."""
    found = [*_target_groups(tier), *_balancers(tier), *_instances(tier), *_groups(tier)]
    found += [*_reachability(tier), *_symptoms(tier)]
    causes = [cause for _, cause in found if cause]
    return [checked for checked, _ in found], sorted(causes, key=lambda c: (c.rank, c.cause))


Judged = tuple[Check, Cause | None]


def _judged(
    name: str, good: bool | Unread, evidence: str, resource: str, cause: str, next_: str, rank: int
) -> Judged:
    made = check(name, good, evidence, resource)
    if made.verdict != "FAIL":
        return made, None
    return made, Cause(cause=cause, evidence=evidence, next=next_, resource=resource, rank=rank)


def _target_groups(tier: Tier) -> Iterator[Judged]:
    if isinstance(tier.target_groups, Unread):
        yield check("Target groups", tier.target_groups), None
        return
    if tier.left_out:
        reason = f"{tier.left_out} more target groups were not looked at; name one"
        yield check("Every target group", Unread(operation="", reason=reason)), None
    for group in tier.target_groups:
        attached = bool(group.load_balancers)
        yield _judged(
            f"{group.name}: used by a load balancer", attached,
            f"{len(group.load_balancers)} load balancers forward to it", group.arn,
            f"No listener forwards to target group {group.name}",
            "Add a listener (or a rule) to the load balancer that forwards to it.", 2,
        )  # fmt: skip
        if isinstance(group.targets, Unread):
            yield check(f"{group.name}: targets healthy", group.targets, resource=group.arn), None
            continue
        yield _judged(
            f"{group.name}: has targets", bool(group.targets),
            f"{len(group.targets)} registered", group.arn,
            f"Target group {group.name} has no targets",
            "Register instances, or attach the target group to their Auto Scaling group.", 1,
        )  # fmt: skip
        yield from _by_reason(group)


def _by_reason(group: TargetGroup) -> Iterator[Judged]:
    assert not isinstance(group.targets, Unread)
    sick: dict[tuple[str, str], list[str]] = {}
    for target in group.targets:
        if target.state != "healthy":
            sick.setdefault((target.state, target.reason), []).append(target.id)
    healthy = sum(target.state == "healthy" for target in group.targets)
    passing = {"initial", "draining", "unhealthy.draining"}
    if group.targets and all(state in passing for state, _ in sick):
        evidence = f"{healthy} of {len(group.targets)} healthy"
        yield check(f"{group.name}: targets healthy", healthy > 0, evidence, group.arn), None
    for (state, reason), ids in sick.items():
        rank, meaning, next_ = explain(state, reason)
        described = next(t.description for t in group.targets if t.id == ids[0])
        evidence = (
            f"{len(ids)} of {len(group.targets)} targets are {state} ({reason or 'no reason'}): "
            f"{_some(ids)}"
            f"{'; ' + described if described else ''}; health check {group.health_check}"
        )
        cause = Cause(
            cause=f"Target group {group.name}: {meaning}", evidence=evidence, next=next_,
            resource=ids[0], rank=rank,
        )  # fmt: skip
        name = f"{group.name}: targets are not {state} ({reason or 'no reason'})"
        yield (
            check(name, state in passing, evidence, group.arn),
            None if state == "draining" else cause,
        )


def _balancers(tier: Tier) -> Iterator[Judged]:
    if isinstance(tier.load_balancers, Unread):
        yield check("Load balancers", tier.load_balancers), None
        return
    for lb in tier.load_balancers.values():
        yield _judged(
            f"{lb.name}: active", lb.state in {"active", "active_impaired"},
            f"its state is {lb.state}", lb.arn,
            f"Load balancer {lb.name} is {lb.state}",
            "Wait while it is provisioning; if it failed, read its State.Reason.", 2,
        )  # fmt: skip


def _instances(tier: Tier) -> Iterator[Judged]:
    """State, status checks and zone of every instance but those that are leaving anyway."""
    if isinstance(tier.instances, Unread):
        yield check("Instances", tier.instances), None
        return
    leaving = _draining(tier)
    staying = [i for i in tier.instances.values() if i.id not in leaving]
    running = [i for i in staying if i.state == "running"]
    for state in sorted({i.state for i in staying} - {"running"}):
        ids = [i.id for i in staying if i.state == state]
        yield _judged(
            f"No instance is {state}", False,
            f"{len(ids)} of {len(staying)}: {_some(ids)}", ids[0],
            f"{_instances_are(ids)} {state}",
            "Start it, or let its Auto Scaling group replace it.", 1,
        )  # fmt: skip
    if running:
        yield _status_checks(running)
        yield from _zones(tier, running)


def _status_checks(running: list[Instance]) -> Judged:
    unread = [i.id for i in running if i.status is None]
    sick = [i.id for i in running if i.status == "impaired"]
    missing = Unread(operation="ec2:DescribeInstanceStatus", reason=f"not read of {_some(unread)}")
    return _judged(
        "Instances pass their status checks", missing if unread and not sick else not sick,
        f"{len(sick)} of {len(running)} impaired: {_some(sick)}" if sick else "none impaired",
        sick[0] if sick else "", f"{_instances_are(sick)} failing status checks",
        "Stop and start it (system check) or reboot it (instance check).", 1,
    )  # fmt: skip


def _zones(tier: Tier, running: list[Instance]) -> Iterator[Judged]:
    """A load balancer sends nothing to a target in a zone that is not enabled."""
    if isinstance(tier.load_balancers, Unread):
        return
    for lb in tier.load_balancers.values():
        outside = [i for i in running if lb in _balancers_of(tier, i.id) and i.zone not in lb.zones]
        zones = ", ".join(sorted({i.zone for i in outside}))
        yield _judged(
            f"{lb.name}: the zones of its targets are enabled", not outside,
            f"{_some([i.id for i in outside])} in {zones}; enabled: {', '.join(lb.zones)}"
            if outside else f"enabled: {', '.join(lb.zones)}", lb.arn,
            f"Load balancer {lb.name} has targets in {zones}, which is not enabled on it",
            f"Enable a subnet of {zones} on the load balancer.", 2,
        )  # fmt: skip


def _draining(tier: Tier) -> set[str]:
    """Targets that are deregistering everywhere: their instances may stop."""
    if isinstance(tier.target_groups, Unread):
        return set()
    targets = [
        t for g in tier.target_groups if not isinstance(g.targets, Unread) for t in g.targets
    ]
    return {t.id for t in targets} - {t.id for t in targets if "draining" not in t.state}


def _instances_are(ids: list[str]) -> str:
    return f"Instance {ids[0]} is" if len(ids) == 1 else f"{len(ids)} instances are"


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + ("…" if len(ids) > 5 else "")


def _groups(tier: Tier) -> Iterator[Judged]:
    if isinstance(tier.groups, Unread):
        yield check("Auto Scaling groups", tier.groups), None
        return
    for g in tier.groups:
        evidence = f"{g.in_service} of {g.desired} in service, {g.unhealthy} unhealthy"
        if g.suspended:
            evidence += f"; suspended: {', '.join(g.suspended)}"
        yield _judged(
            f"{g.name}: desired capacity in service", g.in_service >= g.desired and not g.unhealthy,
            evidence, g.name, f"Auto Scaling group {g.name} lacks healthy instances",
            "Read its failed activities; resume suspended processes.", 3,
        )  # fmt: skip
        yield _judged(
            f"{g.name}: wants instances", g.desired > 0, f"desired capacity {g.desired}", g.name,
            f"Auto Scaling group {g.name} is scaled to zero", "Raise its desired capacity.", 1,
        )  # fmt: skip
        failures = g.failures
        short = g.in_service < g.desired
        evidence = (
            "none failed" if isinstance(failures, Unread) or not failures else "; ".join(failures)
        )
        good: bool | Unread = failures if isinstance(failures, Unread) else not (failures and short)
        yield _judged(
            f"{g.name}: launches succeed", good, evidence, g.name,
            f"Auto Scaling group {g.name} cannot launch instances",
            "Mend what the activity says (capacity, quota, image, template), then let it retry.", 1,
        )  # fmt: skip


def _reachability(tier: Tier) -> Iterator[Judged]:
    if isinstance(tier.target_groups, Unread):
        return
    for group in tier.target_groups:
        if group.target_type != "instance":
            reason = f"targets of type {group.target_type}: their security groups are not read"
            unread = Unread(operation="", reason=reason)
            yield (
                check(f"{group.name}: let in by security groups", unread, resource=group.arn),
                None,
            )
        elif not isinstance(group.targets, Unread) and not isinstance(tier.instances, Unread):
            yield from _let_in(tier, group)


def _let_in(tier: Tier, group: TargetGroup) -> Iterator[Judged]:
    assert not isinstance(group.targets, Unread)
    assert not isinstance(tier.instances, Unread)
    seen: set[tuple[str, str, int]] = set()
    for target in group.targets:
        instance = tier.instances.get(target.id)
        if instance is None:
            continue
        checked = group.health_check_port
        ports = {target.port, int(checked) if checked.isdigit() else target.port}
        for lb in _balancers_of(tier, instance.id, group):
            for port in sorted(ports):
                key = (",".join(instance.security_groups), lb.arn, port)
                if (
                    lb.security_groups and key not in seen
                ):  # without groups it sends from its clients' addresses
                    seen.add(key)
                    yield from _both_ways(tier, lb, instance, port)


def _both_ways(tier: Tier, lb: LoadBalancer, instance: Instance, port: int) -> Iterator[Judged]:
    """The instance's groups must let the load balancer in, the load balancer's must let it out."""
    groups = tier.security_groups
    sgs = ", ".join(instance.security_groups)
    name_in, name_out = (
        f"{sgs}: admits {lb.name} on {port}",
        f"{lb.name}: may send to {sgs} on {port}",
    )
    if isinstance(groups, Unread):
        yield check(name_in, groups), None
        return
    inward = [
        rule for sg in instance.security_groups if sg in groups for rule in groups[sg].ingress
    ]
    outward = [rule for sg in lb.security_groups if sg in groups for rule in groups[sg].egress]
    cidrs = () if isinstance(lb.subnet_cidrs, Unread) else lb.subnet_cidrs
    let_in = admits(inward, port, groups=lb.security_groups, networks=cidrs)
    address = [f"{instance.private_ip}/32"] if instance.private_ip else []
    let_out = admits(outward, port, groups=instance.security_groups, networks=address)
    balancer_sgs = ", ".join(lb.security_groups)
    if let_in is False and isinstance(lb.subnet_cidrs, Unread):
        yield check(name_in, lb.subnet_cidrs, resource=instance.id), None
    else:
        yield _judged(
            name_in, _known(let_in),
            f"{sgs} {'has' if let_in else 'has no'} rule for TCP {port} from {balancer_sgs}",
            sgs, f"Security group {sgs} does not let load balancer {lb.name} in on port {port}",
            f"Add an ingress rule to {sgs}: TCP {port} from {balancer_sgs}.", 1,
        )  # fmt: skip
    yield _judged(
        name_out, _known(let_out),
        f"{balancer_sgs} {'has' if let_out else 'has no'} egress rule for TCP {port}", balancer_sgs,
        f"Security group {balancer_sgs} of load balancer {lb.name} lets nothing out to port {port}",
        f"Add an egress rule to {balancer_sgs}: TCP {port} to {sgs}.", 1,
    )  # fmt: skip


def _known(admission: Admission) -> bool | Unread:
    if admission is None:
        return Unread(
            operation="", reason="only a prefix list could admit it; its entries are not read"
        )
    return admission


def _balancers_of(
    tier: Tier, instance_id: str, group: TargetGroup | None = None
) -> list[LoadBalancer]:
    if isinstance(tier.load_balancers, Unread) or isinstance(tier.target_groups, Unread):
        return []
    groups = [group] if group else [
        g for g in tier.target_groups
        if not isinstance(g.targets, Unread) and any(t.id == instance_id for t in g.targets)
    ]  # fmt: skip
    arns = dict.fromkeys(arn for g in groups for arn in g.load_balancers)
    return [tier.load_balancers[arn] for arn in arns if arn in tier.load_balancers]


def _symptoms(tier: Tier) -> Iterator[Judged]:
    if isinstance(tier.errors, Unread):
        yield check("Recent 5XX answers", tier.errors), None
    else:
        for name, count in tier.errors.items():
            yield _judged(
                f"No {name} in 15 minutes", count == 0, f"{count:.0f} in the last 15 minutes", name,
                f"{count:.0f} {name} in 15 minutes",
                "ELB_5XX: look at the targets' health. Target_5XX: read the application's log.", 7,
            )  # fmt: skip
    if isinstance(tier.alarms, Unread):
        yield check("Alarms firing", tier.alarms), None
    elif isinstance(tier.target_groups, Unread) or tier.target_groups:
        names = ", ".join(tier.alarms[:10])
        yield _judged(
            "No alarm is firing in the region", not tier.alarms,
            f"{len(tier.alarms)} in ALARM: {names}", "",
            f"{len(tier.alarms)} alarms are firing", "triage_alarms groups them.", 8,
        )  # fmt: skip
