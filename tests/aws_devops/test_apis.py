"""APIs: each request is signed or brings a token, limited and logged; undone to nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent

from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools import http_apis, private_apis
from opswright_aws_devops.tools.http_apis import ApiState, HttpApi, judge_api
from opswright_aws_devops.tools.private_apis import (
    PrivateApi,
    PrivateApiState,
    judge_private_api,
    private_policy,
)

Clients = Callable[[str], Any]
Left = Callable[[], dict[str, Any]]

TOKENS = {"jwt_issuer": "https://login.example.com", "jwt_audience": ["shop"]}


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("def handler(event, context):\n    return {}\n")
    return str(tmp_path / "code")


@pytest.fixture
async def function(agent: Any, code: str) -> str:
    made = await agent.call(
        "create_function", name="hello", code=code, runtime="python3.13", handler="app.handler"
    )
    name: str = made["outputs"]["function_name"]
    return name


@pytest.fixture
async def endpoint(agent: Any, network: dict[str, Any]) -> str:
    made = await agent.call(
        "create_vpc_endpoints", name="shop", vpc_id=network["vpc_id"], services=["execute-api"]
    )
    ids: list[str] = [found["endpoint_id"] for found in made["outputs"]["made"]]
    return ids[0]


@pytest.fixture
def left(client_of: Clients) -> Left:
    def read() -> dict[str, Any]:
        functions = client_of("lambda")
        try:
            policy = functions.get_policy(FunctionName="hello")["Policy"]
        except functions.exceptions.ResourceNotFoundException:
            policy = None
        return {
            "http": client_of("apigatewayv2").get_apis()["Items"],
            "rest": client_of("apigateway").get_rest_apis()["items"],
            "logs": [
                g["logGroupName"] for g in client_of("logs").describe_log_groups()["logGroups"]
            ],
            "policy": policy,
        }

    return read


async def test_an_api_asks_for_signatures_limits_and_logs(
    agent: Any, function: str, client_of: Clients
) -> None:
    change = await agent.call(
        "create_api", name="shop", function_name=function, routes=["GET /orders", "POST /orders"]
    )
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    apis, api_id = client_of("apigatewayv2"), change["outputs"]["api_id"]
    routes = {r["RouteKey"]: r for r in apis.get_routes(ApiId=api_id)["Items"]}
    assert set(routes) == {"GET /orders", "POST /orders"}
    assert {r["AuthorizationType"] for r in routes.values()} == {"AWS_IAM"}
    (integration,) = apis.get_integrations(ApiId=api_id)["Items"]
    assert integration["IntegrationUri"].endswith(":function:hello")
    stage = apis.get_stage(ApiId=api_id, StageName="$default")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 100
    assert stage["AccessLogSettings"]["DestinationArn"].endswith(":/aws/apigateway/shop")
    assert "authorization" not in stage["AccessLogSettings"]["Format"].lower()
    policy = json.loads(client_of("lambda").get_policy(FunctionName="hello")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(f":{api_id}/*/*")
    again = await agent.call(
        "create_api", name="shop", function_name=function, routes=["POST /orders", "GET /orders"]
    )
    assert again["outputs"]["api_id"] == api_id


async def test_an_api_asks_for_tokens_of_an_issuer(
    agent: Any, function: str, client_of: Clients
) -> None:
    change = await agent.call("create_api", name="shop", function_name=function, **TOKENS)
    apis, api_id = client_of("apigatewayv2"), change["outputs"]["api_id"]
    (route,) = apis.get_routes(ApiId=api_id)["Items"]
    assert (route["RouteKey"], route["AuthorizationType"]) == ("$default", "JWT")
    authorizer = apis.get_authorizer(ApiId=api_id, AuthorizerId=route["AuthorizerId"])
    assert authorizer["JwtConfiguration"] == {
        "Issuer": TOKENS["jwt_issuer"], "Audience": ["shop"],
    }  # fmt: skip


async def test_the_undo_of_an_api_leaves_the_function_as_it_was(
    agent: Any, function: str, left: Left
) -> None:
    before = left()
    change = await agent.call("create_api", name="shop", function_name=function, **TOKENS)
    assert left()["policy"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left() == before


async def test_a_private_api_is_reached_through_its_endpoint_alone(
    agent: Any, function: str, endpoint: str, client_of: Clients
) -> None:
    asked = {"name": "shop", "function_name": function, "vpc_endpoint_ids": [endpoint]}
    change = await agent.call("create_private_api", **asked)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    apis, made = client_of("apigateway"), change["outputs"]
    api = apis.get_rest_api(restApiId=made["api_id"])
    assert api["endpointConfiguration"]["types"] == ["PRIVATE"]
    assert api["endpointConfiguration"]["vpcEndpointIds"] == [endpoint]
    assert made["url"] == (
        f"https://{made['api_id']}-{endpoint}.execute-api.eu-west-1.amazonaws.com/live"
    )
    resources = apis.get_resources(restApiId=made["api_id"])["items"]
    assert {item["path"] for item in resources} == {"/", "/{proxy+}"}
    for item in resources:
        method = apis.get_method(restApiId=made["api_id"], resourceId=item["id"], httpMethod="ANY")
        assert method["authorizationType"] == "AWS_IAM"
        assert method["methodIntegration"]["type"] == "AWS_PROXY"
        assert ":function:hello/invocations" in method["methodIntegration"]["uri"]
    assert (await agent.call("create_private_api", **asked))["reused"]


async def test_the_undo_of_a_private_api_leaves_nothing(
    agent: Any, function: str, endpoint: str, left: Left
) -> None:
    before = left()
    asked = {"name": "shop", "function_name": function, "vpc_endpoint_ids": [endpoint]}
    change = await agent.call("create_private_api", **asked)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left() == before


async def test_plans_make_nothing_and_names_of_others_are_refused(
    agent: Any, function: str, endpoint: str, left: Left, client_of: Clients
) -> None:
    before = left()
    public = {"name": "shop", "function_name": function}
    private = {**public, "vpc_endpoint_ids": [endpoint]}
    planned = await agent.call("create_api", **public, dry_run=True)
    assert "reached from the internet" in " ".join(planned["plan"]["warnings"])
    planned = await agent.call("create_private_api", **private, dry_run=True)
    assert "reached from vpc-" in planned["summary"]
    assert left() == before
    client_of("apigatewayv2").create_api(Name="shop", ProtocolType="HTTP")
    client_of("apigateway").create_rest_api(name="shop")
    assert "outside opswright" in await agent.refused("create_api", **public)
    assert "outside opswright" in await agent.refused("create_private_api", **private)


async def test_what_cannot_work_is_refused(
    agent: Any, function: str, network: dict[str, Any]
) -> None:
    public = {"name": "shop", "function_name": function}
    for change, said in (
        ({"function_name": "none"}, "Function none does not exist"),
        ({"routes": ["orders"]}, "pattern"),
        ({"jwt_issuer": "https://x.example"}, "jwt_issuer and jwt_audience"),
        ({"jwt_issuer": "http://x.example", "jwt_audience": ["a"]}, "pattern"),
        ({"rate_limit": 0}, "greater than or equal to 1"),
    ):
        assert said in await agent.refused("create_api", **{**public, **change})
    missing = {**public, "vpc_endpoint_ids": ["vpce-0123456789abcdef0"]}
    assert "does not exist" in await agent.refused("create_private_api", **missing)
    made = await agent.call(
        "create_vpc_endpoints", name="shop", vpc_id=network["vpc_id"], services=["s3"]
    )
    ids = [found["endpoint_id"] for found in made["outputs"]["made"]]
    other = {**public, "vpc_endpoint_ids": ids}
    assert "give one of execute-api" in await agent.refused("create_private_api", **other)


async def test_a_second_emulator_sees_the_same_function_and_api_come_and_go(
    connect: Any, stack_cloud: Clients, code: str
) -> None:
    async with connect(create_server) as client:
        agent = Agent(client)
        function = await agent.call(
            "create_function", name="hello", code=code, runtime="python3.13",
            handler="app.handler", schedule="rate(5 minutes)", function_url=True,
            reserved_concurrency=2,
        )  # fmt: skip
        api = await agent.call("create_api", name="shop", function_name="hello", **TOKENS)
        for change in (function, api):
            assert {c["verdict"] for c in change["checks"]} == {"PASS"}
        for change in (api, function):
            undone = await agent.call("undo_change", change_id=change["change_id"])
            assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert stack_cloud("lambda").list_functions()["Functions"] == []
    assert stack_cloud("apigatewayv2").get_apis()["Items"] == []
    assert stack_cloud("logs").describe_log_groups()["logGroups"] == []


# Judged without a backend.

MADE = HttpApi(api_id="a", url="u", log_group="/aws/apigateway/shop")
WANTED = http_apis.Wanted(
    name="shop", function_name="f", routes=["$default"], jwt_issuer=None, jwt_audience=[],
    rate_limit=1, burst_limit=2,
)  # fmt: skip
STAGE = {
    "AutoDeploy": True,
    "DefaultRouteSettings": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2},
    "AccessLogSettings": {"DestinationArn": "arn:aws:logs:r:1:log-group:/aws/apigateway/shop"},
}
GOOD = ApiState(routes={"$default": "AWS_IAM"}, stage=STAGE, may_invoke=True, log_days=30)


@pytest.mark.parametrize(
    "changed",
    [
        {"routes": {"GET /": "AWS_IAM"}},
        {"routes": {"$default": "AWS_IAM", "GET /": "NONE"}},
        {"stage": {**STAGE, "AutoDeploy": False}},
        {"stage": {**STAGE, "DefaultRouteSettings": {}}},
        {"stage": {**STAGE, "AccessLogSettings": {}}},
        {"may_invoke": False},
    ],
)
def test_each_deviation_of_an_api_fails(changed: dict[str, Any]) -> None:
    assert {c.verdict for c in judge_api(MADE, WANTED, GOOD)} == {"PASS"}
    checks = judge_api(MADE, WANTED, GOOD.model_copy(update=changed))
    assert [c.verdict for c in checks].count("FAIL") == 1
    assert [c.verdict for c in judge_api(MADE, WANTED, ApiState(routes=None))] == ["FAIL"]


PRIVATE = PrivateApi(api_id="a", stage="live", url="u", vpc_endpoint_ids=["vpce-1"])
ASKED = private_apis.Wanted(
    name="shop", function_name="f", vpc_endpoint_ids=["vpce-1"], rate_limit=1, burst_limit=2
)
API = {
    "endpointConfiguration": {"types": ["PRIVATE"], "vpcEndpointIds": ["vpce-1"]},
    "policy": private_policy(["vpce-1"]),
}
WELL = PrivateApiState(
    api=API,
    methods={"ANY /": "AWS_IAM", "ANY /{proxy+}": "AWS_IAM"},
    throttling={"throttlingRateLimit": 1.0, "throttlingBurstLimit": 2},
    may_invoke=True,
)


@pytest.mark.parametrize(
    "changed",
    [
        {
            "api": {
                **API,
                "endpointConfiguration": {"types": ["REGIONAL"], "vpcEndpointIds": ["vpce-1"]},
            }
        },
        {"api": {**API, "policy": None}},
        {"api": {**API, "policy": private_policy(["vpce-2"])}},
        {"methods": {"ANY /": "AWS_IAM", "ANY /{proxy+}": "NONE"}},
        {"throttling": {}},
        {"may_invoke": False},
    ],
)
def test_each_deviation_of_a_private_api_fails(changed: dict[str, Any]) -> None:
    assert {c.verdict for c in judge_private_api(PRIVATE, ASKED, WELL)} == {"PASS"}
    checks = judge_private_api(PRIVATE, ASKED, WELL.model_copy(update=changed))
    assert [c.verdict for c in checks].count("FAIL") == 1
    gone = judge_private_api(PRIVATE, ASKED, PrivateApiState(api=None))
    assert [c.verdict for c in gone] == ["FAIL"]


def test_a_policy_that_comes_back_escaped_is_read() -> None:
    escaped = private_policy(["vpce-1"]).replace('"', '\\"')
    state = WELL.model_copy(update={"api": {**API, "policy": escaped}})
    assert {c.verdict for c in judge_private_api(PRIVATE, ASKED, state)} == {"PASS"}
