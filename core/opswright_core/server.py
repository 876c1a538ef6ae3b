"""Makes a server: the same guards, agent, card and journal for all of them.

def create_server(settings: Settings) -> FastMCP[Any]:
    return build_server("cost", title="…", instructions="…", tools=[…], settings=settings)
"""

import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError, ValidationError
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.server.middleware import Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from fastmcp.utilities.logging import temporary_log_level

import opswright_core
from opswright_core import change_tools
from opswright_core.agent import tools as agent_tools
from opswright_core.agent.skills import Skill, SkillBook
from opswright_core.agent.tasks import Agent, TaskStore
from opswright_core.answers import OWN_CLIENT, fit, located
from opswright_core.aws import translate
from opswright_core.brevity import brief, inline
from opswright_core.canonical import canonical_json
from opswright_core.card import agent_card
from opswright_core.change_resources import add_change_resources
from opswright_core.cloud_errors import InUse, in_use
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.journal import Journal
from opswright_core.namespaces import call_namespace
from opswright_core.results import SCHEME
from opswright_core.runtime import Runtime, enter, runtime
from opswright_core.settings import Settings
from opswright_core.startup import DeferredState, undocumented
from opswright_core.stdio import host_streams
from opswright_core.text import clean
from opswright_core.undo import AwsUndo, UndoHandler

if TYPE_CHECKING:
    from opswright_core.doctor import Examination
    from opswright_core.permissions import Permissions

log = logging.getLogger(__name__)

Tool = Callable[..., Any]
Lifespan = Callable[[], AbstractAsyncContextManager[None]]

MOST_REASONS = 10
ERROR_CHARACTERS = 4_000


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
    permissions: "Permissions | None" = None,
    examinations: "Sequence[Examination]" = (),
    extras: Mapping[str, Any] | None = None,
    standard_tools: bool = True,
    namespace: str = "",
    lifespan: Lifespan | None = None,
    version: str = opswright_core.__version__,
) -> FastMCP[Any]:
    """Build one server.

    `tools` are functions declared with `read_tool`, `record_tool`, `write_tool` or
    `destructive_tool`; `instructions` say what the agent is for and how it works (hosts and the
    model read them); `requirements` say what it needs to do real work (for the card);
    `permissions` are the IAM actions that each tool needs, and `examinations` what else `doctor`
    looks at. Without `standard_tools` it offers `tools` alone: no `handle_task`, no journal tools.
    `namespace` is whose records it serves to callers whose token names none (see `namespaces`).
    `lifespan` is open while the server runs. Raises BadInputError for a toolset that does not
    exist.
    """
    rt = Runtime(
        server=name,
        settings=settings,
        journal=Journal(settings.state_dir / "journal.db", name),
        namespace=namespace,
        permissions=permissions,
        examinations=examinations,
        extras={**(extras or {})},
    )
    rt.undo_handlers = {
        "aws": AwsUndo(lambda t, s, r: rt.aws_sessions.open(t).client(s, r)),
        **(undo_handlers or {}),
    }
    mcp = _Server(
        name,
        instructions,
        version=version,
        middleware=[_Guard(rt)],
        lifespan=_closing(rt, lifespan),
        mask_error_details=True,
        dereference_schemas=False,  # `inline` does, once
        on_duplicate="error",
    )
    rt.makers = {
        tool.__name__: tool.opswright_makes for tool in tools if hasattr(tool, "opswright_makes")
    }
    changing = bool(rt.makers)
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
    offered = _in_toolsets(tools, settings.toolsets)
    if standard_tools:
        offered += [*(journal_tools if changing else []), *own]
    for tool in offered:
        if _changes(tool) and not settings.allow_writes:
            continue
        with undocumented(tool):
            added = mcp.add_tool(tool)
        added.parameters = inline(brief(added.parameters))
        added.output_schema = added.output_schema and inline(added.output_schema)
    store = TaskStore(settings.state_dir / "tasks.db", rt.journal.owner, call_namespace)
    rt.extras["agent"] = Agent(mcp, rt, instructions, SkillBook(skills), store)

    rt.extras["card"] = functools.partial(
        agent_card, name, title, instructions, version, skills, requirements
    )
    mcp.resource(
        "agent://card", mime_type="application/json", description="What this agent can do and needs"
    )(_card)
    mcp.resource(
        SCHEME + "{name}",
        mime_type="application/json",
        description="A whole answer that was shortened; kept for an hour",
    )(_kept)
    add_change_resources(mcp, rt)

    @mcp.custom_route("/health", methods=["GET"])
    async def health(_: Any) -> Any:
        from starlette.responses import JSONResponse

        return JSONResponse({"server": name, "version": version, "ok": True})

    mcp.opswright_runtime = rt  # type: ignore[attr-defined]
    return mcp


async def _card() -> str:
    extras = runtime().extras
    return canonical_json(extras["card"](await extras["agent"].server.list_tools()))


def _kept(name: str) -> str:
    return runtime().results.read(name)


def _closing(
    rt: Runtime, inner: Lifespan | None
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        try:
            async with inner() if inner else nullcontext():
                yield
        finally:
            rt.close()

    return lifespan


def _meta(tool: Tool) -> dict[str, str]:
    declared: dict[str, str] = tool.__fastmcp__.meta["opswright"]  # type: ignore[attr-defined]
    return declared


def _changes(tool: Tool) -> bool:
    return _meta(tool)["risk"] in {"write", "destructive"}


def _in_toolsets(tools: Sequence[Tool], toolsets: frozenset[str]) -> list[Tool]:
    """The tools of those toolsets; what core adds (tasks, the journal) comes with every one."""
    known = {_meta(tool)["toolset"] for tool in tools} | {"default"}
    wanted = known if "all" in toolsets else toolsets
    if unknown := wanted - known:
        raise BadInputError(
            f"no toolset {', '.join(sorted(unknown))}; there are: all, {', '.join(sorted(known))}"
        )
    return [tool for tool in tools if _meta(tool)["toolset"] in wanted]


class _Server(FastMCP[Any]):
    @functools.cached_property
    def _state_store(self) -> Any:
        return DeferredState(lambda: super(_Server, self)._state_store)

    async def run_stdio_async(
        self, show_banner: bool = False, log_level: str | None = None, stateless: bool = False
    ) -> None:
        """Serve one host over stdin and stdout until it is gone; there is no banner."""
        token = set_transport("stdio")
        try:
            with temporary_log_level(log_level):
                async with self._lifespan_manager(), host_streams() as (incoming, outgoing):
                    options = self._mcp_server.create_initialization_options()
                    await self._mcp_server.run(incoming, outgoing, options)
        finally:
            reset_transport(token)


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
        used = InUse()
        before = in_use.set(used)
        try:
            result = await call_next(context)
        except ValidationError as exc:
            raise BadInputError(_explain(context.message.name, exc)) from exc
        except OpswrightError as exc:
            exc.args = (clean(str(exc), ERROR_CHARACTERS),)  # it may quote what was sent or read
            raise
        except Exception as exc:
            error = translate(exc.__cause__ if isinstance(exc.__cause__, Exception) else exc)
            if isinstance(error, OpswrightError):
                error.args = (clean(str(error), ERROR_CHARACTERS),)
                raise error from exc
            raise
        finally:
            in_use.reset(before)
        if not isinstance(result, ToolResult):
            return result
        result = located(result, used.regions)
        only = self._reads_structured(context)
        return await fit(result, self._runtime.results, structured_only=only)

    async def on_read_resource(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        try:
            return await call_next(context)
        except Exception as exc:
            cause = exc if isinstance(exc, OpswrightError) else exc.__cause__
            if isinstance(cause, OpswrightError):
                raise ResourceError(clean(str(cause), ERROR_CHARACTERS)) from exc
            raise

    def _reads_structured(self, context: MiddlewareContext[Any]) -> bool:
        if self._runtime.settings.answers == "structured":
            return True
        within = context.fastmcp_context
        params = within.session.client_params if within and within.request_context else None
        return params is not None and params.client_info.name == OWN_CLIENT


def _explain(tool: str, exc: ValidationError) -> str:
    errors = getattr(exc.__cause__, "errors", None)
    if errors is None:
        return str(exc)
    found = errors(include_url=False)
    lines = []
    for error in found[:MOST_REASONS]:
        where = clean(".".join(str(part) for part in error["loc"]), 120) or "arguments"
        sent = clean(repr(error.get("input")), 80)
        if error["type"] in {"missing", "missing_argument"}:
            lines.append(f"{where} is required")
        elif error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            lines.append(f"{where} is not an argument of {tool}")
        else:
            lines.append(f"{where}: {error['msg']} (sent {sent})")
    if len(found) > MOST_REASONS:
        lines.append(f"and {len(found) - MOST_REASONS} more")
    return f"{tool}: {'; '.join(lines)}. Its input schema in tools/list says what it takes."
