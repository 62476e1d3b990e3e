"""gzip and deflate both ways, on inference alone."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server import Server, running_server
from tests.service.open_inference.asking import INFER, PLAIN, RAW, assert_problem
from tests.service.open_inference.inference import HEADER, Tensor, body_of, float32, frame, outputs_of

COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress}
DECOMPRESS = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.mark.parametrize("encoding", COMPRESS)
async def test_the_only_encoding_that_a_client_names_is_used(server: Server, encoding: str) -> None:
    """And its header tells the length of the JSON before compression."""
    content, headers = frame(RAW | {"parameters": {"binary_data_output": True}}, float32(3, 4))
    headers |= {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    with httpx.stream("POST", server.url + INFER, content=COMPRESS[encoding](content), headers=headers) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == encoding
    assert "Accept-Encoding" in response.headers["vary"]
    plain = DECOMPRESS[encoding](raw)
    assert plain[int(response.headers[HEADER]) :][8:] == float32(3, 4)


ACCEPTED = {"gzip, deflate, br, zstd": "gzip", "deflate, gzip;q=0.5": "deflate", "gzip;q=0": None, "br": None,
            "identity, gzip;q=0.5": None, "*": None, "": None}  # fmt: skip


@pytest.mark.parametrize("accepted", ACCEPTED)
async def test_other_answers_are_compressed_where_it_pays(client: httpx.AsyncClient, accepted: str) -> None:
    many = [
        Tensor(name, "FP32", np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32))
        for name in ("query", "key")
    ]
    for binary, pays in ((True, False), (False, True)):
        content, headers = body_of(many, {"query", "key"}, parameters={"binary_data_output": binary})
        response = await client.post(INFER, content=content, headers=headers | {"Accept-Encoding": accepted})
        assert response.headers.get("content-encoding") == (ACCEPTED[accepted] if pays else None)
        assert outputs_of(response)["scores"].shape == (64, 64)
        small = await client.post(INFER, json=PLAIN, headers={"Accept-Encoding": "gzip, deflate"})
        assert "content-encoding" not in small.headers


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda compressed: compressed[:-1],
    "nothing": lambda compressed: b"",
    "not compressed": lambda compressed: b'{"inputs": []}',
    "with more behind it": lambda compressed: compressed + b"more",
    "damaged": lambda compressed: compressed[:-6] + b"\0\0" + compressed[-4:],
}


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("case", BROKEN)
async def test_broken_compression_is_a_400(
    client: httpx.AsyncClient, ask: Callable[..., Any], case: str, encoding: str
) -> None:
    compressed = BROKEN[case](COMPRESS[encoding](json.dumps(PLAIN).encode()))
    await assert_problem(client, await ask(compressed, Content_Encoding=encoding), 400, encoding)


@pytest.mark.parametrize("encoding", COMPRESS)
async def test_a_bomb_is_a_413(client: httpx.AsyncClient, ask: Callable[..., Any], encoding: str) -> None:
    bomb = COMPRESS[encoding](b" " * (200 << 20))
    await assert_problem(client, await ask(bomb, Content_Encoding=encoding), 413, "100 times")


async def test_zeros_are_no_bomb(ask: Callable[..., Any]) -> None:
    tensors = [Tensor(name, "FP32", np.zeros((64, 64), np.float32)) for name in ("query", "key")]
    content, headers = body_of(tensors, {"query", "key"})
    compressed = gzip.compress(content)
    assert len(content) > 100 * len(compressed)
    assert not outputs_of(await ask(compressed, **headers, Content_Encoding="gzip"))["scores"].any()


@pytest.mark.soak
async def test_the_body_limit_holds_after_decompression_too(tmp_path: Path) -> None:
    body = json.dumps(PLAIN).encode()
    noise = np.random.default_rng(2).integers(0, 4, 40_000, np.uint8).tobytes().translate(bytes(range(32, 48)) * 16)
    limits = {"MAX_BODY_BYTES": "40000", "MAX_JSON_BYTES": "20000", "MAX_DECOMPRESSION_RATIO": "3"}
    with running_server(tmp_path, **limits) as small:
        async with httpx.AsyncClient(base_url=small.url) as client:
            for content, status in ((body, 200), (body + b" " * 20_000, 413), (noise + b" ", 413)):
                response = await client.post(
                    INFER, content=gzip.compress(content), headers={"Content-Encoding": "gzip"}
                )
                assert response.status_code == status, response.text
            # The rest of a body over the limit may close its connection, if all of it comes after the answer.
            async with httpx.AsyncClient(base_url=small.url) as other:
                plain = await other.post(INFER, content=noise + b" ")
            await assert_problem(client, plain, 413, "at most 40000 bytes")
            tensors = [Tensor("query", "FP32", np.ones((1, 1))), Tensor("key", "FP32", np.ones((7500, 1)))]
            content, headers = body_of(tensors, {"key"}, outputs=[{"name": "weights"}])
            assert (await client.post(INFER, content=content, headers=headers)).status_code == 200
            nested, _ = body_of(tensors, set())
            await assert_problem(client, await client.post(INFER, content=nested), 413, "at most 20000 bytes of JSON")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "snappy"])
async def test_another_encoding_is_a_415(client: httpx.AsyncClient, ask: Callable[..., Any], encoding: str) -> None:
    await assert_problem(client, await ask(PLAIN, Content_Encoding=encoding), 415, "gzip or deflate")
