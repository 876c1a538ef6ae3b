"""The options and arguments that commands share."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

COMMON = Group("Common")
HTTP = Group("HTTP")
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", group=COMMON, help="Print one JSON document instead of text"
    ),
]
JsonLines = Annotated[
    bool,
    Parameter(
        name="--json-lines",
        negative="",
        group=COMMON,
        help="Print every event as a line of JSON as it happens, the report last",
    ),
]
Quiet = Annotated[
    bool, Parameter(name=["--quiet", "-q"], negative="", group=COMMON, help="Only the report")
]
Config = Annotated[
    Path | None,
    Parameter(
        name="--config",
        group=COMMON,
        help="mcp.json to use (default: ./mcp.json, else our six servers)",
    ),
]
InSandbox = Annotated[
    bool,
    Parameter(
        name="--sandbox",
        negative="",
        help="Work in the embedded AWS emulator; no account is touched",
    ),
]
Yes = Annotated[
    bool, Parameter(name=["--yes", "-y"], negative="", help="Approve the plan without being asked")
]
Sets = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative="",
        consume_multiple=False,
        help="An input of the plan, name=value; may be repeated",
    ),
]
Planner = Annotated[
    Literal["auto", "blueprint", "typed", "claude"],
    Parameter(
        name="--planner",
        help="How to plan: from a blueprint, from the tools' schemas alone, by Claude (needs "
        "ANTHROPIC_API_KEY), or the first of them that can",
    ),
]
Request = Annotated[str | None, Parameter(help="What to do, in plain words")]


def _run_ids(_: Any) -> Iterator[tuple[str, str]]:
    """What a shell offers for a run's id: the recent ones, each with what it was for."""
    from opswright.store import store_in
    from opswright_core.settings import state_directory

    for run in store_in(state_directory()).recent():
        yield run.run_id, f"{run.status}: {run.goal}"


def _blueprint_names(_: Any) -> Iterator[tuple[str, str]]:
    """What a shell offers for a blueprint's name."""
    from opswright.library import Library
    from opswright.store import store_in
    from opswright_core.settings import state_directory

    for entry in Library(store_in(state_directory())).entries():
        yield entry.blueprint.name, entry.blueprint.description


Name = Annotated[str, Parameter(help="A blueprint's name", completer=_blueprint_names)]
RunId = Annotated[
    str,
    Parameter(help="A run's id, from `opswright status`, or `last`", completer=_run_ids),
]
AnyRunId = Annotated[
    str | None,
    Parameter(help="A run's id, or `last`; left out, the recent runs", completer=_run_ids),
]


Limit = Group("Limits", help="Reaching one pauses the run and asks.")
MaxTokens = Annotated[
    int | None,
    Parameter(
        name="--max-tokens", env_var="OPSWRIGHT_MAX_TOKENS", group=Limit, help="Of all models"
    ),
]
MaxUsd = Annotated[
    float | None,
    Parameter(name="--max-usd", env_var="OPSWRIGHT_MAX_USD", group=Limit, help="Of all models"),
]
MaxMinutes = Annotated[
    float | None,
    Parameter(
        name="--max-minutes", env_var="OPSWRIGHT_MAX_MINUTES", group=Limit, help="Of work on it"
    ),
]
MaxChanges = Annotated[
    int | None,
    Parameter(
        name="--max-changes", env_var="OPSWRIGHT_MAX_CHANGES", group=Limit, help="That are made"
    ),
]
Detach = Annotated[
    bool,
    Parameter(name="--detach", negative="", help="Leave the approved run to `opswright worker`"),
]
WaitForApproval = Annotated[
    float,
    Parameter(
        name="--wait-for-approval",
        help="Minutes to wait for `opswright approve` in another process",
    ),
]


@dataclass(frozen=True)
class Going:
    """How a run is carried out: asked about or not, here or by a worker, within which limits."""

    yes: bool = False
    detach: bool = False
    wait_minutes: float = 0.0
    max_tokens: int | None = None
    max_usd: float | None = None
    max_minutes: float | None = None
    max_changes: int | None = None


@dataclass(frozen=True)
class Output:
    """How a command that takes a run on tells what happens."""

    json: bool = False
    json_lines: bool = False
    quiet: bool = False

    @property
    def for_programs(self) -> bool:
        """Whether standard output carries JSON, and text goes to standard error."""
        return self.json or self.json_lines
