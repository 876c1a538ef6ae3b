"""Reads the resources that were chosen, and joins them by references in place of their ids."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from opswright_aws_devops.export.existing import (
    containers,
    data,
    functions,
    groups,
    names,
    networks,
    servers,
    tables,
)
from opswright_aws_devops.export.existing.described import Describe, Named, Parts
from opswright_aws_devops.export.model import (
    Assembly,
    Join,
    Parameter,
    Part,
    Ref,
    Value,
    references,
)
from opswright_aws_devops.resource_kinds.reading import Read
from opswright_core.aws import Aws
from opswright_core.errors import OpswrightError
from opswright_core.verdicts import Unread, attempt

GROUPS = "ec2:security-group"
DESCRIBE: dict[str, Describe] = {
    "ec2:vpc": networks.vpc,
    "ec2:internet-gateway": networks.internet_gateway,
    "ec2:subnet": networks.subnet,
    "ec2:route-table": networks.route_table,
    "ec2:elastic-ip": networks.elastic_ip,
    "ec2:natgateway": networks.nat_gateway,
    "ec2:vpc-endpoint": networks.vpc_endpoint,
    "elb:targetgroup": servers.target_group,
    "elb:loadbalancer": servers.load_balancer,
    "iam:role": servers.role,
    "ec2:launch-template": servers.launch_template,
    "autoscaling:group": servers.auto_scaling_group,
    "ec2:instance": servers.instance,
    "rds:subnet-group": data.subnet_group,
    "rds:cluster": data.cluster,
    "rds:db": data.database,
    "dynamodb:table": tables.table,
    "lambda:function": functions.function,
    "ecs:cluster": containers.cluster,
    "ecs:service": containers.service,
    "route53:hosted-zone": names.zone,
    "acm:certificate": names.certificate,
    "logs:log-group": functions.log_group,
    "cloudwatch:alarm": functions.alarm,
    "s3:bucket": data.bucket,
    "sqs:queue": data.queue,
    "sns:topic": data.topic,
}
"""How a resource of each kind of the inventory is described; security groups are, all at once."""

_LISTENER, _SERVICE = "AWS::ElasticLoadBalancingV2::Listener", "AWS::ECS::Service"

MADE_BY_OTHERS = {"ec2:network-interface": "what it belongs to makes it"}

_LITERAL = re.compile(
    r"(vpc|subnet|sg|rtb|igw|nat|eipalloc|eni|lt|ami|pcx|tgw|vpce|acl|pl|snap|vol|i|eigw)-[0-9a-f]{8,17}"
    r"|arn:[\w-]+:[\w-]+:[\w-]*:\d{12}:.+"
)
"""What names a resource of one account."""


def described(a: Aws, name: str, read: Sequence[Read]) -> tuple[Assembly, list[str]]:
    """The resources as an assembly that keeps them when it is deleted, and what was left out.

    Raises OpswrightError where they refer to each other in a circle.
    """
    it = Parts(a)
    security_groups = [item for kind, item in read if kind.type == GROUPS]
    if security_groups:
        groups.security_groups(it, security_groups, groups.load_rule_ids(it, security_groups))
    for kind, item in read:
        what = str(item[kind.id])
        if kind.type == GROUPS:
            continue
        if kind.type not in DESCRIBE:
            it.leave_out(what, MADE_BY_OTHERS.get(kind.type, f"{kind.type} is not exported yet"))
            continue
        if isinstance(done := attempt(lambda: _describe(it, kind.type, item)), Unread):  # noqa: B023
            it.leave_out(what, f"it was not read: {done.reason}")
    assembly = Assembly(name=name, region=a.region, retains=True)
    assembly.parts = _in_order([_joined(part, it) for part in it.parts])
    for part in assembly.parts:
        for ref in it.ids.values():
            if ref.part == part.key and ref.attribute != "Arn":
                assembly.outputs.setdefault(f"{part.key}{ref.attribute}", ref)
    return assembly, it.left_out


def _describe(it: Parts, kind: str, item: dict[str, Any]) -> bool:
    DESCRIBE[kind](it, item)
    return True


def _joined(part: Part, it: Parts) -> Part:
    """A part whose properties refer to the others in place of their ids and names."""

    def join(value: Value) -> Value:
        if isinstance(value, Named):
            return it.names.get((value.type, value.name)) or value.otherwise or value.name
        if isinstance(value, str):
            return _text(value, part.key, it)
        if isinstance(value, Mapping):
            return {key: join(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [join(inner) for inner in value]
        return value

    return replace(part, properties={key: join(value) for key, value in part.properties.items()})


def _text(value: str, own: str, it: Parts) -> Value:
    """A reference for an id or ARN of another part; a parameter for one that is not here."""
    found = it.ids.get(value)
    if found is not None:
        return value if found.part == own else found
    for end in [i for i, c in enumerate(value) if c in "/:"][::-1]:
        whole = it.ids.get(value[:end])
        if whole is not None and whole.part != own and value.startswith("arn:"):
            return Join((whole, value[end:]))
    if _LITERAL.fullmatch(value) and not value.startswith(f"arn:{it.a.partition}:iam::aws:"):
        return Parameter(value, value)
    return value


def _in_order(parts: list[Part]) -> list[Part]:
    """Each after those it refers to; a route to an internet gateway after its attachment.

    ECS refuses a service whose target group no listener serves yet.
    """
    by_key = {part.key: part for part in parts}
    attached = {
        ref.part: part.key
        for part in parts
        if part.type == "AWS::EC2::VPCGatewayAttachment"
        for ref in references(part.properties.get("InternetGatewayId"))
    }
    listeners = [part for part in parts if part.type == _LISTENER]
    for part in parts:
        if part.type == _SERVICE:
            targets = set(references(part.properties.get("LoadBalancers")))
            serving = [one.key for one in listeners if targets & set(references(one.properties))]
            by_key[part.key] = replace(part, depends_on=tuple(serving))
        gateway = part.properties.get("GatewayId")
        if isinstance(gateway, Ref) and gateway.part in attached:
            by_key[part.key] = replace(part, depends_on=(attached[gateway.part],))
    needs = {
        key: {ref.part for ref in references(part.properties)} | set(part.depends_on)
        for key, part in by_key.items()
    }
    try:
        return [by_key[key] for key in TopologicalSorter(needs).static_order()]
    except CycleError as exc:
        circle = ", ".join(exc.args[1])
        raise OpswrightError(
            f"These refer to each other in a circle, which no template can: {circle}. Export them "
            "apart (resource_ids), so that the rest stays a parameter."
        ) from exc
