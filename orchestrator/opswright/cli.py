"""The command line. What is heavy is imported by the command that needs it."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from opswright import __version__
from opswright.commands.exit_codes import DONE, USAGE
from opswright.options import (
    HTTP,
    AnyRunId,
    Config,
    Detach,
    Going,
    InSandbox,
    Json,
    JsonLines,
    MaxChanges,
    MaxMinutes,
    MaxTokens,
    MaxUsd,
    Name,
    Output,
    Planner,
    Quiet,
    Request,
    RunId,
    Sets,
    WaitForApproval,
    Yes,
)

EPILOGUE = """Exit codes: 0 done, 1 failed or not planned, 2 bad usage, 3 partial,
4 waiting for a person, 130 interrupted.
State is kept in OPSWRIGHT_STATE_DIR (default: the platform's state directory)."""

app = App(
    name="opswright",
    help="Plan and run DevOps work over a team of MCP agents. "
    "Nothing changes without an approval, and what was changed can be undone.",
    help_epilogue=EPILOGUE,
    version=__version__,
    result_action="return_value",
)
sandbox_app = App(name="sandbox", help="The embedded AWS emulator that --sandbox works in.")
app.command(sandbox_app)
blueprints_app = App(name="blueprints", help="The plan templates: built in, learned and edited.")
app.command(blueprints_app)
app.register_install_completion_command(
    name="install-completion", help="Let the shell complete commands, flags and run ids."
)


@app.command
def run(
    request: Request = None,
    /,
    *,
    plan: Annotated[
        Path | None, Parameter(help="Carry out a saved plan instead of a request")
    ] = None,
    sandbox: InSandbox = False,
    yes: Yes = False,
    set_: Sets = (),
    planner: Planner = "auto",
    detach: Detach = False,
    wait_for_approval: WaitForApproval = 0.0,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_minutes: MaxMinutes = None,
    max_changes: MaxChanges = None,
    config: Config = None,
    json: Json = False,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Plan a request, ask for approval, run it and report."""
    from opswright.commands.runs import run_request

    return run_request(
        request,
        plan_file=plan,
        in_sandbox=sandbox,
        going=Going(yes, detach, wait_for_approval, max_tokens, max_usd, max_minutes, max_changes),
        given=_given(set_),
        planner=planner,
        config=config,
        output=Output(json, json_lines, quiet),
    )


@app.command
def plan(
    request: Request = None,
    /,
    *,
    save: Annotated[Path | None, Parameter(help="Keep the plan in a file")] = None,
    load: Annotated[
        Path | None, Parameter(help="Show and verify a saved plan instead of making one")
    ] = None,
    sandbox: InSandbox = False,
    set_: Sets = (),
    planner: Planner = "auto",
    config: Config = None,
    json: Json = False,
) -> int:
    """Show the plan for a request, with its estimate, and change nothing."""
    from opswright.commands.plans import plan_request

    return plan_request(
        request,
        load=load,
        save=save,
        in_sandbox=sandbox,
        given=_given(set_),
        planner=planner,
        config=config,
        as_json=json,
    )


@app.command
def status(
    run_id: AnyRunId = None,
    /,
    *,
    watch: Annotated[
        bool,
        Parameter(
            name=["--watch", "-w"],
            negative="",
            help="Follow a run (the newest, if none is named) until it ends",
        ),
    ] = False,
    json: Json = False,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Show the recent runs, or how each step of one stands."""
    from opswright.commands.statuses import show

    return show(run_id, watch=watch, output=Output(json, json_lines, quiet))


@app.command
def resume(
    run_id: RunId,
    /,
    *,
    yes: Yes = False,
    detach: Detach = False,
    wait_for_approval: WaitForApproval = 0.0,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_minutes: MaxMinutes = None,
    max_changes: MaxChanges = None,
    json: Json = False,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a run that was interrupted, waits, or did not finish; done steps are kept."""
    from opswright.commands.runs import resume_run

    going = Going(yes, detach, wait_for_approval, max_tokens, max_usd, max_minutes, max_changes)
    return resume_run(run_id, going=going, output=Output(json, json_lines, quiet))


@app.command
def pause(run_id: RunId, /, *, json: Json = False) -> int:
    """Let a run finish the steps under way and start no other; `resume` goes on."""
    from opswright.commands.steering import pause_run

    return pause_run(run_id, as_json=json)


@app.command
def cancel(run_id: RunId, /, *, json: Json = False) -> int:
    """Stop a run, its agents' tasks too; what it did stays and can be undone."""
    from opswright.commands.steering import cancel_run

    return cancel_run(run_id, as_json=json)


@app.command
def worker(*, config: Config = None, json_lines: JsonLines = False, quiet: Quiet = False) -> int:
    """Carry out the runs that `run --detach` hands over, and take over those of dead workers."""
    from opswright.commands.workers import work

    return work(config=config, output=Output(json_lines=json_lines, quiet=quiet))


@app.command
def approve(
    asked_id: Annotated[
        str, Parameter(help="A run's id, or that of a change from the report of a run that waits")
    ],
    /,
    *,
    json: Json = False,
) -> int:
    """Say yes to what a run waits for, or to one change; a live run goes on by itself."""
    from opswright.commands import approvals

    return approvals.approve(asked_id, as_json=json)


@app.command
def undo(
    run_id: RunId,
    /,
    *,
    yes: Yes = False,
    json: Json = False,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
) -> int:
    """Reverse all that a run changed, last change first, and verify it by reading."""
    from opswright.commands.runs import undo_run

    return undo_run(run_id, yes=yes, output=Output(json, json_lines, quiet))


@app.command
def serve(
    *,
    allow_writes: Annotated[
        bool, Parameter(negative="", help="Offer to carry out plans that change things")
    ] = False,
    approvals: Annotated[
        Literal["token", "elicit", "out-of-band", "deny"] | None,
        Parameter(help="How a person approves such a plan (default: token)", show_default=False),
    ] = None,
    sandbox: InSandbox = False,
    config: Config = None,
    http: Annotated[
        bool, Parameter(negative="", group=HTTP, help="Listen instead of stdio")
    ] = False,
    host: Annotated[str, Parameter(group=HTTP, help="Address")] = "127.0.0.1",
    port: Annotated[int, Parameter(group=HTTP, help="Port")] = 8000,
    allowed_host: Annotated[
        tuple[str, ...],
        Parameter(
            group=HTTP,
            negative="",
            consume_multiple=False,
            show_default=False,
            help="A further name that clients may reach it by; may be repeated",
        ),
    ] = (),
    token_file: Annotated[
        str | None, Parameter(group=HTTP, help="Accept these callers, a line name:token each")
    ] = None,
    jwt_jwks_uri: Annotated[
        str | None, Parameter(group=HTTP, help="Where a JWT issuer's keys are")
    ] = None,
    jwt_issuer: Annotated[
        str | None, Parameter(group=HTTP, help="The issuer that JWTs must name")
    ] = None,
    jwt_audience: Annotated[
        str | None, Parameter(group=HTTP, help="The audience that JWTs must name")
    ] = None,
) -> int:
    """Be an MCP server: the whole team as one entry of a host's configuration."""
    from opswright.commands.serving import serve as serve_hosts

    return serve_hosts(
        http=http,
        allow_writes=allow_writes,
        approvals=approvals,
        in_sandbox=sandbox,
        config=config,
        host=host,
        port=port,
        allowed_hosts=allowed_host,
        token_file=token_file,
        jwt_jwks_uri=jwt_jwks_uri,
        jwt_issuer=jwt_issuer,
        jwt_audience=jwt_audience,
    )


@app.command
def doctor(*, config: Config = None, json: Json = False) -> int:
    """Check what opswright needs, line by line, each with how to mend it."""
    from opswright.commands.checks import check_up

    return check_up(config=config, as_json=json)


@sandbox_app.command(name="up")
def sandbox_up(*, json: Json = False) -> int:
    """Start the emulator, or say where it runs."""
    from opswright.commands.sandboxes import start_sandbox

    return start_sandbox(as_json=json)


@sandbox_app.command(name="down")
def sandbox_down(*, json: Json = False) -> int:
    """Stop the emulator; all that it holds is gone."""
    from opswright.commands.sandboxes import stop_sandbox

    return stop_sandbox(as_json=json)


@sandbox_app.command(name="status")
def sandbox_status(*, json: Json = False) -> int:
    """Say whether the emulator runs, and where."""
    from opswright.commands.sandboxes import sandbox_state

    return sandbox_state(as_json=json)


@blueprints_app.default
def blueprints(*, json: Json = False) -> int:
    """List the blueprints, with how often each went well."""
    from opswright.commands.blueprints import list_all

    return list_all(as_json=json)


@blueprints_app.command(name="show")
def blueprints_show(name: Name, /, *, json: Json = False) -> int:
    """Show a blueprint and how its steps did: success, duration, cost."""
    from opswright.commands.blueprints import show

    return show(name, as_json=json)


@blueprints_app.command(name="edit")
def blueprints_edit(name: Name, /, *, json: Json = False) -> int:
    """Edit a blueprint with $EDITOR; it is checked before it takes the old one's place."""
    from opswright.commands.blueprints import edit

    return edit(name, as_json=json)


@blueprints_app.command(name="forget")
def blueprints_forget(name: Name, /, *, json: Json = False) -> int:
    """Forget what was learned, or what was edited of a built-in one."""
    from opswright.commands.blueprints import forget

    return forget(name, as_json=json)


def _given(pairs: tuple[str, ...]) -> dict[str, Any]:
    given = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise SystemExit(_usage(f"--set takes name=value, not {pair!r}"))
        given[name.replace("-", "_")] = value
    return given


def _usage(message: str) -> int:
    print(f"opswright: {message}", file=sys.stderr)
    return USAGE


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    from cyclopts import CycloptsError

    try:
        code = app(
            argv if argv is not None else sys.argv[1:], exit_on_error=False, print_error=True
        )
    except CycloptsError:
        raise SystemExit(USAGE) from None
    raise SystemExit(code if isinstance(code, int) else DONE)
