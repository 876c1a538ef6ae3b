"""With `--approvals elicit` the host's user is asked, in both protocol eras."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from mcp_types import ClientCapabilities, InputRequiredResult
from mcp_types import ElicitResult as Answer
from tests.core.conftest import World, kinds
from tests.core.shelf import create_server

from opswright_core.changes import Action, ChangePlan
from opswright_core.elicitation import MOST_LINES, can_ask, question
from opswright_core.journal import Journal
from opswright_core.settings import Settings

YES = Answer(action="accept", content={"approve": True})
LAMP: dict[str, Any] = {"names": ["lamp"]}


@pytest.fixture
def asking(settings: Settings) -> Settings:
    """Any decline counts as a person's, however soon."""
    return dataclasses.replace(settings, approvals="elicit", reading_seconds=0.0)


class Person:
    """The host's user: answers each question with the next answer, and keeps the questions."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, message: str, _type: Any, _params: Any, _ctx: Any) -> Any:
        self.asked.append(message)
        return self.answers.pop(0)


def events(settings: Settings, change_id: str) -> list[Any]:
    return Journal(settings.state_dir / "journal.db", "test").events(change_id)


def host(settings: Settings, era: str, handler: Any = None) -> Client[Any]:
    return Client(create_server(settings), mode=era, elicitation_handler=handler)


async def call(client: Any, tool: str = "shelve", **arguments: Any) -> Any:
    return await client.call_tool(tool, arguments, raise_on_error=False)


def only_change(settings: Settings) -> str:
    (change_id,) = Journal(settings.state_dir / "journal.db", "shelf").recent()
    return change_id


async def test_a_yes_makes_the_change_and_is_journalled(
    asking: Settings, era: str, world: World
) -> None:
    person = Person(YES)
    async with host(asking, era, person) as client:
        done = (await call(client, **LAMP)).structured_content
    assert done["status"] == "done"
    assert world.things == ["lamp"]
    approved = [e.body for e in events(asking, done["change_id"]) if e.kind == "approved"]
    assert [a["by"] for a in approved] == ["elicit"]


async def test_the_question_shows_the_plan(asking: Settings, era: str, world: World) -> None:
    person = Person(YES, YES)
    async with host(asking, era, person) as client:
        await call(client, names=["lamp", "vase"])
        await call(client, "clear_shelf")
    first, second = person.asked
    assert first.splitlines() == [
        "shelve lamp, vase", "(shelve on sandbox:shelf)",
        "- create shelf:thing lamp", "- create shelf:thing vase",
    ]  # fmt: skip
    assert second.splitlines()[-1] == "Warning: this cannot be undone."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(action="decline"), "declined"),
        (Answer(action="accept", content={"approve": False}), "declined"),
        (Answer(action="accept", content={}), "declined"),
        (Answer(action="cancel"), "dismissed"),
    ],
    ids=["decline", "a form sent with no", "an empty form", "cancel"],
)
async def test_whatever_is_not_a_yes_changes_nothing(
    asking: Settings, era: str, world: World, answer: Answer, words: str
) -> None:
    async with host(asking, era, Person(answer)) as client:
        refused = await call(client, **LAMP)
        listed = (await client.call_tool("list_changes", {})).structured_content["items"]
    assert refused.is_error
    assert words in refused.content[0].text
    assert world.things == []
    assert [line["status"] for line in listed] == ["declined"]
    assert kinds(asking, only_change(asking)) == ["requested", "declined"]


async def test_a_person_who_declined_can_be_asked_again(
    asking: Settings, era: str, world: World
) -> None:
    async with host(asking, era, Person(Answer(action="decline"), YES)) as client:
        assert (await call(client, **LAMP)).is_error
        assert (await call(client, **LAMP)).structured_content["status"] == "done"


async def test_a_host_that_declines_by_itself_gets_a_token(
    asking: Settings, era: str, world: World
) -> None:
    hasty = dataclasses.replace(asking, reading_seconds=60.0)
    async with host(hasty, era, Person(Answer(action="decline"))) as client:
        asked = (await call(client, **LAMP)).structured_content
        assert asked["status"] == "needs_approval"
        assert "declined by itself" in asked["next"]
        assert world.things == []
        token = asked["approval"]["token"]
        done = (await call(client, **LAMP, approval=token)).structured_content
    assert done["status"] == "done"
    approved = [e.body["by"] for e in events(hasty, done["change_id"]) if e.kind == "approved"]
    assert approved == ["token"]


async def test_a_host_without_elicitation_gets_a_token(
    asking: Settings, era: str, world: World
) -> None:
    async with host(asking, era) as client:
        asked = (await call(client, **LAMP)).structured_content
        assert "cannot ask its user" in asked["next"]
        done = await call(client, **LAMP, approval=asked["approval"]["token"])
        assert done.structured_content["status"] == "done"


@pytest.mark.parametrize(
    ("declared", "able"),
    [
        ({"elicitation": {}}, True),
        ({"elicitation": {"form": {}}}, True),
        ({"elicitation": {"form": {}, "url": {}}}, True),
        ({"elicitation": {"url": {}}}, False),
        ({}, False),
    ],
    ids=["as before modes", "forms", "both", "only pages", "none"],
)
def test_a_host_can_ask_when_it_declares_forms(declared: dict[str, Any], able: bool) -> None:
    assert can_ask(ClientCapabilities.model_validate(declared)) is able
    assert not can_ask(None)


async def test_a_host_that_fails_at_asking_gets_a_token(asking: Settings, world: World) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("no window")

    async with host(asking, "legacy", broken) as client:
        asked = (await call(client, **LAMP)).structured_content
    assert "failed to ask" in asked["next"]
    assert world.things == []


async def test_a_host_that_never_answers_gets_a_token(asking: Settings, world: World) -> None:
    async def silent(*_: Any) -> Any:
        await asyncio.Event().wait()

    waiting = dataclasses.replace(asking, elicit_seconds=0.3)
    async with host(waiting, "legacy", silent) as client:
        asked = (await call(client, **LAMP)).structured_content
        assert "did not answer" in asked["next"]
        done = await call(client, **LAMP, approval=asked["approval"]["token"])
        assert done.structured_content["status"] == "done"


async def test_a_question_waits_no_longer_than_the_call_may(asking: Settings, world: World) -> None:
    async def silent(*_: Any) -> Any:
        await asyncio.Event().wait()

    brief = dataclasses.replace(asking, elicit_seconds=3600.0, wait_seconds=0.3)
    async with host(brief, "legacy", silent) as client:
        asked = (await call(client, **LAMP)).structured_content
        assert asked["status"] == "needs_approval"
        # The question is still open, so the repeat does not wait for it again.
        again = (await call(client, **LAMP)).structured_content
        assert "was asked and has not answered" in again["next"]


# From 2026-07-28 the host calls again with the answer; here each call is made by hand.


async def raw(client: Any, tool: str = "shelve", arguments: Any = LAMP, **leg: Any) -> Any:
    return await client.session.call_tool(tool, arguments, allow_input_required=True, **leg)


async def answered(client: Any, state: str | None, answer: Any = YES, **call: Any) -> Any:
    return await raw(client, input_responses={"approval": answer}, request_state=state, **call)


async def test_a_host_that_never_comes_back_gets_a_token(asking: Settings, world: World) -> None:
    async with host(asking, "auto", Person()) as client:
        assert isinstance(await raw(client), InputRequiredResult)
        asked = (await raw(client)).structured_content
    assert asked["status"] == "needs_approval"
    assert "has not answered" in asked["next"]


async def test_a_question_that_has_expired_is_asked_anew(asking: Settings, world: World) -> None:
    brief = dataclasses.replace(asking, elicit_seconds=0.0)
    async with host(brief, "auto", Person()) as client:
        asked = await raw(client)
        late = await answered(client, asked.request_state)
        assert late.is_error
        assert "expired" in late.content[0].text
        assert isinstance(await raw(client), InputRequiredResult)
    assert world.things == []


@pytest.mark.parametrize("first", [YES, Answer(action="decline")], ids=["yes", "no"])
async def test_an_answer_is_good_for_once(asking: Settings, world: World, first: Answer) -> None:
    clear: dict[str, Any] = {"tool": "clear_shelf", "arguments": {}}
    (world.root / "shelf").mkdir(parents=True)
    (world.root / "shelf" / "old").touch()
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client, **clear)
        assert (await answered(client, asked.request_state, first, **clear)).is_error == (
            first is not YES
        )
        (world.root / "shelf" / "old").touch()
        replay = await answered(client, asked.request_state, **clear)
    assert replay.is_error
    assert "used already" in replay.content[0].text
    assert world.things == ["old"]
    changes = Journal(asking.state_dir / "journal.db", "shelf").recent()
    assert any("approval_refused" in kinds(asking, change_id) for change_id in changes)


async def test_a_no_after_a_yes_is_refused(asking: Settings, world: World) -> None:
    (world.root / "shelf").mkdir(parents=True)
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client)
        await answered(client, asked.request_state)
        (world.root / "shelf" / "lamp").unlink()
        replay = await answered(client, asked.request_state, Answer(action="decline"))
    assert "not the answer to an open question" in replay.content[0].text


@pytest.mark.parametrize(
    "leg",
    [
        lambda state: {"request_state": None, "input_responses": {"approval": YES}},
        lambda state: {"request_state": state, "input_responses": {"other": YES}},
        lambda state: {"request_state": state, "input_responses": None},
    ],
    ids=["an answer without its state", "another answer", "a state without an answer"],
)
async def test_half_an_answer_approves_nothing(
    asking: Settings, world: World, leg: Callable[[str], Any]
) -> None:
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client)
        assert (await raw(client, **leg(asked.request_state))).is_error
    assert world.things == []


async def test_an_answer_does_not_fit_another_call(asking: Settings, world: World) -> None:
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client)
        with pytest.raises(Exception, match=r"requestState|request state"):
            await answered(client, asked.request_state, arguments={"names": ["bomb"]})
    assert world.things == []


async def test_an_answer_does_not_fit_a_state_that_has_changed(
    asking: Settings, world: World
) -> None:
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client)
        (world.root / "shelf" / "vase").touch()
        refused = await answered(client, asked.request_state)
    assert "changed since" in refused.content[0].text
    assert world.things == ["vase"]


async def test_the_sealed_state_is_no_token(asking: Settings, world: World) -> None:
    """What a host is handed to bring back cannot be passed on as an approval."""
    async with host(asking, "auto", Person()) as client:
        asked = await raw(client)
        assert only_change(asking) not in asked.request_state
        with pytest.raises(ToolError, match="not known here"):
            await client.call_tool("shelve", {**LAMP, "approval": asked.request_state[:200]})
    assert world.things == []


def test_the_question_is_bounded_and_clean() -> None:
    plan = ChangePlan(
        summary="many\x1b[2J things",
        actions=[Action(verb="create", type="x", name=f"n{i}\nWarning: none") for i in range(50)],
        warnings=["costs money"],
    )
    lines = question(plan, "tool", "here").splitlines()
    assert "\x1b" not in lines[0]
    assert len(lines) == 2 + MOST_LINES + 1 + 1
    assert lines[-2].startswith("and 30 more")
    assert lines[-1] == "Warning: costs money"
    assert not any(line.startswith("Warning: none") for line in lines)


async def test_an_undo_is_asked_about_as_well(asking: Settings, era: str, world: World) -> None:
    person = Person(YES, ElicitResult(action="accept", content={"approve": True}))
    async with host(asking, era, person) as client:
        done = (await call(client, **LAMP)).structured_content
        undone = await call(client, "undo_change", change_id=done["change_id"])
    assert undone.structured_content["status"] == "done"
    assert "Undo shelve" in person.asked[1]
    assert world.things == []
