"""The pages after the first are cut from what the first one read."""

from typing import Annotated, Any

from fastmcp import Client
from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Target
from opswright_core.pages import Page, page
from opswright_core.runtime import aws, runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.snapshots import KEPT_SECONDS, MOST_KEPT, Snapshots
from opswright_core.tools import read_tool


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_first_page_is_read_anew_and_a_later_one_is_not() -> None:
    kept, reads = Snapshots(), iter(range(10))
    read = lambda: next(reads)  # noqa: E731
    assert [kept.get(cursor, ("list", "a"), read) for cursor in (None, "c", "c", None, "c")] == [
        0, 0, 0, 1, 1,
    ]  # fmt: skip
    assert kept.get("c", ("list", "b"), read) == 2  # another call


def test_what_is_old_or_was_crowded_out_is_read_again() -> None:
    clock = Clock()
    kept = Snapshots(clock)
    assert kept.get(None, ("a",), lambda: "first") == "first"
    clock.now += KEPT_SECONDS
    assert kept.get("c", ("a",), lambda: "second") == "first"
    clock.now += 1
    assert kept.get("c", ("a",), lambda: "second") == "second"
    for number in range(MOST_KEPT):
        kept.get(None, (number,), lambda: "other")
    assert kept.get("c", ("a",), lambda: "third") == "third"


def test_nothing_read_is_kept_as_well() -> None:
    kept = Snapshots()
    kept.get(None, ("a",), lambda: None)
    assert kept.get("c", ("a",), lambda: "read again") is None


class Thing(BaseModel):
    number: int


@read_tool
def list_things(
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
    target: Target = HERE,
) -> Page[Thing]:
    """List the things of a region that is changing."""
    extras = runtime().extras
    extras["reads"] = extras.get("reads", 0) + 1

    def read() -> list[Thing]:
        first = extras["reads"] * 1000
        return [Thing(number=first + n) for n in range(120)] if aws(target) else []

    return page(runtime().snapshots.get(cursor, ("list_things", target), read), cursor=cursor)


async def test_a_walk_over_a_changing_account_tells_each_thing_once(
    settings: Settings, cloud: Any
) -> None:
    server: Any = build_server(
        "things", title="Things", instructions="Things.", tools=[list_things], settings=settings
    )
    seen: list[int] = []
    async with Client(server) as client:
        cursor = None
        while True:
            answer = await client.call_tool("list_things", {"cursor": cursor})
            assert answer.meta["opswright"] == {"regions": ["eu-west-1"]}
            seen += [item["number"] for item in answer.structured_content["items"]]
            if not (cursor := answer.structured_content["cursor"]):
                break
    assert seen == list(range(1000, 1120))
