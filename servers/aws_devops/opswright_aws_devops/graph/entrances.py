"""Reads what APIs of API Gateway call, and who may call them."""

import re
from collections.abc import Iterator
from typing import Any

from opswright_aws_devops.access.entrances import judge_api, judge_rest_api
from opswright_aws_devops.graph.parts import NOT_READ, Parts, judged, look, reasons
from opswright_core.aws import Aws
from opswright_core.verdicts import attempt

_BY_MAPPINGS = "API_MAPPING_ONLY"
"""The routing mode of a domain whose paths are mapped to APIs."""

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
    is_closed = item.get("disableExecuteApiEndpoint")
    domains: Any = attempt(lambda: _domains(a, item["id"], is_rest=True)) if is_closed else []
    return {
        "Access": judged(
            lambda: judge_rest_api(item, resources, stages, a.account_id, domains),
            resources,
            stages,
            domains,
        ),
        "Integrations": [called(uri) for uri in uris if uri],
        "Stages": _listed(stages),
        NOT_READ: reasons(resources, stages, domains),
    }


def api(a: Aws, item: Parts) -> Parts:
    """An HTTP or WebSocket API: its routes, integrations and stages."""

    def parts(operation: str) -> Any:
        return look(lambda: a.pages("apigatewayv2", operation, "Items", ApiId=item["ApiId"]))

    routes, stages = parts("get_routes"), parts("get_stages")
    integrations = parts("get_integrations")
    uris = [integration.get("IntegrationUri") for integration in _listed(integrations)]
    is_closed = item.get("DisableExecuteApiEndpoint")
    domains: Any = attempt(lambda: _domains(a, item["ApiId"])) if is_closed else []
    return {
        "Access": judged(lambda: judge_api(item, routes, stages, domains), routes, stages, domains),
        "Integrations": [called(uri) for uri in uris if uri],
        "Stages": _listed(stages),
        NOT_READ: reasons(routes, stages, integrations, domains),
    }


def _domains(a: Aws, api_id: str, *, is_rest: bool = False) -> list[str]:
    """The custom domains that lead to an API from anywhere; a client certificate closes one.

    Version 2 of API Gateway's own API tells regional ones of both sorts of API, and where rules
    choose the API, which are taken to lead to any; version 1 those at the edge and their paths.
    """
    found = [
        domain["DomainName"]
        for domain in a.pages("apigatewayv2", "get_domain_names", "Items")
        if not domain.get("MutualTlsAuthentication")
        and (
            domain.get("RoutingMode", _BY_MAPPINGS) != _BY_MAPPINGS
            or api_id in {one["ApiId"] for one in _mappings(a, domain["DomainName"])}
        )
    ]
    for domain in a.pages("apigateway", "get_domain_names", "items") if is_rest else ():
        name = domain["domainName"]
        is_private = "PRIVATE" in domain.get("endpointConfiguration", {}).get("types", [])
        if is_private or domain.get("mutualTlsAuthentication") or name in found:
            continue
        paths = a.pages("apigateway", "get_base_path_mappings", "items", domainName=name)
        found += [name] if api_id in {one["restApiId"] for one in paths} else []
    return found


def _mappings(a: Aws, domain: str) -> Iterator[dict[str, Any]]:
    """What a custom domain's paths lead to; botocore knows no pages of it."""
    read, which = a.client("apigatewayv2").get_api_mappings, {"DomainName": domain}
    while True:
        answer = read(**which)
        yield from answer.get("Items", [])
        if not answer.get("NextToken"):
            return
        which["NextToken"] = answer["NextToken"]


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
