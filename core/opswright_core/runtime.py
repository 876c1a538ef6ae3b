"""What a tool may reach while it runs: its server's settings, journal, AWS sessions and agent.

One `Runtime` per server, made by `create_server` and handed to each call through a context
variable, which worker threads and tasks inherit. Nothing else is global.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget
from opswright_core.namespaces import call_namespace
from opswright_core.results import ResultStore
from opswright_core.settings import Settings
from opswright_core.snapshots import Snapshots
from opswright_core.subscriptions import Subscriptions

if TYPE_CHECKING:
    import asyncio

    from opswright_core.doctor import Examination
    from opswright_core.journal import Journal
    from opswright_core.permissions import Permissions
    from opswright_core.undo import UndoHandler


class StopSignal(threading.Event):
    """Set when a task is cancelled; the changes that it began send nothing further then."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []
        """Ids of the changes that the task began."""


stop_signal: ContextVar[StopSignal | None] = ContextVar("opswright_stop", default=None)
"""The signal of the task under way; the calls it makes and the changes they begin inherit it."""

_current: ContextVar["Runtime"] = ContextVar("opswright_runtime")


@dataclass(kw_only=True)
class Runtime:
    """The running server, as its tools see it."""

    server: str
    settings: Settings
    journal: "Journal"
    namespace: str = ""
    """Whose records it serves to callers whose token names no namespace; empty: it has none."""
    aws_sessions: AwsSessions = field(default_factory=AwsSessions)
    undo_handlers: "Mapping[str, UndoHandler]" = field(default_factory=dict)
    makers: "Mapping[str, Callable[..., Any]]" = field(default_factory=dict)
    """What returns the `Work` of each changing tool, by the tool's name."""
    running: "dict[str, asyncio.Task[Any]]" = field(default_factory=dict)
    """Changes and agent tasks under way in this process, by id."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """`runtime().subscriptions.publish(uri)` tells clients that a resource changed."""
    snapshots: Snapshots = field(default_factory=Snapshots)
    """What paged tools read, for their next pages."""
    permissions: "Permissions | None" = None
    """The IAM actions that each tool needs; None when the server does not declare them."""
    examinations: "Sequence[Examination]" = ()
    """What `doctor` looks at for this server, besides what it does for all."""
    extras: dict[str, Any] = field(default_factory=dict)
    """A server's own long-lived objects (a store, a client), put there by its `create_server`.

    Those that have a `close` are closed with the server.
    """

    @property
    def command(self) -> str:
        """The console script of this server; the orchestrator's has its own name."""
        dashed = self.server.replace("_", "-")
        return dashed if dashed == "opswright" else f"opswright-{dashed}"

    @cached_property
    def results(self) -> ResultStore:
        """Whole answers that were shortened, for a while."""
        return ResultStore(self.settings.state_dir / "results.db", call_namespace)

    def close(self) -> None:
        """Let go of what is held outside the process; what is used later is opened again."""
        self.aws_sessions.forget()
        for held in reversed(list(self.extras.values())):
            if callable(close := getattr(held, "close", None)):
                close()


def runtime() -> Runtime:
    """The runtime of the call under way."""
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError(
            "no opswright server is handling a call here; go through a Client(server)"
        ) from None


def enter(value: Runtime) -> Callable[[], None]:
    """Make a runtime current; call the answer to restore the one before."""
    token = _current.set(value)
    return lambda: _current.reset(token)


def aws(target: AwsTarget = HERE) -> Aws:
    """The AWS session of a target, from the server that handles this call."""
    return runtime().aws_sessions.open(target)
