"""Fixtures of core's tests: the shelf server, and the shelf as it lies on disk."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.core.issuers import Issuer
from tests.core.shelf import create_server

from opswright_core.settings import Settings

Connected = AbstractAsyncContextManager[Any]


@pytest.fixture
def serve(settings: Settings) -> Callable[..., Connected]:
    """`async with serve(approvals="token") as client` is a client of a shelf server."""

    @asynccontextmanager
    async def opened(
        mode: str = "auto", create: Callable[[Settings], Any] = create_server, **changes: Any
    ) -> Any:
        async with Client(create(dataclasses.replace(settings, **changes)), mode=mode) as c:
            yield c

    return opened


class World:
    """The shelf as it lies on disk, to look behind a tool's back and to plan faults."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def things(self) -> list[str]:
        place = self.root / "shelf"
        return sorted(os.listdir(place)) if place.exists() else []

    @property
    def sent(self) -> list[str]:
        return self._lines("calls.log")

    @property
    def undone(self) -> list[str]:
        return self._lines("undone.log")

    def fault(self, name: str, kind: str) -> None:
        (self.root / f"fault-{name}").write_text(kind)

    def mend(self, name: str) -> None:
        (self.root / f"fault-{name}").unlink()

    def stick(self, name: str, *, stuck: bool = True) -> None:
        path = self.root / f"stuck-{name}"
        path.touch() if stuck else path.unlink()

    def _lines(self, name: str) -> list[str]:
        path = self.root / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def world(settings: Settings) -> World:
    settings.state_dir.parent.mkdir(parents=True, exist_ok=True)
    return World(settings.state_dir.parent)


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """Who signs the JWTs that a server takes."""
    made = Issuer()
    yield made
    made.close()


def kinds(settings: Settings, change_id: str) -> list[str]:
    """The kinds of a change's events, in order."""
    from opswright_core.journal import Journal

    return [e.kind for e in Journal(settings.state_dir / "journal.db", "test").events(change_id)]
