"""Three replicas behind haproxy, with the configuration that docker-compose.yml ships: one drains under load."""

import asyncio
import signal
import time
from contextlib import ExitStack

import httpx
import pytest
import yaml

from tests.server import running_server
from tests.service.proxies import running_haproxy

pytestmark = pytest.mark.haproxy

CLIENTS = 8

AFTER_SECONDS = 2.0

SHARE = 20
"""Requests that each replica has answered before one is ended."""

SHARE_SECONDS = 20
"""Maximum time until each replica has had its share."""

REQUEST = {"query": [[1.0, 0.0]], "key": [[1.0, 0.0], [0.0, 1.0]], "value": [[1.0], [3.0]], "decimals": 4}


def computed(replica):
    """Return the number of requests that a replica has answered, probes left out."""
    return replica.log.read_text().count('"route":"/v1/attention"')


async def shares(replicas):
    """Wait until each replica has had its share of the requests; return how many each has answered."""
    for _ in range(10 * SHARE_SECONDS):
        if min(map(computed, replicas)) >= SHARE:
            break
        await asyncio.sleep(0.1)
    return [computed(replica) for replica in replicas]


@pytest.mark.soak
async def test_one_of_three_drains_under_load_and_no_request_fails(project, tmp_path, report_figure):
    with ExitStack() as stack:
        replicas = [stack.enter_context(running_server(tmp_path, COMPUTE_THREADS="1")) for _ in range(3)]
        port, log = stack.enter_context(running_haproxy(project, tmp_path, replicas))
        leaving, *staying = replicas
        answered, failed = 0, []
        over = asyncio.Event()

        async def ask_without_pause():
            nonlocal answered
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                while not over.is_set():
                    try:
                        response = await client.post("/v1/attention", json=REQUEST)
                        assert (response.status_code, response.json()["output"]) == (200, [[1.6605]])
                    except (httpx.HTTPError, AssertionError) as error:
                        failed.append(repr(error))
                    answered += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(ask_without_pause())
            before = await shares(replicas)
            started = time.monotonic()
            leaving.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(leaving.process.wait, 40)
            seconds, left = time.monotonic() - started, computed(leaving)
            at_its_end = [computed(replica) for replica in staying]
            await asyncio.sleep(AFTER_SECONDS)
            over.set()
        # The line of a request follows its answer: only a log whose process has ended holds them all.
        for replica in staying:
            replica.stop()
        afterwards = [computed(replica) for replica in staying]
        report_figure(
            f"replicas: {answered} requests of {CLIENTS} clients, {len(failed)} failed; the one that drained answered "
            f"{left}, {left - before[0]} of them after SIGTERM, and ended after {seconds:.1f} s with code {code}"
        )
        assert failed == []
        assert code == 0
        assert min(before) >= SHARE, "every replica had its share"
        assert all(now > then for now, then in zip(afterwards, at_its_end, strict=True))
        assert left + sum(afterwards) == answered, "no request was answered twice"
        # It was seen to leave while it still took requests, not when it was gone.
        assert "Server replicas/one is DOWN, reason: Layer7 wrong status, code: 503" in log.read_text()


def test_compose_gives_haproxy_the_configuration_and_addresses_that_are_tested(project):
    services = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]
    proxy = services["haproxy"]
    [volume] = proxy["volumes"]
    source, target, mode = volume.split(":")
    assert (project / source).read_text().count("server ") >= 3
    assert (target, mode) == ("/usr/local/etc/haproxy/haproxy.cfg", "ro")
    names = [proxy["environment"][f"REPLICA_{number}"].split(":") for number in (1, 2, 3)]
    assert [port for _, port in names] == ["8000"] * 3
    replicas = [services[name] for name, _ in names]
    assert len({name for name, _ in names}) == 3
    first, *others = replicas
    for other in others:
        assert other["profiles"] == proxy["profiles"] == ["replicas"]
        # Nothing else is different: the limits of one are those of all.
        assert {**other, "ports": first["ports"]} == {**first, "profiles": ["replicas"]}
        assert other["ports"] == []
    listen = proxy["environment"]["HAPROXY_LISTEN"]
    assert [port.rpartition(":")[2] for port in proxy["ports"]] == [listen.rpartition(":")[2]]
    assert proxy["read_only"] is True
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:") for port in proxy["ports"])
