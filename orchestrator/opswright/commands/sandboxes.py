"""`opswright sandbox up`, `down` and `status`."""

from opswright import sandbox
from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import guarded, say
from opswright.sandbox import sandbox_dir
from opswright_core.settings import state_directory


def start_sandbox(*, as_json: bool) -> int:
    """`opswright sandbox up`."""

    async def work() -> int:
        running = sandbox.up(sandbox_dir(state_directory()))
        say(
            as_json,
            {"endpoint": running.endpoint, "pid": running.pid},
            f"The sandbox runs at {running.endpoint}",
        )
        return DONE

    return guarded(work, as_json)


def stop_sandbox(*, as_json: bool) -> int:
    """`opswright sandbox down`."""

    async def work() -> int:
        ran = sandbox.down(sandbox_dir(state_directory()))
        say(
            as_json,
            {"stopped": ran},
            "The sandbox is stopped." if ran else "No sandbox was running.",
        )
        return DONE

    return guarded(work, as_json)


def sandbox_state(*, as_json: bool) -> int:
    """`opswright sandbox status`."""

    async def work() -> int:
        running = sandbox.status(sandbox_dir(state_directory()))
        found = {"running": running is not None, "endpoint": running.endpoint if running else None}
        say(
            as_json,
            found,
            f"The sandbox runs at {running.endpoint}" if running else "No sandbox is running.",
        )
        return DONE

    return guarded(work, as_json)
