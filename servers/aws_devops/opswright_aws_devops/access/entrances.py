"""Whether everyone may call an API of API Gateway, or read what a distribution serves. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from opswright_aws_devops.access.resource_access import Exposure, few, judge

_CLOSED_ENDPOINT = "its own address is switched off"


def judge_rest_api(
    api: dict[str, Any],
    resources: Sequence[dict[str, Any]],
    stages: Sequence[Any],
    account_id: str,
    domains: Sequence[str] = (),
) -> tuple[Exposure, str]:
    """Whether everyone may call a REST API: its endpoint, stages, policy, and methods together.

    `domains` are the custom ones that lead to it from anywhere, which matter where its own address
    is switched off.

    Source: "Controlling and managing access to REST APIs in API Gateway". A method without
    authorization is open to whom the API's policy admits, to all without a policy. Answers to
    OPTIONS (what browsers ask first) open nothing.
    """
    if not stages:
        return "no", "it is deployed in no stage"
    policy = _plain(api.get("policy"))
    is_private = "PRIVATE" in api.get("endpointConfiguration", {}).get("types", [])
    if policy:
        admitted, because = judge(policy, account_id)
        if admitted != "yes":
            return admitted, because
    if is_private:
        return "no", "a private API: only VPC endpoints lead to it"
    methods = [
        (f"{name} {resource.get('path', '')}", method)
        for resource in resources
        for name, method in (resource.get("resourceMethods") or {}).items()
        if name != "OPTIONS"
    ]
    opened = [
        name
        for name, method in methods
        if method.get("authorizationType", "NONE") == "NONE" and not method.get("apiKeyRequired")
    ]
    is_closed = bool(api.get("disableExecuteApiEndpoint"))
    return _opened(opened, len(methods), domains if is_closed else None)


def judge_api(
    api: dict[str, Any],
    routes: Sequence[dict[str, Any]],
    stages: Sequence[Any],
    domains: Sequence[str] = (),
) -> tuple[Exposure, str]:
    """The same for an HTTP or WebSocket API; a WebSocket API asks who calls as they connect.

    Source: "Control and manage access to HTTP APIs in API Gateway".
    """
    if not stages:
        return "no", "it is deployed in no stage"
    if api.get("ProtocolType") == "WEBSOCKET":
        routes = [route for route in routes if route["RouteKey"] == "$connect"]
    opened = [
        route["RouteKey"]
        for route in routes
        if route.get("AuthorizationType", "NONE") == "NONE" and not route.get("ApiKeyRequired")
    ]
    is_closed = bool(api.get("DisableExecuteApiEndpoint"))
    return _opened(opened, len(routes), domains if is_closed else None)


def _opened(
    names: Sequence[str], of_all: int, domains: Sequence[str] | None
) -> tuple[Exposure, str]:
    """`domains`: the only addresses that lead to it; None: it has one of its own."""
    if not of_all:
        return "no", "nothing can be called in it"
    if not names:
        return "no", "everything in it asks who calls, or for an API key"
    said = f"{few(names)} ask nobody who calls"
    if domains is None:
        return "yes", said
    if not domains:
        return "no", f"{_CLOSED_ENDPOINT}, and no custom domain leads to it from everywhere"
    return "yes", f"{said}, at {few(domains)}; {_CLOSED_ENDPOINT}"


def judge_distribution(item: dict[str, Any]) -> tuple[Exposure, str]:
    """Whether everyone may read of a distribution: it is on, and a path asks for no signature."""
    if not item.get("Enabled"):
        return "no", "it is switched off"
    behaviors = [
        item.get("DefaultCacheBehavior", {}),
        *(item.get("CacheBehaviors", {}).get("Items") or []),
    ]
    if all(_asks_for_signature(behavior) for behavior in behaviors):
        return "no", "all of it asks for signed URLs or cookies"
    said = f"it answers everyone at {item.get('DomainName', '')}"
    return "yes", f"{said}, behind the web ACL {item['WebACLId']}" if item.get("WebACLId") else said


def _asks_for_signature(behavior: dict[str, Any]) -> bool:
    return any(
        behavior.get(trusted, {}).get("Enabled")
        for trusted in ("TrustedKeyGroups", "TrustedSigners")
    )


def _plain(policy: str | None) -> str | None:
    """A REST API's policy as JSON: API Gateway answers with its quotes escaped."""
    if policy and policy.startswith('{\\"'):
        plain: str = json.loads(f'"{policy}"')
        return plain
    return policy
