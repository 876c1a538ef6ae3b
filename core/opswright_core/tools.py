"""How a function becomes a tool, and how risky it is, said where it is defined.

`read` changes nothing. `record` writes opswright's own records, nobody's infrastructure. `write`
adds or alters. `destructive` may lose data or interrupt a service. The class becomes tags (which
the server filters on), protocol annotations (hints for hosts) and metadata (for the orchestrator).
What enforces is the server's filter and the change protocol, never the annotation.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints, overload

from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from opswright_core.changes import Change, ToolCall, Work
from opswright_core.protocol import run_change

Risk = Literal["read", "record", "write", "destructive"]
F = TypeVar("F", bound=Callable[..., Any])
O = TypeVar("O", bound=BaseModel)  # noqa: E741 (outputs)

DryRun = Annotated[bool, Field(description="Plan only")]
Approval = Annotated[str | None, Field(description="From needs_approval", max_length=200)]


def _declare(fn: Callable[..., Any], doc: str | None, risk: Risk, toolset: str) -> Any:
    if not doc:
        raise TypeError(f"tool {fn.__name__} needs a docstring: it is what a model reads")
    declare = tool(
        description=inspect.cleandoc(doc),
        tags={risk, f"toolset:{toolset}"},
        annotations=ToolAnnotations(
            read_only_hint=risk == "read",
            destructive_hint=risk == "destructive",
            idempotent_hint=True,
            open_world_hint=False,
        ),
        meta={"opswright": {"risk": risk, "toolset": toolset}},
    )
    return declare(fn)


@overload
def read_tool(fn: F) -> F: ...
@overload
def read_tool(*, toolset: str = ...) -> Callable[[F], F]: ...
def read_tool(fn: F | None = None, *, toolset: str = "default") -> Any:
    """Make a function a tool that changes nothing. A plain `def` runs in a worker thread."""
    if fn is None:
        return lambda f: _declare(f, f.__doc__, "read", toolset)
    return _declare(fn, fn.__doc__, "read", toolset)


@overload
def record_tool(fn: F) -> F: ...
@overload
def record_tool(*, toolset: str = ...) -> Callable[[F], F]: ...
def record_tool(fn: F | None = None, *, toolset: str = "default") -> Any:
    """Make a function a tool that writes opswright's own records; offered also when read-only."""
    if fn is None:
        return lambda f: _declare(f, f.__doc__, "record", toolset)
    return _declare(fn, fn.__doc__, "record", toolset)


def delegating_tool(risk: Risk, toolset: str = "default") -> Callable[[F], F]:
    """Make a function a tool of the given risk whose changes other servers make, guard and journal.

    It does not go through the change protocol itself; it sees to an approval by itself.
    """
    return lambda fn: _declare(fn, fn.__doc__, risk, toolset)


WorkFactory = Callable[..., Work[O]]
ChangingTool = Callable[..., Any]


def write_tool(toolset: str = "default") -> Callable[[WorkFactory[O]], ChangingTool]:
    """Make a function that returns `Work[Outputs]` a tool that adds or alters.

    It goes through the change protocol: the tool has the function's parameters, `dry_run` and
    `approval`, and answers `Change[Outputs]`.
    """
    return lambda fn: _changing(fn, "write", toolset)


def destructive_tool(toolset: str = "default") -> Callable[[WorkFactory[O]], ChangingTool]:
    """The same as `write_tool`, for what may lose data or interrupt a service."""
    return lambda fn: _changing(fn, "destructive", toolset)


def _changing(fn: WorkFactory[O], risk: Risk, toolset: str) -> ChangingTool:
    hints = get_type_hints(fn, include_extras=True)
    (outputs,) = get_args(hints.pop("return")) or (None,)
    if outputs is None:
        raise TypeError(f"tool {fn.__name__} must be annotated to return Work[<its outputs>]")
    own = inspect.signature(fn)
    returns = Change[outputs]  # type: ignore[valid-type]

    @functools.wraps(fn)
    async def run(
        *args: Any, dry_run: bool = False, approval: str | None = None, **kwargs: Any
    ) -> Any:
        bound = own.bind(*args, **kwargs)
        bound.apply_defaults()
        call = ToolCall(fn.__name__, dict(bound.arguments), dry_run, approval)
        return await run_change(call, lambda: fn(*bound.args, **bound.kwargs))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [p.replace(annotation=hints[name]) for name, p in own.parameters.items()]
    parameters += [
        inspect.Parameter("dry_run", keyword, default=False, annotation=DryRun),
        inspect.Parameter("approval", keyword, default=None, annotation=Approval),
    ]
    tool_function: Any = run
    del tool_function.__wrapped__  # or the signature of `fn` would be taken for this one's
    tool_function.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    tool_function.__annotations__ = {
        **hints,
        "dry_run": DryRun,
        "approval": Approval,
        "return": returns,
    }
    tool_function.opswright_makes = fn
    declared: ChangingTool = _declare(tool_function, fn.__doc__, risk, toolset)
    return declared
