"""A span of OpenTelemetry for each request, sent to a collector.  Only this module needs the extra `otel`.

Names and attributes are those of the semantic conventions for HTTP servers; no attribute holds anything of a body.
Settings other than the address of the collector are the variables of OpenTelemetry, such as OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.
"""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.telemetry.exchange import Exchange, Span

SERVICE = "attention-service"

CONTEXT = (b"traceparent", b"tracestate")
"""The headers that name the caller's span (W3C Trace Context)."""

MEMORY = re.compile(r"(?<=/v1/memories/)[^/]*")
"""The name of a memory in a path."""


def without_names(path: str) -> str:
    """Return a path as spans show it: the name of a memory may say what its owner keeps."""
    return MEMORY.sub("{name}", path)


class Tracing:
    """Makes spans, and exports them in batches from a thread of its own."""

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource({"service.name": SERVICE, "service.version": version(SERVICE)})
        self._provider = TracerProvider(
            resource=Resource.get_empty().merge(resource).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE, version(SERVICE))
        self._caller = TraceContextTextMapPropagator()

    def begin(self, exchange: Exchange, path: str, headers: Mapping[bytes, bytes]) -> Callable[[], None]:
        """Begin the span of an exchange, a child of that of its caller; return the function that ends it."""
        carrier = {str(name, "ascii"): str(headers[name], "latin-1") for name in CONTEXT if name in headers}
        span = self._tracer.start_span(
            exchange.method,
            self._caller.extract(carrier),
            SpanKind.SERVER,
            {
                "http.request.method": exchange.method,
                "url.path": without_names(path),
                "url.scheme": "http",
                "attention.request_id": exchange.request_id,
            },
        )
        context = span.get_span_context()
        exchange.span = Span(f"{context.trace_id:032x}", f"{context.span_id:016x}")

        def end() -> None:
            if exchange.route is not None:
                span.update_name(f"{exchange.method} {exchange.route}")
                span.set_attribute("http.route", exchange.route)
            if exchange.status:
                span.set_attribute("http.response.status_code", exchange.status)
            span.set_attribute("http.request.body.size", exchange.received)
            span.set_attribute("http.response.body.size", exchange.sent)
            if exchange.problem is not None:
                span.set_attribute("error.type", exchange.problem)
            if exchange.status >= 500:
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    def close(self) -> None:
        """Export the remaining spans, which takes seconds when the collector does not answer."""
        self._provider.shutdown()


def tracing_to(endpoint: str) -> Tracing:
    """Return a tracer that exports to the collector at a base URL, such as http://collector:4318."""
    return Tracing(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
