"""The six real servers as the orchestrator's agents, over clients in memory."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.integration.servers import SERVERS

from opswright.config import Server
from opswright.registry import Agent
from opswright_core.settings import Settings


class InMemoryAgent(Agent):
    """An agent whose server runs in this process; all else is as with a started one."""

    def _transport(self) -> Any:
        everything = Settings(
            allow_writes=True, toolsets=frozenset({"all"}), mind="skills",
            state_dir=self.log_file.parent,
        )  # fmt: skip
        module = importlib.import_module(f"opswright_{self.name}.server")
        return module.create_server(everything)


@asynccontextmanager
async def real_team(state_dir: Path) -> AsyncIterator[dict[str, Agent]]:
    """The agents of the suite with all their tools, connected, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        agents: dict[str, Agent] = {}
        for name in SERVERS:
            agent = InMemoryAgent(name, Server(), {}, state_dir / "agents.log")
            await agent.connect()
            stack.push_async_callback(agent.close)
            agents[name] = agent
        yield agents
