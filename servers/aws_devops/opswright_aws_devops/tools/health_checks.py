"""Route 53 health checks: what a failover or weighted record asks before it answers a name."""

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.dns.values import check_name
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import Maker, Request, ResourceName, key, outstanding
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

HEALTH_CHECK = "route53:healthcheck"
INTERVAL_SECONDS, FAILURES = 30, 3
"""A failure is known after some 90 seconds; asking every 10 seconds costs more."""

Protocol = Literal["HTTPS", "HTTP", "TCP"]
PORTS: dict[Protocol, int] = {"HTTPS": 443, "HTTP": 80}


class HealthCheck(BaseModel):
    """A health check; `health_check_id` goes into a record's routing."""

    health_check_id: str
    asks: str


@write_tool(toolset="edge")
def create_health_check(
    name: ResourceName,
    endpoint: Annotated[str, Field(description="Public name or address to ask", max_length=255)],
    protocol: Annotated[Protocol, Field(description="TCP: a connection is enough")] = "HTTPS",
    port: Annotated[
        int | None, Field(description="Default: of the protocol", ge=1, le=65535)
    ] = None,
    path: Annotated[str, Field(description="Answers 2xx or 3xx", pattern="^/", max_length=255)] = (
        "/healthz"
    ),
    target: Target = HERE,
) -> Work[HealthCheck]:
    """Create a Route 53 health check for failover and weighted records."""
    a = aws(target)
    config = configuration(endpoint, protocol, port, path)
    request = Request.of("create_health_check", name, config=config)
    asks = said(config)
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, asks),
        apply=lambda rec: _apply(a, rec, request, config, target),
        verify=lambda made: judge_health_check(made, _load(a, made.health_check_id), config),
        outputs=HealthCheck,
    )


def configuration(endpoint: str, protocol: Protocol, port: int | None, path: str) -> dict[str, Any]:
    """Route 53's `HealthCheckConfig`.

    Raises BadInputError for an address that Route 53's checkers cannot reach, and for TCP without
    a port.
    """
    if port is None and protocol not in PORTS:
        raise BadInputError("A TCP health check needs a port.")
    try:
        address = ipaddress.ip_address(endpoint)
    except ValueError:
        check_name(endpoint)
        where = {"FullyQualifiedDomainName": endpoint}
    else:
        if not address.is_global:
            raise BadInputError(
                f"endpoint {endpoint} is no public address: Route 53 asks from the internet. For "
                "what is private, give an alarm's state to Route 53 (change_aws)."
            )
        where = {"IPAddress": endpoint}
    return {
        "Type": protocol,
        "Port": port or PORTS[protocol],
        "RequestInterval": INTERVAL_SECONDS,
        "FailureThreshold": FAILURES,
        **where,
        **({} if protocol == "TCP" else {"ResourcePath": path}),
        **({"EnableSNI": True} if protocol == "HTTPS" else {}),
    }


def said(config: dict[str, Any]) -> str:
    """What a health check asks, in words."""
    where = config.get("FullyQualifiedDomainName") or config["IPAddress"]
    path = config.get("ResourcePath", "")
    return f"{config['Type'].lower()}://{where}:{config['Port']}{path}"


def _reference(request: Request) -> str:
    """How a request's health checks begin to be called: they have no tags when they are made."""
    return f"opswright-{request.id}-"


def _known(a: Aws, request: Request) -> dict[str, str]:
    """The health check that the request made before, by key."""
    found = a.pages("route53", "list_health_checks", "HealthChecks")
    own = [one["Id"] for one in found if one["CallerReference"].startswith(_reference(request))]
    return {key(HEALTH_CHECK, request.name): own[0]} if own else {}


def _load(a: Aws, health_check_id: str) -> dict[str, Any] | None:
    route53, which = a.client("route53"), {"HealthCheckId": health_check_id}
    found = if_exists(lambda: route53.get_health_check(**which)["HealthCheck"])
    return found["HealthCheckConfig"] if found else None


def _plan(a: Aws, request: Request, asks: str) -> ChangePlan:
    known = _known(a, request)
    every = f"asks {asks} every {INTERVAL_SECONDS} s, unhealthy after {FAILURES} failures"
    wanted = [Action(verb="create", type=HEALTH_CHECK, name=request.name, detail=every)]
    return ChangePlan(
        summary=f"Create health check {request.name}: {asks}",
        actions=outstanding(wanted, known),
        warnings=[
            "The endpoint has to let Route 53's checkers in, which ask from many regions.",
            "Undo it after the records that name it: what they answer without it is not told.",
        ],
        observed={"known": known},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, config: dict[str, Any], target: AwsTarget
) -> HealthCheck:
    route53, name = a.client("route53"), request.name

    def create() -> str:
        # A reference is never free again, so it is the change's and not the request's alone.
        made = route53.create_health_check(
            CallerReference=_reference(request) + rec.change_id, HealthCheckConfig=config
        )
        return str(made["HealthCheck"]["Id"])

    def undo(made: str) -> list[UndoStep]:
        which = {"HealthCheckId": made}
        return [
            aws_undo(
                f"delete health check {name} ({made})", "route53", "delete_health_check", which,
                target=target, region=a.region, gone=("get_health_check", which, "HealthCheck"),
            )
        ]  # fmt: skip

    made = Maker(rec, _known(a, request)).make(HEALTH_CHECK, name, create, undo)
    rec.step(
        f"tags of health check {name}",
        lambda: send(
            route53.change_tags_for_resource,
            ResourceType="healthcheck",
            ResourceId=made,
            AddTags=request.tag_list(name),
        ),
    )
    if a.is_emulator:
        rec.gap("The emulator asks nothing: whether the endpoint is healthy is not known.")
    return HealthCheck(health_check_id=made, asks=said(config))


def judge_health_check(
    made: HealthCheck, found: dict[str, Any] | None, config: dict[str, Any]
) -> list[Check]:
    """Whether the health check asks what it was made to; not whether it is answered."""
    if found is None:
        why = "Route 53 knows none of that id"
        return [check("Health check exists", False, why, made.health_check_id)]
    differing = [word for word, value in config.items() if found.get(word) != value]
    on = not found.get("Disabled", False) and not found.get("Inverted", False)
    facts = [
        ("It asks as asked for", not differing, ", ".join(differing) or said(found)),
        ("It is on", on, ""),
    ]
    return [check(name, ok, evidence, made.health_check_id) for name, ok, evidence in facts]
