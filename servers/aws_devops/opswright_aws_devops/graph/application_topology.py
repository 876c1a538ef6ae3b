"""An application whole: what carries its tag, in VPCs and outside them, and what holds it together.

Pure, but for `load_application`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.applications import load_tagged
from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.surroundings import load_graph, look_into
from opswright_aws_devops.ownership import NAME_TAG
from opswright_core.aws import Aws, tags_of
from opswright_core.errors import NotFoundError
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt

MOST_DRAWN, MOST_ARROWS = 40, 120
"""Of a picture; more cannot be read, nor fits an answer."""

_NAME_LENGTH = 40
_MOST_TOLD = 5

GLOBAL_REGION = "us-east-1"
"""Where the tagging API lists CloudFront's distributions and other resources without a region."""

Layer = Literal["entry", "network", "compute", "data", "rights"]
LAYERS: tuple[Layer, ...] = ("entry", "network", "compute", "data", "rights")
"""From where requests come in to what is needed last."""

_LAYER_OF: dict[str, Layer] = {
    "route53:hosted-zone": "entry", "acm:certificate": "entry", "cloudfront:distribution": "entry",
    "elb:loadbalancer": "entry", "elb:targetgroup": "entry", "apigateway": "entry",
    "autoscaling:group": "compute", "ec2:instance": "compute", "lambda:function": "compute",
    "ecs:service": "compute", "ecs:cluster": "compute", "eks:cluster": "compute",
    "ec2:launch-template": "compute", "ecr:repository": "compute",
    "rds:db": "data", "rds:cluster": "data", "s3:bucket": "data", "dynamodb:table": "data",
    "sqs:queue": "data", "sns:topic": "data", "ec2:volume": "data", "logs:log-group": "data",
    "iam:role": "rights", "kms:key": "rights", "secretsmanager:secret": "rights",
    "ssm:parameter": "rights", "cloudformation:stack": "rights",
}  # fmt: skip
_LEAST_TELLING = (
    "ec2:network-interface", "ec2:volume", "ec2:route-table", "ec2:elastic-ip", "ec2:flow-log",
    "ec2:vpc-endpoint", "rds:subnet-group", "ec2:subnet", "ec2:security-group",
    "ec2:internet-gateway", "ec2:natgateway", "cloudformation:stack", "ssm:parameter",
)  # fmt: skip
"""What is left out first, in this order."""

_FRAMES = ("ec2:vpc", "ec2:subnet")
"""Drawn as places, or told by them: no boxes of their own."""


class Box(BaseModel):
    """One resource of the picture; `vpc_id` is where it is, None outside of every VPC."""

    model_config = ConfigDict(frozen=True)
    id: str
    type: str
    name: str
    vpc_id: str | None = None
    is_own: bool = Field(True, description="False: it carries no tag of the application")

    @property
    def layer(self) -> Layer:
        """Which of the layers it stands in."""
        service = self.type.partition(":")[0]
        return _LAYER_OF.get(self.type) or _LAYER_OF.get(service) or "network"


class Arrow(BaseModel):
    """`source` … `target`, as `relation` says; both are ids of boxes."""

    model_config = ConfigDict(frozen=True)
    source: str
    target: str
    relation: str


class ApplicationTopology(BaseModel):
    """The boxes and arrows of an application."""

    name: str
    region: str
    boxes: list[Box]
    arrows: list[Arrow]
    vpcs: dict[str, str] = Field(description="Name by id, of the VPCs that boxes are in")
    left_out: dict[str, int] = Field(description="What did not fit, by type; `arrows` for these")
    unread: list[str]


def load_application(a: Aws, application: str) -> ApplicationTopology:
    """Read what carries `key=value`, or the tag of an application that opswright made.

    Raises NotFoundError where nothing does.
    """
    key, is_tag, value = application.partition("=")
    if not is_tag:
        key, value = NAME_TAG, application
    graph, unread = load_graph(a)
    own = tagged_nodes(graph, key, value)
    graph = look_into(a, graph, own, own, unread)
    others: dict[str, Mapping[str, str]] = {}
    for region in dict.fromkeys((a.region, GLOBAL_REGION)):
        found = attempt(partial(load_tagged, a.at(region), key, value))
        if isinstance(found, Unread):
            unread.append(f"resources of other kinds in {region}: {found.reason}")
        else:
            others |= {
                one.arn: one.tags for one in found if one.arn.split(":")[3] in {"", a.region}
            }
    drawn = lay_out(graph, own, others, application, unread)
    if not drawn.boxes and not drawn.vpcs:
        hint = f" Not read: {'; '.join(unread[:_MOST_TOLD])}." if unread else ""
        raise NotFoundError(
            f"Nothing in {a.region} carries the tag {clean(f'{key}={value}', 200)!r}; "
            f"list_resources shows what there is with its tags.{hint}"
        )
    return drawn


def tagged_nodes(graph: Graph, key: str, value: str) -> list[int]:
    """The numbers of the nodes that carry a tag."""
    return [
        node
        for node, (kind, item) in enumerate(graph.read)
        if tags_of(item.get(kind.tags)).get(key) == value
    ]


def lay_out(
    graph: Graph,
    own: Sequence[int],
    others: Mapping[str, Mapping[str, str]],
    name: str,
    unread: list[str],
) -> ApplicationTopology:
    """The picture of the nodes, what they directly need, and ARNs of kinds without a graph."""
    frames = {n for n in own if graph.read[n][0].type in _FRAMES}
    chosen = dict.fromkeys(n for n in own if n not in frames)
    for node in own:
        for edge in (*graph.depends_on.get(node, []), *graph.needed_by.get(node, [])):
            other = edge.target if edge.source == node else edge.source
            if graph.read[other][0].type not in (*_FRAMES, *_LEAST_TELLING):
                chosen.setdefault(other)
    boxes = [_box(graph, node, is_own=node in set(own)) for node in chosen]
    known = {name for node in (*chosen, *own) for name in graph.names_of(node)}
    boxes += [_foreign(arn, tags) for arn, tags in others.items() if not _is_known(arn, known)]
    kept, left_out = _fitting(boxes)
    ids = {box.id for box in kept}
    arrows = dict.fromkeys(
        Arrow(source=_key(graph, e.source), target=_key(graph, e.target), relation=e.relation)
        for node in chosen
        for e in graph.depends_on.get(node, [])
    )
    fitting = [arrow for arrow in arrows if {arrow.source, arrow.target} <= ids]
    vpc_ids = {box.vpc_id for box in kept} | {
        graph.resource(n).id for n in frames if graph.read[n][0].type == "ec2:vpc"
    }
    names = {graph.resource(n).id: graph.resource(n).name for n in range(len(graph.read))
             if graph.read[n][0].type == "ec2:vpc"}  # fmt: skip
    return ApplicationTopology(
        name=clean(name, 100),
        region=graph.region,
        boxes=kept,
        arrows=fitting[:MOST_ARROWS],
        vpcs={vpc_id: names.get(vpc_id, vpc_id) for vpc_id in sorted(filter(None, vpc_ids))},
        left_out=left_out | ({"arrows": rest} if (rest := len(fitting[MOST_ARROWS:])) else {}),
        unread=unread,
    )


def _key(graph: Graph, node: int) -> str:
    kind, item = graph.read[node]
    return f"{kind.type}/{item[kind.id]}"


def _box(graph: Graph, node: int, *, is_own: bool) -> Box:
    it = graph.resource(node)
    vpc_id = it.vpc_id or next(
        (
            graph.resource(edge.target).vpc_id
            for edge in graph.depends_on.get(node, [])
            if graph.read[edge.target][0].type == "ec2:subnet"
        ),
        None,
    )
    return Box(
        id=_key(graph, node),
        type=it.type,
        name=clean(it.name, _NAME_LENGTH),
        vpc_id=vpc_id,
        is_own=is_own,
    )


def _foreign(arn: str, tags: Mapping[str, str]) -> Box:
    """A resource that only its ARN and tags tell of."""
    _, _, service, _, _, rest = arn.split(":", 5)
    kind, *path = re.split("[:/]", rest.lstrip("/"), maxsplit=1)
    if not path:  # a bucket, a queue, a topic: the name alone
        kind, path = service, [rest]
    name = tags.get("Name") or path[0]
    return Box(id=arn, type=f"{service}:{kind}", name=clean(name, _NAME_LENGTH))


def _is_known(arn: str, known: set[str]) -> bool:
    """Whether a node has this ARN; EC2's descriptions tell ids alone."""
    return arn in known or (arn.split(":")[2] == "ec2" and arn.rpartition("/")[2] in known)


def _fitting(boxes: Sequence[Box]) -> tuple[list[Box], dict[str, int]]:
    """The boxes that fit, the application's own first, and counts of those left out by type."""

    def rank(box: Box) -> tuple[int, bool]:
        tells = box.type not in _LEAST_TELLING
        return 0 if tells else len(_LEAST_TELLING) - _LEAST_TELLING.index(box.type), not box.is_own

    ranked = sorted(boxes, key=rank)
    kept = {box.id for box in ranked[:MOST_DRAWN]}
    left_out = Counter(box.type for box in ranked[MOST_DRAWN:])
    return [box for box in boxes if box.id in kept], dict(left_out.most_common())


def counted(boxes: Sequence[Box]) -> dict[str, int]:
    """How many boxes there are of each type."""
    return dict(Counter(box.type for box in boxes).most_common())
