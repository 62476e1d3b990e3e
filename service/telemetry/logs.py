"""Structured logs: one JSON object a line on standard error, never the content of a tensor."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import time
from typing import Any, Literal

import orjson

from service.telemetry.exchange import Exchange, Span
from service.telemetry.line_writer import LineStream, standard_error

Style = Literal["json", "text"]

log = logging.getLogger("service.log")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(_identity_of(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class TextFormatter(logging.Formatter):
    """A record as plain text for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        extra = " ".join(f"{name}={value}" for name, value in _identity_of(record).items())
        exception = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{record.levelname.lower():7} {record.getMessage()} {extra}".rstrip() + exception


class AccessLog:
    """One line for each request, in the form of other records.

    Written without `logging`, which takes 39 µs more of the row "4 keys × 8, JSON, all three results" of
    benchmarks/RESULTS.md.
    """

    def __init__(self, level: str, style: Style) -> None:
        self._wanted = logging.getLevelNamesMapping()[level.upper()] <= logging.INFO
        self._json = style == "json"
        self._out = standard_error()

    def write(self, exchange: Exchange) -> None:
        """Write the line of one request, if requests are logged at all."""
        if not self._wanted:
            return
        fields: dict[str, Any] = {
            "request_id": exchange.request_id,
            "method": exchange.method,
            "route": exchange.route,
            "status": exchange.status,
            "milliseconds": round(exchange.seconds * 1000, 3),
            "request_bytes": exchange.received,
            "response_bytes": exchange.sent,
        }
        if exchange.span is not None:
            fields |= _span_fields(exchange.span)
        if self._json:
            about = {"time": _timestamp(time()), "level": "info", "logger": "service.access", "message": "request"}
            line = orjson.dumps(about | fields, option=orjson.OPT_APPEND_NEWLINE)
        else:
            named = " ".join(f"{name}={value}" for name, value in fields.items())
            line = f"{'info':7} request {named}\n".encode()
        self._out.write(line)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _identity_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the ids of the request that a record is about, if any, under the names of the access log."""
    exchange: Exchange | None = getattr(record, "exchange", None)
    if exchange is None:
        # A refusal of the protocol and a failure in a stream come with the id alone.
        return {"request_id": record.request_id} if hasattr(record, "request_id") else {}
    return {"request_id": exchange.request_id} | ({} if exchange.span is None else _span_fields(exchange.span))


def _span_fields(span: Span) -> dict[str, str]:
    return {"trace_id": span.trace_id, "span_id": span.span_id}


def configure(level: str, style: Style) -> logging.Handler:
    """Send the records of the service, uvicorn and OpenTelemetry to standard error in the chosen form."""
    writer = standard_error()
    writer.on_recovered = _report_dropped
    handler = logging.StreamHandler(LineStream(writer))
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    for name in ("service", "uvicorn", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    return handler


@contextmanager
def written(level: str, style: Style) -> Iterator[None]:
    """Send everything that this process writes to standard error the same way; at the end write pending lines.

    Covers the records of all libraries from level WARNING, warnings, uncaught exceptions of threads, and prints.  To be
    used once, by the process of a server.
    """
    handler = configure(level, style)
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    threading.excepthook = _report_thread
    sys.stderr = LineStream(standard_error())
    try:
        yield
    finally:
        standard_error().flush()


def _report_dropped(count: int) -> None:
    log.warning("%d lines of this log were dropped: standard error was not read, or could not be written", count)


def _report_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is None:
        return
    name = failure.thread.name if failure.thread is not None else "a thread"
    log.error("uncaught exception in %s", name, exc_info=failure.exc_value)
