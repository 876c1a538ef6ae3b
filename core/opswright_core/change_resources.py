"""The journal as resources that clients can read and subscribe to."""

from typing import TYPE_CHECKING, Any

from opswright_core.canonical import canonical_json
from opswright_core.change_tools import recent_changes
from opswright_core.changes import load
from opswright_core.runtime import Runtime, runtime

if TYPE_CHECKING:
    from fastmcp import FastMCP

CHANGES = "journal://changes"


def add_change_resources(mcp: "FastMCP[Any]", rt: Runtime) -> None:
    """Add `journal://changes` and `journal://changes/{id}`, and tell who subscribed of each event.

    Subscribers hear of what this process writes; other processes that share the state directory
    have subscribers of their own.
    """
    rt.subscriptions.serve(mcp, rt.namespace)

    def tell(change_id: str) -> None:
        rt.subscriptions.publish(CHANGES)
        rt.subscriptions.publish(f"{CHANGES}/{change_id}")

    rt.journal.on_event = tell

    mcp.resource(
        CHANGES,
        mime_type="application/json",
        description="This server's last changes, newest first",
    )(_changes)
    mcp.resource(
        CHANGES + "/{change_id}",
        mime_type="application/json",
        description="One change, every event",
    )(_change)


# Of the module, not of a server: FastMCP remembers each function and all that it refers to.


def _changes() -> str:
    return canonical_json({"changes": recent_changes(runtime(), 50)})


def _change(change_id: str) -> str:
    rt = runtime()
    record = load(rt, change_id)
    events = [{"at": e.at, "kind": e.kind, **e.body} for e in rt.journal.events(change_id)]
    who = {"asked_by": record.asked_by, "approved_by": record.approved_by}
    return canonical_json(
        {"change_id": change_id, "status": record.status, **who, "events": events}
    )
