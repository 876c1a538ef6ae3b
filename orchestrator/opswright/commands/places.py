"""Where a command works: the environment's account, or the sandbox."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console

from opswright import sandbox
from opswright.commands.terminal import busy
from opswright.plan import Plan
from opswright.projection import KNOWLEDGE
from opswright.sandbox import sandbox_dir
from opswright.session import Place, Session, opened
from opswright_core.settings import state_directory


def place_for(in_sandbox: bool, console: Console, quiet: bool) -> Place:
    """Where a new request works; the sandbox is started if it has to be."""
    state_dir = state_directory()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not in_sandbox:
        return Place(state_dir)
    running = sandbox.up(sandbox_dir(state_dir))
    if not quiet:
        console.print(
            f"[bold]Sandbox[/] an AWS emulator at {running.endpoint}; no account is touched",
            highlight=False,
        )
    return Place(state_dir, running)


@asynccontextmanager
async def team(
    place: Place,
    config: Path | None,
    console: Console,
    *,
    quiet: bool = False,
    plan: Plan | None = None,
) -> AsyncIterator[Session]:
    """The agents of a place, or those that a plan needs, for as long as the block lasts.

    Raises ConfigError.
    """
    agents = None if plan is None else plan.agents | {KNOWLEDGE}
    async with AsyncExitStack() as stack:
        with busy(console, "Starting the agents…", quiet=quiet):
            session = await stack.enter_async_context(opened(place, config, agents))
        yield session
