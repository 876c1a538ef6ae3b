"""What goes into a task and what comes out of it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.changes import Action, ApprovalNeeded, ResourceRef

TaskStatus = Literal[
    "completed", "working", "needs_approval", "needs_input", "partial", "failed", "cancelled"
]


class AgentMessage(BaseModel):
    """A message to another agent; whoever called the task delivers it."""

    model_config = ConfigDict(frozen=True)
    recipient: str = Field(description="Agent, or * for all")
    intent: Literal["inform", "request", "warn"] = "inform"
    content: str
    data: dict[str, Any] = Field(default_factory=dict)


class ReceivedMessage(AgentMessage):
    """A message from another agent, as it is delivered."""

    sender: str | None = None
    at: str | None = None
    """ISO time."""


class Memory(BaseModel):
    """Something worth remembering for later tasks."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["episodic", "fact", "preference", "pattern"] = "episodic"
    text: str
    importance: float = Field(0.5, ge=0, le=1)


class TaskContext(BaseModel):
    """What the caller knows that the agent may need; servers keep no shared state of their own."""

    model_config = ConfigDict(extra="forbid")
    facts: dict[str, Any] = Field(
        default_factory=dict, description="Known inputs by name, like vpc_id"
    )
    memories: list[str] = Field(default_factory=list, description="What was learnt before")
    inbox: list[ReceivedMessage] = Field(
        default_factory=list,
        description="Messages: sender, intent, content, data, at",
    )
    approvals: list[str] = Field(default_factory=list, description="Tokens a person agreed to")


class TaskBudget(BaseModel):
    """The most a task may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(30, ge=1, le=200)
    tokens: int = Field(200_000, ge=1000)
    usd: float | None = Field(None, gt=0, description="Of the model")


class StepTaken(BaseModel):
    """One tool call that the agent made."""

    tool: str
    ok: bool
    summary: str
    change_id: str | None = Field(None, description="Of the change that it began")


class NeededInput(BaseModel):
    """An input that the task lacks."""

    name: str
    description: str


class Usage(BaseModel):
    """What the task used. Tokens and cost are 0 when no model was asked."""

    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = Field(
        0.0, description="Of the model, at list prices; null when its price is not known"
    )


class ApprovalWanted(ApprovalNeeded):
    """How to approve a change that a task came to, and what it will do."""

    summary: str = ""
    actions: list[Action] = Field(default_factory=list)


class TaskReport(BaseModel):
    """How a task ended, or where it stands."""

    task_id: str
    agent: str
    status: TaskStatus
    summary: str
    mind: Literal["claude", "skills"] = "skills"
    skill: str | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    resources: list[ResourceRef] = Field(default_factory=list)
    messages: list[AgentMessage] = Field(default_factory=list)
    memories: list[Memory] = Field(default_factory=list)
    steps: list[StepTaken] = Field(default_factory=list)
    needs: list[NeededInput] = Field(default_factory=list)
    approvals: list[ApprovalWanted] = Field(default_factory=list)
    usage: Usage = Field(default_factory=Usage)
    regions: list[str] = Field(default_factory=list, description="AWS regions that it turned to")
    gaps: list[str] = Field(
        default_factory=list, description="What this backend could not really do"
    )
    error: str | None = None
    next: str = ""


class Outcome(BaseModel):
    """What a skill (or a model) concludes; the rest of the report comes from what was called."""

    summary: str
    status: Literal["completed", "partial", "failed"] = "completed"
    outputs: dict[str, Any] = Field(default_factory=dict)
    messages: list[AgentMessage] = Field(default_factory=list)
    memories: list[Memory] = Field(default_factory=list)
    next: str = ""
