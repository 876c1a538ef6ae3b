"""Takes the permissions of a change away one by one, and looks at what that leaves."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.aws_devops.refusing import WHOAMI

FREE = frozenset({WHOAMI, "secretsmanager:DescribeSecret"})
"""AWS allows the first to everyone; the second is asked of emulators alone, to say a gap."""

_READING = ("Describe", "Get", "Head", "List", "Validate", "Search")

Account = Callable[[Iterable[str]], dict[str, list[Any]]]


def writes(call: str) -> bool:
    return not call.partition(":")[2].startswith(_READING)


def distinct(calls: Iterable[str]) -> list[str]:
    return [call for call in dict.fromkeys(calls) if call not in FREE]


def filled(value: Any, known: dict[str, Any]) -> Any:
    """Arguments with the ids of what is there in the place of their names."""
    if isinstance(value, dict):
        return {key: filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    return known.get(value, value) if isinstance(value, str) else value


def numbered(arguments: dict[str, Any], number: str) -> dict[str, Any]:
    """Arguments with a number in the place of each `#`."""
    asked: dict[str, Any] = json.loads(json.dumps(arguments).replace("#", number))
    return asked


def said(answer: Any) -> str:
    return json.dumps(answer.structured_content or answer.content[0].text)


def names(told: str, call: str) -> bool:
    """Whether an answer names an operation that was refused."""
    return call.partition(":")[2] in told


def verdicts(content: dict[str, Any]) -> Counter[tuple[str, str]]:
    return Counter((check["name"], check["verdict"]) for check in content.get("checks", []))


def difference(old: list[Any], new: list[Any]) -> str:
    """In words, only the parts that differ where items of two lists belong together."""
    if len(old) != len(new) or not all(isinstance(item, dict) for item in (*old, *new)):
        return f"{new} in place of {old}"
    parts = [
        f"{key}: {b.get(key)} in place of {a.get(key)}"
        for a, b in zip(old, new, strict=True)
        for key in {*a, *b}
        if a.get(key) != b.get(key)
    ]
    return "; ".join(parts)


@dataclass
class Stripped:
    """Refuses a change what it needs; `wrong` has what was not as it must be.

    `account` reads what some services hold. Names in the arguments may hold a `#`, which is
    another number in each beginning: an emulator may keep something of what was undone.
    """

    watched: Any
    account: Account
    clean: dict[str, list[Any]]
    """All that the account holds before, which it must hold after each undo."""
    planning: frozenset[str] = frozenset()
    """Operations that write and belong to planning all the same."""
    courtesy: frozenset[str] = frozenset()
    """Operations for what is told while one waits; nothing is lost without."""
    wrong: list[str] = field(default_factory=list)
    _number: int = 0

    async def strip(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Record one good run and its undo, then refuse each operation of both; the good run."""
        sent = self.watched.sessions.sent
        asked, start = self._anew(arguments), len(sent)
        whole = await self._call(tool, asked)
        calls, middle = [call for call in sent[start:] if call != WHOAMI], len(sent)
        services = {call.partition(":")[0] for call in calls}
        made = self.account(services)
        assert (whole["status"], whole["reused"]) == ("done", False), whole
        again = await self._call(tool, asked)
        assert again["reused"], again
        verified, middle = sent[middle:], len(sent)
        undone = await self._call("undo_change", {"change_id": whole["change_id"]})
        back = sent[middle:]
        assert undone["status"] == "done", undone
        self._compare(services, "the undo")
        await self._unverified(tool, self._anew(arguments), len(calls) - len(verified))
        operations = [call for call in distinct(calls) if call not in self.courtesy]
        await self._while_planned_made_and_read(tool, self._anew(arguments), operations, whole)
        now = self.account(services)
        for kind, items in made.items():
            if len(there := now.get(kind, [])) != len(items):
                self._note("all of them", f"{len(there)} {kind}, not {len(items)}", str(there))
        await self._while_undone(distinct(back))
        self._compare(services, "the undo that was refused")
        for operation in filter(writes, operations):
            last = calls.count(operation) - 1  # its first one was refused before
            await self._undone_at_once(tool, self._anew(arguments), operation, last)
        self._compare(services, "one of the undos")
        return whole

    async def _while_planned_made_and_read(
        self, tool: str, asked: dict[str, Any], operations: list[str], whole: dict[str, Any]
    ) -> None:
        """Refuse each operation in turn to the same change, which goes on where it was cut off."""
        begun: str | None = None
        sent = self.watched.sessions.sent
        for operation in operations:
            start = len(sent)
            told, content = await self._refused(tool, asked, operation)
            if told is None:
                continue
            if not names(told, operation):
                self._note(operation, "is not named", told)
            if "change_id" not in content:
                if written := {*filter(writes, sent[start:])} - self.planning:
                    self._note(operation, f"sent {written} while planning", told)
                continue
            if begun not in {None, content["change_id"]}:
                self._note(operation, "was not resumed", told)
            begun = content["change_id"]
            if content["status"] == "done":
                if verdicts(content) == verdicts(whole) and not (
                    any(names(said, operation) for said in content["gaps"])
                ):
                    self._note(operation, "passed", told)
                await self._undo(begun)
                begun = None
            elif content["status"] != "failed":
                self._note(operation, f"ended {content['status']}", told)
        made = await self._call(tool, asked)
        if made["status"] != "done" or verdicts(made) != verdicts(whole):
            self._note("all of them", "was not finished", str(made))
        if begun not in {None, made["change_id"]}:
            self._note("all of them", "was begun anew", str(made))
        self._made = made["change_id"]

    async def _while_undone(self, operations: list[str]) -> None:
        """Refuse each operation in turn to the undo's plan and to the undo, which goes on."""
        asked, start = {"change_id": self._made}, len(self.watched.sessions.sent)
        plan = {**asked, "dry_run": True}
        await self._call("undo_change", plan)
        planning = distinct(self.watched.sessions.sent[start:])
        for operation in planning:
            told, _ = await self._refused("undo_change", plan, operation)
            if told is None or not names(told, operation):
                self._note(operation, "is not named by the undo's plan", str(told))
        for operation in operations:
            told, content = await self._refused("undo_change", asked, operation)
            if told is None or (operation in planning and not names(told, operation)):
                continue  # it was asked for the plan alone
            if not names(told, operation):
                self._note(operation, "is not named by the undo", told)
            unknown = any(verdict == "UNKNOWN" for _, verdict in verdicts(content))
            if content.get("status") == "done" and not unknown:
                self._note(operation, "passed in the undo", told)
        await self._undo(self._made)

    async def _undone_at_once(
        self, tool: str, asked: dict[str, Any], operation: str, after: int
    ) -> None:
        """Refuse one operation that writes, and undo what was made till then."""
        told, content = await self._refused(tool, asked, operation, after)
        if told is None or content.get("status") == "done":
            self._note(operation, "did not fail", str(told))
        if "change_id" in content:
            await self._undo(content["change_id"])

    async def _unverified(self, tool: str, asked: dict[str, Any], patience: int) -> None:
        """Refuse all that is read once everything is made: nothing of it passes."""
        sessions = self.watched.sessions
        sessions.patience, start = patience, len(sessions.denied)
        answer = await self.watched.client.call_tool(tool, asked, raise_on_error=False)
        sessions.patience = None
        content, told = answer.structured_content or {}, said(answer)
        refused = distinct(sessions.denied[start:])
        if not refused:
            self._note("verifying", "read nothing", told, str(sessions.sent[-5:]), str(patience))
        for operation in refused:
            if not names(told, operation):
                self._note(operation, "is not named by a check", told)
        if content.get("status") == "done":
            passed = [name for name, verdict in verdicts(content) if verdict == "PASS"]
            if passed:
                self._note("verifying", f"{passed} passed unread", told)
        await self._undo(content["change_id"])

    async def _undo(self, change_id: str) -> None:
        undone = await self._call("undo_change", {"change_id": change_id})
        if undone["status"] != "done" or any(c["verdict"] != "PASS" for c in undone["checks"]):
            self._note("none", "is not undone", str(undone))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = await self.watched.call(tool, **arguments)
        return content

    async def _refused(
        self, tool: str, arguments: dict[str, Any], operation: str, after: int = 0
    ) -> tuple[str | None, dict[str, Any]]:
        """What a call says when one operation is refused; None when it did not get that far."""
        sessions = self.watched.sessions
        start = len(sessions.denied)
        sessions.refused[operation] = after
        answer = await self.watched.client.call_tool(tool, arguments, raise_on_error=False)
        sessions.refused.clear()
        content = answer.structured_content or {}
        return (said(answer) if sessions.denied[start:] else None), content

    def _anew(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        return numbered(arguments, str(self._number))

    def _compare(self, services: set[str], after: str) -> None:
        for kind, now in self.account(services).items():
            if now != (items := self.clean.get(kind, [])):
                new = [item for item in now if item not in items]
                old = [item for item in items if item not in now]
                self._note(after, f"left {kind}", difference(old, new))

    def _note(self, operation: str, *told: str) -> None:
        self.wrong.append(": ".join([operation, *(text[:600] for text in told)]))
