"""What one resource is, what it hangs on, what hangs on it, and who made it."""

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.access.resource_access import Exposure
from opswright_aws_devops.graph.exposure import exposure_of
from opswright_aws_devops.graph.graph import Graph, Step
from opswright_aws_devops.graph.relations import IMAGE, KEY
from opswright_aws_devops.graph.requested import with_asked, with_beside, with_named
from opswright_aws_devops.graph.surroundings import load_graph, look_closer
from opswright_aws_devops.ownership import NAME_TAG
from opswright_aws_devops.resource_kinds import Resource
from opswright_aws_devops.tools.inventory import Link, links, must_be_one
from opswright_core.aws import HERE, Target
from opswright_core.changes import load
from opswright_core.parallel import time_limit
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool

MOST_SHOWN = 40
_CHANGES_SEARCHED = 200

_WORDS = {
    "ec2:vpc": "a private network",
    "ec2:subnet": "a range of addresses of a VPC in one availability zone",
    "ec2:internet-gateway": "a VPC's door to the internet",
    "ec2:natgateway": "the way out to the internet for private subnets",
    "ec2:route-table": "the routes that subnets send their traffic by",
    "ec2:security-group": "a firewall around what carries it",
    "ec2:elastic-ip": "a fixed public address",
    "ec2:vpc-endpoint": "a private way to an AWS service",
    "ec2:network-interface": "a network card",
    "ec2:flow-log": "a record of network traffic",
    "elb:loadbalancer": "a load balancer, which spreads requests over targets",
    "elb:targetgroup": "the targets that a load balancer forwards to, and their health check",
    "route53:hosted-zone": "the DNS records of a domain",
    "acm:certificate": "a TLS certificate",
    "ec2:instance": "a virtual server",
    "ec2:launch-template": "what servers are started from",
    "ec2:volume": "a disk",
    "autoscaling:group": "a group of servers that is kept at its size",
    "lambda:function": "a function that runs on demand",
    "ecs:cluster": "a place for containers to run in",
    "ecs:service": "containers that are kept running",
    "eks:cluster": "a Kubernetes cluster",
    "ecr:repository": "a store of container images",
    "rds:db": "a database server",
    "rds:cluster": "a cluster of database servers",
    "rds:subnet-group": "the subnets that databases may be in",
    "s3:bucket": "a store of objects",
    "dynamodb:table": "a key-value table",
    "sqs:queue": "a queue of messages",
    "sns:topic": "a topic that delivers messages to subscribers",
    "cloudformation:stack": "resources that are made and deleted together",
    "iam:role": "rights that services and people take on",
    "secretsmanager:secret": "a kept secret",
    "ssm:parameter": "a kept setting",
    "kms:key": "an encryption key",
    "ec2:snapshot": "a copy of a disk",
    "ec2:image": "a machine image, which servers are started from",
    "rds:snapshot": "a copy of a database server",
    "rds:cluster-snapshot": "a copy of a database cluster",
    "apigateway:rest-api": "a REST API, a way in from outside",
    "apigatewayv2:api": "an HTTP or WebSocket API, a way in from outside",
    "cloudfront:distribution": "a content network in front of its origins",
    "logs:log-group": "a store of log lines",
    "lambda:layer": "code that functions share",
}


class Affected(BaseModel):
    """What suffers when the resource goes: at once, or by way of another."""

    type: str
    id: str
    name: str
    relation: str = Field(description="How it hangs on `via`")
    via: str = Field(description="Name of the resource, or of one that suffers first")
    distance: int = Field(description="1: directly")


class Explanation(BaseModel):
    """A resource in its surroundings."""

    resource: Resource
    summary: str
    public: Exposure
    public_because: str
    made_by: list[str] = Field(description="From its tags and this server's journal")
    depends_on: list[Link]
    depends_on_in_all: dict[str, int] = Field(description="Directly and by way of others, by type")
    related: list[Link] = Field(description="Copies and origins; neither needs the other")
    affected: list[Affected] = Field(description="What breaks if this goes, nearest first")
    affected_in_all: dict[str, int] = Field(description="Counts by type")
    not_found: list[str] = Field(
        description="What it names and was not found: gone, of another account or region, or unread"
    )
    unread: list[str] = Field(description="What could not be read, so that links there are unknown")


@read_tool(toolset="network")
def explain_resource(
    resource_id: Annotated[str, Field(description="Id, ARN, name or type/id", min_length=1)],
    target: Target = HERE,
) -> Explanation:
    """Explain a resource: what it is, who made it, if it is public, and what breaks if it goes."""
    a = aws(target)
    with time_limit(runtime().settings.wait_seconds):
        graph, unread = load_graph(a)
        graph = with_asked(a, graph, resource_id, unread)
        node = must_be_one(graph, resource_id, unread)
        graph = with_beside(a, graph, node, unread)
        graph = look_closer(a, graph, node, unread)
        graph = with_named(a, graph, node, unread)
    resource = graph.resource(node)
    needs = list(graph.reached(node, graph.depends_on))
    affected = list(graph.reached(node, graph.needed_by))
    public, because = exposure_of(graph, node)
    return Explanation(
        resource=resource,
        summary=_summary(resource, public, because, graph, affected),
        public=public,
        public_because=because,
        made_by=made_by(resource, str(graph.read[node][1].get(graph.read[node][0].arn, ""))),
        depends_on=links(graph, graph.depends_on.get(node, []), node),
        depends_on_in_all=_counts(graph, needs),
        related=links(graph, graph.related.get(node, []), node)[:MOST_SHOWN],
        affected=[_affected(graph, step) for step in affected[:MOST_SHOWN]],
        affected_in_all=_counts(graph, affected),
        not_found=_not_found(graph, node),
        unread=unread,
    )


def _summary(
    resource: Resource, public: Exposure, because: str, graph: Graph, affected: list[Step]
) -> str:
    words = _WORDS[resource.type]
    said = f"{resource.name} ({resource.type}) is {words}"
    if resource.state:
        said += f", {resource.state}"
    if public != "does not apply":
        said += f". Public: {public} ({because})"
    counts = ", ".join(f"{n} {kind}" for kind, n in _counts(graph, affected).items())
    return f"{said}. If it goes, this suffers: {counts or 'nothing that was read'}."


def _counts(graph: Graph, steps: list[Step]) -> dict[str, int]:
    return dict(Counter(graph.read[step.node][0].type for step in steps).most_common())


def _affected(graph: Graph, step: Step) -> Affected:
    it = graph.resource(step.node)
    via = graph.resource(step.edge.target).name
    return Affected(
        type=it.type, id=it.id, name=it.name, relation=step.edge.relation, via=via,
        distance=step.distance,
    )  # fmt: skip


def _not_found(graph: Graph, node: int) -> list[str]:
    """AWS's own keys and images are not listed, so they are not missed either."""
    return [
        clean(f"{missing.relation} {missing.name}", 300)
        for missing in graph.missing.get(node, [])
        if missing.types not in ((KEY,), (IMAGE,))
    ]


def made_by(resource: Resource, arn: str) -> list[str]:
    """Who made a resource, as its tags and this server's journal say."""
    tags = resource.tags
    said = []
    if "managed-by" in tags:
        part = f", as part of {tags[NAME_TAG]}" if NAME_TAG in tags else ""
        said.append(f"{tags['managed-by']} (tag managed-by){part}")
    for key, what in (
        ("aws:cloudformation:stack-name", "CloudFormation stack"),
        ("aws:autoscaling:groupName", "auto-scaling group"),
        ("eks:cluster-name", "EKS cluster"),
    ):
        if key in tags:
            said.append(f"{what} {tags[key]} (tag {key})")
    rt = runtime()
    for change_id in rt.journal.recent(_CHANGES_SEARCHED):
        change: Any = load(rt, change_id)
        if any(ref.id in (resource.id, arn) for ref in change.resources):
            who = f" for {change.asked_by}" if change.asked_by else ""
            said.append(f"{change.tool}{who}, change {change_id}, {change.status} (journal)")
    return said
