"""Load balancers: an application load balancer, public or internal, and its listeners."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_aws_devops.balancers.parts import (
    TLS_POLICY,
    BalancerMaker,
    check_name,
    require_public,
)
from opswright_aws_devops.balancers.state import (
    BALANCER,
    LISTENER,
    TARGETS,
    LoadBalancer,
    claim_parts,
    judge_load_balancer,
    known_parts,
    load_state,
)
from opswright_aws_devops.networking.listeners import issued_certificate
from opswright_aws_devops.networking.placement import VpcId, place
from opswright_aws_devops.ownership import Request, ResourceName, outstanding, short_name
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool

TargetType = Literal["instance", "ip", "none"]


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
    check_name(name)
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


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    placement = place(a, wanted.subnet_ids, wanted.security_group_ids)
    if placement.vpc_id != wanted.vpc_id:
        raise BadInputError(
            f"The subnets are in {placement.vpc_id}, not in {wanted.vpc_id}; give its own."
        )
    if not wanted.internal:
        require_public(a, wanted.vpc_id, wanted.subnet_ids)
    if wanted.certificate_arn:
        issued_certificate(a, wanted.certificate_arn)
    name = short_name(request.name)
    state = load_state(a, name)
    claim_parts(a, request, state)
    known = known_parts(state, name)
    visitors = "clients" if wanted.internal else "visitors"
    plain = f"No certificate: {visitors} are served over plain HTTP."
    return ChangePlan(
        summary=f"Create {wanted.scheme} load balancer {name} over {', '.join(placement.azs)}",
        actions=outstanding(wanted.actions(name), known),
        warnings=[] if wanted.certificate_arn else [plain],
        observed={"known": known},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget
) -> LoadBalancer:
    name = short_name(request.name)
    maker = BalancerMaker(a, rec, request, target, known_parts(load_state(a, name), name))
    group_arn = ""
    if wanted.has_group:
        group_arn = maker.target_group(
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
        )
    balancer_arn = maker.balancer(
        "drop invalid headers",
        "routing.http.drop_invalid_header_fields.enabled",
        Scheme=wanted.scheme,
        Type="application",
        Subnets=wanted.subnet_ids,
        SecurityGroups=wanted.security_group_ids,
    )
    serves = [_serves(group_arn)]
    if wanted.certificate_arn:
        listener_arn = maker.listener(
            balancer_arn,
            443,
            Protocol="HTTPS",
            SslPolicy=TLS_POLICY,
            Certificates=[{"CertificateArn": wanted.certificate_arn}],
            DefaultActions=serves,
        )
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        to_https = [{"Type": "redirect", "RedirectConfig": redirect}]
        maker.listener(balancer_arn, 80, Protocol="HTTP", DefaultActions=to_https)
    else:
        listener_arn = maker.listener(balancer_arn, 80, Protocol="HTTP", DefaultActions=serves)
    scheme = "https" if wanted.certificate_arn else "http"
    return maker.outputs(balancer_arn, group_arn, listener_arn, f"{scheme}://{{}}")


def _serves(group_arn: str) -> dict[str, Any]:
    """What the listener does with requests that no rule leads elsewhere."""
    if group_arn:
        return {"Type": "forward", "TargetGroupArn": group_arn}
    answer = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "Not found"}
    return {"Type": "fixed-response", "FixedResponseConfig": answer}
