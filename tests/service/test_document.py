"""The OpenAPI document is sent once: a client that has it is told so (RFC 9110, sections 8.8.3 and 13.1.2)."""

import httpx
import pytest


@pytest.fixture
def connected(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def get(client, method="GET", **headers):
    return client.request(method, "/openapi.json", headers={"Accept-Encoding": "identity"} | headers)


def test_each_representation_has_a_strong_tag_of_its_own(connected):
    tags = {}
    for coding in ("identity", "gzip", "br", "zstd"):
        answers = [get(connected, **{"Accept-Encoding": coding}) for _ in range(2)]
        assert answers[0].headers.get("content-encoding", "identity") == coding
        [tags[coding]] = {answer.headers["etag"] for answer in answers}
        assert answers[0].headers["vary"] == "Accept-Encoding"
        assert answers[0].headers["cache-control"] == "no-cache"
    assert len({*tags.values()}) == len(tags)
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags.values())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a,b" ,W/{}, "c"', "*"])
def test_a_client_that_has_it_is_told_so(connected, method, form):
    whole = get(connected)
    tag = whole.headers["etag"]
    answer = get(connected, method, **{"If-None-Match": form.format(tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    for name in ("etag", "vary", "cache-control"):
        assert answer.headers[name] == whole.headers[name]
    assert "content-type" not in answer.headers
    assert answer.headers["x-request-id"]


def test_tags_on_several_lines_are_one_list(connected):
    headers = [("Accept-Encoding", "identity"), ("If-None-Match", '"other"')]
    headers.append(("If-None-Match", get(connected).headers["etag"]))
    assert connected.get("/openapi.json", headers=headers).status_code == 304


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ['"other"', "{}x", "", "{bare}", "W/*"])
def test_a_client_that_has_another_is_sent_this(connected, method, form):
    whole = get(connected)
    tag = whole.headers["etag"]
    sent = form.format(tag.replace('"', '"x'), bare=tag.strip('"'))
    answer = get(connected, method, **{"If-None-Match": sent})
    assert answer.status_code == 200
    assert answer.headers["etag"] == tag
    assert answer.content == (whole.content if method == "GET" else b"")
    assert answer.headers["content-length"] == str(len(whole.content))


def test_the_tag_of_one_coding_is_none_of_another(connected):
    tag = get(connected).headers["etag"]
    assert get(connected, **{"Accept-Encoding": "gzip", "If-None-Match": tag}).status_code == 200
