"""Prefixes, masks of keys, positions and scaled rotary on a real server, in every form, against the oracle."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from attention_client import AsyncAttentionClient
from tests import oracle
from tests.compare import assert_close
from tests.server import Server
from tests.service.command_line.command import run
from tests.service.open_inference.inference import Tensor, frame
from tests.service.safetensors.stored import BOTH, saved, whole

RNG = np.random.default_rng(11)
YARN = {"kind": "yarn", "factor": 4, "original_max_position_embeddings": 300}
REQUEST: dict[str, Any] = {
    "query": RNG.standard_normal((2, 4, 3, 4)).round(3).tolist(),
    "key": RNG.standard_normal((2, 2, 3, 4)).round(3).tolist(),
    "value": RNG.standard_normal((2, 2, 3, 2)).round(3).tolist(),
    "past_key": RNG.standard_normal((2, 2, 2, 4)).round(3).tolist(),
    "past_value": RNG.standard_normal((2, 2, 2, 2)).round(3).tolist(),
    "mask": {
        "causal": True,
        "prefix_lengths": [0, 2],
        "key_allowed": [[True, True, False, True, True], [True, True, True, True, False]],
    },
    "positions": {"query": [[2, 3, 4], [1, 5, 6]], "key": [[0, 1, 2, 3, 4], [9, 8, 2, 3, 4]]},
    "position": {"name": "rotary", "base": 50, "dims": 4, "interleaved": True, "scaling": YARN},
    "include": ["scores", "weights", "output"],
}
EXPECTED = oracle.attention(REQUEST)
FIELDS = ("scores", "weights", "output")


async def test_json(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/attention", json=REQUEST)
    assert response.status_code == 200, response.text
    for name in FIELDS:
        assert_close(response.json()[name], EXPECTED[name], 1e-13)


async def test_safetensors(client: httpx.AsyncClient) -> None:
    tensors = {name: np.array(REQUEST[name]) for name in ("query", "key", "value", "past_key", "past_value")}
    tensors |= {f"positions.{side}": np.array(numbers) for side, numbers in REQUEST["positions"].items()}
    tensors |= {f"mask.{name}": np.array(REQUEST["mask"][name]) for name in ("prefix_lengths", "key_allowed")}
    others = {"mask": {"causal": True}, "position": REQUEST["position"], "include": REQUEST["include"]}
    answer = whole(await client.post("/v1/attention", content=saved(tensors, others), headers=BOTH))
    for name in FIELDS:
        assert_close(answer[name].tolist(), EXPECTED[name], 1e-13)


@pytest.mark.parametrize("integers", ["INT64", "INT32"])
async def test_open_inference(client: httpx.AsyncClient, integers: str) -> None:
    vectors = ("query", "key", "value", "past_key", "past_value")
    tensors = [Tensor(name, "FP64", np.array(REQUEST[name])) for name in vectors]
    tensors += [
        Tensor(f"{side}_positions", integers, np.array(numbers)) for side, numbers in REQUEST["positions"].items()
    ]
    tensors.append(Tensor("prefix_lengths", integers, np.array(REQUEST["mask"]["prefix_lengths"])))
    tensors.append(Tensor("key_allowed", "BOOL", np.array(REQUEST["mask"]["key_allowed"])))
    binary = [tensor.as_binary() for tensor in tensors]
    document = {
        "inputs": [head for head, _ in binary],
        "parameters": {"causal": True, "options": json.dumps({"position": REQUEST["position"]})},
        "outputs": [{"name": name} for name in FIELDS],
    }
    content, headers = frame(document, *(raw for _, raw in binary))
    response = await client.post("/v2/models/scaled_dot_product/infer", content=content, headers=headers)
    assert response.status_code == 200, response.text
    for output in response.json()["outputs"]:
        assert_close(output["data"], np.ravel(EXPECTED[output["name"]]).tolist(), 1e-13)


async def test_the_client(server: Server) -> None:
    async with AsyncAttentionClient(server.url) as client:
        result = await client.attend(**{name: value for name, value in REQUEST.items() if name != "include"})
    for name in FIELDS:
        assert_close(getattr(result, name).tolist(), EXPECTED[name], 1e-13)


def test_the_command_line() -> None:
    ran = run("attend", "--json", "-", body=REQUEST)
    assert ran.returncode == 0, ran.stderr.decode()
    answer = json.loads(ran.stdout)
    for name in FIELDS:
        assert_close(answer[name], EXPECTED[name], 1e-13)


async def test_explanations_name_positions_and_masks(client: httpx.AsyncClient) -> None:
    async def explained(batch: int, query: int, key: int) -> dict[str, Any]:
        body = {"request": REQUEST, "index": [batch, 0], "query_index": query, "key_index": key}
        response = await client.post("/v1/attention/explain", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    assert (await explained(0, 2, 2))["masked_by"] == ["key_allowed"]
    assert (await explained(0, 0, 3))["masked_by"] == ["causal"]
    lifted = await explained(1, 0, 0)
    assert lifted["visible"]
    assert lifted["steps"][0]["formula"] == "rotary(q, 1), rotary(k, 9)"
    assert_close(lifted["weight"], EXPECTED["weights"][1][0][0][0], 1e-13)


async def test_variants_of_a_comparison_take_them(client: httpx.AsyncClient) -> None:
    variants = [
        {"label": "no prefix", "overrides": {"mask": {"prefix_lengths": None}}},
        {"label": "not scaled", "overrides": {"position": {"scaling": None}}},
    ]
    response = await client.post("/v1/attention/compare", json={"base": REQUEST, "variants": variants})
    assert response.status_code == 200, response.text
    for result, changed in zip(
        response.json()["results"][1:],
        ({"mask": REQUEST["mask"] | {"prefix_lengths": None}}, {"position": REQUEST["position"] | {"scaling": None}}),
        strict=True,
    ):
        assert_close(result["result"]["output"], oracle.attention(REQUEST | changed)["output"], 1e-13)


WRONG = [
    ({"positions": {"query": [0, 1]}}, "/positions/query"),
    ({"positions": {"key": [0, 1, 2]}}, "/positions/key"),
    ({"positions": {"key": [[0] * 5, [0, 1, 2.5, 3, 4]]}}, "/positions/key/1/2"),
    ({"positions": {"keys": [0] * 5}}, "/positions/keys"),
    ({"mask": {"offset": 1}}, "/mask/offset"),
    ({"mask": {"prefix_lengths": [1]}}, "/mask/prefix_lengths"),
    ({"mask": {"prefix_lengths": [1, 6]}}, "/mask/prefix_lengths/1"),
    ({"mask": {"prefix_lengths": [[1], [1]]}}, "/mask/prefix_lengths"),
    ({"mask": {"key_allowed": [True] * 3}}, "/mask/key_allowed"),
    ({"mask": {"key_allowed": [[True] * 5, [True, True, 1, True, True]]}}, "/mask/key_allowed/1/2"),
    ({"mask": {"key_allowed": True}}, "/mask/key_allowed"),
    ({"position": {"name": "rotary", "dims": 3}}, "/position/dims"),
    ({"position": {"name": "rotary", "dims": 6}}, "/position/dims"),
    ({"position": {"name": "rotary", "dims": 2.5}}, "/position/dims"),
    ({"position": {"name": "rotary", "scaling": {"factor": 2}}}, "/position/scaling/kind"),
    ({"position": {"name": "rotary", "scaling": {"kind": "yarn", "factor": 0.5}}}, "/position/scaling/factor"),
    ({"position": {"name": "rotary", "scaling": {"kind": "yarm", "factor": 2}}}, "/position/scaling/kind"),
    ({"position": {"name": "rotary", "scaling": {**YARN, "beta_fats": 3}}}, "/position/scaling/beta_fats"),
    ({"position": {"name": "rotary", "scaling": {**YARN, "kind": "linear"}}},
     "/position/scaling/original_max_position_embeddings"),
    ({"position": {"name": "rotary", "scaling": {**YARN, "beta_slow": 50}}}, "/position/scaling/beta_fast"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "pointer"), WRONG, ids=lambda part: json.dumps(part)[:60])
async def test_wrong_lengths_and_values_are_pointed_to(
    client: httpx.AsyncClient, changed: dict[str, Any], pointer: str
) -> None:
    response = await client.post("/v1/attention", json=REQUEST | changed)
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
