"""Promises about spans: none by default, and one trace over all servers when they are asked for."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from opswright_core.errors import BadInputError
from opswright_core.telemetry import exporters

ROOT = Path(__file__).parents[2]
SHELF = str(ROOT / "tests/core/shelf.py")

CLIENT = f"""
import asyncio, os, sys
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from opswright_core import logs, telemetry

async def main():
    server = StdioTransport(sys.executable, [{SHELF!r}], env=dict(os.environ), keep_alive=False)
    with telemetry.span("job"):
        async with Client(server, mode=sys.argv[1]) as client:
            await client.call_tool("list_things", {{}})

logs.configure()
print("configured", telemetry.configure("caller"))
asyncio.run(main())
print("sdk loaded", any(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""


def run(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has no OTEL_ variables but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def spans_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_nothing_is_recorded_by_default(era: str) -> None:
    done = run(CLIENT, era)
    assert done.stdout.split("\n")[:2] == ["configured False", "sdk loaded False"]
    assert done.stderr == ""


def test_a_servers_span_is_the_child_of_its_callers(era: str) -> None:
    done = run(CLIENT, era, OTEL_TRACES_EXPORTER="console")
    assert "configured True" in done.stdout
    spans = spans_in(done.stderr)
    (job,) = [span for span in spans if span["name"] == "job"]
    (served,) = [
        span
        for span in spans
        if span["kind"] == "SpanKind.SERVER" and span["name"] == "tools/call list_things"
    ]
    callers = {
        span["context"]["span_id"]: span for span in spans if span["kind"] == "SpanKind.CLIENT"
    }
    caller = callers[served["parent_id"]]
    assert caller["name"].endswith("tools/call list_things")
    assert served["context"]["trace_id"] == job["context"]["trace_id"]
    assert caller["resource"]["attributes"]["service.name"] == "caller"
    assert served["resource"]["attributes"]["service.name"] == "opswright-shelf"


def test_the_environment_names_the_service() -> None:
    done = run(CLIENT, "auto", OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="mine")
    names = {span["resource"]["attributes"]["service.name"] for span in spans_in(done.stderr)}
    assert names == {"mine"}


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A loopback OTLP endpoint, and what it was sent: path and body."""
    received: list[tuple[str, bytes]] = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_an_endpoint_is_sent_the_spans_of_both_sides(
    collector: tuple[str, list[tuple[str, bytes]]],
) -> None:
    endpoint, received = collector
    run(CLIENT, "auto", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="none")
    assert {path for path, _ in received} == {"/v1/traces"}
    sent = b"".join(body for _, body in received)
    assert b"caller" in sent
    assert b"opswright-shelf" in sent


def test_a_missing_sdk_is_said_and_stops_nothing() -> None:
    code = "import sys\nsys.modules['opentelemetry.sdk.trace'] = None\n" + CLIENT
    done = run(code, "auto", OTEL_TRACES_EXPORTER="console")
    assert "configured False" in done.stdout
    assert "pip install 'opswright-core[telemetry]'" in done.stderr


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "mine"}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, []),
    ],
)
def test_only_a_named_exporter_or_endpoint_turns_spans_on(
    environ: dict[str, str], expected: list[str]
) -> None:
    assert exporters(environ) == expected


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "it takes otlp, console, none"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_an_exporter_that_is_not_here_is_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        exporters(environ)
