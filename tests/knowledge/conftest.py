"""A knowledge server over a real client, with a clock that tests set."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.knowledge.statements import watched
from tests.postgres import Postgres

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


@pytest.fixture(autouse=True)
def _namespaces_are_named(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every statement that a test makes the server send is about one namespace."""
    if request.node.module.__name__.endswith("test_statements"):
        yield
        return
    with watched() as found:
        yield
    assert not found


Ask = Callable[..., Awaitable[dict[str, Any]]]
Fail = Callable[..., Awaitable[str]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def shared_database(postgres: Postgres) -> str:
    """One PostgreSQL database for many tests: making it takes longer than most of them."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Where the store of `client` is, empty: each promise holds on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{settings.state_dir / 'knowledge.db'}"
    import psycopg

    where: str = request.getfixturevalue("shared_database")
    with psycopg.connect(where) as connection:
        tables = connection.execute(
            "SELECT string_agg(tablename, ', ') FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchone()
        if tables and tables[0]:
            connection.execute(f"TRUNCATE {tables[0]} RESTART IDENTITY")
    return where


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that no server has opened yet."""
    if request.param == "postgresql":
        where: str = request.getfixturevalue("postgres_url")
        return where
    return f"sqlite:///{tmp_path}/new.db"


@pytest.fixture
async def client(connect: Any, clock: Clock, url: str) -> AsyncIterator[Any]:
    async with connect(lambda settings: create_server(settings, url, clock)) as opened:
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
