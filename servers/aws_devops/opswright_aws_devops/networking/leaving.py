"""Undoes the making of VPCs and security groups, and tells before who else uses them."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.foresight import Foreseen
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.undo import AwsUndo, UndoStep
from opswright_core.verdicts import Unread, attempt

LEAVE_VPC, LEAVE_GROUP = "ec2-vpc", "ec2-security-group"
"""The kinds of undo step that delete a VPC or a security group; their arguments are those of an
`aws` step."""

GROUP_TAG = "aws:autoscaling:groupName"
_LIVE = ["pending", "running", "stopping", "stopped"]
_SHOWN = 10


class LeavingUndo(AwsUndo):
    """Deletes a VPC or a security group.

    AWS refuses while anything is in it, by when the undo has taken its gateways, routes or rules
    away.
    """

    def __init__(self) -> None:
        super().__init__(lambda target, service, region: aws(target).client(service, region))

    def foresee(self, step: UndoStep, going: Collection[str]) -> Foreseen:
        """What is in it that nothing here removes, each with the command that does.

        Of those that use a group, its servers; what else does keeps the undo waiting.
        """
        a = aws(AwsTarget(**step.args["target"])).at(step.args["region"])
        ((key, it),) = step.args["params"].items()
        within, readers = _LOOKS[key]
        filters = [{"Name": within, "Values": [it]}]
        told: list[str] = []
        unread: list[str] = []
        later: list[str] = []
        for read in readers:
            found = attempt(lambda read=read: list(read(a, filters)))  # type: ignore[misc]
            if isinstance(found, Unread):
                unread.append(f"Whether others use {it} is not known: {found.reason}")
                continue
            foreign = [(known, said) for known, said in found if not known & set(going)]
            for _, said in foreign:
                (told if "`" in said else later).append(said)
        if told:
            more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            told = [
                f"In {it} is what this change did not make: {'; '.join(told[:_SHOWN])}{more}. "
                f"Nothing was undone, since its {_FIRST[key]} would go first. Remove that, then "
                "undo."
            ]
        waits = [f"The undo waits for {one} in {it} to go." for one in later[:_SHOWN]]
        return Foreseen(told, [*unread, *waits])


Filters = list[dict[str, Any]]
Found = Iterator[tuple[set[str], str]]
"""By what each is known, and in words; with the command where it has to be removed first."""


def _instances(a: Aws, filters: Filters) -> Found:
    live = {"Name": "instance-state-name", "Values": _LIVE}
    for reservation in a.pages(
        "ec2", "describe_instances", "Reservations", Filters=[*filters, live]
    ):
        for one in reservation["Instances"]:
            tags, known = tags_of(one.get("Tags")), one["InstanceId"]
            name = f" ({clean(tags['Name'], 60)})" if tags.get("Name") else ""
            remove = f"aws ec2 terminate-instances --instance-ids {known}"
            yield {known, tags.get(GROUP_TAG, known)}, f"instance {known}{name}: `{remove}`"


def _subnets(a: Aws, filters: Filters) -> Found:
    for one in a.pages("ec2", "describe_subnets", "Subnets", Filters=filters):
        known = one["SubnetId"]
        yield {known}, f"subnet {known}: `aws ec2 delete-subnet --subnet-id {known}`"


def _interfaces(a: Aws, filters: Filters) -> Found:
    """Those of no instance and no gateway.

    What AWS manages (of a load balancer, a database) goes with its owner, if minutes after it: told
    without a command.
    """
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


def _endpoints(a: Aws, filters: Filters) -> Found:
    for one in a.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters):
        known = one["VpcEndpointId"]
        if str(one.get("State")).lower() not in {"deleted", "deleting"}:
            remove = f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {known}"
            yield {known}, f"endpoint {known}: `{remove}`"


_LOOKS: dict[str, tuple[str, tuple[Callable[[Aws, Filters], Found], ...]]] = {
    "VpcId": ("vpc-id", (_instances, _subnets, _interfaces, _endpoints)),
    "GroupId": ("instance.group-id", (_instances,)),
}
"""By the parameter of the delete: EC2's filter for what is in it, and what is looked for."""

_FIRST = {"VpcId": "gateways", "GroupId": "rules"}
