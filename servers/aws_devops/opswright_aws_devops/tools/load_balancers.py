"""Load balancers: an internet-facing application load balancer, its target group and listeners."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import first, if_exists, must_exist
from opswright_aws_devops.ownership import (
    Maker,
    Request,
    ResourceName,
    key,
    outstanding,
    short_name,
)
from opswright_aws_devops.placement import VpcId, place
from opswright_aws_devops.routing import is_public
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

BALANCER, TARGETS, LISTENER = "elb:loadbalancer", "elb:targetgroup", "elb:listener"
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""AWS's recommended policy: TLS 1.2 and 1.3 (Elastic Load Balancing user guide)."""
READY_SECONDS = 900.0


class LoadBalancer(BaseModel):
    """A load balancer; `listener_arn` is the listener that forwards to the target group."""

    load_balancer_arn: str
    load_balancer_name: str
    dns_name: str
    url: str
    target_group_arn: str
    target_group_name: str
    listener_arn: str


@write_tool()
def create_load_balancer(
    name: ResourceName,
    vpc_id: VpcId,
    subnet_ids: Annotated[list[str], Field(description="Public, in two zones", min_length=2)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    target_port: Annotated[int, Field(description="Of the servers", ge=1, le=65535)] = 8080,
    health_check_path: Annotated[str, Field(description="Answers 200", pattern="^/")] = "/healthz",
    certificate_arn: Annotated[str, Field(description="ACM; gives HTTPS")] | None = None,
    target: Target = HERE,
) -> Work[LoadBalancer]:
    """Create an internet-facing application load balancer with target group and listener."""
    if name.startswith("internal-"):
        raise BadInputError(f"name {name!r}: AWS refuses names that begin with internal-.")
    a = aws(target)
    request = Request.of(
        "create_load_balancer",
        name,
        vpc_id=vpc_id,
        subnets=subnet_ids,
        groups=security_group_ids,
        port=target_port,
        path=health_check_path,
        certificate=certificate_arn,
    )
    balancer_name = short_name(name)
    ports = ["443", "80"] if certificate_arn else ["80"]
    wanted = [
        Action(verb="create", type=TARGETS, name=balancer_name, detail=f"HTTP {target_port}"),
        Action(verb="create", type=BALANCER, name=balancer_name, detail="internet-facing"),
        *(Action(verb="create", type=LISTENER, name=f"{balancer_name}:{port}") for port in ports),
    ]
    group = {
        "Port": target_port,
        "HealthCheckPath": health_check_path,
        "VpcId": vpc_id,
    }
    balancer = {"Subnets": subnet_ids, "SecurityGroups": security_group_ids}
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted, vpc_id, balancer, certificate_arn),
        apply=lambda rec: _apply(a, rec, request, group, balancer, certificate_arn, target),
        verify=lambda made: judge_load_balancer(made, _load(a, made.load_balancer_name)),
        outputs=LoadBalancer,
    )


class BalancerState(BaseModel):
    """What was read of a load balancer: ELB's own descriptions, None where there is none."""

    balancer: dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    listeners: dict[int, dict[str, Any]] = {}


def _load(a: Aws, name: str) -> BalancerState:
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


def _known(state: BalancerState, name: str) -> dict[str, str]:
    known = {key(LISTENER, f"{name}:{p}"): x["ListenerArn"] for p, x in state.listeners.items()}
    if state.balancer:
        known[key(BALANCER, name)] = state.balancer["LoadBalancerArn"]
    if state.group:
        known[key(TARGETS, name)] = state.group["TargetGroupArn"]
    return known


def _plan(
    a: Aws,
    request: Request,
    wanted: list[Action],
    vpc_id: str,
    balancer: dict[str, list[str]],
    certificate_arn: str | None,
) -> ChangePlan:
    subnet_ids = balancer["Subnets"]
    placement = place(a, subnet_ids, balancer["SecurityGroups"])
    if placement.vpc_id != vpc_id:
        raise BadInputError(
            f"The subnets are in {placement.vpc_id}, not in {vpc_id}; give its own."
        )
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    if private := [s for s in subnet_ids if not is_public(s, tables)]:
        raise BadInputError(
            f"{', '.join(private)} has no route to an internet gateway, so an internet-facing load "
            "balancer there could not be reached; give public subnets (create_network makes them)."
        )
    if certificate_arn:
        _require_issued(a, certificate_arn)
    name = wanted[0].name
    state = _load(a, name)
    for found, arn_key in ((state.balancer, "LoadBalancerArn"), (state.group, "TargetGroupArn")):
        if found:
            described = a.client("elbv2").describe_tags(ResourceArns=[found[arn_key]])
            tags = tags_of(described["TagDescriptions"][0]["Tags"])
            request.claim(found[arn_key].split(":")[-1], tags)
    known = _known(state, name)
    warnings = [] if certificate_arn else ["No certificate: visitors are served over plain HTTP."]
    return ChangePlan(
        summary=f"Create load balancer {name} over {', '.join(placement.azs)}",
        actions=outstanding(wanted, known),
        warnings=warnings,
        observed={"known": known},
    )


def _require_issued(a: Aws, certificate_arn: str) -> None:
    acm = a.client("acm")
    certificate = must_exist(
        f"Certificate {certificate_arn}",
        lambda: acm.describe_certificate(CertificateArn=certificate_arn)["Certificate"],
    )
    if certificate["Status"] != "ISSUED":
        raise BadInputError(
            f"Certificate {certificate_arn} is {certificate['Status']}; validate its domain first, "
            "or leave certificate_arn out."
        )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    group: dict[str, Any],
    balancer: dict[str, Any],
    certificate_arn: str | None,
    target: AwsTarget,
) -> LoadBalancer:
    elb, name = a.client("elbv2"), short_name(request.name)
    tags = request.tag_list(request.name)
    maker = Maker(rec, _known(_load(a, name), name))

    def undo(delete: str, parameter: str, arn: str, describe: str, items: str) -> list[UndoStep]:
        return [
            aws_undo(
                f"{delete.replace('_', ' ')} {arn.split(':', 5)[-1]}",
                "elbv2",
                delete,
                {parameter: arn},
                target=target,
                region=a.region,
                gone=(describe, {f"{parameter}s": [arn]}, f"{items}[]"),
                wait_gone=parameter == "LoadBalancerArn",
            )
        ]

    group_arn = maker.make(
        TARGETS,
        name,
        lambda: elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            TargetType="instance",
            HealthCheckProtocol="HTTP",
            HealthCheckIntervalSeconds=10,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=3,
            Tags=tags,
            **group,
        )["TargetGroups"][0]["TargetGroupArn"],
        lambda arn: undo(
            "delete_target_group", "TargetGroupArn", arn, "describe_target_groups", "TargetGroups"
        ),
    )
    balancer_arn = maker.make(
        BALANCER,
        name,
        lambda: elb.create_load_balancer(
            Name=name, Scheme="internet-facing", Type="application", Tags=tags, **balancer
        )["LoadBalancers"][0]["LoadBalancerArn"],
        lambda arn: undo(
            "delete_load_balancer",
            "LoadBalancerArn",
            arn,
            "describe_load_balancers",
            "LoadBalancers",
        ),
    )
    rec.step("drop invalid headers", lambda: _drop_invalid_headers(elb, balancer_arn))
    rec.wait(
        f"load balancer {name} active",
        lambda: _is_active(elb, balancer_arn),
        timeout_seconds=READY_SECONDS,
    )

    def listener(port: int, **parameters: Any) -> str:
        return maker.make(
            LISTENER,
            f"{name}:{port}",
            lambda: elb.create_listener(
                LoadBalancerArn=balancer_arn, Port=port, Tags=tags, **parameters
            )["Listeners"][0]["ListenerArn"],
            lambda arn: undo(
                "delete_listener", "ListenerArn", arn, "describe_listeners", "Listeners"
            ),
        )

    forward = [{"Type": "forward", "TargetGroupArn": group_arn}]
    if certificate_arn:
        certificates = [{"CertificateArn": certificate_arn}]
        listener_arn = listener(
            443,
            Protocol="HTTPS",
            SslPolicy=TLS_POLICY,
            Certificates=certificates,
            DefaultActions=forward,
        )
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        to_https = [{"Type": "redirect", "RedirectConfig": redirect}]
        listener(80, Protocol="HTTP", DefaultActions=to_https)
    else:
        listener_arn = listener(80, Protocol="HTTP", DefaultActions=forward)
    if a.is_emulator:
        rec.gap("The emulator's load balancer forwards no traffic: its URL answers nothing.")
    (made,) = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"]
    return LoadBalancer(
        load_balancer_arn=balancer_arn,
        load_balancer_name=name,
        dns_name=made["DNSName"],
        url=f"{'https' if certificate_arn else 'http'}://{made['DNSName']}",
        target_group_arn=group_arn,
        target_group_name=name,
        listener_arn=listener_arn,
    )


def _drop_invalid_headers(elb: Any, balancer_arn: str) -> dict[str, str]:
    attribute = "routing.http.drop_invalid_header_fields.enabled"
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer_arn, Attributes=[{"Key": attribute, "Value": "true"}]
    )
    return {attribute: "true"}


def _is_active(elb: Any, balancer_arn: str) -> bool:
    (found,) = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"]
    if found["State"]["Code"] == "failed":
        raise OpswrightError(
            f"The load balancer failed: {found['State'].get('Reason', 'no reason given')}. "
            "undo_change removes what was made."
        )
    return bool(found["State"]["Code"] == "active")


def judge_load_balancer(made: LoadBalancer, state: BalancerState) -> list[Check]:
    """Whether the load balancer is active over several zones and forwards to its target group."""
    if state.balancer is None or state.group is None:
        missing = "load balancer" if state.balancer is None else "target group"
        name, arn = made.load_balancer_name, made.load_balancer_arn
        return [check("Load balancer and target group exist", False, f"no {missing} {name}", arn)]
    zones = sorted(zone["ZoneName"] for zone in state.balancer["AvailabilityZones"])
    code, scheme = state.balancer["State"]["Code"], state.balancer["Scheme"]
    served = next(
        (x for x in state.listeners.values() if x["ListenerArn"] == made.listener_arn), None
    )
    goes_to = (
        [action.get("TargetGroupArn") for action in served["DefaultActions"]] if served else []
    )
    arn = made.load_balancer_arn
    facts = [
        (
            "Load balancer and target group exist",
            state.balancer["LoadBalancerArn"] == arn
            and state.group["TargetGroupArn"] == made.target_group_arn,
            "",
        ),
        ("Load balancer is active", code == "active", code),
        ("It faces the internet", scheme == "internet-facing", scheme),
        ("It is in two zones or more", len(zones) > 1, ", ".join(zones)),
        ("It forwards to the target group", made.target_group_arn in goes_to, str(goes_to)),
        (
            "The target group checks its targets' health",
            bool(state.group.get("HealthCheckEnabled")),
            str(state.group.get("HealthCheckPath")),
        ),
    ]
    return [check(name, ok, evidence, arn) for name, ok, evidence in facts]
