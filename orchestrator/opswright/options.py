"""The options and arguments that commands share."""

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

COMMON = Group("Common")
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", group=COMMON, help="Print one JSON document instead of text"
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
Request = Annotated[str, Parameter(help="What to do, in plain words")]
RunId = Annotated[str, Parameter(help="A run's id, from `opswright status`, or `last`")]
