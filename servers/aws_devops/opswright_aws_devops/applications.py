"""What belongs to an application: the changes that made it, and what carries its tag."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.ownership import REQUEST_TAG
from opswright_core.aws import Aws, tags_of
from opswright_core.changes import Record
from opswright_core.standing import uses

NAMELESS = frozenset({"set_dns_record", "deploy_website"})
"""Tools whose `name`, if any, is no application's: their changes serve what they point at."""

_POINTING = ("alias_to", "values", "bucket", "distribution_id")
"""The arguments of these tools that say what their change serves."""


@dataclass(frozen=True)
class Tagged:
    """A resource that carries a tag."""

    arn: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2].rpartition(":")[2]


def load_tagged(a: Aws, key: str, value: str) -> list[Tagged]:
    """What carries a tag in the region, as far as AWS's tagging API lists it.

    It lists no IAM roles and users, and may list what was deleted for a while yet. Source:
    "Services that support the Resource Groups Tagging API".
    """
    wanted = [{"Key": key, "Values": [value]}]
    found = a.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=wanted
    )
    return [Tagged(one["ResourceARN"], tags_of(one["Tags"])) for one in found]


def made_by(record: Record) -> list[str]:
    """The ids of what a change created."""
    return [resource.id for resource in record.resources if resource.action == "created"]


def changes_of(
    standing: Sequence[Record], name: str | None, tagged: Iterable[Tagged], scope: str
) -> list[Record]:
    """The standing changes of an application, those that need others first.

    Its own: in `scope`, made under its name (None: no name tells) or having made what carries its
    tag. With them what these use and is its own in another region (a certificate for CloudFront),
    and what serves them without a name of its own (a DNS record, a website's files, an endpoint).
    """
    carried = {known for one in tagged for known in (one.arn, one.id)}

    def is_own(record: Record) -> bool:
        if record.tool in NAMELESS:
            return False
        return (name is not None and record.arguments.get("name") == name) or bool(
            carried & set(made_by(record))
        )

    own = [r for r in standing if r.scope == scope and is_own(r)]
    account = scope.rpartition(":")[0]
    elsewhere = [
        r
        for r in standing
        if r.scope != scope
        and r.scope.rpartition(":")[0] == account
        and is_own(r)
        and any(uses(user, made_by(r)) for user in own)
    ]
    own += elsewhere
    known = {text for r in own for text in _names(r)}

    def serves(record: Record) -> bool:
        if record.scope.rpartition(":")[0] != account or record in own:
            return False
        if record.tool in NAMELESS:
            pointers = (record.arguments.get(key) for key in _POINTING)
            return bool(known & {text for one in pointers for text in _texts(one)})
        return "name" not in record.arguments and any(uses(record, made_by(r)) for r in own)

    serving = [record for record in standing if serves(record)]
    chosen = {r.change_id for r in [*own, *serving]}
    return in_undo_order([r for r in standing if r.change_id in chosen])


def _names(record: Record) -> Iterator[str]:
    """How a DNS record or a deployment can refer to what a change made."""
    for resource in record.resources:
        yield resource.id
        if resource.type == "elb:loadbalancer":
            yield resource.name
    yield from (text for text in _texts(record.outputs) if "." in text)  # addresses, DNS names


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def in_undo_order(records: Sequence[Record]) -> list[Record]:
    """What uses another before that other; else as given, which is newest first."""
    left, ordered = list(records), []
    while left:
        free = next(
            (
                one
                for one in left
                if not any(uses(other, made_by(one)) for other in left if other is not one)
            ),
            left[0],
        )
        ordered.append(free)
        left.remove(free)
    return ordered


def not_made_by(tagged: Sequence[Tagged], records: Sequence[Record]) -> list[Tagged]:
    """What carries the tag and was made by none of the changes, nor by what these made.

    An auto-scaling group's instances and a stack's resources go with it; what carries the request's
    tag of something made was made by the same call.
    """
    ids = {one for record in records for one in made_by(record)}
    ids |= {resource.name for record in records for resource in record.resources}
    made = [one for one in tagged if one.arn in ids or one.id in ids]
    requests = {one.tags.get(REQUEST_TAG) for one in made} - {None}

    def goes_with(one: Tagged) -> bool:
        owner = one.tags.get("aws:autoscaling:groupName") or one.tags.get(
            "aws:cloudformation:stack-name"
        )
        return one.tags.get(REQUEST_TAG) in requests or owner in ids

    return [one for one in tagged if one not in made and not goes_with(one)]
