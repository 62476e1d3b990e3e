"""Clients that send a body to its end before they look for the answer read why it was refused."""

import asyncio
import json
import time
from contextlib import suppress

import httpx
import pytest

from service.serving.closing import LINGER_SECONDS, MAX_FRAMING_BYTES, MIN_DISCARDED_BYTES
from tests.operations import Limit
from tests.processes import resident_mib
from tests.sampling import every, sample
from tests.service.holding_up.large_bodies import CLIENTS, MIB, PIECE, answer_to, by_curl, by_httpx
from tests.service.holding_up.wire import connected, kernel_buffers, request
from tests.service.telemetry.scraping import until_seen

DISCARDED = MIN_DISCARDED_BYTES + MAX_FRAMING_BYTES


async def answers_to(url, size, headers):
    """Return what each client says of a request with and without an announced length, all of them at once."""
    asked = [answer_to(client, url, size, headers, chunked=chunked) for client in CLIENTS for chunked in (False, True)]
    return {(status, kind) for status, kind, _ in await asyncio.gather(*asked)}


REFUSALS = {
    "unauthorized": ("/v1/attention", {"X-API-Key": "wrong"}, 401),
    "not-found": ("/nowhere", {}, 404),
    "method-not-allowed": ("/livez", {}, 405),
    "not-acceptable": ("/v1/attention", {"Accept": "text/html"}, 406),
    "unsupported-media-type": ("/v1/attention", {"Content-Type": "text/csv"}, 415),
    "malformed-body": ("/v1/attention", {"Request-Timeout": "soon"}, 400),
}
"""A path, headers and the status, for each kind of refusal that does not wait for the body."""


@pytest.mark.curl
@pytest.mark.parametrize("size", sample([65, 128], 65))
@pytest.mark.parametrize("client", sample(CLIENTS, "urllib", "curl"))
async def test_a_body_over_the_limit_is_refused_where_its_client_sees_it(any_server, report_figure, client, size):
    """One at a time: a body of unknown length holds memory until it turns out to be too large."""
    for chunked in (False, True):
        status, kind, seconds = await answer_to(
            client, f"{any_server.url}/v1/attention", size * MIB, {}, chunked=chunked
        )
        report_figure(f"a body of {size} MiB by {client}, chunked {chunked}: {status} after {seconds:.1f} s")
        assert (status, kind) == (413, "too-large")


@pytest.mark.curl
@pytest.mark.parametrize("slug", every(3, REFUSALS))
async def test_other_refusals_do_not_wait_for_the_body_and_are_seen_too(keyed, slug):
    path, headers, status = REFUSALS[slug]
    assert await answers_to(keyed.url + path, 20 * MIB, {"X-API-Key": "k1"} | headers) == {(status, slug)}


@pytest.mark.alone
@pytest.mark.curl
async def test_a_full_queue_is_seen_behind_a_body_too(narrow, harder):
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        waiting = [asyncio.create_task(client.post("/v1/attention", content=harder)) for _ in range(5)]
        await until_seen(narrow.url, lambda now: now.value("attention_queued") == 4)
        answers = await answers_to(f"{narrow.url}/v1/attention", 2 * MIB, {})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert answers == {(429, "queue-full")}


@pytest.mark.parametrize("sent", [request("BREW", "/", "Content-Length: 20971520"),
                                  request("POST", "/", "Content-Length: 20971520", host=None),
                                  request("POST", "/", "Transfer-Encoding: gzip, chunked")])  # fmt: skip
async def test_refusals_of_the_protocol_are_seen_behind_a_body_too(any_server, sent):
    """As urllib would: everything is sent before anything is read."""
    async with connected(any_server.port) as wire:
        await wire.send(sent, *[bytes(MIB)] * 20)
        assert (await wire.answer()).status in {400, 501}
        assert await wire.end() == b""


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.curl
@pytest.mark.parametrize("client", [by_httpx, by_curl], ids=["httpx", "curl"])
def test_of_a_body_of_1_gib_the_refusal_is_seen_by_clients_that_look_for_it(server, client):
    """A client that reads only after it has sent everything is cut off at 129 MiB instead."""
    before = resident_mib(server.process.pid)
    status, body = client(f"{server.url}/v1/attention", 1024 * MIB, {}, chunked=False)
    assert (status, json.loads(body)["type"]) == (413, "/problems/too-large")
    assert resident_mib(server.process.pid) - before < Limit.REFUSED_GIBIBYTE_GROWTH.number


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.parametrize("connection", [[], ["Connection: close"]], ids=["kept", "closed"])
async def test_what_is_read_of_a_refused_body_is_bounded(any_server, report_figure, connection):
    """Of 1 GiB 129 MiB are read, and what the kernel holds."""
    size, sent = 1024 * MIB, 0
    started = time.monotonic()
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/v1/attention", f"Content-Length: {size}", *connection))
        assert (await wire.answer()).status == 413
        with suppress(ConnectionError):
            while sent < size:
                await wire.send(PIECE)
                sent += len(PIECE)
    seconds = time.monotonic() - started
    report_figure(f"a refused body of 1 GiB: {sent / MIB:.0f} MiB were taken in {seconds:.1f} s")
    assert DISCARDED * 0.9 < sent < DISCARDED + kernel_buffers() + 10 * MIB
    assert seconds < Limit.REFUSED_BODY.number


@pytest.mark.alone
async def test_a_client_that_sends_nothing_more_is_cut_off(any_server):
    """A connection that ends with its answer waits two seconds for the rest of the body."""
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/nowhere", "Connection: close", "Content-Length: 20000000", body=b"x" * 9))
        assert (await wire.answer()).status == 404
        assert await wire.end() == b"", "the server stops writing at once"
        await asyncio.sleep(LINGER_SECONDS + 0.2)
        # The server has given the connection up: whatever is sent now is reset.
        with pytest.raises(ConnectionError):
            await wire.send(*[b"x"] * 20, pause=0.05)
