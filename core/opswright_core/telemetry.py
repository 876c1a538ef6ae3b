"""OpenTelemetry spans, sent where its standard environment variables say; by default nowhere.

FastMCP opens a span for each request that a client sends and a server answers, and the trace goes
along in the request (`traceparent`), so that a run is one trace over all servers. They are recorded
when the variables name an exporter: `OTEL_TRACES_EXPORTER` (`otlp`, `console`), or an endpoint in
`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The others of the
specification (service name, resource, sampler, headers, batches) are read by the SDK itself.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from opswright_core.errors import BadInputError

log = logging.getLogger(__name__)

INSTALL = "pip install 'opswright-core[telemetry]'"


def configure(service: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Record spans from here on if the environment asks for it; returns whether it does.

    `service` names this process in the spans unless the environment does. Raises BadInputError for
    an exporter that is not known here; a missing SDK is only logged, as no work depends on it.
    """
    names = exporters(environ)
    if not names:
        return False
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        chosen = [_exporter(name) for name in names]
    except ImportError as exc:
        log.warning("no spans are sent: %s; to send them, %s", exc, INSTALL)
        return False
    said = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    provider = TracerProvider(resource=Resource.create({} if said else {SERVICE_NAME: service}))
    for exporter in chosen:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # what is left is sent when the process ends
    return True


def exporters(environ: Mapping[str, str]) -> list[str]:
    """The exporters that the environment names, none by default. Raises BadInputError."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    wanted = environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if endpoint else "none")
    names = [name.strip() for name in wanted.split(",") if name.strip() not in {"", "none"}]
    if unknown := set(names) - {"otlp", "console"}:
        raise BadInputError(
            f"OTEL_TRACES_EXPORTER names {', '.join(sorted(unknown))}; it takes otlp, console, none"
        )
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if "otlp" in names and protocol != "http/protobuf":
        raise BadInputError(f"the OTLP protocol {protocol} is not offered; set http/protobuf")
    return names


@contextlib.contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span around a block; nothing while no spans are recorded."""
    from opentelemetry import trace

    with trace.get_tracer("opswright").start_as_current_span(name, attributes=attributes):
        yield


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        # stdout is the protocol's.
        return ConsoleSpanExporter(
            out=sys.stderr, formatter=lambda s: s.to_json(indent=None) + "\n"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
