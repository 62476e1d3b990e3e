"""HTTP/1.1 on the parser of uvicorn, with one answer to every request, and errors that are problem documents."""

import asyncio
import re
from typing import Any, cast
from urllib.parse import unquote

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.errors import ServiceError
from service.serving.bodies import ChunkedBody, SizedBody
from service.serving.configuration import Configuration, State
from service.serving.connection import Connection
from service.serving.cycle import RequestCycle
from service.serving.heads import (
    BLANKS,
    FRAMING_FIELDS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    METHODS_OF_NO_RESOURCE,
    TOKEN_PATTERN,
    RefusedRequest,
    malformed_request,
    origin_form,
    read_framing,
    too_large_head,
    unknown_method,
)
from service.serving.refusals import RefusalWriter

HEAD_END = b"\r\n\r\n"

EMPTY_LINES = re.compile(rb"[\r\n]*")
"""RFC 9112, 2.2: ignored in front of a request line."""

METHOD_LINE = re.compile(TOKEN_PATTERN + rb"(?: |\Z)")
"""A method, and the space behind it where that has arrived."""

STAND_IN_METHOD = b"TRACE"
"""A method that the parser knows, in place of one that it does not: it then reads the rest of the head."""

LINE_ENDS = b"\r\n"

SLASH = ord("/")

ASGI = {"version": "3.0", "spec_version": "2.3"}


class StopParsing(Exception):
    """Stops the parser at the end of a head."""


class Protocol(Connection):
    """The requests of one connection and the answers to them: one to every request, in order.

    A head must arrive whole within the read timeout; `read_body` limits the time for a body.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        settings = cast("Configuration", config).settings
        super().__init__(
            config,
            server_state,
            app_state,
            read_timeout_seconds=settings.body_timeout_seconds,
            max_body_bytes=settings.max_body_bytes,
        )
        self.parser = _new_parser(self)
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._refusals = RefusalWriter(settings.root_path, settings.trusted_proxies, app_state, server_state)
        self._state = cast("State", server_state)
        # Ignored bytes between two requests.
        self._ignored_bytes = 0
        # Bytes at the start of the input that the parser has read already, of a head whose end has not arrived.
        self._parsed_bytes = 0
        # Of the latest head: its size, the header fields that frame it, and a method that the parser does not know:
        # empty until the head is whole.
        self._head_bytes = 0
        self._framing_fields: list[tuple[bytes, bytes]] = []
        self._unknown_method: bytes | None = None
        # The arguments that `read_framing` had last.
        self._framed_by: tuple[bytes, str, list[tuple[bytes, bytes]]] | None = None
        # The bytes behind a head that the parser reads with it, all of the body.
        self._bytes_behind_head = 0
        # Of the latest body, unless the parser reads it.
        self._decoder: ChunkedBody | SizedBody | None = None

    def data_received(self, data: bytes) -> None:
        """Parse bytes until the end of the input or of a head has not arrived, or a request waits for an answer."""
        if self._lingering:
            self._discard(len(data))
            return
        self._idle_since = None
        if self._input:
            data, self._start = self._input[self._start :] + data, 0
        self._input = data
        while self._start < len(self._input):
            if not self._may_read():
                return
            if not (self._complete or self._in_head):
                self._parse_body()
            elif not self._parse_head():
                return
        self._input, self._start = b"", 0

    def _parse_head(self) -> bool:
        """Parse a head, or ignore bytes in front of it; return whether the input behind it can be parsed."""
        data, start = self._input, self._start
        if self._complete:
            closing = self._cycle is not None and not self._cycle.keep_alive
            if closing or data[start] in LINE_ENDS:
                self._ignore_bytes(closing=closing)
                return True
        # The end may have begun in the bytes that are parsed already.
        parsed = start + self._parsed_bytes
        end = data.find(HEAD_END, max(start, parsed - 3)) + len(HEAD_END)
        whole = end >= len(HEAD_END)
        if not whole:
            end = len(data)
        self._head_bytes, self._bytes_behind_head = end - start, len(data) - end
        if self._unknown_method is None:
            self._feed_head(data[parsed:])
        if whole:
            if self._unknown_method is not None and self._may_parse():
                self._read_unknown_method(data[start:end])
            self._start, self._parsed_bytes = end + self._bytes_behind_head, 0
            return True
        self._parsed_bytes = self._head_bytes
        if self._may_parse():
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(too_large_head(self._head_bytes))
            else:
                self._start_read_timer(self._read_timeout)
        return False

    def _may_parse(self) -> bool:
        """Return whether the latest head has not been refused."""
        return self._final_answer is None and not self._lingering

    def _ignore_bytes(self, *, closing: bool) -> None:
        """Ignore empty lines in front of a head, or, behind a request that closes the connection, any bytes."""
        # RFC 9112, 9.6: bytes behind the request that closes the connection are not a request.
        found = EMPTY_LINES.match(self._input, self._start)
        end = len(self._input) if closing or found is None else found.end()
        self._ignored_bytes += end - self._start
        self._start = end
        if self._ignored_bytes > MAX_HEAD_BYTES:
            self._end_in_turn(b"")
        elif self._answering is None and self._idle_since is None:
            self._start_read_timer(self._read_timeout)

    def _feed_head(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # An upgrade is ignored.
        except httptools.HttpParserInvalidMethodError:
            self._unknown_method = b""
            if not METHOD_LINE.match(self._input, self._start):
                self._refuse(malformed_request())
        except httptools.HttpParserError as error:
            # The parser is stopped, or does not accept a transfer coding that a decoder reads.
            if self._decoder is None:
                callback_error = error.__context__
                self._refuse(callback_error if isinstance(callback_error, RefusedRequest) else self._malformed())

    def _malformed(self) -> RefusedRequest:
        method = self.parser.get_method() if self._in_head and self.url else b""
        # The parser takes methods of RTSP in a request in HTTP for malformed.
        return unknown_method(method) if method in METHODS_OF_NO_RESOURCE else malformed_request()

    def _read_unknown_method(self, head: bytes) -> None:
        """Refuse a whole head in the form that its path and request id ask for."""
        if not METHOD_LINE.match(head):
            self._refuse(malformed_request())
            return
        self._unknown_method, blank, rest = head.partition(b" ")
        self.parser = _new_parser(self)
        self._feed_head(STAND_IN_METHOD + blank + rest)

    def _parse_body(self) -> None:
        """Decode the part of a body that is in the input."""
        start, decoder = self._start, cast("ChunkedBody | SizedBody", self._decoder)
        try:
            content, self._start = decoder.decode(self._input, start)
        except ServiceError as error:
            self._fail_body(error)
            return
        if content:
            self.on_body(content)
        if decoder.complete:
            self._decoder, self.parser = None, _new_parser(self)
            self.on_message_complete()
        if not self._complete and not self._answering and not self._discarding.add(self._start - start):
            self._linger()

    # Parser callbacks

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self.url += url

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._complete = True, False
        self._ignored_bytes = 0
        self._framing_fields = []
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, without the white space around its value."""
        name, value = name.lower(), value.rstrip(BLANKS)
        if name in FRAMING_FIELDS:
            self._framing_fields.append((name, value))
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._check_head()
        version = "1.0" if self.parser.get_http_version() == "1.0" else "1.1"
        before = self._answering
        self._cycle = RequestCycle(
            self._scope(version),
            self.transport,
            self.flow,
            self._state.default_headers,
            self._on_response,
            expects_continue=self._framing.expects_continue,
            keep_alive=version != "1.0" and not self._state.draining and self.parser.should_keep_alive(),
        )
        self._in_head = False
        if self._read_timer is not None:
            self._stop_read_timer()
        if before is None:
            self._start_cycle(self._cycle)
        else:
            self.flow.pause_reading()
            self._waiting = self._cycle
        self._choose_decoder()

    def _scope(self, version: str) -> Scope:
        """Return the scope of the latest request; a later minor version is read as HTTP/1.1 (RFC 9110, 2.5)."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": self.parser.get_method().decode("ascii"),
            "root_path": self._root_path,
            "path": self._root_path + (unquote(path) if "%" in path else path),
            "raw_path": self._root_path.encode("ascii") + url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self._app_state.copy(),
        }

    def on_body(self, body: bytes) -> None:
        """Take a part of the body of the latest request."""
        cast("RequestCycle", self._cycle).add_body(body)

    def _choose_decoder(self) -> None:
        """Leave a body that is whole behind its head to the parser; stop the parser and use a decoder for any other.

        The parser would copy a long body, and take more than the body for its own.
        """
        length, upgrade = self._framing.content_length, self.parser.should_upgrade()
        if self._framing.chunked:
            self._decoder = ChunkedBody()
        elif length if upgrade else self._bytes_behind_head != length:
            self._decoder = SizedBody(length)
        elif not upgrade:
            return
        # The parser stops at the end of a head with an upgrade.
        self._bytes_behind_head = 0
        if not upgrade:
            raise StopParsing

    def _check_head(self) -> None:
        """Read how the body is framed; raise RefusedRequest for a head that the parser accepts and the RFCs do not."""
        if self._unknown_method is not None:
            raise unknown_method(self._unknown_method)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise too_large_head(self._head_bytes)
        if len(self.headers) > MAX_HEADERS:
            raise RefusedRequest(
                "too-large", f"expected at most {MAX_HEADERS} headers; received {len(self.headers)}. Send fewer."
            )
        # Most requests of a connection are framed like the one before.
        framed_by = (self.parser.get_method(), self.parser.get_http_version(), self._framing_fields)
        if framed_by != self._framed_by:
            self._framing = read_framing(*framed_by)
            self._framed_by = framed_by
        if self.url[0] != SLASH:
            authority, self.url = origin_form(self.url, framed_by[0])
            if authority is not None:
                # RFC 9112, 3.2.2: the host of the target is the one that counts.
                self.headers[:] = [(name, authority if name == b"host" else value) for name, value in self.headers]

    def on_message_complete(self) -> None:
        """End a request."""
        if self._decoder is not None:
            return  # The parser takes the body of a request to upgrade for another protocol.
        cast("RequestCycle", self._cycle).end_body()
        self._complete = True
        if self._answering is None:
            self._stop_discarding()

    # Answers

    def _start_cycle(self, cycle: RequestCycle) -> None:
        task = self.loop.create_task(cycle.run(self._app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _on_response(self) -> None:
        """End an answer; read on, or discard the rest of its request, or refuse the request behind it."""
        self._state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._start_cycle(waiting)
        else:
            self._start_idling()
        if self._complete and self._final_answer is None and not self._input:
            return
        if self._answering is None:
            if self._final_answer is not None:
                self._end_with(self._final_answer)
            elif not self._complete and not self._in_head:
                self._start_discarding()
        if self._input and self._may_read():
            self.loop.call_soon(self._parse_on)

    def _parse_on(self) -> None:
        if self._input and not self.transport.is_closing():
            self.data_received(b"")

    def _refuse(self, refused: RefusedRequest) -> None:
        """Answer the latest head with a problem, when the requests before it are answered, and end the connection."""
        target = self._target()
        if not target and self._answering is not None:
            # Bytes without a target behind a request that is being answered are no request, and get no answer.
            self._end_in_turn(b"")
        else:
            peer = self._client[0] if self._client else None
            self._end_in_turn(self._refusals.write(refused, peer, self.parser.get_method(), target, self.headers))

    def _fail_body(self, error: ServiceError) -> None:
        """Let the application answer with the fault of the latest body, and end the connection."""
        if self._answering is None:
            self._linger()
        else:
            self._answering.fail(error)
            self._end_in_turn(b"")

    def _end_in_turn(self, answer: bytes) -> None:
        """End the connection with an answer when all requests before have theirs; read nothing until then."""
        if not self._answering:
            self._end_with(answer)
            return
        self._final_answer = answer
        self._stop_read_timer()
        self.flow.pause_reading()

    def _end_with(self, answer: bytes) -> None:
        if answer:
            self.transport.write(answer)
        self._linger()

    def _target(self) -> bytes:
        """Return the target of the latest head, empty if it has none."""
        if self.url:
            return self.url
        # Where the request line is malformed the parser has not come as far as the target.
        line = self._input[self._start : self._start + MAX_HEAD_BYTES].partition(b"\r\n")[0].split(b" ")
        return line[1] if len(line) == 3 else b""

    def _refuse_slow_head(self) -> None:
        self._refuse(
            RefusedRequest(
                "timeout",
                f"expected the request line and headers within {self._read_timeout:g} seconds; received only part. "
                "Send them faster.",
            )
        )


def _new_parser(callbacks: object) -> httptools.HttpRequestParser:
    """Return a parser that leaves the version to `read_framing`."""
    parser = httptools.HttpRequestParser(callbacks)
    parser.set_dangerous_leniencies(lenient_version=True)
    return parser
