"""Finds what a create made whose answer was lost, where its id alone tells it: by a tag of its own.

EC2's creates take tags with the request. The tag holds the change's id, so that nothing of somebody
else's is taken up.
"""

import re
from typing import Any

from opswright_aws_devops.api.inverses import Look, noun_of, plural_read
from opswright_aws_devops.api.models import Operation
from opswright_aws_devops.api.paging import pagination_of

CHANGE_TAG = "opswright:change"
SPECIFICATIONS = "TagSpecifications"

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def takes_tag(operation: Operation) -> bool:
    """Whether a create of the table takes tags with its request, as EC2's do."""
    shape = operation.model.input_shape
    return noun_of(operation) is not None and shape is not None and SPECIFICATIONS in shape.members


def tagged(operation: Operation, parameters: dict[str, Any], change_id: str) -> dict[str, Any]:
    """The parameters with the change's tag, beside the tags that were given."""
    kind = _HUMP.sub("-", noun_of(operation) or "").lower()
    tag = {"Key": CHANGE_TAG, "Value": change_id}
    given = parameters.get(SPECIFICATIONS, [])
    own = [one for one in given if one.get("ResourceType") == kind]
    others = [one for one in given if one not in own]
    tags = [*(one for spec in own for one in spec.get("Tags", [])), tag]
    return {**parameters, SPECIFICATIONS: [*others, {"ResourceType": kind, "Tags": tags}]}


def tagged_look(operation: Operation, change_id: str) -> Look | None:
    """The read that finds what carries the change's tag; None where none takes or tells tags."""
    if not takes_tag(operation):
        return None
    several = plural_read(operation.service, noun_of(operation) or "")
    listed = pagination_of(several) if several else None
    if several is None or listed is None:
        return None
    members = several.model.input_shape.members
    by = next((name for name in ("Filters", "Filter") if name in members), None)
    if by is None:
        return None
    filters = [{"Name": f"tag:{CHANGE_TAG}", "Values": [change_id]}]
    keys = listed["result_key"]
    key = keys if isinstance(keys, str) else keys[0]
    # An emulator may not filter by it.
    has_tag = f"(Tags || TagSet)[?Key=='{CHANGE_TAG}' && Value=='{change_id}']"
    return Look(several.name, {by: filters}, f"{key}[?{has_tag}]")
