"""A plan to leave a region: what moves, in which order, and what has no copy elsewhere yet."""

from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.evacuation.copies import Copy
from opswright_aws_devops.evacuation.facts import CUT_OVER, FACTS, NOT_LOOKED_AT, PHASES, Fact
from opswright_aws_devops.evacuation.reading import COPIED, REBUILT
from opswright_core.aws import HERE, Aws, Target
from opswright_core.cloud_errors import known_regions
from opswright_core.errors import BadInputError
from opswright_core.parallel import each, time_limit
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict, attempt, worst

READ_SECONDS = 25.0
SHOWN = 5
"""Resources of a kind that are named; the others are counted."""


class EvacuationStep(BaseModel):
    """One kind of resource: what of it moves, when and how."""

    phase: str
    type: str
    span: Literal["zonal", "regional", "global"]
    holds: Literal["data", "capacity", "configuration"]
    count: int | None = Field(description="How many there are; null: not read")
    copied: Verdict | None = Field(
        description="Whether each has a copy there; null: it is made again"
    )
    named: list[str] = Field(description="Those without a sure copy first, with why; else what is")
    how: str
    source: str = Field(description="AWS's documentation")


class Evacuation(BaseModel):
    """A plan to leave a region, in order; nothing is done."""

    from_region: str
    to_region: str
    steps: list[EvacuationStep]
    unread: list[str]
    not_looked_at: str = NOT_LOOKED_AT
    summary: str


@read_tool(toolset="lifecycle")
def plan_evacuation(
    to_region: Annotated[str, Field(description="Where to, like eu-central-1", max_length=40)],
    target: Target = HERE,
) -> Evacuation:
    """Plan leaving a region: what data and capacity move, in which order, what has no copy.

    FAIL: some of it has no copy there; UNKNOWN: that could not be read or told.
    """
    here = aws(target)
    if to_region not in known_regions():
        raise BadInputError(f"to_region {to_region!r} is no AWS region; they look like eu-west-1.")
    there = here.at(to_region)
    if here.region == to_region:
        raise BadInputError(f"to_region is {to_region}, the region to leave; name another.")
    with time_limit(READ_SECONDS):
        read = each(FACTS, lambda fact: attempt(partial(_read, fact, here, there)))
    steps = [step for fact, found in zip(FACTS, read, strict=True) if (step := _step(fact, found))]
    unread = [f"{fact.type} by {u.reason}" for fact, u in zip(FACTS, read, strict=True)
              if isinstance(u, Unread)]  # fmt: skip
    return Evacuation(
        from_region=here.region,
        to_region=to_region,
        steps=[*steps, _cut_over()],
        unread=[clean(one, 200) for one in unread],
        summary=_summary(here.region, to_region, steps),
    )


def _read(fact: Fact, here: Aws, there: Aws) -> list[Copy] | list[str]:
    if fact.type in COPIED:
        return COPIED[fact.type](here, there)
    return REBUILT[fact.type](here)


def _step(fact: Fact, found: list[Copy] | list[str] | Unread) -> EvacuationStep | None:
    """A kind's step; None when there is nothing of it."""
    if isinstance(found, Unread):
        copied: Verdict | None = "UNKNOWN" if fact.type in COPIED else None
        return _as_step(fact, None, copied, ["could not be read"])
    if not found:
        return None
    ordered = sorted(
        (one for one in found if isinstance(one, Copy)),
        key=lambda one: ("FAIL", "UNKNOWN", "PASS").index(one.verdict),
    )
    if ordered:
        verdict = worst(one.verdict for one in ordered)
        named = [f"{one.id}: {one.verdict}, {one.evidence}" for one in ordered]
        return _as_step(fact, len(ordered), verdict, named)
    return _as_step(fact, len(found), None, [one for one in found if isinstance(one, str)])


def _as_step(
    fact: Fact, count: int | None, copied: Verdict | None, named: list[str]
) -> EvacuationStep:
    more = [f"and {len(named) - SHOWN} more"] if len(named) > SHOWN else []
    return EvacuationStep(
        phase=f"{fact.phase} {PHASES[fact.phase]}",
        type=fact.type,
        span=fact.span,
        holds=fact.holds,
        count=count,
        copied=copied,
        named=[*(clean(one, 160) for one in named[:SHOWN]), *more],
        how=fact.how,
        source=fact.url,
    )


def _cut_over() -> EvacuationStep:
    return _as_step(CUT_OVER, None, None, ["not of a region: not counted here"])


def _summary(here: str, there: str, steps: list[EvacuationStep]) -> str:
    lacking = [s.type for s in steps if s.copied == "FAIL"]
    unsure = [s.type for s in steps if s.copied == "UNKNOWN" or s.count is None]
    said = f"From {here} to {there}: {len(steps)} kinds to move. "
    said += f"Without a copy of all there: {', '.join(lacking) or 'none'}."
    return said + (f" Not sure: {', '.join(unsure)}." if unsure else "")
