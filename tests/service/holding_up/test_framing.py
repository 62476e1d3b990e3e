"""Rules of RFC 9110 and RFC 9112 for requests: each as bytes, and the answer to them."""

import asyncio
import json

import pytest

from service.serving.heads import MAX_HEAD_BYTES
from tests.service.holding_up.wire import chunked, connected, request, with_length

SMALL = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()

LENGTH, _ = with_length(SMALL)

V1, V2 = "/v1/attention", "/v2/models/scaled_dot_product/infer"

# Each rule is tried on one server and one form of errors, then on the other of both.
BOTH = pytest.mark.parametrize(("any_server", "path"), [("server", V1), ("two_workers", V2)], indirect=["any_server"])

NEXT = request("GET", "/livez", "X-Request-ID: next")


def post(*headers, body=SMALL, **options):
    return lambda path: request("POST", path, *headers, body=body, **options)


def in_chunks(wire):
    return post("Transfer-Encoding: chunked", body=wire)


def coded(*values, version="1.1"):
    return post(*(f"Transfer-Encoding: {value}" for value in values), body=chunked(SMALL)[1], version=version)


MALFORMED = {
    "no Host": post(LENGTH, host=None),
    "two Hosts": post(LENGTH, "Host: test"),
    "two Hosts of which one is empty": post(LENGTH, "Host:"),
    "two Hosts in HTTP/1.0": post(LENGTH, "Host: test", version="1.0"),
    "Host with a blank inside": post(LENGTH, host="a b"),
    "Host with a path": post(LENGTH, host="a/b"),
    "Host with user information": post(LENGTH, host="user@a"),
    "Host with a port that is none": post(LENGTH, host="a:http"),
    "Host with two ports": post(LENGTH, host="a:1:2"),
    "Host with a bare IPv6 address": post(LENGTH, host="::1"),
    "Host with an open bracket": post(LENGTH, host="[::1"),
    "Host with an address that is none": post(LENGTH, host="[1::2::3]"),
    "Host with a zone": post(LENGTH, host="[fe80::1%25eth0]"),
    "Host with a broken escape": post(LENGTH, host="a%2"),
    "Host beyond ASCII": post(LENGTH, host="ä"),
    "invalid Host in HTTP/1.0": post(LENGTH, host="a b", version="1.0"),
    "target with user information": lambda path: request("POST", f"http://u@a{path}", LENGTH, body=SMALL),
    "target without a host": lambda path: request("POST", f"http://:80{path}", LENGTH, body=SMALL),
    "target of another scheme": lambda path: request("POST", f"ftp://a{path}", LENGTH, body=SMALL),
    "asterisk": lambda path: request("POST", "*", LENGTH, body=SMALL),
    "length and chunks": post(LENGTH, "Transfer-Encoding: chunked", body=chunked(SMALL)[1]),
    "chunks and length": post("Transfer-Encoding: chunked", LENGTH, body=chunked(SMALL)[1]),
    "two lengths": post(LENGTH, LENGTH),
    "two other lengths": post(LENGTH, "Content-Length: 1"),
    "two lengths in one": post(f"{LENGTH}, {len(SMALL)}"),
    "length with a plus": post(f"Content-Length: +{len(SMALL)}"),
    "length with a minus": post(f"Content-Length: -{len(SMALL)}"),
    "hexadecimal length": post("Content-Length: 0x3A"),
    "length with a blank inside": post("Content-Length: 5 8"),
    "empty length": post("Content-Length:"),
    "coding with a tab behind it beside a length": post(LENGTH, "Transfer-Encoding: chunked\t"),
    "coding with a tab behind it before a length": post("Transfer-Encoding: chunked\t", LENGTH),
    "chunked with a tab behind it, and then another": coded("chunked\t, gzip"),
    "length beyond 64 bits": post("Content-Length: 18446744073709551616"),
    "length of 5 000 digits": post(f"Content-Length: {'0' * 5000}{len(SMALL)}"),
    "obs-fold": post(LENGTH, "A: 1\r\n 2"),
    "obs-fold of nothing": post(LENGTH, "A:\r\n 2"),
    "blank before the colon": post(LENGTH, "A : 1"),
    "blank before the name": post(" A: 1", LENGTH),
    "no colon": post(LENGTH, "A"),
    "no name": post(LENGTH, ": 1"),
    "bare LF": post(LENGTH, "A: 1\nB: 2"),
    "bare CR": post(LENGTH, "A: 1\rB: 2"),
    "NUL in a value": post(LENGTH, "A: 1\x002"),
    "NUL in a name": post(LENGTH, "A\x00: 1"),
    "control character in a value": post(LENGTH, "A: 1\x012"),
    "coding in HTTP/1.0": coded("chunked", version="1.0"),
    "coding in HTTP/1.0 beside a length": post(LENGTH, "Transfer-Encoding: chunked", version="1.0"),
    "chunked twice": coded("chunked", "chunked"),
    "chunked twice in one": coded("chunked, chunked"),
    "chunked and then another": coded("chunked, gzip"),
    "empty coding": coded(""),
    "HTTP/2.0": post(LENGTH, version="2.0"),
    "HTTP/0.9": post(LENGTH, version="0.9"),
    "HTTP/3.0": post(LENGTH, version="3.0"),
    "HTTP/1.10": post(LENGTH, version="1.10"),
    "no Host in HTTP/1.2": post(LENGTH, host=None, version="1.2"),
    "lower case": lambda path: request("POST", path, LENGTH, body=SMALL).replace(b"HTTP", b"http"),
    "no version": lambda path: b"POST %s\r\nHost: test\r\n\r\n" % path.encode(),
    "bytes beyond ASCII in the target": lambda path: b"POST %s\xff HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode(),
    "method that is no token": lambda path: request("GE@T", path),
    "HTTP/2 by prior knowledge": lambda path: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "chunk size with a blank": in_chunks(b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size behind a blank": in_chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a plus": in_chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a minus": in_chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": in_chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": in_chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "no chunk size": in_chunks(b"\r\nhello\r\n0\r\n\r\n"),
    "LF behind a chunk size": in_chunks(b"5\nhello\r\n0\r\n\r\n"),
    "no CRLF behind a chunk": in_chunks(b"5\r\nhello0\r\n\r\n"),
    "LF behind a chunk": in_chunks(b"5\r\nhello\n0\r\n\r\n"),
    "too much behind a chunk": in_chunks(b"5\r\nhello!\r\n0\r\n\r\n"),
    "NUL in a chunk extension": in_chunks(b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    "LF in a chunk extension": in_chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "trailer that is none": in_chunks(b"0\r\nnothing\r\n\r\n"),
    "trailer with a blank before the colon": in_chunks(b"0\r\nA : b\r\n\r\n"),
    "trailer with a bare LF": in_chunks(b"0\r\nA: b\nC: d\r\n\r\n"),
    "trailer with a bare CR": in_chunks(b"0\r\nA: b\rC: d\r\n\r\n"),
    "trailer with NUL": in_chunks(b"0\r\nA: \x00\r\n\r\n"),
    "trailer that is folded": in_chunks(b"0\r\nA: b\r\n c\r\n\r\n"),
    "JSON where a chunk size should be": in_chunks(SMALL),
}

NOT_IMPLEMENTED = {
    "unknown method": lambda path: request("BREW", path, LENGTH, body=SMALL),
    "method of another protocol": lambda path: request("PLAY", path, LENGTH, body=SMALL),
    "another protocol": lambda path: request("PLAY", path, LENGTH, body=SMALL).replace(b"HTTP/1.1", b"RTSP/1.0"),
    "method that begins as another": lambda path: request("POSTS", path, LENGTH, body=SMALL),
    "method in lower case": lambda path: request("post", path, LENGTH, body=SMALL),
    "method of one sign": lambda path: request("!", path),
    "CONNECT": lambda path: request("CONNECT", "test:443"),
    "gzip, chunked": coded("gzip, chunked"),
    "gzip and chunked": coded("gzip", "chunked"),
    "gzip": coded("gzip"),
    "identity": coded("identity"),
    "identity, chunked": coded("identity,chunked"),
    "chunked with a parameter": coded("chunked;level=9"),
    "what ends like chunked": coded("xchunked"),
}

READ = {
    "no Host in HTTP/1.0": (post(LENGTH, host=None, version="1.0"), 200),
    "empty Host": (post(LENGTH, host=""), 200),
    "Host with a port": (post(LENGTH, host="a.example:8000"), 200),
    "Host with an empty port": (post(LENGTH, host="a.example:"), 200),
    "Host with an escape and an underscore": (post(LENGTH, host="a_%C3%A4"), 200),
    "Host with an IPv6 address": (post(LENGTH, host="[::1]:8000"), 200),
    "Host with an IPv4 address in an IPv6 one": (post(LENGTH, host="[::ffff:127.0.0.1]"), 200),
    "Host with an address of the future": (post(LENGTH, host="[v1.a:b]"), 200),
    "Host between blanks": (post(LENGTH, host=" \t a.example \t "), 200),
    "absolute target": (lambda path: request("POST", f"HTTP://other:81{path}", LENGTH, body=SMALL), 200),
    "absolute target without a path": (lambda path: request("GET", "http://other"), 200),
    "absolute target without a path but a query": (lambda path: request("GET", "http://other?a=b"), 200),
    "asterisk of OPTIONS": (lambda path: request("OPTIONS", "*"), 404),
    "length with a blank behind it": (post(f"{LENGTH} "), 200),
    "length with a tab behind it": (post(f"{LENGTH}\t"), 200),
    "length with a zero in front": (post(f"Content-Length: 00{len(SMALL)}"), 200),
    "empty lines in front": (lambda path: b"\r\n\r\n" + post(LENGTH)(path), 200),
    "coding in upper case with a blank behind it": (coded("CHUNKED "), 200),
    "coding with an empty element": (coded(", chunked"), 200),
    "coding with a tab behind it": (coded("chunked\t"), 200),
    "coding between tabs and blanks": (coded("\t \tchunked \t "), 200),
    "HTTP/1.2": (post(LENGTH, version="1.2"), 200),
    "HTTP/1.9 with chunks": (coded("chunked", version="1.9"), 200),
    "chunk size in upper case with zeros": (in_chunks(b"000%X\r\n%s\r\n0\r\n\r\n" % (len(SMALL), SMALL)), 200),
    "chunk extensions": (in_chunks(chunked(SMALL, extension=b';a=b;c="d\\"e"')[1]), 200),
    "trailers": (in_chunks(chunked(SMALL, trailers=b"Expires: never\r\nEmpty:\r\n")[1]), 200),
    "chunk extensions behind a blank": (in_chunks(chunked(SMALL, extension=b" \t; a = b")[1]), 200),
    "an empty header": (post(LENGTH, "A:", "B: 1"), 200),
    "100 headers": (post(LENGTH, *("A: 1" for _ in range(98))), 200),
    "another expectation": (post(LENGTH, "Expect: 200-ok"), 200),
    "known method that no resource has": (lambda path: request("PROPFIND", path, LENGTH, body=SMALL), 405),
    "known method that the resource has not": (lambda path: request("PATCH", path, LENGTH, body=SMALL), 405),
}


@BOTH
@pytest.mark.parametrize("rule", MALFORMED)
async def test_a_malformed_request_is_refused_and_the_connection_ends(any_server, rule, path):
    await refused(any_server, MALFORMED[rule](path), 400, "malformed-body", path)


@BOTH
@pytest.mark.parametrize("rule", NOT_IMPLEMENTED)
async def test_an_unimplemented_request_is_refused_and_the_connection_ends(any_server, rule, path):
    await refused(any_server, NOT_IMPLEMENTED[rule](path), 501, "not-implemented", path)


async def refused(server, sent, status, slug, path):
    """Fail unless this has one answer, a problem, and the request behind it has none."""
    async with connected(server.port) as wire:
        await wire.send(sent + NEXT)
        answer = await wire.answer()
        assert answer.status == status, answer
        document = answer.problem(slug)
        assert answer.headers["connection"] == "close"
        assert await wire.end() == b""
        assert ("error" in document) is (path.startswith("/v2") and path.encode() in sent.partition(b"\n")[0])


@pytest.mark.parametrize("rule", READ)
async def test_an_allowed_form_is_read(server, rule):
    sent, status = READ[rule]
    sent = sent(V1)
    async with connected(server.port) as wire:
        await wire.send(sent)
        answer = await wire.answer()
        assert answer.status == status, answer
        if b"HTTP/1.0" in sent:
            assert await wire.end() == b""
            return
        await wire.send(NEXT)
        assert (await wire.answer()).headers["x-request-id"] == "next"


@pytest.mark.parametrize("slug", ["malformed-body", "not-implemented"])
async def test_a_refusal_waits_for_the_answers_before_it(any_server, hard, slug):
    """Half a second of work, a small request, the refused one, and one behind it that gets no answer."""
    table = {"malformed-body": MALFORMED["no Host"], "not-implemented": NOT_IMPLEMENTED["unknown method"]}
    bad = table[slug](V1).replace(b"\r\n", b"\r\nX-Request-ID: bad\r\n", 1)
    length, body = with_length(hard)
    first = request("POST", V1, length, "X-Request-ID: hard", body=body)
    async with connected(any_server.port) as wire:
        await wire.send(first, request("GET", "/livez", "X-Request-ID: small") + bad + NEXT)
        answers = [await wire.answer() for _ in range(3)]
        assert [(one.headers["x-request-id"], one.status) for one in answers] == [
            ("hard", 200), ("small", 200), ("bad", 400 if slug == "malformed-body" else 501)
        ]  # fmt: skip
        answers[-1].problem(slug)
        assert await wire.end() == b""


async def test_a_body_that_breaks_before_its_turn_is_refused_in_its_turn(any_server, hard):
    """The answer to a request is never written in place of that to another."""
    length, body = with_length(hard)
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", V1, length, "X-Request-ID: hard", body=body))
        await wire.send(request("POST", V1, "Transfer-Encoding: chunked", "X-Request-ID: bad", body=b"5\r\n"))
        await wire.send(b"hello, world\r\n", pause=0.05)
        answers = [await wire.answer() for _ in range(2)]
        assert [(one.headers["x-request-id"], one.status) for one in answers] == [("hard", 200), ("bad", 400)]
        assert await wire.end() == b""


async def test_a_body_that_breaks_after_its_answer_has_no_second_one(any_server):
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/nowhere", "Transfer-Encoding: chunked", body=b"5\r\n"))
        assert (await wire.answer()).status == 404
        await wire.send(b"hello, world\r\n")
        assert await wire.end() == b""


async def test_the_answer_to_head_has_no_body_also_when_it_is_refused(any_server):
    async with connected(any_server.port) as wire:
        await wire.send(request("HEAD", "/livez", host=None))
        assert (await wire.answer(head_only=True)).status == 400
        assert await wire.end() == b""


@pytest.mark.parametrize("method", ["BREW", "P", "PO", "POSTPONE"])
async def test_a_method_may_come_byte_by_byte(any_server, method):
    async with connected(any_server.port) as wire:
        whole = request(method, V2, "X-Request-ID: slowly")
        await wire.send(*(whole[place : place + 1] for place in range(16)), whole[16:], pause=0.002)
        answer = await wire.answer()
        assert (answer.status, answer.headers["x-request-id"]) == (501, "slowly")
        assert "error" in answer.problem("not-implemented")


@pytest.mark.parametrize("behind", [14, 60, 130, 200, 260])
async def test_an_unknown_method_behind_a_request_has_one_answer_however_it_is_cut(any_server, behind):
    """The second packet begins inside the first request or inside the unknown one."""
    sent = post(LENGTH, "X-Request-ID: first")(V1) + request("BREW", V1, "X-Request-ID: bad") + NEXT
    async with connected(any_server.port) as wire:
        await wire.send(sent[:-behind], sent[-behind:], pause=0.01)
        answers = [await wire.answer() for _ in range(2)]
        assert [(one.headers["x-request-id"], one.status) for one in answers] == [("first", 200), ("bad", 501)]
        assert await wire.end() == b""


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD_BYTES, 200), (MAX_HEAD_BYTES + 1, 413)])
@pytest.mark.parametrize("split", [1, 3, 30_000])
async def test_a_head_has_at_most_64_kib_however_it_is_cut(any_server, size, status, split):
    empty = request("GET", "/livez", "X:")
    sent = request("GET", "/livez", "X:" + "x" * (size - len(empty)))
    async with connected(any_server.port) as wire:
        await wire.send(request("GET", "/livez"))
        assert (await wire.answer()).status == 200
        await wire.send(sent[:-split], sent[-split:], pause=0.01)
        assert (await wire.answer()).status == status


async def test_requests_may_follow_each_other_without_waiting(any_server):
    """3 000 requests at once: each has its answer, in order."""
    async with connected(any_server.port) as wire:
        sending = asyncio.create_task(
            wire.send(b"".join(request("GET", "/livez", f"X-Request-ID: {number}") for number in range(3000)))
        )
        ids = [(await wire.answer()).headers["x-request-id"] for _ in range(3000)]
        await sending
        assert ids == [str(number) for number in range(3000)]


async def test_connection_close_ends_the_connection_with_its_answer(any_server):
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", V1, LENGTH, "Connection: close", body=SMALL))
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.end() == b""
