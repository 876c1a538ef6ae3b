"""Writes an assembly as a Python script that builds it with boto3, and again changes nothing."""

import inspect
import json
import keyword
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opswright_aws_devops.export.model import (
    Assembly,
    Join,
    Parameter,
    Part,
    PublicParameter,
    Ref,
    Value,
    Zone,
    references,
    values_of,
)
from opswright_aws_devops.export.script import (
    building,
    data,
    instances,
    messaging,
    networks,
    servers,
)
from opswright_aws_devops.export.terraform.hcl import snake_case
from opswright_core.errors import BadInputError

FUNCTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "AWS::AutoScaling::AutoScalingGroup": servers.auto_scaling_group,
    "AWS::AutoScaling::ScalingPolicy": servers.scaling_policy,
    "AWS::EC2::EIP": networks.eip,
    "AWS::EC2::Instance": instances.instance,
    "AWS::EC2::InternetGateway": networks.internet_gateway,
    "AWS::EC2::LaunchTemplate": servers.launch_template,
    "AWS::EC2::NatGateway": networks.nat_gateway,
    "AWS::EC2::Route": networks.route,
    "AWS::EC2::RouteTable": networks.route_table,
    "AWS::EC2::SecurityGroup": networks.security_group,
    "AWS::EC2::SecurityGroupEgress": networks.security_group_egress,
    "AWS::EC2::SecurityGroupIngress": networks.security_group_ingress,
    "AWS::EC2::Subnet": networks.subnet,
    "AWS::EC2::SubnetRouteTableAssociation": networks.subnet_route_table_association,
    "AWS::EC2::VPC": networks.vpc,
    "AWS::EC2::VPCEndpoint": networks.vpc_endpoint,
    "AWS::EC2::VPCGatewayAttachment": networks.vpc_gateway_attachment,
    "AWS::ElasticLoadBalancingV2::Listener": servers.listener,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": servers.load_balancer,
    "AWS::ElasticLoadBalancingV2::TargetGroup": servers.target_group,
    "AWS::IAM::InstanceProfile": servers.instance_profile,
    "AWS::IAM::Role": servers.role,
    "AWS::RDS::DBCluster": data.db_cluster,
    "AWS::RDS::DBInstance": data.db_instance,
    "AWS::RDS::DBSubnetGroup": data.db_subnet_group,
    "AWS::S3::Bucket": data.bucket,
    "AWS::S3::BucketPolicy": data.bucket_policy,
    "AWS::SNS::Subscription": messaging.subscription,
    "AWS::SNS::Topic": messaging.topic,
    "AWS::SNS::TopicPolicy": messaging.topic_policy,
    "AWS::SQS::Queue": messaging.queue,
    "AWS::SQS::QueuePolicy": messaging.queue_policy,
}
"""What makes a part of each type; its source goes into the script."""

_SHARED = (
    networks.ec2_part,
    networks.permission,
    networks.security_group_rule,
    servers.tags_of_elb,
    data.lifecycle_rule,
)
"""What several of them call."""

_HEAD = '''"""Builds {title} with boto3, exported by opswright.

What it made it knows again by the tag {tag}, so that running it again makes only what is
missing: after an interruption, run it again. It deletes nothing, and what it did not make it does
not touch. It needs boto3 1.40 or later, and credentials as the AWS command line takes them.

    python {file} --dry-run          what is there and what is missing
    python {file}                    build it, and print what it gives as JSON
"""

import argparse
import json
import sys
{more}from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

'''
_TAIL = '''
def main() -> None:
    """Read the arguments, and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--region", default={region})
    parser.add_argument("--account", help="refuse to touch any other account")
    parser.add_argument("--name", default={name}, help="of the whole; another makes it once more")
    parser.add_argument("--dry-run", action="store_true", help="only look")
    given = parser.parse_args()
    session = boto3.Session(region_name=given.region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
        if given.account not in (None, account):
            sys.exit(f"These credentials are of account {{account}}, not of {{given.account}}.")
        built = build(Building(session, given.name, given.dry_run))
    except (BotoCoreError, ClientError, WaiterError) as error:
        sys.exit(f"{{error}}\\nWhat was made is there; run it again when this is mended.")
    print(json.dumps(built, indent=2))


if __name__ == "__main__":
    main()
'''

_ZONE = '''
def zones(it: Building) -> list[str]:
    """The availability zones that the account may use, in order."""
    found = it.client("ec2").describe_availability_zones()["AvailabilityZones"]
    usual = [zone for zone in found if zone.get("ZoneType", "") in ("", "availability-zone")]
    return sorted(zone["ZoneName"] for zone in usual if zone["State"] == "available")

'''
_PARAMETER = '''
def public_parameter(it: Building, name: str) -> str:
    """The value of one of AWS's public parameters, as of now."""
    value: str = it.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    return value

'''


def as_script(assembly: Assembly) -> str:
    """The script. Raises BadInputError for a type that it has no function for."""
    if odd := sorted({part.type for part in assembly.parts} - FUNCTIONS.keys()):
        raise BadInputError(
            f"A boto3 script cannot make {', '.join(odd)}; take cloudformation or terraform."
        )
    inside = [part.properties for part in assembly.parts]
    if secret := [p.name for p in values_of(inside, Parameter) if p.default is None]:
        raise BadInputError(
            f"A boto3 script would hold {', '.join(secret)}; take cloudformation or terraform."
        )
    names = sorted({value.name for value in values_of(inside, Zone)})
    writer = _Writer({name: index for index, name in enumerate(names)})
    body = list(writer.body(assembly))
    own = f"{assembly.name.replace('-', '_')}.py"
    made = "\n\n".join(_sources(assembly))
    more = "import time\n" if "time." in made else ""
    head = _HEAD.format(title=assembly.name, tag=building.TAG, file=own, more=more)
    extras = (_ZONE if names else "") + (
        _PARAMETER if any(values_of(inside, PublicParameter)) else ""
    )
    tail = _TAIL.format(region=json.dumps(assembly.region), name=json.dumps(assembly.name))
    tag = f'TAG = "{building.TAG}"\n\n\n'
    return head + tag + made + "\n" + extras + "\n" + "\n".join(body) + "\n\n" + tail


def _sources(assembly: Assembly) -> Iterator[str]:
    """The source of everything that the parts need, as it stands."""
    wanted = {part.type for part in assembly.parts}
    used = [_source(make) for kind, make in FUNCTIONS.items() if kind in wanted]
    yield _source(building.Missing)
    yield _source(building.Building)
    yield _source(building.or_none)
    # One that another of them calls comes before it.
    shared: list[str] = []
    for function in reversed(_SHARED):
        if any(f"{function.__name__}(" in source for source in [*used, *shared]):
            shared.insert(0, _source(function))
    yield from shared
    yield from used


def _source(what: Any) -> str:
    """As it stands, without what only our own formatter reads."""
    return inspect.getsource(what).replace("  # fmt: skip", "")


class _Writer:
    def __init__(self, zones: Mapping[str, int]) -> None:
        self._zones = zones
        self._variables: dict[str, str] = {}
        """What each part is called; logical ids may differ in capitals alone."""

    def body(self, assembly: Assembly) -> Iterator[str]:
        yield "def build(it: Building) -> dict[str, Any]:"
        yield '    """Make every part in turn; gives what others need of them."""'
        if self._zones:
            yield "    zone = zones(it)"
        for part in assembly.parts:
            self._variables[part.key] = self._free(snake_case(part.key))
        parts = [part.properties for part in assembly.parts]
        needed = {ref.part for ref in references([*parts, assembly.outputs])}
        for part in assembly.parts:
            yield from self._part(part, is_needed=part.key in needed)
        yield "    return {"
        for key, value in assembly.outputs.items():
            yield f"        {json.dumps(key)}: {self._value(value, 8)},"
        yield "    }"

    def _free(self, name: str) -> str:
        taken = _TAKEN.union(self._variables.values())
        while name in taken:
            name += "_"
        return name

    def _part(self, part: Part, *, is_needed: bool) -> Iterator[str]:
        kept = f"{self._variables[part.key]} = " if is_needed else ""
        yield f"    {kept}{FUNCTIONS[part.type].__name__}("
        yield "        it,"
        yield f"        {json.dumps(part.key)},"
        for name, value in part.properties.items():
            yield f"        {name}={self._value(value, 8)},"
        yield "    )"

    def _value(self, value: Value, indent: int) -> str:
        pad = " " * (indent + 4)
        if isinstance(value, Ref):
            return f"{self._variables[value.part]}[{json.dumps(value.attribute)}]"
        if isinstance(value, Join):
            parts = ", ".join(self._value(part, indent) for part in value.parts)
            return f"{json.dumps(value.separator)}.join([{parts}])"
        if isinstance(value, Zone):
            return f"zone[{self._zones[value.name]}]"
        if isinstance(value, Parameter):
            return json.dumps(value.default)
        if isinstance(value, PublicParameter):
            return f"public_parameter(it, {json.dumps(value.name)})"
        if isinstance(value, Mapping):
            items = [f"{json.dumps(k)}: {self._value(v, indent + 4)}" for k, v in value.items()]
            return _enclosed("{", items, "}", pad, indent)
        if isinstance(value, list | tuple):
            items = [self._value(item, indent + 4) for item in value]
            return _enclosed("[", items, "]", pad, indent)
        return repr(value) if not isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _enclosed(begin: str, items: list[str], end: str, pad: str, indent: int) -> str:
    """On one line where it fits, else an item a line."""
    line = f"{begin}{', '.join(items)}{end}"
    if len(line) + indent <= 88 and "\n" not in line:
        return line
    return "\n".join([begin, *(f"{pad}{item}," for item in items), " " * indent + end])


_TAKEN = {make.__name__ for make in FUNCTIONS.values()} | {"it", "zone", "zones", *keyword.kwlist}
