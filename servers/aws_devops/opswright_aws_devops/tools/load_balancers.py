"""Load balancers: an application load balancer, public or internal, and its listeners."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.networking.listeners import issued_certificate
from opswright_aws_devops.networking.placement import VpcId, place
from opswright_aws_devops.networking.routing import is_public
from opswright_aws_devops.ownership import (
    Maker,
    Request,
    ResourceName,
    key,
    outstanding,
    short_name,
)
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

TargetType = Literal["instance", "ip", "none"]


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


@dataclass(frozen=True)
class Wanted:
    """What is asked for, besides the name."""

    vpc_id: str
    subnet_ids: list[str]
    security_group_ids: list[str]
    port: int
    health_check_path: str
    certificate_arn: str | None
    internal: bool
    target_type: TargetType

    @property
    def scheme(self) -> str:
        """Elastic Load Balancing's word for who reaches it."""
        return "internal" if self.internal else "internet-facing"

    @property
    def has_group(self) -> bool:
        """Whether it gets a target group."""
        return self.target_type != "none"

    def actions(self, name: str) -> list[Action]:
        """What is made, in order."""
        targets = f"HTTP {self.port}, by {self.target_type}"
        serves = "" if self.has_group else "answers 404 until a rule leads elsewhere"
        ports = [443, 80] if self.certificate_arn else [80]
        made = [
            *([(TARGETS, name, targets)] if self.has_group else []),
            (BALANCER, name, self.scheme),
            *((LISTENER, f"{name}:{port}", serves if port == ports[0] else "") for port in ports),
        ]
        return [Action(verb="create", type=t, name=n, detail=d) for t, n, d in made]


@write_tool()
def create_load_balancer(
    name: ResourceName,
    vpc_id: VpcId,
    subnet_ids: Annotated[
        list[str], Field(description="Two zones; public unless internal", min_length=2)
    ],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    target_port: Annotated[int, Field(description="Of the servers", ge=1, le=65535)] = 8080,
    health_check_path: Annotated[str, Field(description="Answers 200", pattern="^/")] = "/healthz",
    certificate_arn: Annotated[str, Field(description="ACM; gives HTTPS")] | None = None,
    internal: Annotated[bool, Field(description="Inside the VPC")] = False,
    target_type: Annotated[
        TargetType, Field(description="none: listener answers 404")
    ] = "instance",
    target: Target = HERE,
) -> Work[LoadBalancer]:
    """Create an application load balancer with target group and listener."""
    if name.startswith("internal-"):
        raise BadInputError(f"name {name!r}: AWS refuses names that begin with internal-.")
    a = aws(target)
    wanted = Wanted(
        vpc_id, subnet_ids, security_group_ids, target_port, health_check_path, certificate_arn,
        internal, target_type,
    )  # fmt: skip
    request = Request.of(
        "create_load_balancer",
        name,
        vpc_id=vpc_id,
        subnets=subnet_ids,
        groups=security_group_ids,
        port=target_port,
        path=health_check_path,
        certificate=certificate_arn,
        kind=[internal, target_type],
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_load_balancer(
            made, load_state(a, made.load_balancer_name), scheme=wanted.scheme
        ),
        outputs=LoadBalancer,
    )


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


def _known(state: BalancerState, name: str) -> dict[str, str]:
    known = {key(LISTENER, f"{name}:{p}"): x["ListenerArn"] for p, x in state.listeners.items()}
    if state.balancer:
        known[key(BALANCER, name)] = state.balancer["LoadBalancerArn"]
    if state.group:
        known[key(TARGETS, name)] = state.group["TargetGroupArn"]
    return known


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    placement = place(a, wanted.subnet_ids, wanted.security_group_ids)
    if placement.vpc_id != wanted.vpc_id:
        raise BadInputError(
            f"The subnets are in {placement.vpc_id}, not in {wanted.vpc_id}; give its own."
        )
    if not wanted.internal:
        _require_public(a, wanted)
    if wanted.certificate_arn:
        issued_certificate(a, wanted.certificate_arn)
    name = short_name(request.name)
    state = load_state(a, name)
    for found, arn_key in ((state.balancer, "LoadBalancerArn"), (state.group, "TargetGroupArn")):
        if found:
            described = a.client("elbv2").describe_tags(ResourceArns=[found[arn_key]])
            tags = tags_of(described["TagDescriptions"][0]["Tags"])
            request.claim(found[arn_key].split(":")[-1], tags)
    known = _known(state, name)
    visitors = "clients" if wanted.internal else "visitors"
    plain = f"No certificate: {visitors} are served over plain HTTP."
    return ChangePlan(
        summary=f"Create {wanted.scheme} load balancer {name} over {', '.join(placement.azs)}",
        actions=outstanding(wanted.actions(name), known),
        warnings=[] if wanted.certificate_arn else [plain],
        observed={"known": known},
    )


def _require_public(a: Aws, wanted: Wanted) -> None:
    here = [{"Name": "vpc-id", "Values": [wanted.vpc_id]}]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    if private := [s for s in wanted.subnet_ids if not is_public(s, tables)]:
        raise BadInputError(
            f"{', '.join(private)} has no route to an internet gateway, so an internet-facing load "
            "balancer there could not be reached; give public subnets (create_network makes them), "
            "or make it internal."
        )


def _apply(
    a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget
) -> LoadBalancer:
    elb, name = a.client("elbv2"), short_name(request.name)
    tags = request.tag_list(request.name)
    maker = Maker(rec, _known(load_state(a, name), name))

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

    def target_group() -> str:
        return maker.make(
            TARGETS,
            name,
            lambda: elb.create_target_group(
                Name=name,
                Protocol="HTTP",
                Port=wanted.port,
                VpcId=wanted.vpc_id,
                TargetType=wanted.target_type,
                HealthCheckProtocol="HTTP",
                HealthCheckPath=wanted.health_check_path,
                HealthCheckIntervalSeconds=10,
                HealthCheckTimeoutSeconds=5,
                HealthyThresholdCount=2,
                UnhealthyThresholdCount=3,
                Tags=tags,
            )["TargetGroups"][0]["TargetGroupArn"],
            lambda arn: undo(
                "delete_target_group",
                "TargetGroupArn",
                arn,
                "describe_target_groups",
                "TargetGroups",
            ),
        )

    group_arn = target_group() if wanted.has_group else ""
    balancer_arn = maker.make(
        BALANCER,
        name,
        lambda: elb.create_load_balancer(
            Name=name,
            Scheme=wanted.scheme,
            Type="application",
            Subnets=wanted.subnet_ids,
            SecurityGroups=wanted.security_group_ids,
            Tags=tags,
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

    serves = [_serves(group_arn)]
    if wanted.certificate_arn:
        listener_arn = listener(
            443,
            Protocol="HTTPS",
            SslPolicy=TLS_POLICY,
            Certificates=[{"CertificateArn": wanted.certificate_arn}],
            DefaultActions=serves,
        )
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        to_https = [{"Type": "redirect", "RedirectConfig": redirect}]
        listener(80, Protocol="HTTP", DefaultActions=to_https)
    else:
        listener_arn = listener(80, Protocol="HTTP", DefaultActions=serves)
    if a.is_emulator:
        rec.gap("The emulator's load balancer forwards no traffic: its URL answers nothing.")
    (made,) = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"]
    return LoadBalancer(
        load_balancer_arn=balancer_arn,
        load_balancer_name=name,
        dns_name=made["DNSName"],
        url=f"{'https' if wanted.certificate_arn else 'http'}://{made['DNSName']}",
        target_group_arn=group_arn,
        target_group_name=name if wanted.has_group else "",
        listener_arn=listener_arn,
    )


def _serves(group_arn: str) -> dict[str, Any]:
    """What the listener does with requests that no rule leads elsewhere."""
    if group_arn:
        return {"Type": "forward", "TargetGroupArn": group_arn}
    answer = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "Not found"}
    return {"Type": "fixed-response", "FixedResponseConfig": answer}


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
                str(state.group.get("HealthCheckPath")),
            ),
        ]
    else:
        kinds = [action["Type"] for action in does]
        facts.append(
            ("It answers what no rule leads elsewhere", kinds == ["fixed-response"], str(kinds))
        )
    return [check(name, ok, evidence, arn) for name, ok, evidence in facts]
