"""Reads what a graph is drawn from: every resource, and what only calls of their own tell."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from opswright_aws_devops.graph import entrances
from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.own_parts import OWN_PARTS
from opswright_aws_devops.graph.parts import NOT_READ, Parts
from opswright_aws_devops.graph.relations import (
    API,
    BALANCER,
    CLUSTER,
    DB,
    DISTRIBUTION,
    FUNCTION,
    LOG_GROUP,
    REPOSITORY,
    REST_API,
    SERVICE,
    TARGETS,
    TEMPLATE,
    TOPIC,
    ZONE,
)
from opswright_aws_devops.resource_kinds import INVENTORY
from opswright_aws_devops.resource_kinds.reading import Read, read_all
from opswright_core.aws import Aws
from opswright_core.parallel import each
from opswright_core.verdicts import Unread, attempt

MOST_NEAR = 25
"""Of a kind whose parts take a call each (listeners, targets, records), so many are looked into."""


def load_graph(a: Aws) -> tuple[Graph, list[str]]:
    """The graph of a region and of what the account has once, and what could not be read of it."""
    reading = read_all(a, INVENTORY)
    unread = list(reading.unread)
    present = {kind.type for kind, _ in reading.found}
    told: dict[str, dict[str, Parts]] = {}
    batches = {TEMPLATE: _template_versions, FUNCTION: _event_sources, TOPIC: _subscribers}
    wanted = [kind for kind in batches if kind in present]
    for kind, parts in zip(wanted, each(wanted, lambda k: attempt(lambda: batches[k](a))),
                           strict=True):  # fmt: skip
        if isinstance(parts, Unread):
            unread.append(f"what {kind} hangs together with: {parts.reason}")
        else:
            told[kind] = parts
    read = [
        (kind, {**item, **told.get(kind.type, {}).get(str(item[kind.id]), {})})
        for kind, item in reading.found
    ]
    return Graph(read, a.region), unread


def look_closer(a: Aws, graph: Graph, start: int, unread: list[str]) -> Graph:
    """The same graph with the parts of what is near `start` that take a call for each resource.

    And with what only calls about `start` itself tell. Adds to `unread` what was refused or is too
    much.
    """
    near = {start} | {
        step.node
        for edges in (graph.depends_on, graph.needed_by)
        for step in graph.reached(start, edges)
    }
    pointing = {
        type_ for node in near for type_ in _POINTED_AT_BY.get(graph.read[node][0].type, ())
    }
    near |= {n for n, (kind, _) in enumerate(graph.read) if kind.type in pointing}
    return look_into(a, graph, near, [start], unread)


def look_into(
    a: Aws, graph: Graph, near: Iterable[int], own: Iterable[int], unread: list[str]
) -> Graph:
    """The same graph with the parts of nodes that take a call each, and `own` looked at closest.

    Of each kind `MOST_NEAR` are; adds to `unread` what was refused or is too much.
    """
    wanted: dict[str, set[int]] = defaultdict(set)
    for nodes_of, readers in ((near, _READERS), (own, OWN_PARTS)):
        for node in nodes_of:
            if graph.read[node][0].type in readers:
                wanted[graph.read[node][0].type].add(node)
    nodes: list[int] = []
    for type_, chosen in wanted.items():
        nodes += sorted(chosen)[:MOST_NEAR]
        if (rest := len(chosen) - MOST_NEAR) > 0:
            unread.append(f"parts of {rest} more {type_}: {MOST_NEAR} are looked into")

    def read(node: int) -> Parts | Unread:
        kind, item = graph.read[node]
        return attempt(lambda: {**_READERS, **OWN_PARTS}[kind.type](a, item))

    closer: list[Read] = list(graph.read)
    for node, parts in zip(nodes, each(nodes, read), strict=True):
        kind, item = closer[node]
        if isinstance(parts, Unread):
            unread.append(f"parts of {kind.type} {item[kind.id]}: {parts.reason}")
        else:
            refused = parts.pop(NOT_READ, [])
            unread += [f"parts of {kind.type} {item[kind.id]}: {reason}" for reason in refused]
            closer[node] = (kind, {**item, **parts})
    return Graph(closer, a.region)


def _template_versions(a: Aws) -> dict[str, Parts]:
    """The default and the newest version of every launch template."""
    versions = a.pages(
        "ec2", "describe_launch_template_versions", "LaunchTemplateVersions",
        Versions=["$Default", "$Latest"], PaginationConfig={"PageSize": 200},
    )  # fmt: skip
    found: dict[str, list[Any]] = defaultdict(list)
    for version in versions:
        found[version["LaunchTemplateId"]].append(version["LaunchTemplateData"])
    return {template_id: {"Data": data} for template_id, data in found.items()}


def _event_sources(a: Aws) -> dict[str, Parts]:
    """What starts functions: queues and streams."""
    mappings = a.pages(
        "lambda", "list_event_source_mappings", "EventSourceMappings",
        PaginationConfig={"PageSize": 100},
    )  # fmt: skip
    found: dict[str, list[str]] = defaultdict(list)
    for mapping in mappings:
        if source := mapping.get("EventSourceArn"):
            name = mapping["FunctionArn"].partition(":function:")[2].partition(":")[0]
            found[name].append(source)
    return {name: {"Sources": sources} for name, sources in found.items()}


def _subscribers(a: Aws) -> dict[str, Parts]:
    """Where topics deliver to."""
    found: dict[str, list[str]] = defaultdict(list)
    for subscription in a.pages("sns", "list_subscriptions", "Subscriptions"):
        if subscription["Protocol"] in {"sqs", "lambda"}:
            found[subscription["TopicArn"]].append(subscription["Endpoint"])
    return {topic: {"Subscribers": endpoints} for topic, endpoints in found.items()}


def _listeners(a: Aws, balancer: Parts) -> Parts:
    """What a load balancer listens on, and the bucket that its access logs go to."""
    arn = balancer["LoadBalancerArn"]
    listeners = a.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    told = a.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    values = {attribute["Key"]: attribute["Value"] for attribute in told}
    is_logged = values.get("access_logs.s3.enabled") == "true"
    bucket = values.get("access_logs.s3.bucket") if is_logged else None
    return {"Listeners": listeners, "LogsTo": bucket}


def _targets(a: Aws, group: Parts) -> Parts:
    answer = a.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])
    return {"Targets": answer["TargetHealthDescriptions"]}


def _task(a: Aws, service: Parts) -> Parts:
    task = service.get("taskDefinition")
    if not task:
        return {}
    told = a.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    images = [container.get("image", "") for container in told.get("containerDefinitions", [])]
    return {"Task": told, "Repositories": [name for image in images if (name := _own(image))]}


def _own(image: str) -> str:
    """The name of the ECR repository that an image is from; empty for one of another registry."""
    registry, _, name = image.partition("/")
    is_ecr = ".dkr.ecr" in registry and ".amazonaws.com" in registry
    return name.partition("@")[0].partition(":")[0] if is_ecr else ""


def _aliases(a: Aws, zone: Parts) -> Parts:
    """The names that a zone's records point to in AWS, as their owners write them."""
    records = a.pages(
        "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"],
        PaginationConfig={"PageSize": 300},
    )  # fmt: skip
    targets = [r["AliasTarget"]["DNSName"] for r in records if "AliasTarget" in r]
    targets += [
        entry["Value"]
        for record in records if record["Type"] == "CNAME"
        for entry in record.get("ResourceRecords", [])
        if entry["Value"].rstrip(".").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    ]  # fmt: skip
    names = [target.rstrip(".").removeprefix("dualstack.") for target in targets]
    return {"Aliases": [_bucket_of(name) or name for name in names]}


def _bucket_of(name: str) -> str:
    """The bucket of a website's endpoint that a CNAME names; empty for other names."""
    bucket, _, endpoint = name.partition(".s3-website")
    return bucket if endpoint else ""


_READERS: dict[str, Callable[[Aws, Parts], Parts]] = {
    BALANCER: _listeners, TARGETS: _targets, SERVICE: _task, ZONE: _aliases,
    REST_API: entrances.rest_api, API: entrances.api,
}  # fmt: skip
"""What is looked into wherever it is near."""

LOOKED_INTO = frozenset(_READERS)

_POINTED_AT_BY: dict[str, tuple[str, ...]] = {
    BALANCER: (ZONE, REST_API, API), DB: (ZONE,), CLUSTER: (ZONE,), DISTRIBUTION: (ZONE,),
    FUNCTION: (REST_API, API), LOG_GROUP: (SERVICE, REST_API, API), REPOSITORY: (SERVICE,),
}  # fmt: skip
"""Kinds that are named only by the parts of others, which a call for each tells."""
