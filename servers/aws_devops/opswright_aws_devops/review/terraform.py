"""Terraform's plans, as `terraform show -json` writes them (its "JSON Output Format").

Each resource change has the values before and after; what only the apply will tell is in
`after_unknown` and is UNKNOWN here. Data sources and what is left as it is count as no change.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.review.resources import UNKNOWN, Change, Resource, Verb
from opswright_core.errors import BadInputError

MAJOR = "1"
"""Of format_version: "consuming software should reject any plan with an unsupported major"."""

_VERBS: dict[tuple[str, ...], Verb] = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("create", "forget"): "replace",
    ("forget",): "forget",
}
_SAME = {("no-op",), ("read",), ()}
_WHERE_SILENT: dict[tuple[str, str], Any] = {
    ("aws_s3_bucket", "acl"): "private",
    ("aws_db_instance", "multi_az"): False,
    ("aws_kms_key", "policy"): None,
}
"""What AWS takes where a configuration has no such argument (CreateBucket, CreateDBInstance and
CreateKey in their API references). The provider says "known after apply" of these. No blocks:
a dynamic one is not in the configuration's JSON either."""
_INDEX = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Plan:
    """What a plan does, and what it says of itself."""

    changes: list[Change]
    same: list[Resource]
    """What it leaves as it is."""
    unsure: list[str]
    """Why this is not all: an error while planning, deferred changes, checks that are not known."""
    drifted: list[str]
    """What was changed outside of Terraform since its last run."""
    references: Mapping[str, Mapping[str, list[str]]]
    """By address without indexes: by argument the addresses that its expression refers to."""


def parsed(text: str) -> dict[str, Any]:
    """The plan of that JSON. Raises BadInputError for what is none, or of another format."""
    try:
        plan: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadInputError(
            f"plan: it is not JSON: {exc}. Make it with `terraform plan -out=tfplan` and "
            "`terraform show -json tfplan > plan.json`; the file of -out itself is binary."
        ) from exc
    version = plan.get("format_version") if isinstance(plan, dict) else None
    if not isinstance(version, str) or not isinstance(plan.get("resource_changes", []), list):
        raise BadInputError(
            "plan: it has no format_version, so it is not what `terraform show -json PLANFILE` "
            "writes (`terraform plan -json` writes a log instead)."
        )
    if "resource_changes" not in plan and "planned_values" not in plan:
        raise BadInputError(
            "plan: this is a state: name the file of a plan, `terraform show -json tfplan`."
        )
    if version.split(".")[0] != MAJOR:
        raise BadInputError(
            f"plan: format_version {version[:20]!r} is not known here, only {MAJOR}.x (Terraform "
            "1.1 and newer, OpenTofu)."
        )
    known: dict[str, Any] = plan
    return known


def read(plan: Mapping[str, Any]) -> Plan:
    """The changes of a plan. Raises BadInputError for a change that is not of the format."""
    changes: list[Change] = []
    same: list[Resource] = []
    references: dict[str, dict[str, list[str]]] = {}
    _gather(plan.get("configuration", {}).get("root_module", {}), "", references)
    for entry in plan.get("resource_changes", []):
        try:
            if entry.get("mode") == "data":
                continue
            change = _change(entry, references.get(without_index(entry["address"])))
            if change is not None:
                changes.append(change)
            elif isinstance(after := entry["change"].get("after"), Mapping):
                same.append(Resource(entry["address"], entry["type"], after))
        except (KeyError, TypeError, AttributeError) as exc:
            said = str(entry.get("address", entry) if isinstance(entry, Mapping) else entry)[:80]
            raise BadInputError(f"plan: the change of {said} is not of the format: {exc}.") from exc
    drifted = [said for entry in plan.get("resource_drift", []) if (said := _drifted(entry))]
    return Plan(changes, same, _unsure(plan), drifted, references)


def without_index(address: str) -> str:
    """`module.a[0].aws_subnet.b["x"]` → `module.a.aws_subnet.b`."""
    return _INDEX.sub("", address)


def _drifted(entry: Mapping[str, Any]) -> str:
    """How it was changed; empty where only one form of nothing took the place of another."""
    change = entry["change"]
    before, after = change.get("before") or {}, change.get("after")
    if after is None:
        return f"{entry['address']}: deleted"
    names = [
        name
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and (before.get(name) or after.get(name))
    ]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{entry['address']}: {', '.join(names[:5])}{more}" if names else ""


def _change(entry: Mapping[str, Any], configured: Mapping[str, Any] | None) -> Change | None:
    change, address, kind = entry["change"], entry["address"], entry["type"]
    actions = tuple(change["actions"])
    importing = bool(change.get("importing"))
    if actions in _SAME and not importing:
        return None
    verb = "import" if actions in _SAME else _VERBS.get(actions)
    if verb is None:
        raise KeyError(f"unknown actions {list(actions)}")
    before, after = change.get("before"), change.get("after")
    merged = _merged(after, change.get("after_unknown") or {}) if after is not None else None
    if merged is not None and configured is not None:
        merged |= {
            name: value
            for (type_, name), value in _WHERE_SILENT.items()
            if type_ == kind and name not in configured and merged.get(name) is UNKNOWN
        }
    paths = [".".join(map(str, path)) for path in change.get("replace_paths") or []]
    why = paths or ([entry["action_reason"]] if entry.get("action_reason") else [])
    if verb == "update" and before is not None and merged is not None:
        why = [name for name in merged if merged[name] != before.get(name)]
    return Change(
        verb,
        Resource(address, kind, before) if before is not None else None,
        Resource(address, kind, merged) if merged is not None else None,
        tuple(why),
    )


def _merged(after: Any, unknown: Any) -> Any:
    """The values after, with UNKNOWN where `after_unknown` has true."""
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, Mapping) and (after is None or isinstance(after, Mapping)):
        known = after or {}
        return {
            name: _merged(known.get(name), unknown.get(name, False))
            for name in {**known, **unknown}
        }
    if isinstance(unknown, list) and isinstance(after, list):
        padded = [*unknown, *([False] * (len(after) - len(unknown)))]
        return [_merged(value, said) for value, said in zip(after, padded, strict=False)]
    return after


def _unsure(plan: Mapping[str, Any]) -> list[str]:
    said = []
    if plan.get("errored"):
        said.append("Terraform ended with an error while planning; the plan is not whole.")
    elif plan.get("complete") is False:
        said.append("The plan is not complete: a further plan is needed after its apply.")
    if deferred := len(plan.get("deferred_changes") or []):
        said.append(f"{deferred} changes are deferred; they are not in the plan yet.")
    failed = [
        check["address"]["to_display"]
        for check in plan.get("checks") or []
        if check.get("status") in {"fail", "error"}
    ]
    if failed:
        said.append(f"Checks of the configuration fail: {', '.join(failed[:5])}.")
    return said


def _gather(module: Mapping[str, Any], within: str, found: dict[str, dict[str, list[str]]]) -> None:
    """The references of each resource's arguments, addresses made whole with their module."""
    for resource in module.get("resources", []):
        found[f"{within}{resource['address']}"] = {
            name: [f"{within}{reference}" for reference in _referred(expression)]
            for name, expression in resource.get("expressions", {}).items()
        }
    for name, call in module.get("module_calls", {}).items():
        _gather(call.get("module", {}), f"{within}module.{name}.", found)


def _referred(expression: Any) -> list[str]:
    if isinstance(expression, list):
        return [reference for inner in expression for reference in _referred(inner)]
    if not isinstance(expression, Mapping):
        return []
    if isinstance(references := expression.get("references"), list):
        return references
    return [reference for inner in expression.values() for reference in _referred(inner)]
