"""What runs where, and what relies on what."""

from typing import Annotated

from pydantic import BaseModel, Field

from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

SHOWN = 20


class Place(BaseModel):
    """Where, and what kind; all are optional."""

    region: Annotated[
        str | None,
        Field(description="Region, like eu-west-1"),
        FromText(r"\b([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d)\b"),
    ] = None
    account: Annotated[
        str | None, Field(description="Account id"), FromText(r"\baccount\s+(\d{12})\b")
    ] = None
    type: Annotated[
        str | None, Field(description="Type, like ec2:vpc"), FromText(r"\b([a-z0-9]+:[a-z_\-]+)\b")
    ] = None
    tag: Annotated[
        str | None,
        Field(description="Tag, like team=web"),
        FromText(r"\btag(?:ged)?(?:\s+with)?\s+([\w:./\-]+(?:=[\w:./\-]+)?)"),
    ] = None


class Subject(BaseModel):
    """One resource."""

    id: Annotated[
        str,
        Field(description="Id or ARN of the resource, like sg-0abc"),
        FromText(r"(arn:aws[\w\-]*:\S+?|\b[a-z]{1,10}-[0-9a-f]{3,}\b)(?=[\s,;?!.]|$)"),
    ]


@skill(
    "what do we run in eu-west-1?",
    "list the resources we have in account 123456789012",
    "which resources are tagged team=web",
    "show the inventory of recorded resources",
)
async def list_what_runs(worker: Worker, inputs: Place) -> Outcome:
    """List the recorded resources of a region, account, type or tag, with counts by type."""
    asked = inputs.model_dump(exclude_none=True)
    answer = await worker.call("find_resources", **asked)
    items = answer["items"][:SHOWN]
    where = ", ".join(f"{key} {value}" for key, value in asked.items()) or "everything on record"
    return Outcome(
        summary=f"{where}: {answer['summary']}. Records may lag behind the cloud.",
        outputs={
            "total": answer["total"],
            "resources": [
                {k: item[k] for k in ("type", "id", "name", "region", "status", "seen_at")}
                for item in items
            ],
        },
        next="find_resources pages through the rest." if answer["total"] > len(items) else "",
    )


@skill(
    "what depends on sg-0abc123?",
    "what breaks if vpc-123 goes?",
    "what relies on or uses this resource",
    "what would be affected by deleting subnet-123",
)
async def find_dependents(worker: Worker, inputs: Subject) -> Outcome:
    """Tell what depends on a resource, directly and further on: what breaks if it is deleted."""
    answer = await worker.call("walk_relations", id=inputs.id, direction="in", depth=5)
    rest = "" if answer["complete"] else " Not all are shown; walk with a smaller depth."
    return Outcome(
        summary=f"{answer['summary']} Only recorded relations count.{rest}",
        outputs={"found": answer["found"], "resources": answer["resources"][:SHOWN]},
    )
