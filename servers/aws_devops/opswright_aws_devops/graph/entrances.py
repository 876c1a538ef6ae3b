"""Reads what APIs of API Gateway call, and who may call them."""

import re
from typing import Any

from opswright_aws_devops.access.entrances import judge_api, judge_rest_api
from opswright_aws_devops.graph.parts import NOT_READ, Parts, judged, look, reasons
from opswright_core.aws import Aws

_LISTENER = re.compile(r"(?P<arn>arn:[^:]*:elasticloadbalancing:.*):listener/(?P<name>.*)/[^/]+")


def rest_api(a: Aws, item: Parts) -> Parts:
    """A REST API: its methods with their integrations, and its stages."""
    client, asked = a.client("apigateway"), {"restApiId": item["id"]}
    resources = look(lambda: a.pages("apigateway", "get_resources", "items", embed=["methods"],
                                     PaginationConfig={"PageSize": 500}, **asked))  # fmt: skip
    stages = look(lambda: client.get_stages(**asked)["item"])
    methods = [
        method
        for resource in _listed(resources)
        for method in (resource.get("resourceMethods") or {}).values()
    ]
    uris = [method.get("methodIntegration", {}).get("uri") for method in methods]
    return {
        "Access": judged(
            lambda: judge_rest_api(item, resources, stages, a.account_id), resources, stages
        ),
        "Integrations": [called(uri) for uri in uris if uri],
        "Stages": _listed(stages),
        NOT_READ: reasons(resources, stages),
    }


def api(a: Aws, item: Parts) -> Parts:
    """An HTTP or WebSocket API: its routes, integrations and stages."""

    def parts(operation: str) -> Any:
        return look(lambda: a.pages("apigatewayv2", operation, "Items", ApiId=item["ApiId"]))

    routes, stages = parts("get_routes"), parts("get_stages")
    integrations = parts("get_integrations")
    uris = [integration.get("IntegrationUri") for integration in _listed(integrations)]
    return {
        "Access": judged(lambda: judge_api(item, routes, stages), routes, stages),
        "Integrations": [called(uri) for uri in uris if uri],
        "Stages": _listed(stages),
        NOT_READ: reasons(routes, stages, integrations),
    }


def called(uri: str) -> str:
    """Whom an integration's URI means: a function's or load balancer's ARN, else the URI itself.

    REST APIs name functions by a path of Lambda's own API, private ones a listener.
    """
    _, is_path, rest = uri.partition(":lambda:path/")
    if is_path:
        return rest.partition("/functions/")[2].removesuffix("/invocations")
    if found := _LISTENER.fullmatch(uri):
        return f"{found['arn']}:loadbalancer/{found['name']}"
    return uri


def _listed(read: Any) -> list[Any]:
    return read if isinstance(read, list) else []
