"""What a tool answers with: within the budget, and in the form that the caller reads.

MCP gives an answer two forms that should say the same: `structuredContent`, and a text for clients
that know nothing else. Which one a host hands to its model differs, and neither the protocol's
version nor a capability tells (as seen in November 2026): Claude Code, VS Code, Codex and opencode
hand on the structured form alone; Claude Desktop, claude.ai, Cursor and Kimi the text alone;
Copilot's command line and its JetBrains plug-in both. Of a failed call, Claude Code hands on the
text alone. So:

- Both forms carry the whole payload, and each is within the budget: no host loses anything, and all
  but the last kind read it once.
- To callers that say that they read the structured form (opswright's own clients, by their name)
  the text is one line. `OPSWRIGHT_ANSWERS=structured` says so for a host of the last kind.
- A failed answer always says why in its text.
- What was left out, and where the whole is, stands in both forms: as `shortened` in the structured
  one, as a note and a resource link beside the text.
- What AWS or an emulator does not implement of what a call needed stands in `gaps`.
"""

import asyncio
from typing import Any

from fastmcp.tools.base import ToolResult
from mcp_types import Implementation, ResourceLink, TextContent

import opswright_core
from opswright_core.canonical import canonical_json, size_bytes
from opswright_core.cloud_errors import InUse
from opswright_core.pages import BUDGET_BYTES, trim
from opswright_core.results import ResultStore
from opswright_core.text import clean

OWN_CLIENT = "opswright"
NOTE_BYTES = 1_500
"""Kept free for saying what was left out."""

REASON_CHARACTERS = 1_000
_NAMES_REGION = {"region", "where", "regions"}
"""Fields of answers that say where; a change's `where` is partition:account:region."""
_CUT_OFF = {"failed", "outcome_unknown", "interrupted"}


def own_client() -> Implementation:
    """How opswright's own clients name themselves; they read the structured form."""
    return Implementation(name=OWN_CLIENT, version=opswright_core.__version__)


async def fit(result: ToolResult, kept: ResultStore, *, structured_only: bool) -> ToolResult:
    """Shorten an answer to the budget, keep the whole of it, and mark a failed change as an error.

    The same result comes back when there is nothing to do.
    """
    answer = result.structured_content
    if answer is None:
        return result
    failed = answer.get("status") in _CUT_OFF and ("change_id" in answer or "task_id" in answer)
    fits = _size(result, answer) <= BUDGET_BYTES
    if fits and not failed and not structured_only:
        return result
    reason = _reason(answer) if failed else ""
    room = BUDGET_BYTES - len(reason.encode())
    links: list[ResourceLink] = []
    notes: list[str] = []
    if size_bytes(answer) > room:
        answer, link, note = await _shortened(answer, room - NOTE_BYTES, kept)
        links, notes = [link], [note]
    is_error = result.is_error or failed
    text = canonical_json(answer) if is_error or not structured_only else summary(answer)
    texts = [f"{reason}{text}", *notes]
    return ToolResult(
        content=[*(TextContent(type="text", text=t) for t in texts), *links],
        structured_content=answer,
        meta=result.meta,
        is_error=is_error,
    )


def completed(result: ToolResult, used: InUse) -> ToolResult:
    """Say of an answer what its call met: AWS regions, and what the backend does not implement.

    The regions are in `_meta`, and in the answer where it names none itself; the gaps are in the
    answer's `gaps`, after those that it tells itself.
    """
    if not used.regions and not used.gaps:
        return result
    answer, content, added = result.structured_content, result.content, dict[str, Any]()
    if answer is not None:
        if used.regions and not _NAMES_REGION & answer.keys():
            added["region"] = ", ".join(used.regions)
        told = answer.get("gaps", [])
        if new := [gap for gap in used.gaps if gap not in told]:
            added["gaps"] = [*told, *new]
        if added:
            answer = {**answer, **added}
            content = [TextContent(type="text", text=canonical_json(answer))]
    meta = {**(result.meta or {}), "opswright": {"regions": list(used.regions)}}
    return ToolResult(
        content=content, structured_content=answer, meta=meta, is_error=result.is_error
    )


def summary(answer: dict[str, Any]) -> str:
    """One line for a caller that reads the structured form."""
    said = answer.get("summary") or answer.get("status") or "See the structured content."
    return clean(str(said), 300)


async def _shortened(
    answer: dict[str, Any], room: int, kept: ResultStore
) -> tuple[dict[str, Any], ResourceLink, str]:
    size = size_bytes(answer)
    uri, expires_at = await asyncio.to_thread(kept.keep, answer)
    short, lost = trim(answer, room)
    lost = [clean(what, 120) for what in lost[:8]]
    short = {**short, "shortened": {"lost": lost, "whole": uri, "kept_until": expires_at}}
    link = ResourceLink(
        type="resource_link",
        uri=uri,
        name="whole answer",
        mime_type="application/json",
        size=size,
        description=f"The answer before it was shortened; kept until {expires_at}",
    )
    note = (
        f"Shortened to fit: {'; '.join(lost)}. Ask for less, or for the next page; "
        f"the whole is at {uri} until {expires_at}."
    )
    return short, link, note


def _size(result: ToolResult, answer: dict[str, Any]) -> int:
    """The size of an answer in bytes: that of its text, which is its compact JSON, if it has one.

    Serializing every answer again would cost more than the rest of the guard.
    """
    only = result.content[0] if len(result.content) == 1 else None
    text = only.text if isinstance(only, TextContent) else ""
    return len(text.encode()) if text.startswith("{") else size_bytes(answer)


def _reason(answer: dict[str, Any]) -> str:
    if not answer.get("error"):
        return ""
    return clean(f"{answer['error']}\n{answer.get('next', '')}", REASON_CHARACTERS) + "\n"
