"""Makes a server: the same guards, agent, card and journal for all of them.

def create_server(settings: Settings) -> FastMCP[Any]:
    return build_server("cost", title="…", instructions="…", tools=[…], settings=settings)
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ValidationError
from fastmcp.server.middleware import Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp_types import TextContent

import opswright_core
from opswright_core import change_tools
from opswright_core.agent import tools as agent_tools
from opswright_core.agent.skills import Skill, SkillBook
from opswright_core.agent.tasks import Agent, TaskStore
from opswright_core.aws import translate
from opswright_core.brevity import brief
from opswright_core.canonical import canonical_json
from opswright_core.card import agent_card
from opswright_core.changes import Record, load
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.journal import Journal
from opswright_core.pages import BUDGET_BYTES, trim
from opswright_core.runtime import Runtime, enter
from opswright_core.settings import Settings
from opswright_core.undo import AwsUndo, UndoHandler

log = logging.getLogger(__name__)

Tool = Callable[..., Any]


def build_server(
    name: str,
    *,
    title: str,
    instructions: str,
    tools: Sequence[Tool],
    settings: Settings,
    skills: Sequence[Skill] = (),
    requirements: Sequence[str] = (),
    undo_handlers: Mapping[str, UndoHandler] | None = None,
    extras: Mapping[str, Any] | None = None,
    version: str = opswright_core.__version__,
) -> FastMCP[Any]:
    """Build one server.

    `tools` are functions declared with `read_tool`, `record_tool`, `write_tool` or
    `destructive_tool`; `instructions` say what the agent is for and how it works (hosts and the
    model read them); `requirements` say what it needs to do real work (for the card). Raises
    BadInputError for a toolset that does not exist.
    """
    rt = Runtime(
        server=name,
        settings=settings,
        journal=Journal(settings.state_dir / "journal.db", name),
        extras={**(extras or {})},
    )
    rt.undo_handlers = {
        "aws": AwsUndo(lambda t, s, r: rt.aws_sessions.open(t).client(s, r)),
        **(undo_handlers or {}),
    }
    mcp: FastMCP[Any] = FastMCP(
        name,
        instructions,
        version=version,
        middleware=[_Guard(rt)],
        mask_error_details=True,
        on_duplicate="error",
    )
    changing = any(_meta(tool)["risk"] in {"write", "destructive"} for tool in tools)
    journal_tools: list[Tool] = [
        change_tools.list_changes,
        change_tools.get_change,
        change_tools.undo_change,
    ]
    own: list[Tool] = [
        agent_tools.handle_task,
        agent_tools.get_task,
        agent_tools.cancel_task,
        agent_tools.can_handle,
    ]
    offered: list[Tool] = [*tools, *(journal_tools if changing else []), *own]
    for tool in offered:
        added = mcp.add_tool(tool)
        added.parameters = brief(added.parameters)
    _narrow(mcp, tools, settings)
    store = TaskStore(settings.state_dir / "tasks.db", rt.journal.owner)
    rt.extras["agent"] = Agent(mcp, rt, instructions, SkillBook(skills), store)

    @mcp.resource(
        "agent://card", mime_type="application/json", description="What this agent can do and needs"
    )
    async def card() -> str:
        return canonical_json(
            agent_card(
                name, title, instructions, version, await mcp.list_tools(), skills, requirements
            )
        )

    @mcp.resource(
        "journal://changes/{change_id}",
        mime_type="application/json",
        description="One change, every event",
    )
    def journalled(change_id: str) -> str:
        record: Record = load(rt, change_id)
        events = [{"at": e.at, "kind": e.kind, **e.body} for e in rt.journal.events(change_id)]
        return canonical_json({"change_id": change_id, "status": record.status, "events": events})

    @mcp.custom_route("/health", methods=["GET"])
    async def health(_: Any) -> Any:
        from starlette.responses import JSONResponse

        return JSONResponse({"server": name, "version": version, "ok": True})

    mcp.opswright_runtime = rt  # type: ignore[attr-defined]
    return mcp


def _meta(tool: Tool) -> dict[str, str]:
    declared: dict[str, str] = tool.__fastmcp__.meta["opswright"]  # type: ignore[attr-defined]
    return declared


def _narrow(mcp: FastMCP[Any], tools: Sequence[Tool], settings: Settings) -> None:
    known = {_meta(tool)["toolset"] for tool in tools} | {"default"}
    wanted = known if "all" in settings.toolsets else settings.toolsets
    if unknown := wanted - known:
        raise BadInputError(
            f"no toolset {', '.join(sorted(unknown))}; there are: all, {', '.join(sorted(known))}"
        )
    if hidden := {f"toolset:{toolset}" for toolset in known - wanted}:
        mcp.disable(tags=hidden)
    if not settings.allow_writes:
        mcp.disable(tags={"write", "destructive"})


class _Guard(Middleware):
    """Around every call: the runtime, errors that say what to do, the output budget."""

    def __init__(self, rt: Runtime) -> None:
        self._runtime = rt

    async def on_message(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        leave = enter(self._runtime)
        try:
            return await call_next(context)
        finally:
            leave()

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        try:
            result = await call_next(context)
        except ValidationError as exc:
            raise BadInputError(_explain(context.message.name, exc)) from exc
        except OpswrightError:
            raise
        except Exception as exc:
            error = translate(exc.__cause__ if isinstance(exc.__cause__, Exception) else exc)
            if isinstance(error, OpswrightError):
                raise error from exc
            raise
        return _fit(result) if isinstance(result, ToolResult) else result


def _fit(result: ToolResult) -> ToolResult:
    answer = result.structured_content
    if answer is None:
        return result
    failed = answer.get("status") in {"failed", "outcome_unknown", "interrupted"} and (
        "change_id" in answer or "task_id" in answer
    )
    size = len(canonical_json(answer))
    if not failed and size <= BUDGET_BYTES:
        return result
    lost: list[str] = []
    if size > BUDGET_BYTES:
        answer, lost = trim(answer)
    text = canonical_json(answer)
    if failed and answer.get("error"):
        text = f"{answer['error']}\n{answer.get('next', '')}\n{text}"
    content = [TextContent(type="text", text=text)]
    if lost:
        note = f"Shortened to fit: {'; '.join(lost)}. Ask for less, or for the next page."
        content.append(TextContent(type="text", text=note))
    return ToolResult(
        content=content,
        structured_content=answer,
        meta=result.meta,
        is_error=result.is_error or failed,
    )


def _explain(tool: str, exc: ValidationError) -> str:
    errors = getattr(exc.__cause__, "errors", None)
    if errors is None:
        return str(exc)
    lines = []
    for error in errors(include_url=False):
        where = ".".join(str(part) for part in error["loc"]) or "arguments"
        sent = repr(error.get("input"))[:80]
        if error["type"] in {"missing", "missing_argument"}:
            lines.append(f"{where} is required")
        elif error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            lines.append(f"{where} is not an argument of {tool}")
        else:
            lines.append(f"{where}: {error['msg']} (sent {sent})")
    return f"{tool}: {'; '.join(lines)}. Its input schema in tools/list says what it takes."
