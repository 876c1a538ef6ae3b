"""Undoes the making of a VPC, and tells before what others have put into it."""

from collections.abc import Collection, Iterator
from typing import Any

from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.foresight import Foreseen
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.undo import AwsUndo, UndoStep
from opswright_core.verdicts import Unread, attempt

LEAVE_VPC = "ec2-vpc"
"""The kind of undo step that deletes a VPC; its arguments are those of an `aws` step."""

GROUP_TAG = "aws:autoscaling:groupName"
_LIVE = ["pending", "running", "stopping", "stopped"]
_SHOWN = 10


class VpcUndo(AwsUndo):
    """Deletes a VPC.

    AWS refuses while anything is in it, by when the undo has taken its gateways and routes away.
    """

    def __init__(self) -> None:
        super().__init__(lambda target, service, region: aws(target).client(service, region))

    def foresee(self, step: UndoStep, going: Collection[str]) -> Foreseen:
        """What is in the VPC that nothing here removes, each with the command that does."""
        a, vpc_id = aws(AwsTarget(**step.args["target"])), step.args["params"]["VpcId"]
        there = a.at(step.args["region"])
        told: list[str] = []
        unread: list[str] = []
        later: list[str] = []
        for read in (_instances, _subnets, _interfaces, _endpoints):
            found = attempt(lambda read=read: list(read(there, vpc_id)))  # type: ignore[misc]
            if isinstance(found, Unread):
                unread.append(f"Whether others use {vpc_id} is not known: {found.reason}")
                continue
            foreign = [(known, said) for known, said in found if not known & set(going)]
            for _, said in foreign:
                (told if "`" in said else later).append(said)
        if told:
            more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            told = [
                f"In {vpc_id} is what this change did not make: {'; '.join(told[:_SHOWN])}{more}. "
                "Nothing was undone, since its gateways would go first. Remove that, then undo."
            ]
        waits = [f"The undo waits for {one} in {vpc_id} to go." for one in later[:_SHOWN]]
        return Foreseen(told, [*unread, *waits])


Found = Iterator[tuple[set[str], str]]
"""By what each is known, and in words; with the command where it has to be removed first."""


def _within(vpc_id: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


def _instances(a: Aws, vpc_id: str) -> Found:
    live = {"Name": "instance-state-name", "Values": _LIVE}
    filters = [*_within(vpc_id), live]
    for reservation in a.pages("ec2", "describe_instances", "Reservations", Filters=filters):
        for one in reservation["Instances"]:
            tags, known = tags_of(one.get("Tags")), one["InstanceId"]
            name = f" ({clean(tags['Name'], 60)})" if tags.get("Name") else ""
            remove = f"aws ec2 terminate-instances --instance-ids {known}"
            yield {known, tags.get(GROUP_TAG, known)}, f"instance {known}{name}: `{remove}`"


def _subnets(a: Aws, vpc_id: str) -> Found:
    for one in a.pages("ec2", "describe_subnets", "Subnets", Filters=_within(vpc_id)):
        known = one["SubnetId"]
        yield {known}, f"subnet {known}: `aws ec2 delete-subnet --subnet-id {known}`"


def _interfaces(a: Aws, vpc_id: str) -> Found:
    """Those of no instance and no gateway.

    What AWS manages (of a load balancer, a database) goes with its owner, if minutes after it: told
    without a command.
    """
    filters = _within(vpc_id)
    gateways = a.pages("ec2", "describe_nat_gateways", "NatGateways", Filter=filters)
    endpoints = a.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters)
    owned = {at.get("NetworkInterfaceId") for one in gateways for at in one["NatGatewayAddresses"]}
    owned |= {known for one in endpoints for known in one.get("NetworkInterfaceIds", [])}
    for one in a.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters):
        known, about = one["NetworkInterfaceId"], clean(one.get("Description", ""), 100)
        attached = one.get("Attachment") or {}
        if attached.get("InstanceId") or known in owned:
            continue
        if one.get("RequesterManaged") or one.get("InterfaceType", "interface") != "interface":
            yield {known, *about.split("/")}, f"{about or 'an interface'} ({known})"
        elif one.get("Status") == "available":
            remove = f"aws ec2 delete-network-interface --network-interface-id {known}"
            yield {known}, f"network interface {known}: `{remove}`"


def _endpoints(a: Aws, vpc_id: str) -> Found:
    for one in a.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=_within(vpc_id)):
        known = one["VpcEndpointId"]
        if str(one.get("State")).lower() not in {"deleted", "deleting"}:
            remove = f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {known}"
            yield {known}, f"endpoint {known}: `{remove}`"
