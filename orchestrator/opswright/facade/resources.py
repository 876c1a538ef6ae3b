"""Runs as resources that hosts can read and subscribe to: `run://index` and `run://{run_id}`."""

from typing import TYPE_CHECKING, Any

from opswright.facade.answers import line_of, state_of
from opswright.facade.desk import Desk
from opswright.plan import PlanError
from opswright_core.canonical import canonical_json
from opswright_core.errors import NotFoundError
from opswright_core.runtime import Runtime, runtime

if TYPE_CHECKING:
    from fastmcp import FastMCP

INDEX = "run://index"


def add_run_resources(mcp: "FastMCP[Any]") -> None:
    """Add the index and each run; `uris_of` says which ones a moved run changes."""
    mcp.resource(INDEX, mime_type="application/json", description="The recent runs, newest first")(
        _index
    )
    mcp.resource(
        "run://{run_id}",
        mime_type="application/json",
        description="One run: its steps, when they ran, what they changed, and its report",
    )(_run)


def publish(rt: Runtime, run_id: str) -> None:
    """Tell who subscribed that a run moved."""
    rt.subscriptions.publish(INDEX)
    rt.subscriptions.publish(f"run://{run_id}")


# Of the module, not of a server: FastMCP remembers each function and all that it refers to.


def _index() -> str:
    return canonical_json({"runs": [line_of(run) for run in _desk().store.recent(50)]})


def _run(run_id: str) -> str:
    store = _desk().store
    try:
        run = store.load(run_id)
    except PlanError as exc:
        raise NotFoundError(str(exc)) from exc
    outcomes = store.steps(run)
    times = {
        o.step_id: {
            "started_at": o.started_at,
            "ended_at": o.ended_at,
            "attempts": o.attempts,
            "changes": o.change_ids,
        }
        for o in outcomes.values()
        if o.started_at
    }
    return canonical_json({**state_of(run, outcomes).model_dump(mode="json"), "times": times})


def _desk() -> Desk:
    desk: Desk = runtime().extras["desk"]()
    return desk
