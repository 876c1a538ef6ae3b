"""The six servers, by name, for tests that hold for all of them."""

import dataclasses
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import Client

from opswright_core.settings import Settings

SERVERS = ("aws_devops", "cicd", "cost", "knowledge", "metrics", "security")


@asynccontextmanager
async def client_of_server(name: str, settings: Settings, **changes: Any) -> AsyncIterator[Any]:
    """A client of one of the servers; `changes` are settings."""
    module = importlib.import_module(f"opswright_{name}.server")
    chosen = dataclasses.replace(settings, **changes)
    async with Client(module.create_server(chosen)) as client:
        yield client
