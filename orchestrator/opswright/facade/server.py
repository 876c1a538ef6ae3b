"""The facade's table of contents."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastmcp import FastMCP

import opswright
from opswright import sandbox
from opswright.facade import tools
from opswright.facade.approvals import Approvals
from opswright.facade.desk import Desk
from opswright.facade.resources import add_run_resources, publish
from opswright.sandbox import sandbox_dir
from opswright.session import Place
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import delegating_tool, read_tool, record_tool


def create_server(
    settings: Settings, *, config_path: Path | None = None, in_sandbox: bool = False
) -> FastMCP[Any]:
    """Build the server over the agents of `config_path`, in the sandbox or in the account.

    Read-only, it plans, and runs plans that only read; with `settings.allow_writes` also others,
    after an approval by `settings.approvals`.
    """
    offered: list[Any] = [
        record_tool(tools.plan),
        read_tool(tools.status),
        record_tool(tools.cancel),
    ]
    if settings.allow_writes:
        changing = delegating_tool("destructive")
        offered += [changing(t) for t in (tools.run, tools.approve, tools.resume, tools.undo)]
    else:
        offered += [record_tool(tools.run), record_tool(tools.resume)]

    def make_place() -> Place:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        running = sandbox.up(sandbox_dir(settings.state_dir)) if in_sandbox else None
        return Place(settings.state_dir, running)

    @functools.cache
    def desk() -> Desk:
        return Desk(make_place, config_path, settings.state_dir)

    @asynccontextmanager
    async def open_desk() -> AsyncIterator[None]:
        subscriptions = server.opswright_runtime.subscriptions  # type: ignore[attr-defined]
        told = functools.partial(publish, server.opswright_runtime)  # type: ignore[attr-defined]
        watching = asyncio.create_task(desk().watch(told, lambda: bool(subscriptions.wanted)))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await desk().close()
            desk.cache_clear()

    server = build_server(
        "opswright",
        title="opswright",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=offered,
        settings=settings,
        requirements=["the agents of its mcp.json; `opswright doctor` looks at them"],
        extras={"desk": desk},
        standard_tools=False,
        lifespan=open_desk,
        version=opswright.__version__,
    )
    rt = server.opswright_runtime  # type: ignore[attr-defined]
    rt.extras["approvals"] = Approvals(rt)
    add_run_resources(server)
    return server
