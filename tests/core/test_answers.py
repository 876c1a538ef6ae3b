"""Answers that are too long, the whole of them, and the form that a caller reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.core.shelf import create_server

from opswright_core.answers import own_client
from opswright_core.canonical import size_bytes
from opswright_core.errors import NotFoundError
from opswright_core.pages import BUDGET_BYTES, trim
from opswright_core.results import KEPT_SECONDS, MOST_KEPT, SCHEME, ResultStore
from opswright_core.settings import Settings

Serve = Callable[..., Any]


async def test_a_shortened_answer_links_to_the_whole(serve: Serve, era: str) -> None:
    async with serve(mode=era) as client:
        answer = await client.call_tool("break_down", {"how": "bulky"})
        said, note, link = answer.content
        told = answer.structured_content["shortened"]
        assert json.loads(said.text) == answer.structured_content
        assert told["lost"]
        assert told["whole"] in note.text
        assert str(link.uri) == told["whole"]
        whole = (await client.read_resource(told["whole"]))[0].text
    assert len(whole.encode()) == link.size > BUDGET_BYTES
    assert size_bytes(answer.structured_content) <= BUDGET_BYTES


async def test_what_is_not_kept_any_more_says_what_to_do(serve: Serve, era: str) -> None:
    async with serve(mode=era) as client:
        with pytest.raises(Exception, match="Call the tool again"):
            await client.read_resource(SCHEME + "0" * 32)


async def test_own_clients_read_the_payload_once(settings: Settings, era: str) -> None:
    server = create_server(settings)
    async with Client(server, mode=era, client_info=own_client()) as client:
        mine = await client.call_tool("list_things", {})
        failed = await client.call_tool("break_down", {"how": "x"}, raise_on_error=False)
    async with Client(server, mode=era) as client:
        other = await client.call_tool("list_things", {})
    assert mine.structured_content == other.structured_content
    assert len(mine.content[0].text) < 100
    assert json.loads(other.content[0].text) == other.structured_content
    assert "'x' is not a failure" in failed.content[0].text


def test_an_answer_is_kept_for_an_hour_without_its_secrets(tmp_path: Path) -> None:
    now = 1_000_000.0
    store = ResultStore(tmp_path / "results.db", clock=lambda: now)
    uri, until = store.keep({"password": "hunter2", "items": [1, 2]})
    name = uri.removeprefix(SCHEME)
    assert json.loads(store.read(name)) == {"password": "[redacted]", "items": [1, 2]}
    assert until == "1970-01-12T14:46:40+00:00"
    assert "hunter2" not in (tmp_path / "results.db").read_bytes().decode(errors="ignore")
    assert (tmp_path / "results.db").stat().st_mode & 0o077 == 0
    now += KEPT_SECONDS
    with pytest.raises(NotFoundError, match="not kept"):
        store.read(name)


def test_only_the_latest_answers_are_kept(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results.db", clock=lambda: 0.0)
    uris = [store.keep({"n": n})[0] for n in range(MOST_KEPT + 1)]
    with pytest.raises(NotFoundError):
        store.read(uris[0].removeprefix(SCHEME))
    assert store.read(uris[-1].removeprefix(SCHEME)) == f'{{"n":{MOST_KEPT}}}'


@pytest.mark.parametrize("name", ["", "../journal.db", "x" * 32, "'; DROP TABLE results"])
def test_a_made_up_name_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        ResultStore(tmp_path / "results.db").read(name)


def test_the_items_of_a_page_are_shortened_last() -> None:
    value, _ = trim({"items": ["i" * 100] * 50, "unread": ["u" * 100] * 90, "cursor": "c"}, 8_000)
    assert len(value["items"]) == 50
    assert len(value["unread"]) < 90


def test_a_map_is_shortened_and_a_model_is_not() -> None:
    value, lost = trim({"map": {f"k{n}": "v" * 100 for n in range(500)}, "few": {"a": 1}}, 5_000)
    assert 1 < len(value["map"]) < 50
    assert value["few"] == {"a": 1}
    assert lost == [f"map: {len(value['map'])} of 500 shown"]


def test_bytes_count_not_characters() -> None:
    value, _ = trim({"items": ["é" * 100] * 100}, 10_000)
    assert size_bytes(value) <= 10_000
