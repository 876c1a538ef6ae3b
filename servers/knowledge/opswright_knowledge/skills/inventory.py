"""What runs where, and what relies on what."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.kinds import Types
from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

SHOWN = 20
OWNER_WORDS = ("owner", "team", "squad", "contact", "maintainer", "department", "costcenter")
"""Tags and attributes that name an owner, as tagging guides of the clouds call them."""


_KIND = (
    r"(?:load\s+balancer|balancer|database|instance|server|function|bucket|queue|topic|cluster|"
    r"service|volume|subnet|vpc|security\s+group|gateway|certificate|table|role|resource)"
)
_ABOUT = (
    r"owns?|owner\s+of|responsible\s+for|maintains?|looks?\s+after|whose\s+is|"
    r"depends?\s+on|relies\s+on|rely\s+on|uses|deleting|deleted?"
)
_A_NAME = (
    rf"(?!(?:this|that|the|it|and|or|is|are|what|who|an?|in|on|of|to|with|for|goes|go|here)\b|{_KIND}\b)"
    r"([\w][\w.\-]*?)"
)
"""A name that stands where one is expected, and is no word of the question."""


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
    kinds: Types = None
    """Passed over where `type` says it."""
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
        FromText(
            r"(arn:aws[\w\-]*:\S+?|(?<![\w\-])[a-z]{1,10}-(?:[0-9a-f]{3,}|\d\d?)\b"
            r"|(?<=named\s)\S+?|(?<=called\s)\S+?)"
            r"(?=[\s,;?!.]|$)"
        ),
        FromText(
            rf"\b(?:{_ABOUT})\s+(?:the\s+)?(?:{_KIND}\s+)?{_A_NAME}(?=[,;?!.]*(?:\s+and\b|\s*$))"
        ),
        FromText(rf"\b{_KIND}\s+(?:is\s+)?{_A_NAME}(?=[,;?!.]*(?:\s|$))"),
        FromText(rf"\bit\s+is\s+(?:the\s+)?(?:{_KIND}\s+)?{_A_NAME}(?=[.?!]*\s*$)"),
    ]


@skill(
    "what do we run in the region eu-west-1?",
    "which instances do we run in eu-west-1",
    "what resources exist in eu-west-1",
    "what have we got in eu-west-1",
    "list everything in eu-west-1",
    "what is running in this account",
    "list the resources we have in account 123456789012",
    "which resources are tagged team=web",
    "show the inventory of recorded resources",
)
async def list_what_runs(worker: Worker, inputs: Place) -> Outcome:
    """List the recorded resources of a region, account, type or tag, with counts by type."""
    asked = inputs.model_dump(exclude_none=True, exclude={"kinds"})
    kinds = [] if inputs.type else inputs.kinds or []
    spelled = dict.fromkeys(s for kind in kinds for s in (kind, kind.replace("-", "_")))
    each = [asked | {"type": kind} for kind in spelled] or [asked]
    answers = [await worker.call("find_resources", **one) for one in each]
    items = [item for answer in answers for item in answer["items"]][:SHOWN]
    total = sum(answer["total"] for answer in answers)
    sought = {"kinds": " and ".join(kinds)} if kinds else {}
    where = (
        ", ".join(f"{key} {value}" for key, value in {**sought, **asked}.items())
        or "everything on record"
    )
    if not total:
        return Outcome(
            summary=f"Nothing is recorded of {where}; that does not mean that nothing runs there.",
            outputs={"total": 0, "resources": []},
        )
    return Outcome(
        summary=f"{where}: {'; '.join(a['summary'] for a in answers if a['total'])}. "
        "Records may lag behind the cloud.",
        outputs={
            "total": total,
            "resources": [
                {k: item[k] for k in ("type", "id", "name", "region", "status", "seen_at")}
                for item in items
            ],
        },
        next="find_resources pages through the rest." if total > len(items) else "",
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


@skill(
    "who owns this balancer and what depends on it?",
    "who is the owner of sg-0abc123",
    "who is responsible for the balancer",
    "who owns it and what relies on it",
    "who maintains the queue",
    "who looks after the bucket",
    "whose is it",
    "which team owns the database and who is responsible for it",
    "whose instance is i-0abc123",
)
async def tell_owner_and_dependents(worker: Worker, inputs: Subject) -> Outcome:
    """Tell who owns a resource, the team responsible for it, and its dependents."""
    found = (await worker.call("find_resources", id=inputs.id))["items"]
    found = found or [
        item
        for item in (await worker.call("find_resources", query=inputs.id))["items"]
        if item["name"] == inputs.id
    ]
    if not found:
        return Outcome(
            summary=f"No resource {inputs.id} is recorded; ids, ARNs and names were searched."
        )
    if len(found) > 1:
        several = ", ".join(f"{item['type']} {item['id']}" for item in found[:5])
        return Outcome(
            summary=f"{len(found)} resources are called {inputs.id}: {several}. Say which.",
            outputs={"candidates": [{k: i[k] for k in ("type", "id", "arn")} for i in found[:20]]},
        )
    (resource,) = found
    owners = owners_of(resource["tags"], resource["attributes"])
    owned = (
        "is owned, by its " + " and ".join(f"{key}, by {value}" for key, value in owners.items())
        if owners
        else "names no owner in its tags or attributes; it was recorded by "
        f"{resource['recorded_by']} at {resource['at'][:16]}Z"
    )
    walk = await worker.call("walk_relations", id=resource["id"], direction="in", depth=5)
    return Outcome(
        summary=f"{resource['type']} {resource['id']} {owned}. {walk['summary']} "
        "Only recorded relations count.",
        outputs={
            "resource": {k: resource[k] for k in ("type", "id", "name", "tags", "recorded_by")},
            "owners": owners,
            "found": walk["found"],
            "resources": walk["resources"][:SHOWN],
        },
    )


def owners_of(tags: Mapping[str, str], attributes: Mapping[str, Any]) -> dict[str, str]:
    """Who owns a resource by its tags, then attributes; the more telling names come first."""
    told = {f"tag {key}": value for key, value in tags.items()}
    told |= {f"attribute {key}": v for key, v in attributes.items() if isinstance(v, str)}
    named = {
        what: (OWNER_WORDS.index(word), value)
        for what, value in told.items()
        if value and (word := re.split(r"[ :/]", what)[-1].lower()) in OWNER_WORDS
    }
    return {what: value for what, (_, value) in sorted(named.items(), key=lambda one: one[1][0])}
