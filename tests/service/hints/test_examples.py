"""Names that were once answered with what means something else, each with what must be said and what must not."""

import json
from typing import Any

import httpx
import pytest

from tests.service.hints.sending import BASE

V1: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"causal": True}, ["mask.causal", '{"causal": true}', "bottom_right"], ["past_value"]),
    ({"scale": 1}, ["score_model.scale"], ["'value'"]),
    ({"valid_lens": [1]}, ["mask.key_lengths"], ["'value'"]),
    ({"query_lengths": [1]}, ["There is no mask of queries", "(B, 1, Lq, 1)"], ["key_lengths"]),
    ({"score_model": "concat"}, ["additive"], ["Did you mean"]),
    ({"normalizer": "softmax_one"}, ['"sink": 0'], ["Did you mean"]),
    ({"temperature": 2}, ["normalizer.temperature of softmax"], []),
    ({"key_lengths": [1]}, ["mask.key_lengths"], []),
    ({"slopes": 1}, ["position.slopes of alibi"], []),
    ({"mask": {"softcap": 1}}, ["softcap"], []),
    ({"mask": {"bias": [[0, 0]]}}, ["bias, not in mask"], []),
    ({"attn_mask": [[True, False]]}, ["mask.allowed", "nn.MultiheadAttention", "invert"], []),
    ({"key_padding_mask": [[True, False]]}, ["invert it into mask.key_allowed"], []),
    ({"attention_mask": [[1, 0]]}, ["true in mask.allowed", "bias"], []),
    ({"is_causal": True}, ['{"causal": true}'], []),
    ({"dropout_p": 0.0}, ["no dropout", "leave it out"], []),
    ({"enable_gqa": True}, ["rank 4", "heads", "Leave it out"], []),
    ({"softmax_scale": 1}, ["score_model.scale of scaled_dot_product", "multiplies"], ["softcap"]),
    ({"window_size": [-1, 0]}, ["mask.window.left", "mask.window.right", "-1", "null"], []),
    ({"logits_soft_cap": 30}, ["softcap"], []),
    ({"alibi_slopes": [1]}, ["position.slopes of alibi"], []),
    ({"num_heads": 8}, ["heads.query"], []),
    ({"num_kv_heads": 2}, ["heads.key_value"], []),
    ({"position_ids": [0]}, ["positions.query", "positions.key", "mask.offset"], []),
    ({"prefix_length": [2]}, ["mask.prefix_lengths", '"causal": true'], []),
    ({"rope_scaling": {}}, ["position.scaling of rotary", "rope_type"], []),
    ({"partial_rotary_factor": 0.5}, ["position.dims of rotary"], []),
    ({"return_lse": True}, ['"include": ["logsumexp"]', "base 2"], []),
    ({"need_weights": True}, ['"include": ["weights"]'], []),
    ({"average_attn_weights": True}, ["average"], []),
    ({"seqused_k": [1]}, ["mask.key_lengths"], []),
    ({"cu_seqlens_k": [0, 1]}, ["mask.query_segments", "mask.key_segments"], []),
    ({"mask": {"keyLengths": [1]}}, ["Did you mean 'key_lengths'?"], []),
    ({"mask": {"Key-Lengths": [1]}}, ["Did you mean 'key_lengths'?"], []),
    ({"score_model": "ScaledDotProduct"}, ["Did you mean 'scaled_dot_product'?"], []),
    ({"score_model": "scaled-dot-product"}, ["Did you mean 'scaled_dot_product'?"], []),
    ({"score_model": "softmax"}, ['"normalizer": "softmax"'], ["Did you mean"]),
    ({"normalizer": "additive"}, ['"score_model": "additive"'], ["Did you mean"]),
    ({"normalizer": "softmin"}, ["negate the scale"], ["Did you mean"]),
    ({"dtype": "fp16"}, ['"dtype": "float16"'], ["Did you mean"]),
    ({"dtype": "half"}, ["float16"], []),
    ({"dtype": "bf16"}, ['"dtype": "bfloat16"'], []),
    ({"dtype": "torch.float16"}, ["Did you mean 'float16'?"], []),
    ({"dtype": "torch.half"}, ['"dtype": "float16"'], []),
    ({"dtype": "float"}, ['"dtype": "float32"', '"dtype": "float64"'], []),
    ({"dtype": "float24"}, [], ["Did you mean"]),
    ({"include": "lse"}, ["brackets", '["logsumexp"]'], []),
    ({"include": ["lse"]}, ['["logsumexp"]'], []),
    ({"task": {}}, ["Known fields are"], ["Did you mean"]),
    ({"casual": True}, ["Did you mean 'causal'?", "mask.causal"], []),
    ({"score_model": {"name": "dot_product", "scale": 1}}, ["scaled_dot_product or cosine"], []),
]  # fmt: skip

PARAMETERS: list[tuple[str, list[str], list[str]]] = [
    ("softmax_scale", ["parameter scale", "scaled_dot_product"], ["softcap;", "'softcap'"]),
    ("num_kv_heads", ["the parameter key_value_heads"], ["'query_heads'"]),
    ("mask", ["the input allowed", "the input bias", "the parameter causal: true"], ["'sink'"]),
    ("window_size", ["window_left", "window_right", "null"], []),
    ("temprature", ["Did you mean 'temperature'?"], []),
    ("windowLeft", ["Did you mean 'window_left'?"], []),
    ("allowed", ["the input allowed"], []),
    ("smooth_softmax", ["the parameter sink: 0"], []),
    ("rope", ['"position": "rotary" in the parameter options'], []),
]


@pytest.mark.parametrize(("wrong", "said", "unsaid"), V1, ids=lambda part: json.dumps(part)[:40])
async def test_v1(client: httpx.AsyncClient, wrong: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    response = await client.post("/v1/attention", json=BASE | wrong)
    assert response.status_code == 422
    _assert_says(response.json()["detail"], said, unsaid)


@pytest.mark.parametrize(("name", "said", "unsaid"), PARAMETERS, ids=lambda part: str(part)[:30])
async def test_v2(client: httpx.AsyncClient, name: str, said: list[str], unsaid: list[str]) -> None:
    vector = {"shape": [1, 2], "datatype": "FP32", "data": [1, 0]}
    inputs = [{"name": "query", **vector}, {"name": "key", **vector}]
    body = {"inputs": inputs, "parameters": {name: 1}}
    response = await client.post("/v2/models/scaled_dot_product/infer", json=body)
    assert response.status_code == 422
    _assert_says(response.json()["error"], said, unsaid)


@pytest.mark.parametrize("name", ["ScaledDotProduct", "scaled-dot-product", "SCALED_DOT_PRODUCT"])
async def test_a_model_is_recognised_and_yet_not_found(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v2/models/{name}/ready")
    assert response.status_code == 404
    _assert_says(response.json()["detail"], ["Did you mean 'scaled_dot_product'?"], [])


@pytest.mark.parametrize(
    ("datatype", "said"),
    [("float32", "FP32"), ("F16", "FP16"), ("half", "FP16"), ("fp64", "Did you mean 'FP64'?"), ("TYPE_BF16", "BF16")],
)
async def test_a_datatype_is_translated(client: httpx.AsyncClient, datatype: str, said: str) -> None:
    body = {"inputs": [{"name": "query", "shape": [1, 1], "datatype": datatype, "data": [1]}]}
    response = await client.post("/v2/models/dot_product/infer", json=body)
    assert response.status_code == 400
    _assert_says(response.json()["detail"], [said], [])


async def test_numbers_in_the_place_of_a_mask_are_told_where_they_go(client: httpx.AsyncClient) -> None:
    vector = {"shape": [1, 1], "datatype": "FP32", "data": [1]}
    body = {"inputs": [{"name": name, **vector} for name in ("query", "key", "allowed")]}
    response = await client.post("/v2/models/dot_product/infer", json=body)
    assert response.status_code == 400
    _assert_says(response.json()["detail"], ["true = may see", "the input bias"], [])


async def test_a_tensor_of_another_name_is_answered_alike(client: httpx.AsyncClient) -> None:
    header = json.dumps(
        {name: {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * i, 4 * i + 4]}
         for i, name in enumerate(("query", "key", "attn_bias"))}
    ).encode()  # fmt: skip
    content = len(header).to_bytes(8, "little") + header + bytes(12)
    media_type = {"Content-Type": "application/vnd.safetensors"}
    response = await client.post("/v1/attention", content=content, headers=media_type)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/attn_bias"
    _assert_says(response.json()["detail"], ["Here it is bias"], [])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"alpha": 1.5}, 'the parameter alpha beside normalizer: "entmax"'),
        ({"normalizer": "sparsemax", "temperature": 2}, 'the parameter temperature beside normalizer: "softmax"'),
    ],
)
async def test_a_parameter_of_another_normalizer_names_it(
    client: httpx.AsyncClient, parameters: dict[str, Any], said: str
) -> None:
    vector = {"shape": [1, 1], "datatype": "FP32", "data": [1]}
    body = {"parameters": parameters, "inputs": [{"name": name, **vector} for name in ("query", "key")]}
    response = await client.post("/v2/models/dot_product/infer", json=body)
    assert response.status_code == 422
    _assert_says(response.json()["detail"], [said], [])


async def test_the_place_that_was_refused_is_not_named(client: httpx.AsyncClient) -> None:
    body = {"partials": [{"output": [[1.0]], "logsumexp": [0.0]}], "decimals": 4}
    response = await client.post("/v1/attention/merge", json=body)
    assert response.status_code == 422
    _assert_says(response.json()["detail"], ["Known fields are dtype, layout, log_base, partials."], ["Its place"])


@pytest.mark.parametrize("name", ["valid_lengths", "Valid-Lengths"])
async def test_an_example_is_recognised_in_another_spelling(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/examples/{name}")
    assert response.status_code == 404
    _assert_says(response.json()["detail"], ["Did you mean 'valid-lengths'?"], [])


def _assert_says(detail: str, said: list[str], unsaid: list[str]) -> None:
    advice = detail.partition("received")[2]
    for text in said:
        assert text in advice, detail
    for text in unsaid:
        assert text not in advice, detail
