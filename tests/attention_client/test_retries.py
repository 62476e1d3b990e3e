"""Busy services, broken connections, malformed responses and time-outs."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_client import (
    ConnectionFailed,
    DeadlineExceeded,
    RequestRefused,
    Retry,
    ServiceBusy,
    ServiceFailed,
    UnreadableAnswer,
)
from attention_client.responses import Reply, retry_after
from attention_client.tensors import unframe
from tests.attention_client.conftest import CallMethod
from tests.attention_client.scripted import HEADER, WEIGHTS, answer, inferred, problem, scripted
from tests.server import Server, free_port, running_server

PAIR = np.ones((1, 2)), np.ones((2, 2))
QUICK = {"retry": Retry(first_seconds=0.01)}

BUSY = problem(429, "queue-full", Retry_After="0")
DRAINING = problem(503, "draining")
CUT = inferred()[:-3]


@pytest.mark.parametrize(
    "before",
    [[BUSY], [BUSY, BUSY], [DRAINING], [b""], [b"what?\r\n\r\n"], [CUT], [BUSY, DRAINING, b""]],
    ids=["429", "429 twice", "503", "closed", "garbage", "cut", "all"],
)
async def test_attempts_are_repeated_until_one_succeeds(call: CallMethod, before: list[bytes]) -> None:
    with scripted(*before, inferred()) as server:
        result = await call(server.url, "attend", *PAIR, client_options=QUICK)
    np.testing.assert_array_equal(result.weights, WEIGHTS)
    assert result.request_id == "id-2"
    assert len(server.received) == len(before) + 1
    assert len({received.body for received in server.received}) == 1


async def test_attempts_wait_for_retry_after(call: CallMethod) -> None:
    busy = problem(429, "queue-full", Retry_After="1")
    with scripted(busy, inferred()) as server:
        await call(server.url, "attend", *PAIR, client_options=QUICK)
    refused, answered = server.received
    assert answered.at - refused.at >= 1
    left = [float(received.headers["request-timeout"]) for received in server.received]
    assert 60 >= left[0] >= left[1] + 1


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize(
    ("script", "kind"), [(BUSY, ServiceBusy), (DRAINING, ServiceBusy), (b"", ConnectionFailed), (CUT, ConnectionFailed)]
)
async def test_attempts_end_at_their_limit(
    call: CallMethod, script: bytes, kind: type[Exception], attempts: int
) -> None:
    client_options = {"retry": Retry(attempts, first_seconds=0.01)}
    with scripted(*[script] * 5) as server, pytest.raises(kind) as raised:
        await call(server.url, "attend", *PAIR, client_options=client_options)
    assert len(server.received) == attempts
    if isinstance(raised.value, ServiceBusy):
        assert raised.value.attempts == attempts
        assert raised.value.retry_after == (0 if script == BUSY else None)


async def test_attempts_end_when_the_next_wait_would_pass_the_timeout(
    call: CallMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two waits of 0.1 s fit into a time-out of 10 s; a third of 9.5 s does not."""
    with (
        scripted(*[problem(429, "queue-full", Retry_After="3600")] * 2) as server,
        pytest.raises(ServiceBusy) as raised,
    ):
        await call(server.url, "attend", *PAIR, call_options={"timeout": 20})
    assert (raised.value.attempts, raised.value.retry_after) == (1, 3600)
    waits = iter([0.1, 0.1, 9.9])
    monkeypatch.setattr("attention_client.exchange.random.uniform", lambda least, most: next(waits))
    with scripted(*[BUSY] * 50) as server, pytest.raises(ServiceBusy) as raised:
        await call(
            server.url, "attend", *PAIR, call_options={"timeout": 10}, client_options={"retry": Retry(attempts=1000)}
        )
    assert raised.value.attempts == len(server.received) == 3


@pytest.mark.parametrize("status", [302, 400, 404, 422, 500, 502, 504])
async def test_other_errors_are_raised_at_once(call: CallMethod, status: int) -> None:
    kind = DeadlineExceeded if status == 504 else RequestRefused
    with scripted(*[problem(status, "some-slug")] * 2) as server, pytest.raises(kind):
        await call(server.url, "attend", *PAIR, client_options=QUICK)
    assert len(server.received) == 1


def test_waits_double_with_jitter_up_to_their_limit() -> None:
    retry = Retry(first_seconds=0.5, most_seconds=3)
    for attempt, most in ((1, 0.5), (2, 1), (3, 2), (4, 3), (9, 3)):
        waits = [retry.wait(attempt, None) for _ in range(300)]
        assert 0 <= min(waits) < 0.2 * most < 0.8 * most < max(waits) <= most
        asked = [retry.wait(attempt, 7) for _ in range(300)]
        assert 7 <= min(asked) < max(asked) <= 7 + most


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), (" 0 ", 0), ("soon", None), ("-3", None), ("", None), ("²", None)]
)
def test_retry_after_reads_seconds(text: str, seconds: float | None) -> None:
    assert retry_after(Reply(429, {"retry-after": text}, b"")) == seconds


@pytest.mark.parametrize(("ahead", "least", "most"), [(100, 90, 100), (-100, 0, 0)])
def test_retry_after_reads_a_date(ahead: int, least: float, most: float) -> None:
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    seconds = retry_after(Reply(429, {"retry-after": text}, b""))
    assert seconds is not None
    assert least <= seconds <= most


async def test_a_refused_connection_names_host_and_port_without_the_password(call: CallMethod) -> None:
    port = free_port()
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{port}"):
        await call(f"http://name:secret@127.0.0.1:{port}", "attend", *PAIR, client_options=QUICK)


@pytest.mark.parametrize("seconds", [0.05, 5])
async def test_a_slow_response_raises_deadline_exceeded(call: CallMethod, seconds: float) -> None:
    """The time-out ends a silent response and one that arrives byte by byte."""
    # On a machine that has other things to do the time may be over before the request is sent.
    for timeout in (0.4, 4, 40):
        with scripted(inferred(), seconds_between_bytes=seconds) as server, pytest.raises(DeadlineExceeded) as raised:
            await call(server.url, "attend", *PAIR, call_options={"timeout": timeout})
        assert raised.value.request_id is None
        if server.received:
            break
    assert 0 < float(server.received[0].headers["request-timeout"]) <= timeout


@pytest.fixture(scope="module")
def server_with_short_deadline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("hasty"), DEADLINE_SECONDS="0.1") as running:
        yield running


async def test_the_deadline_of_the_service_raises_deadline_exceeded(
    server_with_short_deadline: Server, call: CallMethod
) -> None:
    # Seconds on any machine: rows are sorted with NumPy.
    large = np.ones((1, 8, 3000, 64), np.float32)
    with pytest.raises(DeadlineExceeded, match="Request-Timeout") as raised:
        await call(
            server_with_short_deadline.url,
            "attend",
            large,
            large,
            large,
            normalizer="sparsemax",
            include=["output"],
            call_options={"request_id": "late-1"},
        )
    assert raised.value.request_id == "late-1"


HEAD = {"model_name": "m", "model_version": "1"}
OUTPUT = {"name": "weights", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}


def sized(size: int, name: str) -> dict[str, Any]:
    return {**OUTPUT, "name": name, "parameters": {"binary_data_size": size}}


BROKEN: dict[str, Any] = {
    "no header": answer(200, b"{}"),
    "header too long": answer(200, b"{}", **{HEADER: "99"}),
    "header negative": answer(200, b'{"outputs": []}', **{HEADER: "-1"}),
    "header no number": answer(200, b"{}", **{HEADER: "abc"}),
    "no JSON": answer(200, b"what?", **{HEADER: "5"}),
    "no object": answer(200, b"[]", **{HEADER: "2"}),
    "no outputs": inferred(HEAD),
    "too few bytes": inferred(raw=b"1234"),
    "too many bytes": inferred(raw=bytes(17)),
    "unknown datatype": inferred({**HEAD, "outputs": [{**OUTPUT, "datatype": "FP8"}]}),
    "wrong size": inferred({**HEAD, "outputs": [sized(8, "weights")]}),
    "sizes of others": inferred({**HEAD, "outputs": [sized(8, "weights"), sized(24, "scores")]}, bytes(32)),
    "negative shape": inferred({**HEAD, "outputs": [{**OUTPUT, "shape": [-1, -2]}]}),
    "data in JSON": inferred({**HEAD, "outputs": [{"name": "weights", "shape": [0], "datatype": "FP64", "data": []}]}),
    "shape of text": inferred({**HEAD, "outputs": [{**OUTPUT, "shape": "12"}]}),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_malformed_inference_raises_unreadable_answer(call: CallMethod, broken: str) -> None:
    with scripted(BROKEN[broken], inferred()) as server, pytest.raises(UnreadableAnswer):
        await call(server.url, "attend", *PAIR, client_options=QUICK)
    assert len(server.received) == 1


@pytest.mark.parametrize(("method", "content"), [("estimate", b"[1]"), ("estimate", b"{"), ("score_models", b"{}")])
async def test_a_malformed_document_raises_unreadable_answer(call: CallMethod, method: str, content: bytes) -> None:
    arguments = PAIR if method == "estimate" else ()
    with scripted(answer(200, content)) as server, pytest.raises(UnreadableAnswer):
        await call(server.url, method, *arguments)


async def test_a_proxy_may_answer_with_a_page(call: CallMethod) -> None:
    with scripted(answer(502, b"<html>bad gateway</html>")) as server, pytest.raises(ServiceFailed) as raised:
        await call(server.url, "attend", *PAIR)
    assert (raised.value.slug, raised.value.detail) == (None, "<html>bad gateway</html>")


async def test_broken_compression_raises_connection_failed(call: CallMethod) -> None:
    broken = answer(200, b"not gzip", Content_Encoding="gzip")
    with scripted(*[broken] * 4) as server, pytest.raises(ConnectionFailed):
        await call(server.url, "attend", *PAIR, client_options={**QUICK, "compress": True})
    assert server.received[0].headers["content-encoding"] == "gzip"


async def test_no_socket_is_left_open(call: CallMethod) -> None:
    """After any failure every socket is closed with the client; one left open would be a ResourceWarning as well."""
    await _fail(call)
    before = open_files()
    for _ in range(3):
        await _fail(call)
    gc.collect()
    assert open_files() <= before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _fail(call: CallMethod) -> None:
    for script in (BUSY, b"", CUT, b"what?\r\n\r\n", BROKEN["no JSON"], problem(500, "internal")):
        with scripted(script) as server, pytest.raises((RequestRefused, ConnectionFailed, UnreadableAnswer)):
            await call(server.url, "attend", *PAIR, client_options={"retry": Retry(attempts=1)})


@pytest.mark.parametrize("text", [None, "", "1_0", "+2", "-1", " 2", "2.0", "\u0662"])
def test_the_length_of_the_json_is_digits(text: str | None) -> None:
    assert unframe(b'{"outputs": []}', "15") == ({"outputs": []}, {})
    with pytest.raises(UnreadableAnswer, match="Inference-Header-Content-Length"):
        unframe(b"{}", text)
