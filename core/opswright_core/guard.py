"""Around every call: the runtime, errors that say what to do, the output budget.

An OpswrightError knows nothing of MCP, so that a command which serves nothing does not import it.
Here it becomes the error that FastMCP shows a caller as it is; any other is masked.
"""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastmcp.exceptions import FastMCPError, ToolError, ValidationError
from fastmcp.server.middleware import Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult

from opswright_core.answers import OWN_CLIENT, completed, fit
from opswright_core.cloud_errors import InUse, in_use, translate
from opswright_core.errors import OpswrightError
from opswright_core.runtime import Runtime, enter
from opswright_core.text import clean

MOST_REASONS = 10
ERROR_CHARACTERS = 4_000


@functools.lru_cache(maxsize=5000)  # FastMCP keeps what it found out about a function, per function
def telling(fn: Callable[..., Any], kind: type[FastMCPError]) -> Callable[..., Any]:
    """The same function, but FastMCP neither masks nor logs as defects what a caller can act on.

    That are OpswrightErrors and what the cloud's library raises.
    """
    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with _raising(kind):
                return await fn(*args, **kwargs)

        return awaited

    @functools.wraps(fn)
    def called(*args: Any, **kwargs: Any) -> Any:
        with _raising(kind):
            return fn(*args, **kwargs)

    return called


@contextmanager
def _raising(kind: type[FastMCPError]) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        error = translate(exc)
        if isinstance(error, OpswrightError):
            raise _shown(str(error), kind) from exc
        raise


def _shown(text: str, kind: type[FastMCPError]) -> FastMCPError:
    """An error for the caller, which may quote what was sent or read; the log is for problems."""
    return kind(clean(text, ERROR_CHARACTERS), log_level=logging.INFO)


class Guard(Middleware):
    """What every server puts around the calls of its clients."""

    def __init__(self, rt: Runtime) -> None:
        self._runtime = rt

    async def on_message(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        """Let what the server does reach its runtime."""
        leave = enter(self._runtime)
        try:
            return await call_next(context)
        finally:
            leave()

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        """Say what is wrong with arguments, and fit the answer into the budget."""
        used = InUse()
        before = in_use.set(used)
        try:
            result = await call_next(context)
        except ValidationError as exc:
            raise _shown(_explain(context.message.name, exc), ToolError) from exc
        finally:
            in_use.reset(before)
        if not isinstance(result, ToolResult):
            return result
        result = completed(result, used)
        only = self._reads_structured(context)
        return await fit(result, self._runtime.results, structured_only=only)

    def _reads_structured(self, context: MiddlewareContext[Any]) -> bool:
        if self._runtime.settings.answers == "structured":
            return True
        within = context.fastmcp_context
        params = within.session.client_params if within and within.request_context else None
        return params is not None and params.client_info.name == OWN_CLIENT


def _explain(tool: str, exc: ValidationError) -> str:
    errors = getattr(exc.__cause__, "errors", None)
    if errors is None:
        return str(exc)
    found = errors(include_url=False)
    lines = []
    for error in found[:MOST_REASONS]:
        where = clean(".".join(str(part) for part in error["loc"]), 120) or "arguments"
        sent = clean(repr(error.get("input")), 80)
        if error["type"] in {"missing", "missing_argument"}:
            lines.append(f"{where} is required")
        elif error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            lines.append(f"{where} is not an argument of {tool}")
        else:
            lines.append(f"{where}: {error['msg']} (sent {sent})")
    if len(found) > MOST_REASONS:
        lines.append(f"and {len(found) - MOST_REASONS} more")
    return f"{tool}: {'; '.join(lines)}. Its input schema in tools/list says what it takes."
