"""Reads what a graph is drawn from: every resource, and what only calls of their own tell."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from opswright_aws_devops.graph import Graph
from opswright_aws_devops.relations import (
    BALANCER,
    BUCKET,
    FUNCTION,
    SERVICE,
    TARGETS,
    TEMPLATE,
    TOPIC,
)
from opswright_aws_devops.resource_kinds import KINDS
from opswright_aws_devops.resource_kinds.network import HOSTED_ZONE
from opswright_aws_devops.resource_kinds.reading import Read, read_all
from opswright_core.aws import Aws
from opswright_core.parallel import each
from opswright_core.verdicts import Unread, attempt

MOST_NEAR = 25
"""Of a kind whose parts take a call each (listeners, targets, records), so many are looked into."""

Parts = dict[str, Any]


def load_graph(a: Aws) -> tuple[Graph, list[str]]:
    """The graph of a region and of what the account has once, and what could not be read of it."""
    reading = read_all(a, KINDS)
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

    Adds to `unread` what was refused or is too much.
    """
    near = {start} | {
        step.node
        for edges in (graph.depends_on, graph.needed_by)
        for step in graph.reached(start, edges)
    }
    if any(graph.read[node][0].type == BALANCER for node in near):
        near |= {n for n, (kind, _) in enumerate(graph.read) if kind is HOSTED_ZONE}
    readers: dict[str, Callable[[Aws, Parts], Parts]] = {
        BALANCER: _listeners, TARGETS: _targets, SERVICE: _task, HOSTED_ZONE.type: _aliases,
    }  # fmt: skip
    nodes = [start] if graph.read[start][0].type == BUCKET else []
    chosen: dict[str, list[int]] = defaultdict(list)
    for node in sorted(near):
        chosen[graph.read[node][0].type].append(node)
    for type_ in readers:
        nodes += chosen[type_][:MOST_NEAR]
        if rest := chosen[type_][MOST_NEAR:]:
            unread.append(f"parts of {len(rest)} more {type_}: {MOST_NEAR} are looked into")
    readers[BUCKET] = _notified

    def read(node: int) -> Parts | Unread:
        kind, item = graph.read[node]
        return attempt(lambda: readers[kind.type](a, item))

    closer: list[Read] = list(graph.read)
    for node, parts in zip(nodes, each(nodes, read), strict=True):
        kind, item = closer[node]
        if isinstance(parts, Unread):
            unread.append(f"parts of {kind.type} {item[kind.id]}: {parts.reason}")
        else:
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
    arn = balancer["LoadBalancerArn"]
    return {"Listeners": a.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)}


def _targets(a: Aws, group: Parts) -> Parts:
    answer = a.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])
    return {"Targets": answer["TargetHealthDescriptions"]}


def _task(a: Aws, service: Parts) -> Parts:
    task = service.get("taskDefinition")
    if not task:
        return {}
    return {"Task": a.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]}


def _aliases(a: Aws, zone: Parts) -> Parts:
    """The names that a zone's alias records point to, as their owners write them."""
    records = a.pages(
        "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"],
        PaginationConfig={"PageSize": 300},
    )  # fmt: skip
    targets = [r["AliasTarget"]["DNSName"] for r in records if "AliasTarget" in r]
    return {"Aliases": [t.rstrip(".").removeprefix("dualstack.") for t in targets]}


def _notified(a: Aws, bucket: Parts) -> Parts:
    """What a bucket tells of its objects."""
    region = bucket.get("BucketRegion") or a.region
    answer = a.client("s3", region).get_bucket_notification_configuration(Bucket=bucket["Name"])
    keys = ("QueueArn", "TopicArn", "LambdaFunctionArn")
    return {
        "Notified": [
            entry[key]
            for entries in answer.values() if isinstance(entries, list)
            for entry in entries for key in keys if key in entry
        ]
    }  # fmt: skip
