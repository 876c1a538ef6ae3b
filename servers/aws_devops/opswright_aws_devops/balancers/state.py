"""A load balancer of a name as it is: what was read, and whether it serves as it was made to."""

from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Request, key
from opswright_core.aws import Aws, tags_of
from opswright_core.verdicts import Check, check

BALANCER, TARGETS, LISTENER = "elb:loadbalancer", "elb:targetgroup", "elb:listener"


class LoadBalancer(BaseModel):
    """A load balancer; `listener_arn` is the listener that serves, the target group's or a 404's.

    `target_group_arn` and `target_group_name` are empty with `target_type` none.
    """

    load_balancer_arn: str
    load_balancer_name: str
    dns_name: str
    url: str
    target_group_arn: str
    target_group_name: str
    listener_arn: str


class BalancerState(BaseModel):
    """What was read of a load balancer: ELB's own descriptions, None where there is none."""

    balancer: dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    listeners: dict[int, dict[str, Any]] = {}


def load_state(a: Aws, name: str) -> BalancerState:
    """Read the load balancer of a name, its target group and its listeners."""
    elb = a.client("elbv2")
    balancer = first(if_exists(lambda: elb.describe_load_balancers(Names=[name])["LoadBalancers"]))
    group = first(if_exists(lambda: elb.describe_target_groups(Names=[name])["TargetGroups"]))
    listeners = []
    if balancer:
        arn = balancer["LoadBalancerArn"]
        listeners = a.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    return BalancerState(
        balancer=balancer, group=group, listeners={item["Port"]: item for item in listeners}
    )


def known_parts(state: BalancerState, name: str) -> dict[str, str]:
    """ARNs of the parts that exist, by `key(kind, name)`."""
    known = {key(LISTENER, f"{name}:{p}"): x["ListenerArn"] for p, x in state.listeners.items()}
    if state.balancer:
        known[key(BALANCER, name)] = state.balancer["LoadBalancerArn"]
    if state.group:
        known[key(TARGETS, name)] = state.group["TargetGroupArn"]
    return known


def claim_parts(a: Aws, request: Request, state: BalancerState) -> None:
    """Raise ConflictError for a load balancer or target group that is another's."""
    for found, arn_key in ((state.balancer, "LoadBalancerArn"), (state.group, "TargetGroupArn")):
        if found:
            described = a.client("elbv2").describe_tags(ResourceArns=[found[arn_key]])
            tags = tags_of(described["TagDescriptions"][0]["Tags"])
            request.claim(found[arn_key].split(":")[-1], tags)


def judge_load_balancer(made: LoadBalancer, state: BalancerState, *, scheme: str) -> list[Check]:
    """Whether the load balancer is active over several zones and serves as it was made to."""
    arn, grouped = made.load_balancer_arn, bool(made.target_group_arn)
    if state.balancer is None or (grouped and state.group is None):
        missing = "load balancer" if state.balancer is None else "target group"
        said = f"no {missing} {made.load_balancer_name}"
        return [check("Load balancer and target group exist", False, said, arn)]
    zones = sorted(zone["ZoneName"] for zone in state.balancer["AvailabilityZones"])
    code, faces = state.balancer["State"]["Code"], state.balancer["Scheme"]
    served = next(
        (x for x in state.listeners.values() if x["ListenerArn"] == made.listener_arn), None
    )
    does = served["DefaultActions"] if served else []
    facts = [
        ("Load balancer is active", code == "active", code),
        (f"It is {scheme}", faces == scheme, faces),
        ("It is in two zones or more", len(zones) > 1, ", ".join(zones)),
    ]
    if state.group and grouped:
        goes_to = [action.get("TargetGroupArn") for action in does]
        same = (state.balancer["LoadBalancerArn"], state.group["TargetGroupArn"])
        health = state.group.get("HealthCheckPath") or state.group.get("HealthCheckProtocol")
        facts += [
            (
                "Load balancer and target group exist",
                same == (arn, made.target_group_arn),
                ", ".join(same),
            ),
            ("It forwards to the target group", made.target_group_arn in goes_to, str(goes_to)),
            (
                "The target group checks its targets' health",
                bool(state.group.get("HealthCheckEnabled")),
                str(health),
            ),
        ]
    else:
        kinds = [action["Type"] for action in does]
        facts.append(
            ("It answers what no rule leads elsewhere", kinds == ["fixed-response"], str(kinds))
        )
    return [check(name, ok, evidence, arn) for name, ok, evidence in facts]
