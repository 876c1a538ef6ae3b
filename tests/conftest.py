"""Backends and servers for every test: one emulator per worker, emptied before each use."""

import functools
import os
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.postgres import Postgres, binaries

from opswright import sandbox
from opswright.sandbox import REGION, Sandbox
from opswright_core.settings import Settings

REQUIRED = frozenset(filter(None, os.environ.get("OPSWRIGHT_REQUIRE", "").split(",")))


def need(service: str, present: bool, why: str) -> None:
    """Skip a test whose service is not here; fail it where OPSWRIGHT_REQUIRE names it."""
    if not present:
        if service in REQUIRED:
            pytest.fail(f"{service} is required here (OPSWRIGHT_REQUIRE) but {why}")
        pytest.skip(f"needs {service}: {why}")


LONGEST = {"integration", "orchestrator"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, so that no worker is left with one."""
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.parts))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's credentials, region, key or state."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "OPSWRIGHT_", "ANTHROPIC_")) and name != "OPSWRIGHT_REQUIRE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPSWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The AWS emulator of this test worker."""
    state_dir = tmp_path_factory.mktemp("emulator")
    yield sandbox.up(state_dir)
    sandbox.down(state_dir)


def empty(emulator: Sandbox) -> None:
    """Forget all that is in the emulated account."""
    reset = urllib.request.Request(f"{emulator.endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=30).close()


@pytest.fixture
def cloud(emulator: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty account behind the emulator, with the environment pointing at it."""
    empty(emulator)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture(scope="session")
def _clients(emulator: Sandbox) -> Callable[[str], Any]:
    import boto3

    where = {"endpoint_url": emulator.endpoint, "region_name": REGION}
    return functools.cache(lambda service: boto3.client(service, **where))


@pytest.fixture
def client_of(cloud: Sandbox, _clients: Callable[[str], Any]) -> Callable[[str], Any]:
    """`client_of("ec2")` is a boto3 client of the emulated account, to look for oneself."""
    return _clients


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster of this test worker; a test that stops it starts it again."""
    bin_dir = binaries()
    need("postgres", bin_dir is not None, "PostgreSQL is not installed (Debian: postgresql)")
    assert bin_dir is not None
    cluster = Postgres.create(bin_dir)
    yield cluster
    cluster.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """An empty PostgreSQL database, as a URL."""
    return postgres.new_database()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What most tests start a server with: writes allowed, sandbox approvals, no model."""
    return Settings(
        allow_writes=True, approvals="auto", mind="skills", state_dir=tmp_path / "state",
        toolsets=frozenset({"all"}),
    )  # fmt: skip


Connect = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["auto", "legacy"], ids=["2026-07-28", "2025-11-25"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras, as a Client's `mode`; only for tests that the protocol matters to."""
    mode: str = request.param
    return mode


@pytest.fixture
def connect(settings: Settings) -> Connect:
    """`async with connect(create_server) as client` is a real MCP client of a server, in memory."""
    from fastmcp import Client

    @asynccontextmanager
    async def opened(
        create_server: Callable[[Settings], Any], *, mode: str = "auto"
    ) -> AsyncIterator[Any]:
        async with Client(create_server(settings), mode=mode) as client:
            yield client

    return opened
