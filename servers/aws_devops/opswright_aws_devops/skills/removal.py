"""A skill that takes an application down again: every change that made it, undone in order."""

from typing import Annotated, Any

from pydantic import Field

from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import ApprovalWantedError, Worker

_NO_NAME = r"(?!(?:everything|all|it|this|that|the|an?|whole|old|application|app|environment)\b)"


class ApplicationNamed(InRegion):
    """Which application to take down."""

    application: Annotated[
        str,
        Field(description="Name that the application was made with"),
        FromText(
            r"(?:named|called|application|app|environment|website|stack of)\s+"
            r"(?!named|called|by|with)[\"'`]?([A-Za-z0-9][\w.-]*)"
        ),
        FromText(
            rf"\b(?:the|our)\s+{_NO_NAME}([A-Za-z0-9][\w.-]*)\s+(?:application|app|environment)\b"
        ),
        FromText(
            rf"\b(?:tear|take|bring)\s+down\s+(?:the\s+|our\s+)?{_NO_NAME}([A-Za-z0-9][\w.-]*)"
        ),
    ]


@skill(
    "tear down the application shop",
    "tear down everything of the application named shop",
    "remove the whole environment called shop",
    "delete the application shop with all its resources",
    risk="destructive",
)
async def tear_down_application(worker: Worker, inputs: ApplicationNamed) -> Outcome:
    """Tear down an application: undo every change that made it, delete all its resources."""
    name, asked = inputs.application, {"application": inputs.application, **inputs.where}
    before = await worker.call("preview_teardown", **asked)
    changes = before["changes"]
    plan = _in_words(before)
    if not changes:
        status = "failed" if before["not_ours"] else "completed"
        return Outcome(summary=f"No standing change made {name}. {plan}", status=status)
    if blocked := [reason for change in changes for reason in change["blocked_by"]]:
        return Outcome(
            summary=f"Nothing was undone: {' '.join(blocked)} The whole plan: {plan}",
            status="failed",
            outputs=before,
        )
    await worker.progress(plan)
    done: list[str] = []
    for change in changes:
        undo = {"change_id": change["change_id"]}
        answer, text, is_error = await worker.try_call("undo_change", undo)
        if answer.get("status") == "needs_approval":
            so_far = f" Undone so far: {', '.join(done)}." if done else ""
            raise ApprovalWantedError(
                f"undoing {change['change_id']} ({change['summary']}), {len(done) + 1} of "
                f"{len(changes)}.{so_far} The whole plan: {plan}"
            )
        if is_error:
            left = ", ".join(c["change_id"] for c in changes[len(done) :])
            return Outcome(
                summary=f"{name} is not down: {change['change_id']} ({change['summary']}) could "
                f"not be undone: {text[:600]} Undone: {', '.join(done) or 'none'}. Left: {left}.",
                status="partial" if done else "failed",
                outputs=before,
            )
        done.append(change["change_id"])
    return _concluded(name, done, await worker.call("preview_teardown", **asked))


def _concluded(name: str, done: list[str], after: dict[str, Any]) -> Outcome:
    """Done only when nothing is left: neither a change that stands nor what carries the tag."""
    left = [change["change_id"] for change in after["changes"]] + after["not_ours"]
    said = f"{len(done)} changes of {name} are undone and verified"
    if left:
        said += (
            f"; NOT removed, since no change of this journal made it: {', '.join(left)} (AWS lists "
            "what was just deleted for some minutes yet)"
        )
    unread = [*after["unread"], "IAM roles and users, which AWS lists by no tag"]
    said += f". Not looked through for its tag: {'; '.join(unread)}."
    return Outcome(
        summary=said,
        status="partial" if left or after["unread"] else "completed",
        outputs={"undone": done, "left": left},
        memories=[Memory(kind="fact", text=f"{name} was torn down: {len(left)} things are left")],
        next="get_resource shows each; remove by hand what is not needed." if left else "",
    )


def _in_words(preview: dict[str, Any]) -> str:
    """The plan: each change with its steps, in order, and what stays."""
    said = [
        f"{number}. {change['change_id']} {change['summary']} ({change['region']}): "
        f"{'; '.join(change['steps'])}." + "".join(f" {warning}" for warning in change["warnings"])
        for number, change in enumerate(preview["changes"], 1)
    ]
    if preview["not_ours"]:
        said.append(f"Stays, since no change of this journal made it: {preview['not_ours']}.")
    return " ".join([preview["summary"] + ".", *said])
