"""Whether a call whose answer was lost may be sent again without making a second thing.

botocore sends such a call again. That is right for a create with a token or a name of its own,
which takes effect once; a second CreateVpc makes a second VPC, of which nobody knows the first.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

_MAKES = re.compile(r"(?:Create|Allocate|Run|Purchase)([A-Z]\w+)|Register(TaskDefinition)")
_TOKEN = re.compile(r"token$|^callerreference$|^creatorrequestid$", re.IGNORECASE)
_OWN_NAME = re.compile(r"(\w*?)(?:name|identifier)", re.IGNORECASE)
_HARMLESS = frozenset({"CreateTags", "CreateOrUpdateTags"})


def makes_another(operation: Any, request: dict[str, Any]) -> bool:
    """Whether a second such call would make a second thing.

    `operation` is botocore's model of it, `request` its request before it is signed.
    """
    made = _MAKES.fullmatch(operation.name)
    if not made or operation.name in _HARMLESS or request.get("method") == "PUT":
        return False
    if operation.idempotent_members:  # botocore fills them in
        return False
    noun = (made[1] or made[2]).lower()
    return not any(
        _TOKEN.search(key) or ((own := _OWN_NAME.fullmatch(key)) and noun.endswith(own[1].lower()))
        for key in _keys(request.get("body"))
    )


def _keys(body: Any) -> Iterable[str]:
    """The names of a request's parameters, in whichever protocol."""
    if isinstance(body, dict):
        return body
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        found = json.loads(text)
    except ValueError:
        return re.findall(r"<(\w+)", text)
    return found if isinstance(found, dict) else ()
