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
from fastmcp.exceptions import ResourceError, ToolError
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.tools.function_tool import FunctionTool
from fastmcp.utilities.logging import temporary_log_level

import opswright_core
from opswright_core import change_tools
from opswright_core.agent import tools as agent_tools
from opswright_core.agent.skills import Skill, SkillBook
from opswright_core.agent.tasks import Agent, TaskStore
from opswright_core.brevity import brief, inline
from opswright_core.canonical import canonical_json
from opswright_core.card import agent_card
from opswright_core.change_resources import add_change_resources
from opswright_core.errors import BadInputError
from opswright_core.guard import Guard, telling
from opswright_core.journal import Journal
from opswright_core.namespaces import call_namespace
from opswright_core.results import SCHEME
from opswright_core.runtime import Runtime, runtime
from opswright_core.settings import Settings
from opswright_core.startup import DeferredState, undocumented
from opswright_core.stdio import host_streams
from opswright_core.undo import AwsUndo, UndoHandler

if TYPE_CHECKING:
    from opswright_core.doctor import Examination
    from opswright_core.permissions import Permissions

log = logging.getLogger(__name__)

Tool = Callable[..., Any]
Lifespan = Callable[[], AbstractAsyncContextManager[None]]


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
        middleware=[Guard(rt)],
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
        mcp.add_tool(_definition(tool))
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


@functools.cache
def _definition(tool: Tool) -> FunctionTool:
    """A tool as hosts see it; made once, as its schemas are most of the work of making a server."""
    with undocumented(told := telling(tool, ToolError)):
        made = FunctionTool.from_function(told)
    made.parameters = inline(brief(made.parameters))
    made.output_schema = made.output_schema and inline(made.output_schema)
    return made


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
    def resource(self, *args: Any, **kwargs: Any) -> Any:
        """FastMCP's own, for functions whose errors say what to do."""
        declare = super().resource(*args, **kwargs)
        return lambda read: declare(telling(read, ResourceError))

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
