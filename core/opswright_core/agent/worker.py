"""Runs one task over an in-memory client of its own server, so that every guard applies."""

from typing import Any

from opswright_core.agent.report import ApprovalWanted, StepTaken, TaskBudget, TaskContext, Usage
from opswright_core.canonical import canonical_json
from opswright_core.changes import ResourceRef
from opswright_core.errors import OpswrightError

_STILL = {"working"}
_NOT_BEGUN = {"planned", "needs_approval", "declined"}


class StepFailedError(OpswrightError):
    """A tool that the task called failed; `answer` is its structured content, if it gave any."""

    def __init__(self, message: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.answer = answer or {}


class ApprovalWantedError(OpswrightError):
    """The task reached a change that a person has to approve."""


class BudgetSpentError(OpswrightError):
    """The task used up its steps, tokens or dollars."""


class Worker:
    """One task at work: its client, its context, and the record of what it called."""

    def __init__(
        self, client: Any, context: TaskContext, budget: TaskBudget, progress: Any
    ) -> None:
        self.client = client
        self.context = context
        self.budget = budget
        self.progress = progress
        """`await worker.progress("what is being done")`"""
        self._steps: dict[int, StepTaken] = {}
        self.resources: list[ResourceRef] = []
        self.approvals: dict[str, ApprovalWanted] = {}
        """Approvals that are still wanted, by change."""
        self.usage = Usage()
        self.regions: list[str] = []
        """AWS regions that its calls turned to, in that order."""
        self.gaps: list[str] = []
        """What the backend could not really do, as its calls told."""

    @property
    def steps(self) -> list[StepTaken]:
        """What it called, in the order of beginning; some of it may have run side by side."""
        return [self._steps[number] for number in sorted(self._steps)]

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call one of the server's tools and return its structured content.

        A change is waited for to its end. Raises StepFailedError, ApprovalWantedError or
        BudgetSpentError.
        """
        answer, text, is_error = await self.try_call(tool, arguments)
        if is_error:
            raise StepFailedError(f"{tool}: {text}", answer)
        if answer.get("status") == "needs_approval":
            raise ApprovalWantedError(answer["summary"])
        return answer

    async def try_call(
        self, tool: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], str, bool]:
        """The same without raising on a failed tool: (structured content, text, is it an error).

        An approval token is kept from the answer: it is for the person behind the caller.
        """
        if self.usage.steps >= self.budget.steps:
            raise BudgetSpentError(f"the task's budget of {self.budget.steps} steps is used up")
        self.usage.steps += 1
        number = self.usage.steps
        await self.progress(tool)
        result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        answer = result.structured_content or {}
        if answer.get("status") == "needs_approval" and (
            token := self._approval(answer["change_id"])
        ):
            result = await self.client.call_tool(
                tool, {**arguments, "approval": token}, raise_on_error=False
            )
            answer = result.structured_content or {}
        while not result.is_error and answer.get("status") in _STILL and "change_id" in answer:
            await self.progress(f"{tool}: {answer['summary']}")
            result = await self.client.call_tool(
                "get_change",
                {"change_id": answer["change_id"], "wait_seconds": 20},
                raise_on_error=False,
            )
            answer = result.structured_content or {}
        self._note(result)
        text = "\n".join(block.text for block in result.content if getattr(block, "text", None))
        self._record(number, tool, answer, text, result.is_error)
        if answer.get("status") == "needs_approval":
            answer = {**answer, "approval": {**answer["approval"], "token": None}}
            text = canonical_json(answer)
        return answer, text, result.is_error

    def _note(self, result: Any) -> None:
        told = (result.meta or {}).get("opswright", {}).get("regions", [])
        self.regions += [region for region in told if region not in self.regions]
        gaps = (result.structured_content or {}).get("gaps", [])
        self.gaps += [gap for gap in gaps if gap not in self.gaps]

    def _approval(self, change_id: str) -> str | None:
        return next(
            (token for token in self.context.approvals if token.partition(".")[0] == change_id),
            None,
        )

    def _record(
        self, number: int, tool: str, answer: dict[str, Any], text: str, is_error: bool
    ) -> None:
        summary = str(answer.get("error") or answer.get("summary") or text)[:300]
        began = not answer.get("reused") and answer.get("status") not in _NOT_BEGUN
        change_id = answer.get("change_id") if began else None
        self._steps[number] = StepTaken(
            tool=tool, ok=not is_error, summary=summary, change_id=change_id
        )
        if answer.get("change_id") and answer.get("status") == "done" and not answer.get("reused"):
            self.resources += [ResourceRef(**r) for r in answer.get("resources", [])]
        if answer.get("status") == "needs_approval":
            plan = answer.get("plan") or {}
            self.approvals[answer["change_id"]] = ApprovalWanted(
                **answer["approval"],
                summary=str(answer.get("summary", "")),
                actions=plan.get("actions", []),
            )
        elif answer.get("change_id"):
            self.approvals.pop(answer["change_id"], None)
