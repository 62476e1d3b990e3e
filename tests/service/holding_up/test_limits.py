"""What no body and no header gets past, at the default limits, over a socket."""

import asyncio
import gzip
import json
import math
import struct
import zlib
from io import BytesIO

import brotli
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from service.codecs.compression import zstd
from service.settings import Settings
from service.specification import ENDPOINTS
from tests.operations import Limit
from tests.processes import peak_mib, resident_mib
from tests.sampling import draws

LIMITS = {name: Settings.model_fields[name].default for name in ("max_body_bytes", "max_json_bytes", "max_json_depth")}

JSON_BODY = b'{"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}'

INFER = "/v2/models/scaled_dot_product/infer"

HEADER = "Inference-Header-Content-Length"


def problem(response, status, slug):
    assert response.status_code == status, response.text[:500]
    assert response.json()["type"] == f"/problems/{slug}"
    assert response.headers["x-request-id"] == response.json()["instance"]
    return response.json()["detail"]


def inference(**parameters):
    """The JSON of an inference over two raw float32 vectors, and those."""
    tensor = {"shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16, **parameters}}
    head = json.dumps({"inputs": [{"name": "query", **tensor}, {"name": "key", **tensor}]}).encode()
    return head, np.arange(8, dtype="<f4").tobytes()


async def chunked(body, size):
    for start in range(0, len(body), size):
        yield body[start : start + size]


def padded_json(size):
    return JSON_BODY + b" " * (size - len(JSON_BODY))


@pytest.mark.parametrize("way", ["json", "chunked", "gzip", "binary"])
async def test_the_limit_of_a_body_is_exact(client, way):
    """At the limit 200, one byte over 413: as JSON, chunked, gzip and raw tensors."""
    limit = LIMITS["max_body_bytes" if way == "binary" else "max_json_bytes"]

    async def send(size):
        if way == "json":
            return await client.post("/v1/attention", content=padded_json(size))
        if way == "chunked":
            return await client.post("/v1/attention", content=chunked(padded_json(size), 1 << 20))
        if way == "gzip":
            # Noise, so that the ratio is no reason to refuse it: names of keys are free text.
            noise = np.random.default_rng(1).integers(97, 123, size, dtype=np.uint8).tobytes()
            head = b'{"query": [[1.0]], "key": [[1.0]], "include": ["weights"], "labels": {"key": ["'
            content = head + noise[: size - len(head) - 4] + b'"]}}'
            assert len(content) == size
            packed = zlib.compressobj(1, wbits=31)
            content = packed.compress(content) + packed.flush()
            return await client.post("/v1/attention", content=content, headers={"Content-Encoding": "gzip"})
        rows = 200_000
        numbers = rows * 64 * 4
        tensor = {"datatype": "FP32"}
        inputs = [
            {"name": "query", "shape": [rows, 64], **tensor, "parameters": {"binary_data_size": numbers}},
            {"name": "key", "shape": [1, 64], **tensor, "parameters": {"binary_data_size": 256}},
        ]
        head = json.dumps({"inputs": inputs, "outputs": [{"name": "logsumexp"}]}).encode()
        head += b" " * (size - numbers - 256 - len(head))
        return await client.post(INFER, content=head + bytes(numbers + 256), headers={HEADER: str(len(head))})

    # This test is not about waiting for memory.
    assert (await send(limit)).status_code == 200
    problem(await send(limit + 1), 413, "too-large")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_bomb_is_refused_before_it_goes_off(server, client, report_figure, encoding):
    """256 MiB of zeros: 413, and the process grows by less than 32 MiB."""
    packers = {"gzip": zlib.compressobj(9, wbits=31), "br": None, "zstd": None}
    zeros = bytes(1 << 28)
    if encoding == "gzip":
        bomb = packers["gzip"].compress(zeros) + packers["gzip"].flush()
    else:
        bomb = brotli.compress(zeros, quality=5) if encoding == "br" else zstd.compress(zeros)
    headers = {"Content-Encoding": encoding}
    small = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}[encoding](JSON_BODY)
    assert (await client.post("/v1/attention", content=small, headers=headers)).status_code == 200
    before = resident_mib(server.process.pid)
    problem(await client.post("/v1/attention", content=bomb, headers=headers), 413, "too-large")
    growth = resident_mib(server.process.pid) - before
    report_figure(f"a bomb of {len(bomb)} bytes in {encoding}: memory grew by {growth:.1f} MiB")
    assert growth < Limit.BOMB_GROWTH.number


async def test_a_body_in_very_many_chunks_is_read(server, report_figure):
    """65 537 chunks of one byte: read whole, and the process grows by less than 32 MiB."""
    body = padded_json(65_537)
    wire = BytesIO()
    wire.write(b"POST /v1/attention HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.writelines(b"1\r\n%c\r\n" % byte for byte in body)
    wire.write(b"0\r\n\r\n")
    before = resident_mib(server.process.pid)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(wire.getvalue())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    writer.close()
    await writer.wait_closed()
    growth = resident_mib(server.process.pid) - before
    report_figure(f"65 537 chunks of a byte: {head.split()[1].decode()}, memory grew by {growth:.1f} MiB")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert growth < Limit.BOMB_GROWTH.number


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999", "+5", "1e3", "", "0", "9" * 30])
async def test_a_wrong_length_of_the_head_is_a_400(client, length):
    """And the service lives on."""
    head, raw = inference()
    problem(await client.post(INFER, content=head + raw, headers={HEADER: length}), 400, "malformed-body")
    assert (await client.get("/v2/health/live")).status_code == 200
    right = await client.post(INFER, content=head + raw, headers={HEADER: str(len(head))})
    assert right.status_code == 200


async def test_a_head_longer_than_the_body_is_a_400(client):
    """By one byte."""
    head, raw = inference()
    longer = str(len(head) + len(raw) + 1)
    problem(await client.post(INFER, content=head + raw, headers={HEADER: longer}), 400, "malformed-body")


@pytest.mark.parametrize(
    "shape",
    [[-1, 4], [1, -4], [2**63, 4], [2**62, 4], [2**32, 2**32], [2**31, 2**31, 2**31], [0, 4], [4], [1.5, 4], ["1", 4]],
)
async def test_a_shape_that_its_bytes_do_not_fill_is_a_400(client, shape):
    """Overflowing, negative, zero-size shapes, with 16 bytes to fill them."""
    tensor = {"datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": 16}}
    key = {**tensor, "shape": [1, 4]}
    head = json.dumps({"inputs": [{"name": "query", **tensor}, {"name": "key", **key}]}).encode()
    response = await client.post(INFER, content=head + bytes(32), headers={HEADER: str(len(head))})
    assert response.status_code in (400, 422), response.text
    assert response.json()["error"]


@pytest.mark.parametrize("shape", [(0, 4), (1, 0)])
async def test_nothing_at_all_is_attended_or_refused_but_never_a_500(client, shape):
    """Tensors of no size, filled by no bytes."""
    tensor = {"datatype": "FP32", "shape": list(shape), "parameters": {"binary_data_size": 0}}
    head = json.dumps({"inputs": [{"name": "query", **tensor}, {"name": "key", **tensor}]}).encode()
    response = await client.post(INFER, content=head, headers={HEADER: str(len(head))})
    assert response.status_code in (200, 400, 422), response.text


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b"[[", b"]]"), (b"[", b"")])
@pytest.mark.parametrize("path", ["/v1/attention", INFER])
async def test_json_very_deep_is_a_400(client, path, opening, closing):
    """250 000 levels."""
    response = await client.post(path, content=opening * 250_000 + closing * 250_000)
    problem(response, 400, "malformed-body")
    assert (await client.get("/livez")).status_code == 200


COSTLY = {
    "strings": (b'{"query": [', b'"1"', b"]}", 413, "too-large"),
    "ragged": (b'{"query": [', b"[1,[1]]", b"]}", 413, "too-large"),
    "a comma too many": (b'{"key": [[1, 2]], "query": [', b"[1,2,3,4,5,6,7,8]", b"],}", 400, "malformed-body"),
}


@pytest.mark.alone
@pytest.mark.parametrize("kind", COSTLY)
async def test_many_values_that_are_no_tensor_are_refused_before_they_cost(server, client, report_figure, kind):
    """31 MiB of JSON that would be thirty times as large as Python objects is refused, with less than 256 MiB."""
    head, value, tail, status, slug = COSTLY[kind]
    body = head + b",".join([value] * ((31 << 20) // (len(value) + 1))) + tail
    before = peak_mib(server.process.pid)
    problem(await client.post("/v1/attention", content=body), status, slug)
    growth = peak_mib(server.process.pid) - before
    report_figure(f"31 MiB of JSON, {kind}: the peak of memory rose by {growth:.0f} MiB")
    assert growth < Limit.COSTLY_JSON_GROWTH.number


SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]


async def test_special_numbers_are_bit_exact_in_binary_and_strict_in_json(client):
    """The present values come back bit for bit; in JSON a reader that takes no NaN reads them."""
    numbers = np.array([SPECIAL], "<f8")
    numbers.view("<u8")[0, 0] = 0x7FF8DEADBEEF0001  # a NaN with a payload
    inputs = [("query", np.ones((1, 1), "<f8")), ("key", np.ones((1, 1), "<f8")), ("value", numbers)]
    tensors = [
        {"name": name, "shape": list(a.shape), "datatype": "FP64", "parameters": {"binary_data_size": a.nbytes}}
        for name, a in inputs
    ]
    past = [("past_key", np.ones((1, 1), "<f8")), ("past_value", numbers)]
    tensors += [
        {"name": name, "shape": list(a.shape), "datatype": "FP64", "parameters": {"binary_data_size": a.nbytes}}
        for name, a in past
    ]
    outputs = [{"name": "present_value", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": tensors, "outputs": outputs}).encode()
    raw = b"".join(array.tobytes() for _, array in [*inputs, *past])
    response = await client.post(INFER, content=head + raw, headers={HEADER: str(len(head))})
    assert response.status_code == 200, response.text
    content = response.content[int(response.headers[HEADER]) :]
    assert content == numbers.tobytes() * 2
    plain = json.dumps({"inputs": tensors, "outputs": [{"name": "present_value"}]}).encode()
    response = await client.post(INFER, content=plain + raw, headers={HEADER: str(len(plain))})
    (output,) = json.loads(response.text, parse_constant=lambda name: pytest.fail(f"bare {name}"))["outputs"]
    assert output["data"][:3] == ["NaN", "Infinity", "-Infinity"]
    assert [struct.pack("<d", number) for number in output["data"][3:6]] == [
        struct.pack("<d", number) for number in SPECIAL[3:]
    ]


ROUTES = [
    *(("POST", endpoint.path) for endpoint in ENDPOINTS),
    ("POST", INFER),
    ("POST", "/v2/models/additive/versions/1/infer"),
    ("POST", "/v2/repository/index"),
    ("GET", "/v1/examples/%00"),
    ("PUT", "/v1/attention"),
    ("POST", "/nowhere"),
]

HEADERS = st.fixed_dictionaries(
    {},
    optional={
        HEADER: st.one_of(st.integers(-1, 300).map(str), st.text("0123456789abc-", max_size=6)),
        "Content-Type": st.sampled_from(["application/json", "application/vnd.safetensors", "text/plain", "a/b;q"]),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "gzip, br", "x"]),
        "Accept": st.sampled_from(["*/*", "text/event-stream", "image/svg+xml", "application/vnd.safetensors", ";q=2"]),
        "Request-Timeout": st.sampled_from(["1", "nan", "-1", "1e9", "x"]),
        "Traceparent": st.text("0123456789abcdef-", max_size=60),
    },
)

FRAGMENTS = [
    *(b'{"query": ', b'{"inputs": [', b'"key": ', b'"value": ', b"[[1, 2], [3, 4]]", b"[[1e999]]", b"null", b"NaN"),
    *(b'"score_model": ', b'"additive"', b'"mask": {"causal": true}', b",", b"}", b"]", b"\x00", b"\xff\xfe", b"-0"),
    *(b'"include": ["present"]', b'"partials": [{"output": [[1]], "logsumexp": [0]}]', b'"request": {}', b"[" * 70),
    *(b'"\\ud800"', b"1" * 400),
]

BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(lambda parts: gzip.compress(b"".join(parts))),
)


@pytest.mark.draws
def test_no_bytes_to_any_route_are_a_500(server, report_figure):
    """Any bytes at all, with any headers: never a 500, always a request id."""
    statuses = {}

    with httpx.Client(base_url=server.url, timeout=30) as asking:

        @given_settings(max_examples=draws(300))
        @given(st.sampled_from(ROUTES), HEADERS, BODIES)
        def ask(route, headers, body):
            response = asking.request(*route, content=body, headers=headers)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            assert response.status_code < 500 or response.status_code == 504, response.text
            assert response.headers["x-request-id"]
            if response.status_code >= 400:
                assert response.json()["instance"] == response.headers["x-request-id"]

        ask()
        assert asking.get("/livez").status_code == 200
    report_figure(f"any bytes to any route: {dict(sorted(statuses.items()))}")
