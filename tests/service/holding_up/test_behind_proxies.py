"""The same requests through haproxy, as it is shipped, and through nginx that passes upgrades on."""

import asyncio
import json

import pytest

from tests.sampling import product_sample, sample
from tests.service.holding_up.large_bodies import MIB, answer_to
from tests.service.holding_up.upgrades import BODY, CURL, FRAMINGS, JAVA, LOOKALIKE, UPGRADES
from tests.service.holding_up.wire import chunked, connected, request, with_length
from tests.service.proxies import running_haproxy, running_nginx


@pytest.fixture(scope="module")
def haproxy_port(project, server, two_workers, tmp_path_factory):
    """The shipped haproxy before servers of one and of two workers."""
    with running_haproxy(project, tmp_path_factory.mktemp("haproxy"), [server, two_workers, server]) as (port, _):
        yield port


@pytest.fixture(scope="module")
def nginx_port(server, two_workers, tmp_path_factory):
    """Nginx before servers of one and of two workers."""
    with running_nginx(tmp_path_factory.mktemp("nginx"), server, two_workers) as port:
        yield port


@pytest.fixture(params=[pytest.param("haproxy_port", marks=pytest.mark.haproxy),
                        pytest.param("nginx_port", marks=pytest.mark.nginx)])  # fmt: skip
def proxy_port(request):
    """The port of each proxy."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("upgrade", "framing"), product_sample(3, ["h2c", "websocket", "anything"], FRAMINGS))
async def test_requests_to_upgrade_are_answered_one_by_one(proxy_port, upgrade, framing):
    """A body that looks like a request is none, also where the proxy reuses its connections."""
    async with connected(proxy_port) as wire:
        for number, body in enumerate([BODY, LOOKALIKE, BODY, LOOKALIKE, BODY]):
            header, sent = FRAMINGS[framing](body)
            asked = request("POST", "/v1/attention", *UPGRADES[upgrade], header, f"X-Request-ID: {number}", body=sent)
            await wire.send(asked)
            answer = await wire.answer()
            expected = 200 if body == BODY else 400
            assert (answer.headers["x-request-id"], answer.status) == (str(number), expected), answer
            async with connected(proxy_port) as other:
                await other.send(request("GET", "/livez", f"X-Request-ID: other-{number}"))
                assert (await other.answer()).headers["x-request-id"] == f"other-{number}"


@pytest.mark.parametrize("client", [CURL, JAVA], ids=["curl", "Java"])
async def test_requests_of_clients_that_ask_for_http_2_are_answered(proxy_port, client):
    async with connected(proxy_port) as wire:
        for _ in range(3):
            await wire.send(client, BODY, pause=0.01)
            answer = await wire.answer()
            assert (answer.status, json.loads(answer.body)["weights"]) == (200, [[1.0]])


async def test_trailers_and_chunk_extensions_are_discarded(proxy_port):
    header, body = chunked(BODY, extension=b";a=b", trailers=b"X-Request-ID: trailer\r\nExpires: never\r\n")
    async with connected(proxy_port) as wire:
        for number in range(3):
            await wire.send(request("POST", "/v1/attention", header, f"X-Request-ID: {number}", body=body))
            answer = await wire.answer()
            assert (answer.status, answer.headers["x-request-id"]) == (200, str(number))


async def test_refusals_of_the_protocol_come_through(proxy_port):
    length, body = with_length(BODY)
    async with connected(proxy_port) as wire:
        await wire.send(request("BREW", "/v1/attention", length, "X-Request-ID: brewed", body=body))
        answer = await wire.answer()
        assert (answer.status, answer.headers["x-request-id"]) == (501, "brewed")
        answer.problem("not-implemented")
    async with connected(proxy_port) as wire:
        await wire.send(request("POST", "/v1/attention", length, "Expect: 100-continue", body=body))
        assert (await wire.answer()).status == 200


async def test_http_1_0_has_a_stream_that_ends_with_the_connection(proxy_port):
    length, body = with_length(BODY)
    async with connected(proxy_port) as wire:
        await wire.send(request("POST", "/v1/attention", length, "Accept: text/event-stream", body=body, version="1.0"))
        head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 20)
        events = await wire.end()
    assert head.split(b" ", 2)[1] == b"200"
    assert b"chunked" not in head.lower()
    assert events.startswith(b"event: progress\n")
    assert events.endswith(b"\n\n")


@pytest.mark.parametrize("size", sample([65, 128], 65))
async def test_a_body_over_the_limit_is_refused_where_its_client_sees_it(proxy_port, size):
    status, kind, _ = await answer_to(
        "urllib", f"http://127.0.0.1:{proxy_port}/v1/attention", size * MIB, {}, chunked=False
    )
    assert (status, kind) == (413, "too-large")
