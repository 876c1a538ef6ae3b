"""HTTP APIs: API Gateway in front of a function, asking for IAM signatures or tokens."""

import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.functions.apis import (
    BurstLimit,
    FunctionName,
    RateLimit,
    claimed,
    find_function,
    invoker,
)
from opswright_aws_devops.functions.invocation import let_invoke, may_invoke
from opswright_aws_devops.log_groups import (
    LOG_GROUP,
    find_log_group,
    load_log_group,
    logs_are_lost,
    make_log_group,
)
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Maker, Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check

API = "apigateway:http-api"
STAGE = "$default"
LOG_DAYS = 30
_LOGGED = ("requestId", "ip", "requestTime", "routeKey", "status", "responseLength")
"""Of each request, besides its error; no header and no query, which may hold secrets."""

Route = Annotated[
    str, Field(pattern=r"^(ANY|GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /\S*$|^\$default$")
]


class HttpApi(BaseModel):
    """An API; every request to `url` has to be signed, or to bring a token."""

    api_id: str
    url: str
    log_group: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for."""

    name: str
    function_name: str
    routes: list[str]
    jwt_issuer: str | None
    jwt_audience: list[str]
    rate_limit: int
    burst_limit: int

    @property
    def authorization(self) -> Literal["JWT", "AWS_IAM"]:
        """API Gateway's name for how a request shows who sends it."""
        return "JWT" if self.jwt_issuer else "AWS_IAM"

    @property
    def log_group(self) -> str:
        """Where requests are logged."""
        return f"/aws/apigateway/{self.name}"


@write_tool(toolset="apis")
def create_api(
    name: ResourceName,
    function_name: FunctionName,
    routes: Annotated[
        list[Route], Field(description="Like GET /orders; $default: all", min_length=1)
    ] = ["$default"],  # noqa: B006 (never changed)
    jwt_issuer: Annotated[
        str, Field(description="For tokens instead of IAM signatures", pattern="^https://")
    ]
    | None = None,
    jwt_audience: Annotated[list[str], Field(description="Of the tokens")] = [],  # noqa: B006
    rate_limit: RateLimit = 100,
    burst_limit: BurstLimit = 200,
    target: Target = HERE,
) -> Work[HttpApi]:
    """Create an HTTP API in front of a function; callers sign with IAM or bring a JWT."""
    if bool(jwt_issuer) != bool(jwt_audience):
        raise BadInputError("For tokens give jwt_issuer and jwt_audience; else neither.")
    a = aws(target)
    wanted = Wanted(
        name=name, function_name=function_name, routes=sorted(set(routes)), jwt_issuer=jwt_issuer,
        jwt_audience=jwt_audience, rate_limit=rate_limit, burst_limit=burst_limit,
    )  # fmt: skip
    request = Request.of("create_api", name, wanted=vars(wanted))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_api(made, wanted, _load(a, made, wanted)),
        outputs=HttpApi,
    )


def _known(a: Aws, request: Request, wanted: Wanted) -> dict[str, str]:
    known = {}
    if find_log_group(a, request, wanted.log_group):
        known[key(LOG_GROUP, wanted.log_group)] = wanted.log_group
    if api := claimed(request, a.pages("apigatewayv2", "get_apis", "Items"), "HTTP API"):
        known[key(API, wanted.name)] = api["ApiId"]
    return known


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    find_function(a, wanted.function_name)
    known = _known(a, request, wanted)
    asked = f"tokens of {wanted.jwt_issuer}" if wanted.jwt_issuer else "IAM signatures"
    routes = ", ".join(wanted.routes[:5]) + (" …" if len(wanted.routes) > 5 else "")
    limits = f"{wanted.rate_limit} requests a second, bursts of {wanted.burst_limit}"
    actions = [
        Action(
            verb="create", type=LOG_GROUP, name=wanted.log_group, detail=f"kept {LOG_DAYS} days"
        ),
        Action(verb="create", type=API, name=wanted.name, detail=f"{routes}; {asked}; {limits}"),
    ]
    return ChangePlan(
        summary=f"Create HTTP API {wanted.name} before function {wanted.function_name}, asking for "
        f"{asked}",
        actions=outstanding(actions, known),
        warnings=[
            "It can be reached from the internet; create_private_api makes one that cannot.",
            logs_are_lost(wanted.log_group),
        ],
        observed={"known": known},
    )


def _apply(a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget) -> HttpApi:
    client, name = a.client("apigatewayv2"), wanted.name
    function_arn = find_function(a, wanted.function_name)
    known = _known(a, request, wanted)
    log_arn = make_log_group(a, rec, request, wanted.log_group, LOG_DAYS, target)

    def create() -> str:
        made = client.create_api(Name=name, ProtocolType="HTTP", Tags=request.tags(name))
        api_id: str = made["ApiId"]
        return api_id

    api_id = Maker(rec, known).make(
        API,
        name,
        create,
        lambda api_id: [
            aws_undo(
                f"delete HTTP API {name}", "apigatewayv2", "delete_api", {"ApiId": api_id},
                target=target, region=a.region, gone=("get_api", {"ApiId": api_id}, "ApiId"),
            )
        ],
    )  # fmt: skip
    part = functools.partial(_part, a, rec, api_id)  # all of these go with the API
    route: dict[str, Any] = {"AuthorizationType": wanted.authorization}
    if wanted.jwt_issuer:
        route["AuthorizerId"] = part(
            "authorizer", "AuthorizerId", {"Name": "jwt"},
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": wanted.jwt_issuer, "Audience": wanted.jwt_audience},
        )  # fmt: skip
    integration_id = part(
        "integration", "IntegrationId", {"IntegrationUri": function_arn},
        IntegrationType="AWS_PROXY",
        IntegrationMethod="POST",
        PayloadFormatVersion="2.0",
    )  # fmt: skip
    for route_key in wanted.routes:
        target_of = {"Target": f"integrations/{integration_id}"}
        part("route", "RouteId", {"RouteKey": route_key}, **route, **target_of)
    logged = {field: f"$context.{field}" for field in _LOGGED}
    part(
        "stage", "StageName", {"StageName": STAGE},
        AutoDeploy=True,
        DefaultRouteSettings={
            "ThrottlingRateLimit": wanted.rate_limit,
            "ThrottlingBurstLimit": wanted.burst_limit,
            "DetailedMetricsEnabled": True,
        },
        AccessLogSettings={
            "DestinationArn": log_arn,
            "Format": json.dumps({**logged, "error": "$context.error.messageString"}),
        },
        Tags=request.tags(name),
    )  # fmt: skip
    let_invoke(a, rec, wanted.function_name, invoker(a, name, api_id), target)
    if a.is_emulator:
        rec.gap("The emulator serves no requests: nothing answers at the API's address.")
    url = client.get_api(ApiId=api_id)["ApiEndpoint"]
    return HttpApi(api_id=api_id, url=url, log_group=wanted.log_group)


def _part(
    a: Aws,
    rec: Recorder,
    api_id: str,
    kind: str,
    id_key: str,
    named: dict[str, str],
    **parameters: Any,
) -> str:
    """Make a part of an API, or take up the one whose answer was lost; returns its id.

    `named` is the parameter by which it is found again.
    """
    client = a.client("apigatewayv2")
    ((parameter, value),) = named.items()

    def find() -> dict[str, str] | None:
        items = a.pages("apigatewayv2", f"get_{kind}s", "Items", ApiId=api_id)
        found = first([item for item in items if item.get(parameter) == value])
        return {"id": found[id_key]} if found else None

    def make() -> dict[str, str]:
        made = getattr(client, f"create_{kind}")(ApiId=api_id, **named, **parameters)
        return {"id": made[id_key]}

    made: dict[str, str] = rec.step(f"{kind} {value}", make, find=find)
    return made["id"]


class ApiState(BaseModel):
    """What was read of an API; `routes` are its authorization types by key."""

    routes: dict[str, str] | None
    stage: dict[str, Any] = {}
    may_invoke: bool = False
    log_days: int | None = None


def _load(a: Aws, made: HttpApi, wanted: Wanted) -> ApiState:
    client, which = a.client("apigatewayv2"), {"ApiId": made.api_id}
    if if_exists(lambda: client.get_api(**which)) is None:
        return ApiState(routes=None)
    routes = a.pages("apigatewayv2", "get_routes", "Items", **which)
    return ApiState(
        routes={route["RouteKey"]: route.get("AuthorizationType", "NONE") for route in routes},
        stage=if_exists(lambda: client.get_stage(**which, StageName=STAGE)) or {},
        may_invoke=may_invoke(a, wanted.function_name, invoker(a, wanted.name, made.api_id)),
        log_days=(load_log_group(a, wanted.log_group) or {}).get("retentionInDays"),
    )


def judge_api(made: HttpApi, wanted: Wanted, state: ApiState) -> list[Check]:
    """Whether every route asks who calls, and requests are limited and logged."""
    if state.routes is None:
        return [check("API exists", False, "API Gateway knows none of that id", made.api_id)]
    open_routes = [k for k, how in state.routes.items() if how != wanted.authorization]
    limits = state.stage.get("DefaultRouteSettings", {})
    logged_to = state.stage.get("AccessLogSettings", {}).get("DestinationArn", "")
    facts = [
        ("Every route that was asked for is there", {*wanted.routes} <= {*state.routes}, ""),
        (f"Every route asks for {wanted.authorization}", not open_routes, ", ".join(open_routes)),
        ("It is deployed", bool(state.stage.get("AutoDeploy")), STAGE),
        (
            "Requests are limited",
            (limits.get("ThrottlingRateLimit"), limits.get("ThrottlingBurstLimit"))
            == (wanted.rate_limit, wanted.burst_limit),
            f"{limits.get('ThrottlingRateLimit')} a second",
        ),
        (
            "Requests are logged",
            logged_to.removesuffix(":*").endswith(wanted.log_group) and bool(state.log_days),
            logged_to,
        ),
        ("It may invoke its function", state.may_invoke, wanted.function_name),
    ]
    return [check(name, ok, evidence, made.api_id) for name, ok, evidence in facts]
