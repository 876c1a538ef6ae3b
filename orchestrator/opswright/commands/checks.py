"""`opswright doctor`."""

from pathlib import Path

from opswright.commands.exit_codes import DONE, FAILED
from opswright.commands.terminal import console_for, guarded, print_json
from opswright_core.settings import state_directory


def check_up(*, config: Path | None, as_json: bool) -> int:
    """`opswright doctor`."""
    from opswright.doctor import examine

    async def work() -> int:
        lines = await examine(config, state_directory())
        if as_json:
            print_json(lines)
        else:
            console = console_for(as_json)
            for line in lines:
                mark = "[green]ok[/]     " if line.ok else "[red]problem[/]"
                console.print(f"{mark} {line.what}: {line.found}", highlight=False)
                if line.mend:
                    console.print(f"        {line.mend}", highlight=False, markup=False)
        return DONE if all(line.ok for line in lines) else FAILED

    return guarded(work, as_json)
