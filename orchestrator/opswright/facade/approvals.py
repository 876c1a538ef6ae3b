"""What a person approves before a run changes anything: its plan, and what a step comes to.

The core's approvals do the work: by the operator's policy, for one digest, once, for a time,
journalled. A token is bound to the run and to the hash of its changing steps.
"""

from dataclasses import dataclass
from typing import Any

from mcp_types import InputRequiredResult

from opswright.caller import actions_in
from opswright.facade.answers import ApprovalAsked
from opswright.plan import in_order
from opswright.runs import Run, StepOutcome
from opswright_core.approvals import approve
from opswright_core.asker import asked_by
from opswright_core.canonical import digest
from opswright_core.changes import Action, ApprovalNeeded, ChangePlan, Scope, ToolCall
from opswright_core.elicitation import ask, question
from opswright_core.runtime import Runtime

_HOW = "Show this to the person; after their yes, call approve with run_id and this token."


@dataclass(frozen=True)
class Question:
    """Something that a person has to say yes to. `step` is empty for the whole plan."""

    run: Run
    step: str
    plan: ChangePlan
    asked: str
    """What the yes is bound to."""

    @property
    def key(self) -> str:
        """What the journal and the token call it."""
        return f"{self.run.run_id}/{self.step}" if self.step else self.run.run_id


def of_plan(run: Run) -> Question:
    """Whether the changing steps of a plan may be carried out."""
    changing = [step for step in in_order(run.plan) if step.changes_things]
    actions = [
        Action(
            verb="modify",
            type=f"{step.agent}.{step.tool}",
            name=step.id,
            detail=f"({step.risk}) {step.title}",
        )
        for step in changing
    ]
    warnings = [
        f"{step.id} may lose data or interrupt a service"
        for step in changing
        if step.risk == "destructive"
    ]
    plan = ChangePlan(summary=run.goal, actions=actions, warnings=warnings)
    return Question(run, "", plan, run.plan.approval_hash)


def of_step(run: Run, outcome: StepOutcome) -> Question:
    """Whether a change may be made that an agent came to while it worked on a step."""
    shown = outcome.value.get("plan") or {}
    actions = [Action(**action) for action in actions_in(outcome.value)]
    warnings = [str(warning) for warning in shown.get("warnings", [])]
    summary = str(outcome.value.get("summary") or outcome.error or outcome.step_id)
    plan = ChangePlan(summary=summary, actions=actions, warnings=warnings)
    return Question(run, outcome.step_id, plan, str(outcome.asked))


class Approvals:
    """Asks, by the server's policy, and takes the answers in."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._open: dict[tuple[str, str], ApprovalNeeded] = {}
        """The questions whose token was shown already, so that looking asks nothing anew."""

    async def request(self, asked: Question) -> ApprovalAsked | InputRequiredResult | None:
        """None when a person approved just now; the question when not yet.

        Raises ApprovalError when the operator allows no changes, or the person said no.
        """
        if self._rt.settings.approvals == "out-of-band":
            return _shown(asked, _by_command(asked))
        if self._rt.settings.approvals == "elicit" and not asked.step:
            needed = await ask(self._rt, asked.key, asked.plan, self._body(asked), asked.key)
            if needed is None or isinstance(needed, InputRequiredResult):
                return needed
            return _shown(asked, needed)
        return self.shown(asked)

    def shown(self, asked: Question) -> ApprovalAsked:
        """A question with a token that answers it. Raises ApprovalError where none can."""
        if self._rt.settings.approvals == "out-of-band":
            return _shown(asked, _by_command(asked))
        known = (asked.key, asked.asked)
        if known not in self._open:
            needed = self._approve(asked, None)
            assert needed is not None  # without a token nothing is approved
            self._open[known] = needed
        return _shown(asked, self._open[known])

    def take(self, asked: Question, token: str) -> None:
        """Use a token up. Raises ApprovalError when it is not for exactly this question."""
        self._approve(asked, token)
        self._open.pop((asked.key, asked.asked), None)

    def _approve(self, asked: Question, token: str | None) -> ApprovalNeeded | None:
        call = ToolCall("run", {"run_id": asked.run.run_id}, dry_run=False, approval=token)
        scope = Scope(id=_where(asked.run), sandbox=asked.run.sandbox)
        return approve(self._rt, asked.key, call, scope, self._body(asked), asked.key)

    def _body(self, asked: Question) -> dict[str, Any]:
        return {
            "tool": "run",
            "arguments": {"run_id": asked.run.run_id},
            "scope": _where(asked.run),
            "summary": asked.plan.summary,
            "actions": [action.model_dump() for action in asked.plan.actions],
            "asked_by": asked_by(),
            "approval_digest": digest([asked.key, asked.asked]),
        }


def _by_command(asked: Question) -> ApprovalNeeded:
    how = f"A person runs `opswright approve {asked.run.run_id}` in a terminal; then call resume."
    return ApprovalNeeded(how=how, expires_at="")


def _shown(asked: Question, needed: ApprovalNeeded) -> ApprovalAsked:
    told = question(asked.plan, "run", _where(asked.run)).splitlines()
    return ApprovalAsked(
        what=told[0],
        step=asked.step,
        actions=told[2:],
        how=needed.how if needed.token is None else _HOW,
        token=needed.token,
        expires_at=needed.expires_at,
    )


def _where(run: Run) -> str:
    return "sandbox" if run.sandbox else "the account of the environment"
