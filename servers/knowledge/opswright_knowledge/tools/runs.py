"""The orchestrator's runs: what was wanted, planned, done and reported."""

from typing import Annotated, Any

from pydantic import Field

from opswright_core.pages import Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.kept import bounded
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import By, Name, Recorded, Run, RunLine
from opswright_knowledge.store import knowledge
from opswright_knowledge.tools.registry import Cursor


class ShownRun(Run):
    """A run, shortened to fit an answer."""

    shortened: list[str] = Field(default_factory=list, description="What was left out here")


@record_tool(toolset="more")
async def record_run(
    run_id: Annotated[Name, Field(description="The caller's own id")],
    goal: Annotated[str | None, Field(description="What for; needed once", max_length=4000)] = None,
    status: Annotated[str | None, Field(description="How it stands", max_length=40)] = None,
    plan: Annotated[dict[str, Any] | None, Field(description="Any JSON")] = None,
    steps: Annotated[list[dict[str, Any]] | None, Field(description="Any JSON, one each")] = None,
    report: Annotated[dict[str, Any] | None, Field(description="Any JSON")] = None,
    by: By = None,
) -> Recorded:
    """Record a run or its news. What is left out stays."""
    fields = {"goal": goal, "status": status, "plan": plan, "steps": steps, "report": report}
    return await knowledge().write(by, lambda store: store.runs.record(run_id, fields))


@read_tool(toolset="more")
def get_run(run_id: Annotated[Name, Field(description="From list_runs")]) -> ShownRun:
    """Read one run; a long one is shortened, and says so."""
    with knowledge().reading() as store:
        run = store.runs.get(run_id)
    return ShownRun.model_validate(bounded(run.model_dump(mode="json")))


@read_tool(toolset="more")
def list_runs(
    limit: Annotated[int, Field(description="Most on a page", ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Page[RunLine]:
    """List runs, newest first."""
    place = decode(cursor, [int])
    with knowledge().reading() as store:
        found, total = store.runs.find(before=place[0] if place else None, limit=limit)
    places = {run.run_id: first for first, run in found}
    return cut(
        [run for _, run in found],
        total=total,
        limit=limit,
        place=lambda item: [places[item.run_id]],
        summary=f"{total:,} runs on record, newest first",
    )
