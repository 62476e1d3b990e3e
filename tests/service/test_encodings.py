"""Bodies compressed both ways, on every computing endpoint of /v1."""

import gzip
import json
import socket
import subprocess
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import brotli
import httpx
import numpy as np
import pytest
import zstandard

from service.codecs.negotiate import ENCODINGS
from tests.server import Server, running_server
from tests.service.wrong_questions import QUESTIONS
from tests.service.wrong_requests import BASE

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda content: brotli.compress(content, quality=5),
    "zstd": zstandard.ZstdCompressor(19).compress,
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda frame: zstandard.ZstdDecompressor().decompressobj().decompress(frame),
}

GENERATOR = np.random.default_rng(1)
LONG = {"query": GENERATOR.normal(size=(40, 4)).tolist(), "key": GENERATOR.normal(size=(50, 4)).tolist()}


def raw(server: Server, content: bytes, path: str = "/v1/attention", **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it came."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.stream("POST", server.url + path, content=content, headers=sent) as response:
        return response, b"".join(response.iter_raw())


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_compressed_request_is_read_everywhere(client: httpx.AsyncClient, encoding: str) -> None:
    for question in QUESTIONS.values():
        body = json.dumps(question.asked(BASE)).encode()
        plain = await client.post(question.path, content=body)
        compressed = await client.post(
            question.path, content=COMPRESS[encoding](body), headers={"Content-Encoding": encoding}
        )
        assert plain.status_code == compressed.status_code == 200, compressed.text
        assert compressed.json() == plain.json()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_long_answer_is_compressed_when_asked(server: Server, encoding: str) -> None:
    body = json.dumps(LONG).encode()
    plain, whole = raw(server, body, Accept_Encoding="identity")
    response, content = raw(server, body, Accept_Encoding=encoding)
    assert response.headers["content-encoding"] == encoding
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["content-length"]) == len(content) < 0.75 * len(whole)
    assert DECOMPRESS[encoding](content) == whole
    for one in (plain, response):
        assert one.headers["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in plain.headers


def test_a_short_answer_is_not_compressed_unless_nothing_else_will_do(server: Server) -> None:
    body = json.dumps(BASE).encode()
    response, content = raw(server, body, Accept_Encoding="gzip, br, zstd")
    assert "content-encoding" not in response.headers
    insisted, compressed = raw(server, body, Accept_Encoding="br, identity;q=0")
    assert insisted.headers["content-encoding"] == "br"
    assert brotli.decompress(compressed) == content


def test_a_picture_is_compressed_too(server: Server) -> None:
    response, content = raw(server, json.dumps(BASE).encode(), Accept="image/svg+xml", Accept_Encoding="zstd")
    assert response.headers["content-encoding"] == "zstd"
    assert DECOMPRESS["zstd"](content).endswith(b"</svg>\n")


def test_the_specification_is_compressed(server: Server) -> None:
    with httpx.stream("GET", f"{server.url}/openapi.json", headers={"Accept-Encoding": "br"}) as response:
        content = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "br"
    assert json.loads(brotli.decompress(content)) == httpx.get(f"{server.url}/openapi.json").json()


def test_without_the_header_nothing_is_compressed(server: Server) -> None:
    request = "POST /v1/attention HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"
    body = json.dumps(LONG).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request.format(len(body)).encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"content-encoding" not in head
    assert len(json.loads(content)["weights"]) == 40


def test_nothing_acceptable_is_a_406(server: Server) -> None:
    response, content = raw(server, json.dumps(BASE).encode(), Accept_Encoding="snappy, *;q=0")
    assert response.status_code == 406
    assert "Accept-Encoding" in json.loads(content)["detail"]


async def test_a_415_says_what_is_read(client: httpx.AsyncClient) -> None:
    """And tells a wrong encoding from a wrong type (RFC 7694)."""
    for encoding in ("compress", "gzip, br"):
        response = await client.post("/v1/attention", json=BASE, headers={"Content-Encoding": encoding})
        assert (response.status_code, "accept" in response.headers) == (415, False)
        assert response.headers["accept-encoding"] == "zstd, br, gzip, deflate"
    response = await client.post("/v1/attention", content=b"a,b", headers={"Content-Type": "text/csv"})
    assert (response.status_code, "accept-encoding" in response.headers) == (415, False)
    assert "application/json" in response.headers["accept"]
    response = await client.post(
        "/v2/models/dot_product/infer", json={"inputs": []}, headers={"Content-Encoding": "br"}
    )
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip, deflate")


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda compressed: compressed[:-1],
    "nothing": lambda compressed: b"",
    "not compressed": lambda compressed: b'{"query": []}',
    "with more behind it": lambda compressed: compressed + b"more",
    "damaged": lambda compressed: bytes([compressed[0] ^ 0x5A]) + compressed[1:],
}


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_broken_compression_is_a_400(client: httpx.AsyncClient, encoding: str) -> None:
    for case, broken in BROKEN.items():
        content = broken(COMPRESS[encoding](json.dumps(BASE).encode()))
        response = await client.post("/v1/attention", content=content, headers={"Content-Encoding": encoding})
        assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-body"), (case, response)
        assert encoding in response.json()["detail"]


def resident(process: subprocess.Popen[bytes], field: str) -> int:
    """Memory of a process in bytes: VmRSS now, VmHWM the most that it ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(f"{field}:"))


def test_a_bomb_of_any_kind_is_a_413_and_takes_less_than_32_mib(
    tmp_path: Path, report_figure: Callable[[str], None]
) -> None:
    blank = b" " * (100 << 20)
    bombs = {
        "gzip": gzip.compress(blank, 1),
        "deflate": zlib.compress(blank, 1),
        "br": brotli.compress(blank, quality=1),
        "zstd": zstandard.ZstdCompressor(1).compress(blank),
    }
    with running_server(tmp_path) as server:
        for encoding in ENCODINGS:  # what a first request needs is no growth
            raw(server, COMPRESS[encoding](json.dumps(LONG).encode()), Content_Encoding=encoding)
        for encoding, bomb in bombs.items():
            before = resident(server.process, "VmRSS")
            response, content = raw(server, bomb, Content_Encoding=encoding)
            assert response.status_code == 413, content
            assert b"100 times" in content
            grown = resident(server.process, "VmHWM") - before
            report_figure(f"{encoding} bomb of {len(bomb)} bytes: memory grew by {grown / 2**20:.1f} MiB")
            assert grown < 32 << 20


@pytest.mark.soak
async def test_the_json_limit_holds_after_decompression(tmp_path: Path) -> None:
    body = json.dumps(LONG).encode()
    with running_server(tmp_path, MAX_JSON_BYTES=str(len(body))) as small:
        async with httpx.AsyncClient(base_url=small.url) as client:
            for encoding, (content, status) in product(ENCODINGS, ((body, 200), (body + b" ", 413))):
                response = await client.post(
                    "/v1/attention", content=COMPRESS[encoding](content), headers={"Content-Encoding": encoding}
                )
                assert response.status_code == status, response.text
                assert status == 200 or f"at most {len(body)} bytes after decompression" in response.json()["detail"]
