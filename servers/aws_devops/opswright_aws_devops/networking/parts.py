"""The kinds of EC2 resources that are made here: how each is created, found and deleted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.networking.leaving import LEAVE_GROUP, LEAVE_VPC
from opswright_aws_devops.ownership import Maker, Request, key
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo


@dataclass(frozen=True)
class Ec2Kind:
    """EC2's words for one kind of resource."""

    tag_type: str
    """As in `TagSpecifications`."""
    id_key: str
    create: str
    """boto3's operation; its answer holds the id under `answer` (at the top when empty)."""
    answer: str
    delete: str
    describe: str
    items: str
    filter_key: str = "Filters"
    slow: bool = False
    """Whether its deletion goes on after the call, with others waiting for it."""
    delete_key: str = ""
    """Where `delete` takes a list of ids, its name."""
    undone_by: str = "aws"
    """The kind of its undo step."""

    @property
    def alive(self) -> str:
        """JMESPath over the describe answer; empty once the resource is gone."""
        return f"{self.items}[?State!='deleted']" if self.slow else f"{self.items}[]"


KINDS: dict[str, Ec2Kind] = {
    "ec2:vpc": Ec2Kind(
        "vpc",
        "VpcId",
        "create_vpc",
        "Vpc",
        "delete_vpc",
        "describe_vpcs",
        "Vpcs",
        undone_by=LEAVE_VPC,
    ),
    "ec2:internet-gateway": Ec2Kind(
        "internet-gateway",
        "InternetGatewayId",
        "create_internet_gateway",
        "InternetGateway",
        "delete_internet_gateway",
        "describe_internet_gateways",
        "InternetGateways",
    ),
    "ec2:route-table": Ec2Kind(
        "route-table",
        "RouteTableId",
        "create_route_table",
        "RouteTable",
        "delete_route_table",
        "describe_route_tables",
        "RouteTables",
    ),
    "ec2:subnet": Ec2Kind(
        "subnet",
        "SubnetId",
        "create_subnet",
        "Subnet",
        "delete_subnet",
        "describe_subnets",
        "Subnets",
    ),
    "ec2:elastic-ip": Ec2Kind(
        "elastic-ip",
        "AllocationId",
        "allocate_address",
        "",
        "release_address",
        "describe_addresses",
        "Addresses",
    ),
    "ec2:natgateway": Ec2Kind(
        "natgateway",
        "NatGatewayId",
        "create_nat_gateway",
        "NatGateway",
        "delete_nat_gateway",
        "describe_nat_gateways",
        "NatGateways",
        filter_key="Filter",
        slow=True,
    ),
    "ec2:security-group": Ec2Kind(
        "security-group",
        "GroupId",
        "create_security_group",
        "",
        "delete_security_group",
        "describe_security_groups",
        "SecurityGroups",
        undone_by=LEAVE_GROUP,
    ),
    "ec2:vpc-endpoint": Ec2Kind(
        "vpc-endpoint",
        "VpcEndpointId",
        "create_vpc_endpoint",
        "VpcEndpoint",
        "delete_vpc_endpoints",
        "describe_vpc_endpoints",
        "VpcEndpoints",
        slow=True,
        delete_key="VpcEndpointIds",
    ),
    "ec2:egress-only-internet-gateway": Ec2Kind(
        "egress-only-internet-gateway",
        "EgressOnlyInternetGatewayId",
        "create_egress_only_internet_gateway",
        "EgressOnlyInternetGateway",
        "delete_egress_only_internet_gateway",
        "describe_egress_only_internet_gateways",
        "EgressOnlyInternetGateways",
    ),
}

_GOING = {"deleted", "deleting", "failed"}


def known_parts(a: Aws, request: Request, kinds: Iterable[str]) -> dict[str, str]:
    """Ids of the parts that a request made before, by `key(kind, name)`."""
    known: dict[str, str] = {}
    for kind in kinds:
        words = KINDS[kind]
        filters = {words.filter_key: request.filters}
        for item in a.pages("ec2", words.describe, words.items, **filters):
            tags = tags_of(item.get("Tags"))  # an emulator may not filter by them
            if request.made(tags) and str(item.get("State")).lower() not in _GOING:
                known[key(kind, tags["Name"])] = item[words.id_key]
    return known


@dataclass(frozen=True)
class Ec2Maker:
    """Makes a request's EC2 parts through the recorder, each once, tagged and with its inverse."""

    a: Aws
    rec: Recorder
    request: Request
    target: AwsTarget
    known: dict[str, str]

    def make(self, kind: str, part: str, **parameters: Any) -> str:
        """Make one part with EC2's parameters, or take up the one made before; returns its id."""
        words, ec2 = KINDS[kind], self.a.client("ec2")

        def create() -> str:
            tags = self.request.specification(words.tag_type, part)
            answer = getattr(ec2, words.create)(**parameters, TagSpecifications=tags)
            made: str = (answer[words.answer] if words.answer else answer)[words.id_key]
            return made

        def undo(made: str) -> list[UndoStep]:
            step = aws_undo(
                f"delete {kind.removeprefix('ec2:')} {made}",
                "ec2",
                words.delete,
                {words.delete_key: [made]} if words.delete_key else {words.id_key: made},
                target=self.target,
                region=self.a.region,
                gone=(words.describe, {f"{words.id_key}s": [made]}, words.alive),
                wait_gone=words.slow,
            )
            return [step.model_copy(update={"kind": words.undone_by})]

        return Maker(self.rec, self.known).make(kind, part, create, undo)
