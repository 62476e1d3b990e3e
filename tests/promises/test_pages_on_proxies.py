"""The page on proxies: its configurations run before a service that is started as the page says."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from service.settings import Settings
from tests.promises.readme import SUFFIXES, snippets_of
from tests.server import Server, free_port, running_server
from tests.service.proxies import NGINX_AROUND, running

PAGE = "docs/how-to/behind-a-proxy"
PREFIX = "/attention"
LARGE = {"query": [[0.123456789] * 1000], "key": [[0.123456789] * 1000] * 120, "include": ["logsumexp"]}
"""A body of more than 1 MiB, which nginx refuses by default."""


@pytest.fixture(scope="module")
def below_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that is published below a prefix."""
    with running_server(tmp_path_factory.mktemp("below"), "--root-path", PREFIX) as started:
        yield started


def configuration(kind: str, port: int, service: Server) -> str:
    """The shown configuration, with other ports."""
    [shown] = snippets_of(f"{PAGE}.md", f"{kind} configuration")
    listening = {
        "nginx": ("listen 8080;", f"listen 127.0.0.1:{port};"),
        "haproxy": ("bind :8080", f"bind 127.0.0.1:{port}"),
    }
    for written, used in (listening[kind], ("127.0.0.1:8000", f"127.0.0.1:{service.port}")):
        assert shown.count(written) == 1
        shown = shown.replace(written, used)
    return shown


@pytest.mark.nginx
def test_nginx_passes_everything_on(below_prefix: Server, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "nginx.conf"
    file.write_text(NGINX_AROUND.format(configuration("nginx", port, below_prefix)))
    command = ["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(file)]
    with running(command, port, tmp_path / "nginx.log", f"{PREFIX}/readyz"):
        assert_everything_passes(port)


@pytest.mark.haproxy
def test_haproxy_passes_everything_on(below_prefix: Server, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "haproxy.cfg"
    file.write_text(configuration("haproxy", port, below_prefix) + "\n")
    command = ["/usr/sbin/haproxy", "-db", "-f", str(file)]
    with running(command, port, tmp_path / "haproxy.log", f"{PREFIX}/readyz"):
        assert_everything_passes(port)


def assert_everything_passes(port: int) -> None:
    """A probe, a large body, a stream of events, a link with the prefix, and the request id of the proxy."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}{PREFIX}") as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        assert len(json.dumps(LARGE)) > 1 << 20
        answer = client.post("/v1/attention", json=LARGE)
        assert answer.status_code == 200, answer.text
        assert re.fullmatch(r"[0-9a-f-]{32,36}", answer.headers["X-Request-ID"])
        assert client.get("/").json()["links"]["playground"] == f"{PREFIX}/playground"
        small = {"query": [[1.0]], "key": [[1.0]]}
        with client.stream("POST", "/v1/attention", json=small, headers={"Accept": "text/event-stream"}) as stream:
            assert "event: result" in list(stream.iter_lines())


def test_envoy_is_told_what_the_others_are() -> None:
    """Names that refer to each other, the address of the service, its probe, and a time-out beyond its deadline."""
    [shown] = snippets_of(f"{PAGE}.md", "yaml envoy")
    resources = yaml.safe_load(shown)["static_resources"]
    [listener], [cluster] = resources["listeners"], resources["clusters"]
    [manager] = [one["typed_config"] for chain in listener["filter_chains"] for one in chain["filters"]]
    [route] = [route for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]]
    assert route["match"]["prefix"] == f"{PREFIX}/"
    assert route["route"]["cluster"] == cluster["name"] == cluster["load_assignment"]["cluster_name"]
    assert float(route["route"]["timeout"].rstrip("s")) > Settings.model_fields["deadline_seconds"].default
    [[endpoint]] = [one["lb_endpoints"] for one in cluster["load_assignment"]["endpoints"]]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8000}
    assert [check["http_health_check"] for check in cluster["health_checks"]] == [{"path": "/readyz"}]
    assert listener["address"]["socket_address"]["port_value"] == 8080


def test_both_languages_show_the_same_configurations() -> None:
    kinds = ("nginx configuration", "haproxy configuration", "yaml envoy")
    for one, other in itertools.pairwise(snippets_of(f"{PAGE}{suffix}", *kinds) for suffix in SUFFIXES.values()):
        assert one == other
