"""What a change is: its plan, its work, its record in the journal, and the answer that shows it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import Aws
from opswright_core.errors import NotFoundError
from opswright_core.journal import Event, is_alive
from opswright_core.runtime import Runtime
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check

if TYPE_CHECKING:
    from opswright_core.recorder import Recorder

O = TypeVar("O", bound=BaseModel)  # noqa: E741 (outputs)

ChangeStatus = Literal[
    "planned",
    "needs_approval",
    "declined",
    "working",
    "done",
    "failed",
    "outcome_unknown",
    "interrupted",
    "undone",
]
CUT_OFF: frozenset[ChangeStatus] = frozenset({"failed", "outcome_unknown", "interrupted"})
"""Where the same call resumes a change."""

Verb = Literal["create", "modify", "replace", "delete"]


class Action(BaseModel):
    """One thing a change will do."""

    model_config = ConfigDict(frozen=True)
    verb: Verb
    type: str = Field(description="Kind of resource, like ec2:vpc or git:tag")
    name: str
    detail: str = ""


class ChangePlan(BaseModel):
    """What a change will do, before anything is sent."""

    model_config = ConfigDict(frozen=True)
    summary: str
    actions: list[Action] = Field(description="Empty when there is nothing to change")
    warnings: list[str] = Field(default_factory=list)
    reversible: bool = Field(True, description="Whether undo_change can reverse it")
    observed: dict[str, Any] = Field(
        default_factory=dict,
        exclude=True,
        description="The state read; an approval holds only while it is the same",
    )


class ResourceRef(BaseModel):
    """A resource that a change touched."""

    model_config = ConfigDict(frozen=True)
    type: str
    id: str
    name: str = ""
    action: Literal["created", "modified", "deleted"] = "created"


class ApprovalNeeded(BaseModel):
    """How to approve a planned change."""

    model_config = ConfigDict(frozen=True)
    how: str
    token: str | None = Field(None, description="Pass as `approval` in the same call; single use")
    expires_at: str


class Change(BaseModel, Generic[O]):
    """A change: planned, waiting for approval, under way, done or failed."""

    change_id: str
    tool: str
    status: ChangeStatus
    summary: str
    plan: ChangePlan | None = None
    approval: ApprovalNeeded | None = None
    outputs: O | None = None
    resources: list[ResourceRef] = Field(default_factory=list)
    checks: list[Check] = Field(
        default_factory=list, description="What was verified by reading it back"
    )
    gaps: list[str] = Field(
        default_factory=list, description="What this backend could not really do"
    )
    error: str | None = None
    reused: bool = Field(
        False, description="It had been done before; nothing was changed by this call"
    )
    undo: list[str] = Field(default_factory=list, description="What undo_change would do, in order")
    where: str = ""
    asked_by: str = Field("", description="The last caller that asked for it")
    approved_by: str = Field("", description="Who said yes, and how")
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where a change happens: `id` goes into the digest; only a `sandbox` may be auto-approved."""

    id: str
    sandbox: bool = False

    @classmethod
    def of(cls, aws: Aws) -> "Scope":
        """The account and region of an AWS session; a sandbox when behind an emulator."""
        return cls(id=f"{aws.partition}:{aws.account_id}:{aws.region}", sandbox=aws.is_emulator)


@dataclass(frozen=True, kw_only=True)
class Work(Generic[O]):
    """What a changing tool supplies; the functions are synchronous and run in a thread.

    `plan` only reads. `apply` does everything through the recorder's `step`, so that it can be
    resumed. `verify` reads back what `apply` made. `outputs` is the model of what `apply` returns.
    """

    scope: Scope
    plan: Callable[[], ChangePlan]
    apply: Callable[["Recorder"], O]
    verify: Callable[[O], list[Check]]
    outputs: type[O]
    existing: Callable[[], O] | None = None
    """Reads the outputs of what is there, for a plan with no actions; None where none is so."""
    repeatable: bool = False
    """True when doing it twice is meant (run a command); else a verified change is not repeated."""
    by_person: bool = False
    """True when a person has to approve it at a terminal, also where a token would do."""
    arguments: dict[str, Any] | None = None
    """The call's arguments as the journal may keep them, where they can hold secrets that do not
    show by their names; None: as they were given."""


@dataclass(frozen=True)
class ToolCall:
    """The call that asks for a change: `arguments` with defaults, without the protocol's own."""

    tool: str
    arguments: dict[str, Any]
    dry_run: bool
    approval: str | None


@dataclass
class Record:
    """The state of one change, folded from its events."""

    change_id: str
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    status: ChangeStatus = "planned"
    summary: str = ""
    at: str = ""
    owner: str = ""
    asked_by: str = ""
    approved_by: str = ""
    key: str | None = None
    """The idempotency key of the request that made it."""
    outputs: dict[str, Any] | None = None
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    error: str | None = None
    request: dict[str, Any] | None = None
    """What waits for an approval: a new change, or the resumption of one that was cut off."""
    undone_by: str | None = None

    @property
    def undo_steps(self) -> list[UndoStep]:
        """The inverse of what was done, last step first."""
        return [
            UndoStep(**u) for step in reversed(self.steps.values()) for u in step.get("undo", [])
        ]

    @property
    def in_doubt(self) -> list[str]:
        """Steps that were sent and not answered, and whose inverse needs the answer."""
        return [
            name
            for name, step in self.steps.items()
            if step.get("undo_by_result") and not step.get("done") and not step["undo"]
        ]

    @property
    def resources(self) -> list[ResourceRef]:
        """What was touched, in the order it was."""
        return [
            ResourceRef(**step["resource"]) for step in self.steps.values() if step.get("resource")
        ]


def fold(change_id: str, events: list[Event]) -> Record:
    """Replay a change's events into its present state."""
    record = Record(change_id)
    for event in events:
        body = event.body
        match event.kind:
            case "requested":
                record.tool, record.arguments, record.scope = (
                    body["tool"],
                    body["arguments"],
                    body["scope"],
                )
                record.summary, record.request, record.at = (
                    body["summary"],
                    body,
                    record.at or event.at,
                )
                record.asked_by = body.get("asked_by", "")
                if record.status in {"planned", "declined"}:
                    record.status = "needs_approval"
            case "approved":
                who = f"{body['who']} by " if body.get("who") else ""
                record.approved_by = f"{who}{body.get('by', '')}"
            case "declined":
                record.request = None
                if record.status == "needs_approval":
                    record.status = "declined"
            case "applying":
                record.tool, record.arguments, record.scope = (
                    body["tool"],
                    body["arguments"],
                    body["scope"],
                )
                record.summary, record.owner, record.at = (
                    body["summary"],
                    body["owner"],
                    record.at or event.at,
                )
                record.status, record.error, record.request = "working", None, None
                record.asked_by = body.get("asked_by", "")
                record.key = body.get("key")
            case "step_sent":
                record.steps.setdefault(body["name"], {}).update(body)
            case "waiting":
                record.error = body["text"]
            case "step_done":
                record.error = None
                record.steps.setdefault(body["name"], {}).update(body, done=True)
            case "step_failed" if not body.get("in_doubt"):
                record.steps.pop(body["name"], None)
            case "reversed":
                record.steps.clear()
            case "gap" if body["text"] not in record.gaps:
                record.gaps.append(body["text"])
            case "applied":
                record.outputs = body["outputs"]
            case "done" | "failed" | "outcome_unknown":
                record.status = event.kind
                record.checks = [Check(**c) for c in body.get("checks", [])]
                record.error = body.get("error")
            case "undone":
                record.status, record.undone_by = "undone", body["by"]
    if record.status == "working" and not is_alive(record.owner):
        record.status = "interrupted"
    return record


def load(rt: Runtime, change_id: str) -> Record:
    """The present state of a change. Raises NotFoundError when the journal has none of that id."""
    events = rt.journal.events(change_id)
    if not events:
        raise NotFoundError(
            f"no change {change_id!r} in {rt.journal.path}; list_changes shows the recent ones"
        )
    return fold(change_id, events)


_RESUME = "call again with the same arguments to resume, or undo_change to reverse what was made."
_NEXT: dict[ChangeStatus, str] = {
    "working": "Call get_change with this change_id to wait on.",
    "failed": f"Mend the cause, then {_RESUME}",
    "outcome_unknown": f"The answer was lost: {_RESUME}",
    "interrupted": f"The server stopped meanwhile: {_RESUME}",
}


def present(record: Record, outputs: type[O]) -> Change[O]:
    """A journalled change as the tool's answer."""
    undo = [u.description for u in record.undo_steps]
    done_next = "undo_change with this change_id reverses it." if undo else ""
    return Change(
        change_id=record.change_id,
        tool=record.tool,
        status=record.status,
        summary=record.summary,
        outputs=outputs.model_validate(record.outputs) if record.outputs is not None else None,
        resources=record.resources,
        checks=record.checks,
        gaps=record.gaps,
        error=record.error,
        undo=undo if record.status != "undone" else [],
        where=record.scope,
        asked_by=record.asked_by,
        approved_by=record.approved_by,
        next=_NEXT.get(record.status, done_next if record.status == "done" else ""),
    )
