"""What tearing an application down would undo, in which order, and what it would leave."""

from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field

from opswright_aws_devops.applications import (
    Tagged,
    changes_of,
    load_tagged,
    made_by,
    not_made_by,
)
from opswright_aws_devops.ownership import NAME_TAG
from opswright_core.aws import HERE, Aws, Target
from opswright_core.changes import Record, Scope, load
from opswright_core.foresight import foreseen
from opswright_core.parallel import time_limit
from opswright_core.runtime import Runtime, aws, runtime
from opswright_core.standing import LOOKED_BACK, in_the_way, standing_changes
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.undo_preview import blockers
from opswright_core.verdicts import Unread, attempt

GLOBAL_REGION = "us-east-1"
"""Where the tagging API lists what has no region: distributions, hosted zones."""

READ_SECONDS = 25.0
SHOWN = 50


class Undoing(BaseModel):
    """One change that would be undone."""

    change_id: str
    tool: str
    summary: str
    region: str
    steps: list[str] = Field(description="What its undo does, in that order")
    blocked_by: list[str] = Field(description="Why it cannot be undone now")
    warnings: list[str] = Field(description="What goes with it, and what it would wait for")


class Teardown(BaseModel):
    """What tearing an application down would undo and what it would leave."""

    application: str
    changes: list[Undoing] = Field(description="In the order to undo them")
    not_ours: list[str] = Field(
        description="ARNs that carry the tag and no standing change made: they would stay"
    )
    not_ours_count: int
    unread: list[str] = Field(
        description="What could not be looked through for the tag; IAM roles and users never are"
    )
    summary: str


@read_tool(toolset="lifecycle")
def preview_teardown(
    application: Annotated[
        str, Field(description="The name it was made with, or its tag's value", max_length=256)
    ],
    tag_key: Annotated[
        str, Field(description="Tag by which it is known", min_length=1, max_length=128)
    ] = NAME_TAG,
    target: Target = HERE,
) -> Teardown:
    """Show what tearing an application down would undo, in order, and what it would leave.

    Nothing is undone: undo_change does it, change by change, in this order.
    """
    rt, a = runtime(), aws(target)
    regions = dict.fromkeys((a.region, GLOBAL_REGION)) if a.partition == "aws" else (a.region,)
    tagged: list[Tagged] = []
    unread: list[str] = []
    with time_limit(READ_SECONDS):
        for region in regions:
            found = attempt(partial(load_tagged, a.at(region), tag_key, application))
            if isinstance(found, Unread):
                unread.append(f"what carries the tag in {region}: {found.reason}")
            else:
                tagged += _of_region(found, region, a)
        standing = list(standing_changes(rt))
        name = application if tag_key == NAME_TAG else None
        chosen = changes_of(standing, name, tagged, Scope.of(a).id)
        together = {record.change_id for record in chosen}
        met = {record.change_id: foreseen(rt, record, chosen) for record in chosen}
        changes = [
            Undoing(
                change_id=record.change_id,
                tool=record.tool,
                summary=record.summary,
                region=record.scope.rpartition(":")[2],
                steps=[step.description for step in record.undo_steps],
                blocked_by=[
                    *blockers(rt, record, in_the_way(record, standing, together)),
                    *met[record.change_id].in_the_way,
                ],
                warnings=met[record.change_id].warnings,
            )
            for record in chosen
        ]
        left = not_made_by(tagged, chosen)
        left = not_made_by(left, _surely_undone(rt, left)) if left else []
    return Teardown(
        application=application,
        changes=changes,
        not_ours=[clean(one.arn, 300) for one in left[:SHOWN]],
        not_ours_count=len(left),
        unread=unread,
        summary=_summary(application, changes, len(left)),
    )


def _surely_undone(rt: Runtime, tagged: list[Tagged]) -> list[Record]:
    """The undone changes that made some of it, and whose undo still shows when it is read again.

    AWS lists what was deleted for a while yet; that alone does not make it somebody else's.
    """
    carried = {known for one in tagged for known in (one.arn, one.id)}
    recent = (load(rt, change_id) for change_id in rt.journal.recent(LOOKED_BACK))
    undone = [r for r in recent if r.status == "undone" and carried & set(made_by(r))]

    def holds(record: Record) -> bool:
        checks = (rt.undo_handlers[step.kind].verify(step) for step in record.undo_steps)
        return all(found.verdict != "FAIL" for found in checks)

    return [record for record in undone if holds(record)]


def _of_region(found: list[Tagged], region: str, a: Aws) -> list[Tagged]:
    """What is of the target's region, or of none: us-east-1 is asked for the global ones alone."""
    if region == a.region:
        return found
    return [one for one in found if one.arn.split(":")[3] == ""]


def _summary(application: str, changes: list[Undoing], left: int) -> str:
    steps = sum(len(change.steps) for change in changes)
    blocked = sum(bool(change.blocked_by) for change in changes)
    said = f"{application}: {len(changes)} changes to undo with {steps} steps"
    said += f", {blocked} of them blocked" if blocked else ""
    return said + (f"; {left} resources carry its tag and would stay" if left else "")
