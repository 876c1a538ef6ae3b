"""Which existing resources are meant: by id, ARN or name, by VPC, or by tag."""

from collections.abc import Sequence
from dataclasses import replace

from opswright_aws_devops.export.existing.functions import ALARM
from opswright_aws_devops.resource_kinds import (
    INVENTORY,
    Items,
    ResourceKind,
    as_resource,
    has_tag,
    in_vpc,
)
from opswright_aws_devops.resource_kinds.reading import Read, Reading, read_kinds
from opswright_aws_devops.resource_kinds.requested import LOG_GROUP
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.text import clean

MOST = 200
"""Resources of one export; CloudFormation takes 500 in a template, and parts are more."""


def choose(
    a: Aws, resource_ids: Sequence[str], vpc_id: str | None, tag: str | None
) -> Reading[Read]:
    """The resources that are named, and of the others those in the VPC that have the tag.

    Raises NotFoundError for one that is not there, BadInputError for none or too many.
    """
    subnet_ids: list[str] = []
    if vpc_id:
        here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        subnets = a.pages("ec2", "describe_subnets", "Subnets", Filters=here)
        subnet_ids = [subnet["SubnetId"] for subnet in subnets]
    named: set[str] = set()
    addresses: list[Read] = []

    def take(kind: ResourceKind, items: Items) -> list[Read]:
        chosen = []
        for item in items:
            resource = as_resource(kind, item, a.region)
            names = {resource.id, str(item.get(kind.arn)), resource.name} & set(resource_ids)
            named.update(names)
            fits = (not vpc_id or in_vpc(resource, item, vpc_id, subnet_ids)) and (
                not tag or has_tag(resource, tag)
            )
            if names or ((vpc_id or tag) and fits):
                chosen.append((kind, item))
            elif kind.type == "ec2:elastic-ip":
                addresses.append((kind, item))
        return chosen

    beside = (LOG_GROUP, ALARM)
    reading = read_kinds(a, (*INVENTORY, *beside) if tag else INVENTORY, take)
    if not tag and not named.issuperset(resource_ids):
        more = read_kinds(a, beside, take)
        reading = replace(
            reading, found=reading.found + more.found, unread=reading.unread + more.unread
        )
    if missing := [name for name in resource_ids if name not in named]:
        unread = f" Not read: {'; '.join(reading.unread)}." if reading.unread else ""
        raise NotFoundError(
            f"No resource {clean(', '.join(missing), 300)} in {a.region}; list_resources shows "
            f"what there is.{unread}"
        )
    # A NAT gateway's address is in no VPC, and of no use without it.
    used = {
        address.get("AllocationId")
        for kind, item in reading.found
        if kind.type == "ec2:natgateway"
        for address in item["NatGatewayAddresses"]
    }
    found = [read for read in addresses if read[1]["AllocationId"] in used]
    reading = replace(reading, found=reading.found + found)
    if not reading.found:
        raise BadInputError("Nothing fits; give resource_ids, or a vpc_id or tag that has some.")
    if len(reading.found) > MOST:
        raise BadInputError(
            f"{len(reading.found)} resources fit, and an export has {MOST} at most; choose fewer."
        )
    return reading
