"""Network load balancers: TCP, TLS and UDP, public or internal, behind security groups."""

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
    BalancerState,
    LoadBalancer,
    claim_parts,
    judge_load_balancer,
    known_parts,
    load_state,
)
from opswright_aws_devops.networking.listeners import issued_certificate
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, outstanding, short_name
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

Protocol = Literal["TCP", "TLS", "UDP", "TCP_UDP"]


@dataclass(frozen=True)
class Wanted:
    """What is asked for, besides the name."""

    subnet_ids: list[str]
    security_group_ids: list[str]
    protocol: Protocol
    port: int
    target_port: int
    target_type: str
    health_check_path: str | None
    certificate_arn: str | None
    internal: bool

    @property
    def scheme(self) -> str:
        """Elastic Load Balancing's word for who reaches it."""
        return "internal" if self.internal else "internet-facing"

    @property
    def target_protocol(self) -> str:
        """What the targets are spoken to by: TLS ends at the load balancer."""
        return "TCP" if self.protocol == "TLS" else self.protocol

    @property
    def health_check(self) -> dict[str, Any]:
        """How a target shows its health: by an HTTP answer, else by taking a TCP connection."""
        if self.health_check_path:
            return {"HealthCheckProtocol": "HTTP", "HealthCheckPath": self.health_check_path}
        return {"HealthCheckProtocol": "TCP"}

    def actions(self, name: str) -> list[Action]:
        """What is made, in order."""
        targets = f"{self.target_protocol} {self.target_port}, by {self.target_type}"
        made = [
            (TARGETS, name, targets),
            (BALANCER, name, f"network, {self.scheme}, over zones"),
            (LISTENER, f"{name}:{self.port}", self.protocol),
        ]
        return [Action(verb="create", type=t, name=n, detail=d) for t, n, d in made]

    def warnings(self) -> list[str]:
        """What it costs to have this wrong."""
        said = ["Its security groups are for good: AWS adds none to one that was made without."]
        if self.protocol != "TLS":
            said.append(f"{self.protocol}: nothing is encrypted here; that is up to the targets.")
        if self.protocol in ("UDP", "TCP_UDP") and not self.health_check_path:
            said.append(
                "Health is checked by a TCP connection to the target port: a server of UDP alone "
                "is never healthy. Give health_check_path, or have it listen on TCP too."
            )
        return said


@write_tool(toolset="network")
def create_network_load_balancer(
    name: ResourceName,
    subnet_ids: Annotated[
        list[str], Field(description="Two zones; public unless internal", min_length=2)
    ],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    protocol: Annotated[Protocol, Field(description="TLS ends here")] = "TCP",
    port: Annotated[int, Field(description="Of the listener", ge=1, le=65535)] = 443,
    target_port: Annotated[int, Field(description="Default: port", ge=1, le=65535)] | None = None,
    target_type: Annotated[
        Literal["instance", "ip"], Field(description="Register by")
    ] = "instance",
    health_check_path: Annotated[
        str, Field(description="HTTP path; default: a TCP connection", pattern="^/")
    ]
    | None = None,
    certificate_arn: Annotated[str, Field(description="ACM; for TLS")] | None = None,
    internal: Annotated[bool, Field(description="Inside the VPC")] = False,
    target: Target = HERE,
) -> Work[LoadBalancer]:
    """Create a network load balancer (NLB) for TCP, TLS or UDP, with target group and listener."""
    check_name(name)
    if (protocol == "TLS") != bool(certificate_arn):
        raise BadInputError(
            "TLS ends at the load balancer with a certificate: give protocol TLS and "
            "certificate_arn together; TCP passes encrypted traffic through to the targets."
        )
    a = aws(target)
    wanted = Wanted(
        subnet_ids=subnet_ids, security_group_ids=security_group_ids, protocol=protocol, port=port,
        target_port=target_port or port, target_type=target_type,
        health_check_path=health_check_path, certificate_arn=certificate_arn, internal=internal,
    )  # fmt: skip
    request = Request.of("create_network_load_balancer", name, wanted=vars(wanted))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_network_balancer(
            made, wanted, load_state(a, made.load_balancer_name)
        ),
        outputs=LoadBalancer,
    )


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    placement = place(a, wanted.subnet_ids, wanted.security_group_ids)
    if not wanted.internal:
        require_public(a, placement.vpc_id, wanted.subnet_ids)
    if wanted.certificate_arn:
        issued_certificate(a, wanted.certificate_arn)
    name = short_name(request.name)
    state = load_state(a, name)
    claim_parts(a, request, state)
    known = known_parts(state, name)
    zones = ", ".join(placement.azs)
    return ChangePlan(
        summary=f"Create {wanted.scheme} network load balancer {name} over {zones}",
        actions=outstanding(wanted.actions(name), known),
        warnings=wanted.warnings(),
        observed={"known": known},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget
) -> LoadBalancer:
    name = short_name(request.name)
    maker = BalancerMaker(a, rec, request, target, known_parts(load_state(a, name), name))
    group_arn = maker.target_group(
        Protocol=wanted.target_protocol,
        Port=wanted.target_port,
        VpcId=place(a, wanted.subnet_ids, wanted.security_group_ids).vpc_id,
        TargetType=wanted.target_type,
        HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
        **wanted.health_check,
    )
    balancer_arn = maker.balancer(
        "balance over zones",
        "load_balancing.cross_zone.enabled",
        Scheme=wanted.scheme,
        Type="network",
        Subnets=wanted.subnet_ids,
        SecurityGroups=wanted.security_group_ids,
    )
    encrypted: dict[str, Any] = {}
    if wanted.certificate_arn:
        certificates = [{"CertificateArn": wanted.certificate_arn}]
        encrypted = {"SslPolicy": TLS_POLICY, "Certificates": certificates}
    listener_arn = maker.listener(
        balancer_arn,
        wanted.port,
        Protocol=wanted.protocol,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group_arn}],
        **encrypted,
    )
    url = f"{wanted.protocol.lower()}://{{}}:{wanted.port}"
    return maker.outputs(balancer_arn, group_arn, listener_arn, url)


def judge_network_balancer(made: LoadBalancer, wanted: Wanted, state: BalancerState) -> list[Check]:
    """Whether it serves as any load balancer does, by its protocol, behind its groups."""
    checks = judge_load_balancer(made, state, scheme=wanted.scheme)
    if state.balancer is None:
        return checks
    served = state.listeners.get(wanted.port) or {}
    protocol, kind = served.get("Protocol"), state.balancer.get("Type")
    groups = state.balancer.get("SecurityGroups") or []
    certificates = [one["CertificateArn"] for one in served.get("Certificates") or []]
    facts = [
        ("It is a network load balancer", kind == "network", str(kind)),
        (f"It listens for {wanted.protocol}", protocol == wanted.protocol, str(protocol)),
        (
            "It has its security groups",
            {*wanted.security_group_ids} == {*groups},
            ", ".join(groups) or "none",
        ),
    ]
    if wanted.certificate_arn:
        named = wanted.certificate_arn in certificates
        facts.append(("It has its certificate", named, ", ".join(certificates)))
    return checks + [check(n, ok, said, made.load_balancer_arn) for n, ok, said in facts]
