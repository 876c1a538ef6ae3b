"""The model's provider: a client of its SDK for a while, and its failures in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from opswright_core.errors import ModelError
from opswright_core.text import clean

MAX_RETRIES = 4
"""For 408, 409, 429, 5xx and lost connections, with the SDK's exponential backoff (0.5 to 8 s)."""


@asynccontextmanager
async def provider(package: str, instead: str) -> AsyncIterator[Any]:
    """The SDK's client, closed when the block ends.

    Raises ModelError when the SDK is not installed (`package` is what to install), and when the
    provider refuses or cannot be reached (`instead` says what works without it).
    """
    try:
        import anthropic
    except ImportError as exc:
        raise ModelError(f"the anthropic package is not here: pip install '{package}'") from exc
    try:
        async with anthropic.AsyncAnthropic(max_retries=MAX_RETRIES) as client:
            yield client
    except (anthropic.AnthropicError, TypeError) as exc:
        # A TypeError is what the SDK raises when it finds no credentials.
        if isinstance(exc, TypeError) and "authentication" not in str(exc):
            raise
        said = clean(str(exc), 300).rstrip(".")
        raise ModelError(f"the model could not be asked: {said}. {instead}") from exc
