"""`opswright plan`, and plans kept in files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from opswright.commands.exit_codes import DONE
from opswright.commands.places import place_for, team
from opswright.commands.terminal import (
    UsageError,
    ask_line,
    busy,
    console_for,
    guarded,
    print_json,
    someone_is_here,
)
from opswright.plan import Plan, PlanError
from opswright.planning import MissingInputsError, PlannerName
from opswright.render.plans import show_agents, show_plan, show_previews
from opswright.session import Session


def plan_request(
    request: str | None,
    *,
    load: Path | None,
    save: Path | None,
    in_sandbox: bool,
    given: Mapping[str, Any],
    planner: PlannerName,
    config: Path | None,
    as_json: bool,
) -> int:
    """`opswright plan`."""
    console = console_for(as_json)

    async def work() -> int:
        async with team(place_for(in_sandbox, console, as_json), config, console) as session:
            plan = await planned_or_loaded(session, request, load, given, planner, console)
            with busy(console, "Planning…"):
                previews = await session.preview(plan)
            if save:
                write_plan(plan, save)
            if as_json:
                print_json({"plan": plan, "previews": previews, "down": session.down})
                return DONE
            show_planned(console, session, plan, previews)
            file = save or load
            where = " --sandbox" if in_sandbox and file else ""
            how = (
                f"`opswright run --plan {file}{where}`"
                if file
                else "`opswright run` with the same words"
            )
            console.print(
                f"\nNothing was changed. {how} carries it out.",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        return DONE

    return guarded(work, as_json)


async def planned_or_loaded(
    session: Session,
    request: str | None,
    file: Path | None,
    given: Mapping[str, Any],
    planner: PlannerName,
    console: Console,
    *,
    quiet: bool = False,
) -> Plan:
    """The plan for a request, or the one in a file, verified against what the agents offer now.

    Raises UsageError for both or neither, PlanError for a plan that cannot run.
    """
    if (request is None) == (file is None):
        raise UsageError("give either a request in plain words or a plan's file")
    if request is not None:
        return await _planned(session, request, given, planner, console, quiet)
    assert file is not None
    if given:
        raise UsageError("--set goes with a request; a plan's file has its values in it")
    plan = read_plan(file)
    session.check(plan)
    now = session.registry.catalogue_hash
    if plan.catalogue_hash != now:
        console.print(
            f"[yellow]The agents' tools have changed since {file} was made;[/] "
            "its steps were verified against the tools of now.",
            highlight=False,
        )
    return plan.model_copy(update={"catalogue_hash": now})


async def _planned(
    session: Session,
    request: str,
    given: Mapping[str, Any],
    planner: PlannerName,
    console: Console,
    quiet: bool,
) -> Plan:
    """Plan a request; what is missing is asked for once, together, where a person is there."""
    try:
        with busy(console, "Planning…", quiet=quiet):
            return await session.plan(request, given, planner)
    except MissingInputsError as missing:
        if not someone_is_here(console):
            raise
        console.print("\nThe plan needs to know:", highlight=False)
        told = {
            name: await ask_line(console, f"  {name} ({what}): ")
            for name, what in missing.inputs.items()
        }
    known = {**given, **{name: value for name, value in told.items() if value}}
    with busy(console, "Planning…", quiet=quiet):
        return await session.plan(request, known, planner)


def show_planned(
    console: Console, session: Session, plan: Plan, previews: Mapping[str, Any]
) -> None:
    """Print the agents, the plan and what was read before the approval."""
    show_agents(console, plan.why, session.down)
    show_plan(console, plan)
    show_previews(console, previews, plan)


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan as JSON, whole or not at all. Raises PlanError where that cannot be."""
    partly = path.with_name(f".{path.name}.partly")
    try:
        partly.write_text(plan.model_dump_json(indent=2) + "\n")
        partly.replace(path)
    except OSError as exc:
        raise PlanError(f"the plan could not be saved to {path}: {exc.strerror}") from exc


def read_plan(path: Path) -> Plan:
    """Read a saved plan. Raises PlanError that names the field that is wrong."""
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise PlanError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PlanError(
            f"{path} holds no plan: {where}: {first['msg']}; "
            "`opswright plan … --save FILE` makes one"
        ) from exc
