"""Reads one application: the VPC it lives in, and the things in it that do not name their VPC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opswright_core.aws import tags_of
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.verdicts import Unread, attempt
from opswright_security.facts.compute import load_instances
from opswright_security.facts.network import load_subnets
from opswright_security.facts.storage import list_buckets
from opswright_security.reading import Fact, Reader

Selector = Callable[[Fact], bool]
APPLICATION_TAGS = ("opswright:application", "opswright:name", "Name")
"""Tags that say which application a resource belongs to."""


@dataclass(frozen=True)
class Application:
    """What belongs to an application. The id sets are Unread where they could not be made out."""

    vpc_id: str
    name: str | None
    instances: frozenset[str] | Unread
    templates: frozenset[str] | Unread
    buckets: frozenset[str] | Unread


def find_application(reader: Reader, vpc_id: str | None, name: str | None) -> Application:
    """Find an application by its VPC, or by its name in the VPC's tags.

    Raises BadInputError for neither or an ambiguous name, NotFoundError, and CloudError when VPCs
    cannot be read.
    """
    if not vpc_id and not name:
        raise BadInputError(
            "Say which application: pass vpc_id, or the name it was deployed under."
        )
    vpcs = reader.pages("ec2", "describe_vpcs", "Vpcs")
    named = {vpc["VpcId"]: _names(vpc) for vpc in vpcs}
    if vpc_id:
        if vpc_id not in named:
            raise NotFoundError(
                f"No VPC {vpc_id} in {reader.aws.region}; there are: "
                f"{', '.join(sorted(named)[:10]) or 'none'}."
            )
        found = vpc_id
    else:
        fitting = [i for i, names in named.items() if name in names]
        if not fitting:
            raise NotFoundError(
                f"No VPC in {reader.aws.region} is tagged {name!r} "
                f"({', '.join(APPLICATION_TAGS)}); pass vpc_id."
            )
        if len(fitting) > 1:
            raise BadInputError(f"{len(fitting)} VPCs are tagged {name!r}: {fitting}; pass vpc_id.")
        found = fitting[0]
    known_as = frozenset({name} if name else named[found])
    return Application(
        vpc_id=found,
        name=name or next(iter(named[found]), None),
        instances=attempt(lambda: _instances(reader, found)),
        templates=attempt(lambda: _templates(reader, found)),
        buckets=attempt(lambda: _buckets(reader, known_as)) if known_as else frozenset(),
    )


def _names(vpc: Mapping[str, Any]) -> list[str]:
    tags = tags_of(vpc.get("Tags"))
    return [tags[key] for key in APPLICATION_TAGS if key in tags]


def _instances(reader: Reader, vpc_id: str) -> frozenset[str]:
    return frozenset(i.id for i in reader.load(load_instances) if i.get("VpcId") == vpc_id)


def _templates(reader: Reader, vpc_id: str) -> frozenset[str]:
    """Launch templates that the VPC's Auto Scaling groups and instances were started from."""
    subnets = {s.id for s in reader.load(load_subnets) if s["VpcId"] == vpc_id}
    used = {
        tags_of(i.get("Tags")).get("aws:ec2launchtemplate:id")
        for i in reader.load(load_instances)
        if i.get("VpcId") == vpc_id
    }
    for group in reader.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"):
        if subnets & set(group.get("VPCZoneIdentifier", "").split(",")):
            mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
            specified = group.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification", {})
            used.add(specified.get("LaunchTemplateId"))
    return frozenset(template for template in used if template)


def _buckets(reader: Reader, names: frozenset[str]) -> frozenset[str]:
    def tagged(bucket: str) -> bool:
        answer = reader.call("s3", "get_bucket_tagging", absent={}, Bucket=bucket)
        tags = tags_of(answer.get("TagSet"))
        return any(tags.get(key) in names for key in APPLICATION_TAGS)

    buckets = [bucket["Name"] for bucket in list_buckets(reader)]
    mine = reader.each(buckets, tagged)
    return frozenset(b for b, is_mine in zip(buckets, mine, strict=True) if is_mine)
