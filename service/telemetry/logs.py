"""Structured logs: one JSON object a line on standard error, never the content of a tensor."""

import logging
import sys
from datetime import UTC, datetime
from time import time
from typing import Any, Literal

import orjson

from service.telemetry.exchange import Exchange, Span

Style = Literal["json", "text"]


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
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
    """One line for each request, in the form of the other records; as a record it would take five times as long.

    Each line is written at once and whole, so that none is lost however the process ends.
    """

    def __init__(self, level: str, style: Style) -> None:
        self._wanted = logging.getLevelNamesMapping()[level.upper()] <= logging.INFO
        self._json = style == "json"
        self._out = sys.stderr.buffer
        self._second = 0
        self._date = ""

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
            fields |= _place_in(exchange.span)
        if self._json:
            about = {"time": self._time(), "level": "info", "logger": "service.access", "message": "request"}
            line = orjson.dumps(about | fields, option=orjson.OPT_APPEND_NEWLINE)
        else:
            named = " ".join(f"{name}={value}" for name, value in fields.items())
            line = f"{'info':7} request {named}\n".encode()
        self._out.write(line)
        self._out.flush()

    def _time(self) -> str:
        """Return the time to the millisecond; its date changes once a second."""
        now = time()
        second = int(now)
        if second != self._second:
            self._second, self._date = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._date}.{int((now - second) * 1000):03d}+00:00"


def _identity_of(record: logging.LogRecord) -> dict[str, str]:
    """Return which request a record is about, if it is about one, in the words of the access log."""
    exchange: Exchange | None = getattr(record, "exchange", None)
    if exchange is None:
        # What is no HTTP never becomes an exchange; its answer has an id all the same.
        return {"request_id": record.request_id} if hasattr(record, "request_id") else {}
    return {"request_id": exchange.request_id} | ({} if exchange.span is None else _place_in(exchange.span))


def _place_in(span: Span) -> dict[str, str]:
    return {"trace_id": span.trace_id, "span_id": span.span_id}


def configure(level: str, style: Style) -> None:
    """Send the records of the service, uvicorn and OpenTelemetry to standard error in the chosen form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    for name in ("service", "uvicorn", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
