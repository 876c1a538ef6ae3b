"""What was built through the journal, against what is there now."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.ownership import REQUEST_TAG
from opswright_core.aws import AwsTarget, tags_of
from opswright_core.change_tools import ChangeId
from opswright_core.changes import Record, load
from opswright_core.drift import drift_of
from opswright_core.pages import Page, page
from opswright_core.parallel import each, time_limit
from opswright_core.runtime import Runtime, aws, runtime
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, check, worst

LOOKED_BACK = 200
AT_ONCE = 10
"""Changes of one page: each takes some calls."""

READ_SECONDS = 25.0


class Drift(BaseModel):
    """Whether what one change made is still so."""

    change_id: str
    tool: str
    summary: str
    at: str = Field(description="When it was made")
    where: str
    verdict: Verdict
    differences: list[Check] = Field(description="What failed or could not be read")
    checked: int = Field(description="How many things were checked")


@read_tool(toolset="verify")
def find_drift(
    change_id: Annotated[ChangeId | None, Field(description="Only this change")] = None,
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
) -> Page[Drift]:
    """Find what is not any more as changes made it: rules, settings, tags, deleted resources.

    PASS, FAIL or UNKNOWN for each finished change of this server's journal, newest first.
    """
    rt = runtime()
    records = [load(rt, change_id)] if change_id else _finished(rt)
    shown = page(records_of := [r.change_id for r in records], cursor=cursor, limit=AT_ONCE)
    by_id = {record.change_id: record for record in records}
    with time_limit(READ_SECONDS):
        drifts = each(shown.items, lambda one: _judged(rt, by_id[one]))
    counts = {verdict: sum(d.verdict == verdict for d in drifts) for verdict in _VERDICTS}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return Page(
        items=drifts,
        total=len(records_of),
        summary=f"{said or 'no finished change'} here, of {len(records_of)} finished changes",
        cursor=shown.cursor,
    )


_VERDICTS = ("FAIL", "UNKNOWN", "PASS")


def _finished(rt: Runtime) -> list[Record]:
    """The changes that stand, newest first; an undo leaves nothing to compare."""
    records = [load(rt, change_id) for change_id in rt.journal.recent(LOOKED_BACK)]
    return [r for r in records if r.status == "done" and r.outputs and r.tool != "undo_change"]


def _judged(rt: Runtime, record: Record) -> Drift:
    checks = [*drift_of(rt, record), *_tagged(record)]
    return Drift(
        change_id=record.change_id,
        tool=record.tool,
        summary=record.summary,
        at=record.at,
        where=record.scope,
        verdict=worst(c.verdict for c in checks),
        differences=[c for c in checks if c.verdict != "PASS"],
        checked=len(checks),
    )


def _tagged(record: Record) -> list[Check]:
    """Whether the EC2 resources of a change keep the tag by which opswright finds them again."""
    ids = [
        resource.id
        for resource in record.resources
        if resource.type.startswith("ec2:") and resource.name and resource.action == "created"
    ]
    if not ids or record.tool == "change_aws":
        return []
    target = AwsTarget(**(record.arguments.get("target") or {}))
    tags = attempt(lambda: _tags(target, ids))
    if isinstance(tags, Unread):
        return [check(f"{len(ids)} resources keep their tags", tags)]
    return [
        check(
            f"It keeps the tag {REQUEST_TAG}",
            REQUEST_TAG in tags.get(one, {}),
            "without it a repeat of the call does not know its own"
            if one in tags
            else "it has no tags, or is gone",
            one,
        )
        for one in ids
    ]


def _tags(target: AwsTarget, ids: list[str]) -> dict[str, dict[str, str]]:
    """The tags of EC2 resources that have any, by id."""
    only = [{"Name": "resource-id", "Values": ids}]
    by_id: dict[str, list[Any]] = {}
    for tag in aws(target).pages("ec2", "describe_tags", "Tags", Filters=only):
        by_id.setdefault(tag["ResourceId"], []).append(tag)
    return {one: tags_of(tags) for one, tags in by_id.items()}
