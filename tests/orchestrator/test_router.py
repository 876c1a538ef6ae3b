"""Which agents a request is for: their words, and what worked before."""

from pathlib import Path

from opswright.config import Server
from opswright.registry import Agent, ToolInfo
from opswright.router import PastRun, route


def agent(name: str, *tools: tuple[str, str]) -> Agent:
    infos = {tool: ToolInfo(tool, what, {}, None, "read") for tool, what in tools}
    return Agent(name, Server(), {}, Path(), tools=infos, _client=object())


TEAM = {
    "boxes": agent("boxes", ("list_boxes", "List the boxes."), ("paint_box", "Paint a box.")),
    "lamps": agent("lamps", ("list_lamps", "List the lamps."), ("light_lamp", "Light a lamp.")),
}


def names(request: str, history: tuple[PastRun, ...] = ()) -> list[str]:
    return [candidate.agent for candidate in route(request, TEAM, history)]


def test_the_agent_whose_words_are_said_comes_first() -> None:
    assert names("paint the box")[0] == "boxes"
    assert names("light the lamp")[0] == "lamps"


def test_what_shares_hardly_a_word_is_left_out() -> None:
    assert names("book a table for two at the harbour restaurant on Friday and list guests") == []


def test_what_worked_for_a_like_request_comes_first_and_what_failed_last() -> None:
    request = "list the boxes and lamps"
    assert set(names(request)) == {"boxes", "lamps"}
    worked = PastRun("list the boxes and the lamps", ("lamps",), succeeded=True)
    failed = PastRun("list the boxes and the lamps", ("lamps",), succeeded=False)
    assert names(request, (worked,))[0] == "lamps"
    assert names(request, (failed,))[0] == "boxes"


def test_what_another_request_came_to_changes_nothing() -> None:
    other = PastRun("tear the old shed down", ("lamps",), succeeded=True)
    assert route("list all things", TEAM, (other,)) == route("list all things", TEAM)


def test_an_agents_own_word_that_it_can_counts() -> None:
    request = "list the boxes and lamps"
    for name in TEAM:
        assert route(request, TEAM, (), {name: 1.0})[0].agent == name
