"""`X-Forwarded-Prefix` of a trusted proxy takes part like the prefix that is set; of other clients it is ignored."""

import socket

import httpx
import pytest

from service.middleware.forwarded import MAX_PREFIX_LENGTH, TrustedProxies
from tests.server import running_server

SET = "/set"
PREFIX = "/team-a/attention"
REQUEST = {"query": [[1]], "key": [[1]], "value": [[2]]}
KEY = "key-1"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """A server with a prefix of its own, keys, and a trusted proxy on this machine."""
    settings = {"TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1", "ROOT_PATH": SET, "API_KEYS": KEY}
    with running_server(tmp_path_factory.mktemp("trusting"), **settings) as running:
        yield running


@pytest.fixture
def proxy(trusting):
    """A client that stands for the proxy."""
    headers = {"X-Forwarded-Prefix": PREFIX, "X-API-Key": KEY}
    with httpx.Client(base_url=trusting.url, headers=headers) as client:
        yield client


@pytest.mark.parametrize("passed_on", ["", PREFIX])
def test_everything_carries_the_prefix_whether_the_proxy_strips_it_or_not(proxy, passed_on):
    front = proxy.get(f"{passed_on}/", headers={"Accept": "text/html"})
    assert (front.status_code, front.headers["location"]) == (307, f"{PREFIX}/playground")
    links = proxy.get(f"{passed_on}/", headers={"Accept": "application/json"}).json()["links"]
    assert all(link.startswith(f"{PREFIX}/") for link in links.values())
    assert proxy.get(f"{passed_on}/openapi.json").json()["servers"] == [{"url": PREFIX}]
    assert proxy.post(f"{passed_on}/v1/attention", json=REQUEST).json()["output"] == [[2]]
    assert proxy.post(f"{passed_on}/v1/attention", json={}).json()["type"].startswith(f"{PREFIX}/problems/")
    for page in ("/docs", "/playground", "/static/docs.js", "/problems/internal", "/livez"):
        assert proxy.get(passed_on + page).status_code == 200, page


@pytest.mark.parametrize("passed_on", ["", PREFIX])
def test_the_prefix_opens_nothing(proxy, passed_on):
    refused = proxy.post(f"{passed_on}/v1/attention", json=REQUEST, headers={"X-API-Key": "wrong"})
    assert refused.status_code == 401
    assert refused.json()["type"] == f"{PREFIX}/problems/unauthorized"


def test_each_request_has_its_own(proxy):
    """Also of the document, which is made once for each prefix; without the header the setting counts."""
    for prefix, expected in (("/a", "/a"), ("/b/c", "/b/c"), ("/a", "/a"), ("/a/", "/a"), ("/", ""), ("", "")):
        sent = {"X-Forwarded-Prefix": prefix}
        assert proxy.get("/openapi.json", headers=sent).json()["servers"] == [{"url": expected or "/"}]
        assert proxy.get("/nothing", headers=sent).json()["type"] == f"{expected}/problems/not-found"
    del proxy.headers["X-Forwarded-Prefix"]
    assert proxy.get("/openapi.json").json()["servers"] == [{"url": SET}]
    assert proxy.get("/nothing").json()["type"] == f"{SET}/problems/not-found"


WRONG = [
    "attention",
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "/a//b",
    "/a/../b",
    "/.",
    "/a b",
    "/a?b",
    "/a#b",
    "/a%2fb",
    "/a,/b",
    '/"><script>',
    "/" + "a" * MAX_PREFIX_LENGTH,
]
"""What would lead elsewhere, be read differently by different programs, or is no path."""


@pytest.mark.parametrize("prefix", WRONG)
def test_what_is_no_prefix_is_refused(proxy, prefix):
    """And ends up in no link: those of the answer carry the prefix that is set."""
    answer = proxy.get("/", headers={"X-Forwarded-Prefix": prefix, "Accept": "text/html"})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"] == f"{SET}/problems/malformed-body"
    assert problem["instance"] == answer.headers["x-request-id"]
    assert "expected one path such as /attention in X-Forwarded-Prefix" in problem["detail"]


def test_two_prefixes_are_refused(trusting):
    headers = [("X-Forwarded-Prefix", "/a"), ("X-Forwarded-Prefix", "/b")]
    assert httpx.get(f"{trusting.url}/livez", headers=headers).status_code == 400


def test_the_prefix_of_another_client_is_ignored(server):
    for prefix in (PREFIX, *WRONG):
        answer = httpx.get(f"{server.url}/", headers={"X-Forwarded-Prefix": prefix, "Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (307, "/playground")
    assert httpx.get(f"{server.url}{PREFIX}/livez", headers={"X-Forwarded-Prefix": PREFIX}).status_code == 404


@pytest.mark.parametrize(("prefix", "expected"), [(PREFIX, PREFIX), ("//evil.example", SET)])
def test_an_answer_of_the_protocol_carries_it_too(trusting, prefix, expected):
    with socket.create_connection(("127.0.0.1", trusting.port), timeout=5) as connection:
        fields = "".join(f"F{i}: x\r\n" for i in range(120))
        connection.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: {prefix}\r\n{fields}\r\n".encode())
        answer = connection.makefile("rb").read().decode()
    assert f'"type":"{expected}/problems/too-large"' in answer


@pytest.mark.parametrize(
    ("entries", "host", "trusted"),
    [
        (["10.0.0.0/8"], "10.200.3.4", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["::1"], "::1", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["0.0.0.0/0"], "::1", False),
        (["0.0.0.0/0"], None, False),
        (["0.0.0.0/0", "::/0"], "", False),
        (["unix:"], None, True),
        (["unix:"], "127.0.0.1", False),
        (["127.0.0.1"], "testclient", False),
    ],
)
def test_a_peer_is_trusted_by_its_address_and_that_of_a_unix_socket_by_name(entries, host, trusted):
    assert TrustedProxies(entries).trusts(host) is trusted
