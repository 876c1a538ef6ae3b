"""The agentic tools that every server offers."""

import contextlib
import itertools
from typing import Annotated

from fastmcp import Context
from pydantic import BaseModel, Field

from opswright_core.agent.report import TaskBudget, TaskContext, TaskReport
from opswright_core.agent.tasks import Agent
from opswright_core.asker import inherit_asker
from opswright_core.idempotency import inherit_key
from opswright_core.runtime import runtime
from opswright_core.search import Ranker
from opswright_core.tools import read_tool, record_tool

TaskId = Annotated[str, Field(description="From handle_task", max_length=40)]
Wait = Annotated[float, Field(description="Longest wait", ge=0, le=50)]
NO_CONTEXT = TaskContext()
FULL_BUDGET = TaskBudget()


class Fit(BaseModel):
    """How well a task fits this agent."""

    score: float = Field(
        description="0 to 1: share of the task's words, by weight, that the best fitting skill "
        "covers; 0 when handle_task has no skill for it"
    )
    skills: list[str] = Field(description="Skills that fit, best first; handle_task uses the first")
    tools: list[str] = Field(description="Nearest tools, best first")


@record_tool
async def handle_task(
    task: Annotated[
        str, Field(description="What to do, in plain words", min_length=3, max_length=4000)
    ],
    ctx: Context,
    context: Annotated[
        TaskContext, Field(description="Known facts, memories, messages, approvals")
    ] = NO_CONTEXT,
    wait_seconds: Wait = 25,
    budget: Annotated[TaskBudget, Field(description="Most steps, tokens, dollars")] = FULL_BUDGET,
) -> TaskReport:
    """Hand this agent a whole task; it uses its own tools and reports. Changes need approval."""
    inherit_key()
    inherit_asker()
    steps = itertools.count(1)

    async def progress(message: str) -> None:
        with contextlib.suppress(Exception):  # the caller may have gone on; progress is a courtesy
            await ctx.report_progress(next(steps), None, message)

    return await _agent().handle(task, context, budget, wait_seconds, progress)


@read_tool
async def get_task(task_id: TaskId, wait_seconds: Wait = 25) -> TaskReport:
    """Wait for a task that is `working` and see where it stands."""
    return await _agent().get(task_id, wait_seconds)


@record_tool
async def cancel_task(task_id: TaskId) -> TaskReport:
    """Stop a task; what it already changed stays, with its undo in the journal."""
    return await _agent().cancel(task_id)


@read_tool
async def can_handle(
    task: Annotated[
        str, Field(description="What to do, in plain words", min_length=3, max_length=4000)
    ],
) -> Fit:
    """Tell how well a task fits this agent, without starting it."""
    agent = _agent()
    skills = agent.skills.fitting(task)
    listed = await agent.server.list_tools()
    tools = Ranker({t.name: (t.name.replace("_", " "), t.description or "") for t in listed}).rank(
        task
    )
    return Fit(
        score=skills[0].coverage if skills else 0.0,
        skills=[hit.key for hit in skills[:3]],
        tools=[hit.key for hit in tools[:5]],
    )


def _agent() -> Agent:
    agent: Agent = runtime().extras["agent"]
    return agent
