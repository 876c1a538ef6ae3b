"""A knowledge server over a real client, with a clock that tests set."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_core.settings import Settings
from opswright_knowledge.server import create_server

BEGIN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


Ask = Callable[..., Awaitable[dict[str, Any]]]
Fail = Callable[..., Awaitable[str]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(connect: Any, clock: Clock) -> AsyncIterator[Any]:
    async with connect(lambda settings: create_server(settings, clock=clock)) as opened:
        yield opened


@pytest.fixture
def ask(client: Any) -> Ask:
    """`await ask("find_resources", type="ec2:vpc")`: a tool's answer; an error fails the test."""

    async def call(tool: str, **arguments: Any) -> dict[str, Any]:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        assert not result.is_error, result.content[0].text
        answer: dict[str, Any] = result.structured_content
        return answer

    return call


@pytest.fixture
def fail(client: Any) -> Fail:
    """`await fail("find_resources", cursor="x")`: what the error says; an answer fails the test."""

    async def call(tool: str, **arguments: Any) -> str:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        assert result.is_error, result.structured_content
        text: str = result.content[0].text
        return text

    return call


@pytest.fixture
def read(client: Any) -> Callable[[str], Awaitable[str]]:
    """`await read("knowledge://runs")`: a resource's text."""

    async def text_at(address: str) -> str:
        (content,) = await client.read_resource(address)
        text: str = content.text
        return text

    return text_at


@pytest.fixture
def url(settings: Settings) -> str:
    """Where the store of `client` is."""
    return f"sqlite:///{settings.state_dir / 'knowledge.db'}"
