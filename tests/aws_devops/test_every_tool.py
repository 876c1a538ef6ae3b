"""Promises that every tool keeps: short of a permission or a name, and asked for what cannot be.

Names come first: to what is made anew, the emulator gives the tags of what bore its name before.
"""

from typing import Any

import pytest
from tests.aws_devops import test_stack_permissions as stacks
from tests.aws_devops.account import SERVICES
from tests.aws_devops.asked import CHANGES, LACKING, OF_MANY, OFFLINE, PARTS, READS
from tests.aws_devops.conftest import Ground
from tests.aws_devops.namesakes import NAMESAKES, namesake
from tests.aws_devops.refusing import DENIED
from tests.aws_devops.strange import STRANGE
from tests.aws_devops.stripping import (
    Stripped,
    distinct,
    filled,
    names,
    numbered,
    said,
    writes,
)

from opswright.router import COMMON_TOOLS

STACKS = {tool for tool, _ in stacks.CHANGES} | {*stacks.READS, *stacks.UNDONE_BY_NOTHING}
"""Where the other emulator knows them."""


async def test_every_tool_is_stripped_of_its_permissions(ground: Ground) -> None:
    tools = {tool.name for tool in await ground.watched.client.list_tools()} - COMMON_TOOLS
    assert tools == {*READS, *OFFLINE, *CHANGES, *STACKS}


async def refused(ground: Ground, tool: str, operations: list[str]) -> tuple[list[str], Any, str]:
    """Refuse operations to a read: those it tried, what it answers, and that in words."""
    sessions, arguments = ground.watched.sessions, filled(READS[tool], ground.known)
    start = len(sessions.denied)
    sessions.refused.update(dict.fromkeys(operations, 0))
    answer = await ground.watched.client.call_tool(tool, arguments, raise_on_error=False)
    sessions.refused.clear()
    return distinct(sessions.denied[start:]), answer.structured_content or {}, said(answer)


@pytest.mark.usefixtures("at_it")
@pytest.mark.parametrize("tool", READS)
async def test_what_a_read_may_not_see_is_named_and_never_passes(ground: Ground, tool: str) -> None:
    sent = ground.watched.sessions.sent
    silent: list[tuple[str, str]] = []
    start = len(sent)
    await ground.watched.call(tool, **filled(READS[tool], ground.known))
    left = distinct(sent[start:])
    while left:
        denied, content, told = await refused(ground, tool, left if tool in OF_MANY else left[:1])
        checks = [*content.get("checks", []), *content.get("readiness", [])]
        unknown = any(c["verdict"] == "UNKNOWN" for c in checks)
        if content.get("verdict") == "PASS" and not unknown:
            silent.append((f"{denied} passed", told[:300]))
        silent += [(o, told) for o in denied if not names(told, o)]
        # What depends on an answer that was refused is not asked for before it is allowed.
        left = [o for o in left if o not in denied] if denied else []
    assert start < len(sent)
    assert silent == [], "\n".join(map(str, silent))


async def call_and_writes(ground: Ground, tool: str, asked: dict[str, Any]) -> tuple[Any, Any]:
    """The answer to a call, and what it sent that would change something."""
    sessions = ground.watched.sessions
    start = len(sessions.sent)
    answer = await ground.watched.client.call_tool(tool, asked, raise_on_error=False)
    return answer, [call for call in sessions.sent[start:] if writes(call)]


@pytest.mark.usefixtures("at_it")
@pytest.mark.parametrize("tool", PARTS)
async def test_a_name_that_is_somebody_elses_is_refused_before_anything_is_made(
    ground: Ground, tool: str
) -> None:
    wrong = []
    asked = numbered(filled(CHANGES[tool], ground.known), "0")
    for type_, part in PARTS[tool]:
        name = part.replace("#", "0")
        with namesake(ground.clients, type_, name, ground.known):
            answer, written = await call_and_writes(ground, tool, asked)
        told = said(answer)
        whose = "outside opswright" in told or "set_dns_record uses it" in told
        if not answer.is_error or name not in told or not whose:
            wrong.append(f"{type_} {name}: {told[:400]}")
        if written:
            wrong.append(f"{type_} {name}: sent {written}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.usefixtures("at_it")
async def test_what_no_call_can_mean_is_refused_with_what_to_do_and_nothing_is_sent(
    ground: Ground,
) -> None:
    wrong = []
    for tool, strange, advice in STRANGE:
        asked = numbered(filled({**CHANGES[tool], **strange}, ground.known), "0")
        answer, written = await call_and_writes(ground, tool, asked)
        if not answer.is_error or advice not in answer.content[0].text:
            wrong.append(f"{tool} {strange}: {said(answer)[:400]}")
        if written:
            wrong.append(f"{tool} {strange}: sent {written}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.usefixtures("at_it")
async def test_what_aws_lacks_is_told_with_what_to_do_and_the_rest_is_undone(
    ground: Ground,
) -> None:
    sessions, client, services = (
        ground.watched.sessions,
        ground.watched.client,
        ("ec2", "iam", "rds"),
    )
    for tool, operation, answer, advice in LACKING:
        sessions.refused[operation], sessions.answer = 0, answer
        asked = filled(CHANGES[tool], ground.known)
        told = (await client.call_tool(tool, asked, raise_on_error=False)).structured_content
        sessions.refused.clear()
        sessions.answer = DENIED
        assert (told["status"], advice in told["error"]) == ("failed", True), told
        await ground.watched.call("undo_change", change_id=told["change_id"])
        now = ground.read(services)
        assert now == {kind: ground.holds.get(kind, []) for kind in now}, tool


@pytest.mark.usefixtures("at_it")
@pytest.mark.parametrize("tool", CHANGES)
async def test_a_change_without_one_of_its_permissions_leaves_no_trace(
    ground: Ground, tool: str
) -> None:
    stripped = Stripped(ground.watched, ground.read, ground.holds)
    try:
        whole = await stripped.strip(tool, filled(CHANGES[tool], ground.known))
    finally:
        if stripped.wrong:
            ground.holds = ground.read(SERVICES)  # the next is to blame for its own alone
    assert stripped.wrong == [], "\n".join(stripped.wrong)
    named = {(r["type"], r["name"]) for r in whole["resources"] if r["type"] in NAMESAKES}
    listed = {(type_, name.replace("#", "1")) for type_, name in PARTS.get(tool, ())}
    assert not tool.startswith("create_") or named == listed
