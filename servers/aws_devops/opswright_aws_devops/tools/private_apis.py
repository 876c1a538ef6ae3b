"""Private APIs: a REST API of API Gateway that is reached through VPC endpoints alone."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

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
from opswright_aws_devops.lookup import if_exists, must_exist
from opswright_aws_devops.ownership import Maker, Request, ResourceName, key, outstanding
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check

API = "apigateway:rest-api"
STAGE = "live"
EVERY_METHOD = "/*/*"


class PrivateApi(BaseModel):
    """An API that answers at `url` inside the VPCs of its endpoints, and nowhere else."""

    api_id: str
    stage: str
    url: str
    vpc_endpoint_ids: list[str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for."""

    name: str
    function_name: str
    vpc_endpoint_ids: list[str]
    rate_limit: int
    burst_limit: int


@write_tool(toolset="apis")
def create_private_api(
    name: ResourceName,
    function_name: FunctionName,
    vpc_endpoint_ids: Annotated[
        list[str], Field(description="Of execute-api, from create_vpc_endpoints", min_length=1)
    ],
    rate_limit: RateLimit = 100,
    burst_limit: BurstLimit = 200,
    target: Target = HERE,
) -> Work[PrivateApi]:
    """Create a private REST API before a function: through VPC endpoints alone, IAM-signed."""
    a = aws(target)
    wanted = Wanted(
        name=name, function_name=function_name, vpc_endpoint_ids=sorted(set(vpc_endpoint_ids)),
        rate_limit=rate_limit, burst_limit=burst_limit,
    )  # fmt: skip
    request = Request.of("create_private_api", name, wanted=vars(wanted))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_private_api(made, wanted, _load(a, made, wanted)),
        outputs=PrivateApi,
    )


def private_policy(vpc_endpoint_ids: Sequence[str]) -> str:
    """Who may call: whoever may by IAM, but through these endpoints alone."""
    anyone = {"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    elsewhere = {"StringNotEquals": {"aws:SourceVpce": list(vpc_endpoint_ids)}}
    statements = [
        {"Effect": "Allow", **anyone},
        {"Effect": "Deny", **anyone, "Condition": elsewhere},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _known(a: Aws, request: Request) -> dict[str, str]:
    api = claimed(request, a.pages("apigateway", "get_rest_apis", "items"), "REST API")
    return {key(API, request.name): api["id"]} if api else {}


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    find_function(a, wanted.function_name)
    ec2, ids = a.client("ec2"), wanted.vpc_endpoint_ids
    endpoints = must_exist(
        f"One of the VPC endpoints {', '.join(ids)}",
        lambda: ec2.describe_vpc_endpoints(VpcEndpointIds=ids)["VpcEndpoints"],
    )
    for endpoint in endpoints:
        if not endpoint["ServiceName"].endswith(".execute-api"):
            raise BadInputError(
                f"{endpoint['VpcEndpointId']} is an endpoint of {endpoint['ServiceName']}; give "
                "one of execute-api (create_vpc_endpoints makes it)."
            )
    known = _known(a, request)
    limits = f"{wanted.rate_limit} requests a second, bursts of {wanted.burst_limit}"
    action = Action(
        verb="create", type=API, name=wanted.name,
        detail=f"private, through {', '.join(ids)}; IAM signatures; {limits}",
    )  # fmt: skip
    vpcs = ", ".join(sorted({endpoint["VpcId"] for endpoint in endpoints}))
    return ChangePlan(
        summary=f"Create private REST API {wanted.name} before function {wanted.function_name}, "
        f"reached from {vpcs} alone",
        actions=outstanding([action], known),
        warnings=["Callers need execute-api:Invoke on the API and sign their requests."],
        observed={"known": known},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget
) -> PrivateApi:
    client, name = a.client("apigateway"), wanted.name
    function_arn = find_function(a, wanted.function_name)

    def create() -> str:
        made = client.create_rest_api(
            name=name,
            endpointConfiguration={
                "types": ["PRIVATE"], "vpcEndpointIds": wanted.vpc_endpoint_ids,
            },
            policy=private_policy(wanted.vpc_endpoint_ids),
            tags=request.tags(name),
        )  # fmt: skip
        api_id: str = made["id"]
        return api_id

    api_id = Maker(rec, _known(a, request)).make(
        API,
        name,
        create,
        lambda api_id: [
            aws_undo(
                f"delete REST API {name}", "apigateway", "delete_rest_api", {"restApiId": api_id},
                target=target, region=a.region,
                gone=("get_rest_api", {"restApiId": api_id}, "id"),
            )
        ],
    )  # fmt: skip
    which = {"restApiId": api_id}  # all that follows goes with the API
    resources = {item["path"]: item["id"] for item in _resources(a, api_id)}
    below = rec.step(
        "resource /{proxy+}",
        lambda: {
            "id": resources.get("/{proxy+}")
            or client.create_resource(**which, parentId=resources["/"], pathPart="{proxy+}")["id"]
        },
    )["id"]
    uri = (
        f"arn:{a.partition}:apigateway:{a.region}:lambda:path/2015-03-31/functions/{function_arn}"
        "/invocations"
    )
    proxy = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": uri}
    for path, resource_id in (("/", resources["/"]), ("/{proxy+}", below)):
        method = {**which, "resourceId": resource_id, "httpMethod": "ANY"}
        rec.step(f"method ANY {path}", functools.partial(_put_method, client, method))
        rec.step(
            f"integration of {path}",
            functools.partial(send, client.put_integration, **method, **proxy),
        )
    rec.step(f"stage {STAGE}", lambda: _deploy(client, api_id))
    limits = {"rateLimit": wanted.rate_limit, "burstLimit": wanted.burst_limit}
    rec.step(
        "throttling",
        lambda: send(
            client.update_stage,
            **which,
            stageName=STAGE,
            patchOperations=[
                {"op": "replace", "path": f"{EVERY_METHOD}/throttling/{k}", "value": str(v)}
                for k, v in limits.items()
            ],
        ),
    )
    let_invoke(a, rec, wanted.function_name, invoker(a, name, api_id), target)
    if a.is_emulator:
        rec.gap("The emulator serves no requests: nothing answers at the API's address.")
    suffix = "amazonaws.com.cn" if a.partition == "aws-cn" else "amazonaws.com"
    through = f"{api_id}-{wanted.vpc_endpoint_ids[0]}"
    return PrivateApi(
        api_id=api_id,
        stage=STAGE,
        url=f"https://{through}.execute-api.{a.region}.{suffix}/{STAGE}",
        vpc_endpoint_ids=wanted.vpc_endpoint_ids,
    )


def _resources(a: Aws, api_id: str) -> list[dict[str, Any]]:
    return a.pages("apigateway", "get_resources", "items", restApiId=api_id)


def _put_method(client: Any, method: dict[str, str]) -> dict[str, bool]:
    """Put a method; one that is there already is this request's, whose answer was lost."""
    if if_exists(lambda: client.get_method(**method)) is None:
        client.put_method(**method, authorizationType="AWS_IAM")
    return {"done": True}


def _deploy(client: Any, api_id: str) -> dict[str, bool]:
    """Deploy what was put into the stage, which is made with it."""
    client.create_deployment(restApiId=api_id, stageName=STAGE)
    return {"done": True}


class PrivateApiState(BaseModel):
    """What was read of a private API; `methods` are their authorization types by path."""

    api: dict[str, Any] | None
    methods: dict[str, str] = {}
    throttling: dict[str, Any] = {}
    may_invoke: bool = False


def _load(a: Aws, made: PrivateApi, wanted: Wanted) -> PrivateApiState:
    client, which = a.client("apigateway"), {"restApiId": made.api_id}
    api = if_exists(lambda: client.get_rest_api(**which))
    if api is None:
        return PrivateApiState(api=None)
    methods = {}
    for resource in _resources(a, made.api_id):
        for verb in resource.get("resourceMethods", {}):
            method = client.get_method(**which, resourceId=resource["id"], httpMethod=verb)
            methods[f"{verb} {resource['path']}"] = method.get("authorizationType", "NONE")
    stage = if_exists(lambda: client.get_stage(**which, stageName=STAGE)) or {}
    return PrivateApiState(
        api=api,
        methods=methods,
        throttling=stage.get("methodSettings", {}).get("*/*", {}),
        may_invoke=may_invoke(a, wanted.function_name, invoker(a, wanted.name, made.api_id)),
    )


def judge_private_api(made: PrivateApi, wanted: Wanted, state: PrivateApiState) -> list[Check]:
    """Whether the API is reached through its endpoints alone, by signed requests alone."""
    if state.api is None:
        return [check("API exists", False, "API Gateway knows none of that id", made.api_id)]
    endpoint = state.api.get("endpointConfiguration", {})
    types, ids = endpoint.get("types", []), endpoint.get("vpcEndpointIds", [])
    unsigned = [name for name, how in state.methods.items() if how != "AWS_IAM"]
    limits = state.throttling
    facts = [
        ("It is private", types == ["PRIVATE"], ", ".join(types)),
        (
            "It is reached through its endpoints alone",
            _decoded(state.api.get("policy")) == json.loads(private_policy(ids))
            and sorted(ids) == wanted.vpc_endpoint_ids,
            ", ".join(ids),
        ),
        (
            "Every method asks for signed requests",
            not unsigned and len(state.methods) > 1,
            ", ".join(unsigned),
        ),
        (
            "Requests are limited",
            (limits.get("throttlingRateLimit"), limits.get("throttlingBurstLimit"))
            == (wanted.rate_limit, wanted.burst_limit),
            f"{limits.get('throttlingRateLimit')} a second",
        ),
        ("It may invoke its function", state.may_invoke, wanted.function_name),
    ]
    return [check(name, ok, evidence, made.api_id) for name, ok, evidence in facts]


def _decoded(policy: str | None) -> Any:
    """A policy as API Gateway gives it back: JSON whose quotes may be escaped once more."""
    text = policy or "{}"
    return json.loads(text if not text.startswith('{\\"') else json.loads(f'"{text}"'))
