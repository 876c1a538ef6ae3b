"""`opswright serve`."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

from opswright.commands.exit_codes import DONE, INTERRUPTED, USAGE
from opswright_core import logs, startup, telemetry
from opswright_core.errors import OpswrightError
from opswright_core.settings import ApprovalPolicy, Settings


def serve(
    *,
    http: bool,
    allow_writes: bool,
    approvals: ApprovalPolicy | None,
    in_sandbox: bool,
    config: Path | None,
    **listening: Any,
) -> int:
    """Serve the team to hosts over stdio, or over HTTP as `listening` (of `Http`) says."""
    startup.begin()
    from opswright.facade.server import create_server
    from opswright_core.serving import Http, serve_http, serve_stdio

    logs.configure()
    try:
        settings = Settings.from_environment()
        settings = dataclasses.replace(
            settings,
            allow_writes=allow_writes or settings.allow_writes,
            approvals=approvals or settings.approvals,
        )
        telemetry.configure("opswright")
        create = functools.partial(create_server, config_path=config, in_sandbox=in_sandbox)
        if http:
            serve_http(create, settings, Http(**listening))
        else:
            serve_stdio(create, settings)
    except OpswrightError as exc:
        print(f"opswright: {exc}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE
