"""A server's console script: it serves, or does `opswright-cost approve ID` or `… doctor`."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import opswright_core
from opswright_core import logs, telemetry
from opswright_core.errors import OpswrightError
from opswright_core.serving import Http, serve_http, serve_stdio
from opswright_core.settings import ApprovalPolicy, Settings, parse_toolsets


def main(
    create_server: Callable[[Settings], Any], name: str, argv: Sequence[str] | None = None
) -> int:
    """Run a server's command line; returns the exit code (2 for bad usage)."""
    arguments = _parser(name).parse_args(argv)
    logs.configure()
    try:
        settings = _settings(arguments)
        telemetry.configure(f"opswright-{_dashed(name)}")
        if arguments.command == "approve":
            return _approve(create_server(settings), arguments.change_id)
        if arguments.command == "doctor":
            return _doctor(create_server(settings), arguments)
        if arguments.transport == "http":
            serve_http(create_server, settings, _http(arguments))
        else:
            serve_stdio(create_server, settings)
    except OpswrightError as exc:
        print(f"opswright-{_dashed(name)}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"opswright-{_dashed(name)}",
        description=f"The opswright {name} MCP server. Read-only unless --allow-writes; "
        "speaks stdio by default.",
        epilog="Settings also come from OPSWRIGHT_* environment variables; see the README.",
    )
    parser.add_argument("--version", action="version", version=opswright_core.__version__)
    parser.add_argument("--transport", choices=["stdio", "http"], default="stdio")
    parser.add_argument("--host", default="127.0.0.1", help="for http (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="for http (default: %(default)s)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        help="for http: a name that clients may reach the server by, besides the address it "
        "listens on; can be repeated",
    )
    parser.add_argument(
        "--token-file",
        help="for http: accept these callers, a line name:token each (or OPSWRIGHT_TOKEN_FILE; "
        "OPSWRIGHT_BEARER_TOKENS holds the same, comma-separated)",
    )
    for option, what in (
        ("--jwt-jwks-uri", "where a JWT issuer's keys are (or OPSWRIGHT_JWT_JWKS_URI)"),
        ("--jwt-issuer", "the issuer that JWTs must name (or OPSWRIGHT_JWT_ISSUER)"),
        ("--jwt-audience", "the audience that JWTs must name (or OPSWRIGHT_JWT_AUDIENCE)"),
    ):
        parser.add_argument(option, metavar="TEXT", help=f"for http: {what}")
    parser.add_argument(
        "--allow-writes",
        action="store_true",
        default=None,
        help="offer the tools that change things",
    )
    parser.add_argument(
        "--toolsets", help="comma-separated toolsets to offer, or 'all' (default: default)"
    )
    parser.add_argument(
        "--approvals",
        choices=get_args(ApprovalPolicy),
        help="how a change is approved: a single-use token through the host, a question by the "
        "host to its user, a person's command, never, or automatically (sandboxes only) "
        "(default: token)",
    )
    parser.add_argument(
        "--state-dir", help="where the journal and tasks are kept (default: OPSWRIGHT_STATE_DIR)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    approve = commands.add_parser(
        "approve", help="approve a change that waits for a person (--approvals out-of-band)"
    )
    approve.add_argument("change_id", help="the id in the needs_approval answer")
    doctor = commands.add_parser(
        "doctor", help="check what the chosen toolsets need; exit code 1 when there is a problem"
    )
    doctor.add_argument("--json", action="store_true", help="one JSON document")
    doctor.add_argument(
        "--iam-policy",
        action="store_true",
        help="print the least IAM policy for the chosen toolsets instead; it lets them change "
        "things only with --allow-writes before the command",
    )
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    from pathlib import Path

    chosen: dict[str, Any] = {}
    if arguments.allow_writes:
        chosen["allow_writes"] = True
    if arguments.toolsets is not None:
        chosen["toolsets"] = parse_toolsets(arguments.toolsets)
    if arguments.approvals is not None:
        chosen["approvals"] = arguments.approvals
    if arguments.state_dir is not None:
        chosen["state_dir"] = Path(arguments.state_dir).expanduser()
    return dataclasses.replace(Settings.from_environment(), **chosen)


def _http(arguments: argparse.Namespace) -> Http:
    return Http(
        host=arguments.host,
        port=arguments.port,
        allowed_hosts=arguments.allowed_host or (),
        token_file=arguments.token_file,
        jwt_jwks_uri=arguments.jwt_jwks_uri,
        jwt_issuer=arguments.jwt_issuer,
        jwt_audience=arguments.jwt_audience,
    )


def _approve(server: Any, change_id: str) -> int:
    from opswright_core.approvals import grant, tell_granted

    print(tell_granted(grant(server.opswright_runtime, change_id)))
    return 0


def _doctor(server: Any, arguments: argparse.Namespace) -> int:
    import asyncio
    import json

    from opswright_core import doctor

    if arguments.iam_policy:
        documents = asyncio.run(doctor.iam_policies(server))
        if len(documents) > 1:
            print(
                f"A list of {len(documents)} policies, since one would be too long: attach each, "
                "or choose fewer toolsets.",
                file=sys.stderr,
            )
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=2))
        return 0
    lines = asyncio.run(doctor.examine(server))
    if arguments.json:
        print(json.dumps([line.model_dump() for line in lines], indent=2))
    else:
        print(doctor.shown(lines))
    return 1 if any(line.state == "problem" for line in lines) else 0


def _dashed(name: str) -> str:
    return name.replace("_", "-")
