"""An upgrade is ignored: the request is answered as any other, and its body is not read as a request."""

import json
import random
import subprocess

import pytest

from tests.service.holding_up.upgrades import BODY, CURL, FRAMINGS, JAVA, LOOKALIKE, UPGRADES
from tests.service.holding_up.wire import connected, request, with_length


def upgrading(name, upgrade, framing, body=BODY, *more):
    """Return a request that asks for an upgrade, and where its head ends."""
    header, wire = FRAMINGS[framing](body)
    whole = request("POST", "/v1/attention", *UPGRADES[upgrade], header, f"X-Request-ID: {name}", *more, body=wire)
    return whole, len(whole) - len(wire)


async def assert_answered(wire, *expected):
    """Fail unless exactly these answers arrive, then one to a last request, then the end."""
    for request_id, status in expected:
        answer = await wire.answer()
        assert (answer.headers["x-request-id"], answer.status) == (request_id, status), answer
    await wire.send(request("GET", "/livez", "X-Request-ID: last", "Connection: close"))
    assert (await wire.answer()).headers["x-request-id"] == "last"
    assert await wire.end() == b""


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "anything"])
async def test_a_request_to_upgrade_and_those_behind_it_are_answered(any_server, upgrade, framing):
    """One with a result, one whose body looks like a request, an ordinary one, all at once."""
    one, _ = upgrading("one", upgrade, framing)
    lookalike, _ = upgrading("lookalike", upgrade, framing, LOOKALIKE)
    async with connected(any_server.port) as wire:
        await wire.send(one + lookalike + request("GET", "/livez", "X-Request-ID: plain") + one)
        await assert_answered(wire, ("one", 200), ("lookalike", 400), ("plain", 200), ("one", 200))


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_request_to_upgrade_may_arrive_in_any_packets(any_server, framing):
    drawn = random.Random(2026)
    async with connected(any_server.port) as wire:
        for number in range(12):
            whole, _ = upgrading(str(number), "h2c", framing)
            cuts = sorted(drawn.sample(range(1, len(whole)), 3))
            await wire.send(
                *(whole[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)), pause=0.002
            )
        await assert_answered(wire, *((str(number), 200) for number in range(12)))


async def test_a_request_to_upgrade_may_arrive_byte_by_byte(any_server):
    whole, _ = upgrading("slowly", "h2c", "chunks")
    async with connected(any_server.port) as wire:
        await wire.send(*(whole[place : place + 1] for place in range(len(whole))), pause=0.0005)
        await assert_answered(wire, ("slowly", 200))


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_request_to_upgrade_may_wait_for_100_continue(any_server, framing):
    whole, head = upgrading("expecting", "h2c", framing, BODY, "Expect: 100-continue")
    async with connected(any_server.port) as wire:
        await wire.send(whole[:head], pause=0.1)
        await wire.send(whole[head:])
        await assert_answered(wire, ("expecting", 200))
        assert wire.interim == 1


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "anything"])
async def test_bytes_behind_an_upgrade_without_a_body_are_the_next_request(any_server, upgrade):
    async with connected(any_server.port) as wire:
        for length in ([], ["Content-Length: 0"]):
            await wire.send(
                request("GET", "/livez", *UPGRADES[upgrade], *length, "X-Request-ID: one")
                + request("GET", "/livez", "X-Request-ID: two")
            )
        await assert_answered(wire, *[("one", 200), ("two", 200)] * 2)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_connection_close_beside_an_upgrade_ends_the_connection(any_server, framing):
    whole, _ = upgrading("one", "split", framing)
    async with connected(any_server.port) as wire:
        await wire.send(whole)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.end() == b""


async def test_a_body_that_is_refused_is_discarded(any_server):
    """The answer precedes the body, which looks like a request."""
    header, body = with_length(LOOKALIKE)
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/nowhere", *UPGRADES["h2c"], header, "X-Request-ID: one"), pause=0.05)
        await wire.send(body)
        await assert_answered(wire, ("one", 404))


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_malformed_body_of_an_upgrade_is_refused_once(any_server, framing):
    whole, head = upgrading("one", "h2c", framing)
    async with connected(any_server.port) as wire:
        if framing == "length":
            await wire.send(whole + b"\x00")
            assert (await wire.answer()).status == 200
            await wire.send(b"\x00")
        else:
            await wire.send(whole[:head] + b"not a size\r\n")
            answer = await wire.answer()
            assert (answer.status, answer.headers["x-request-id"]) == (400, "one")
        rest = await wire.end()
        assert rest.count(b"HTTP/1.1 ") <= (framing == "length")


@pytest.mark.parametrize("client", [CURL, JAVA], ids=["curl", "Java"])
async def test_requests_of_clients_that_ask_for_http_2_are_answered(any_server, client):
    assert len(BODY) == 58
    async with connected(any_server.port) as wire:
        for _ in range(3):
            await wire.send(client, BODY, pause=0.01)
            answer = await wire.answer()
            assert (answer.status, json.loads(answer.body)["weights"]) == (200, [[1.0]])


@pytest.mark.curl
def test_curl_asks_for_http_2(any_server, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(BODY)
    command = ["/usr/bin/curl", "-sS", "--http2", "-d", f"@{body}", f"{any_server.url}/v1/attention"]
    assert json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["weights"] == [[1.0]]


async def test_connect_is_not_implemented_and_opens_no_tunnel(any_server):
    tunnelled = request("GET", "/livez", "X-Request-ID: tunnelled")
    async with connected(any_server.port) as wire:
        await wire.send(request("CONNECT", "test:80", "X-Request-ID: one") + tunnelled)
        answer = await wire.answer()
        assert (answer.status, answer.headers["x-request-id"]) == (501, "one")
        answer.problem("not-implemented")
        assert await wire.end() == b""
