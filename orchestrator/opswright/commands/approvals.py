"""`opswright approve`."""

import contextlib

from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import guarded, say
from opswright.plan import PlanError
from opswright.session import sandbox_dir
from opswright_core.errors import NotFoundError
from opswright_core.journal import Journal
from opswright_core.runtime import Runtime
from opswright_core.settings import Settings, state_directory


def approve_change(change_id: str, *, as_json: bool) -> int:
    """`opswright approve`."""

    async def work() -> int:
        from opswright_core.approvals import grant, tell_granted

        for state_dir in (state_directory(), sandbox_dir(state_directory())):
            if (state_dir / "journal.db").is_file():
                journal = Journal(state_dir / "journal.db", "opswright")
                settings = Settings(state_dir=state_dir)
                with contextlib.suppress(NotFoundError):
                    runtime = Runtime(server="opswright", settings=settings, journal=journal)
                    record = grant(runtime, change_id)
                    found = {"approved": change_id, "summary": record.summary}
                    say(as_json, found, tell_granted(record))
                    return DONE
        raise PlanError(
            f"no journal here has a change {change_id!r}; a waiting run's status names it"
        )

    return guarded(work, as_json)
