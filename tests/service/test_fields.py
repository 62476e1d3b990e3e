"""The fields of the result and what shapes them: diagnostics, ranking, labels, caches, dtypes, decimals, estimates."""

import json
import math
import re
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from tests import oracle
from tests.compare import assert_close
from tests.service.command_line.command import text

QUERY = [[2, 1, 1, 0], [0, 0.5, 1, 2]]
KEY = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]]
VALUE = [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]]
LABELS = {"query": ["团战", "抢龙"], "key": ["射手", "打野", "中路", "上路"]}


async def attend(client: httpx.AsyncClient, **request):
    response = await client.post("/v1/attention", json={"query": QUERY, "key": KEY, "value": VALUE} | request)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(client: httpx.AsyncClient, **request):
    response = await client.post("/v1/attention", json={"query": QUERY, "key": KEY, "value": VALUE} | request)
    assert response.status_code == 422, response.text
    return response.json()["errors"][0]


async def test_diagnostics_of_the_founding_example(client):
    spread = (await attend(client, include=["diagnostics"]))["diagnostics"]
    assert_close(spread["entropy"][:1], [0.9112], 5e-5)
    assert_close(spread["effective_keys"][:1], [2.487], 5e-4)
    assert spread["top_key"] == [0, 1]
    assert_close(sum(spread["received_weight"]), 2, 1e-12)
    assert set(spread) == {
        "entropy", "effective_keys", "max_weight", "top_key", "softmax_sensitivity", "received_weight"
    }  # fmt: skip


async def test_diagnostics_of_a_row_that_sees_nothing(client):
    masked = {"allowed": [[True] * 4, [False] * 4]}
    spread = (await attend(client, mask=masked, include=["diagnostics"]))["diagnostics"]
    row = {name: values[1] for name, values in spread.items() if name != "received_weight"}
    assert row == {"entropy": 0, "effective_keys": 0, "max_weight": 0, "top_key": None, "softmax_sensitivity": 0}


@pytest.mark.parametrize("normalizer", ["sigmoid", "relu", "none"])
async def test_what_is_no_distribution_has_null_for_entropy(client, normalizer):
    spread = (await attend(client, normalizer=normalizer, include=["diagnostics"]))["diagnostics"]
    assert [name for name, values in spread.items() if values is None] == [
        "entropy", "effective_keys", "softmax_sensitivity"
    ]  # fmt: skip


async def test_ranking_names_keys_by_weight_with_their_labels(client):
    answer = await attend(client, include=["ranking"], labels=LABELS, top_k=2, decimals=4)
    assert answer["ranking"] == [
        [
            {"key": 0, "label": "射手", "score": 3.15, "weight": 0.7017},
            {"key": 1, "label": "打野", "score": 1.6, "weight": 0.1489},
        ],
        [
            {"key": 1, "label": "打野", "score": 2.725, "weight": 0.6567},
            {"key": 0, "label": "射手", "score": 1.175, "weight": 0.1394},
        ],
    ]


async def test_ranking_nests_like_the_leading_axes_and_leaves_hidden_keys_out(client):
    mask = {"allowed": [True, False, True, False]}
    answer = await attend(client, query=[[QUERY]], key=[[KEY]], value=[[VALUE]], mask=mask, include=["ranking"])
    assert [[[[entry["key"] for entry in row] for row in head] for head in batch] for batch in answer["ranking"]] == [
        [[[0, 2], [0, 2]]]
    ]
    assert "label" not in answer["ranking"][0][0][0][0]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"labels": {"key": ["a", "b"]}}, "/labels/key"),
        ({"labels": {"query": ["a"]}}, "/labels/query"),
        ({"labels": {"keys": ["a"]}}, "/labels/keys"),
        ({"labels": {"key": ["a", "b", "c", 4]}}, "/labels/key/3"),
        ({"top_k": 2}, "/top_k"),
        ({"top_k": 0, "include": ["ranking"]}, "/top_k"),
        ({"decimals": 18}, "/decimals"),
        ({"decimals": -1}, "/decimals"),
        ({"decimals": 1.5}, "/decimals"),
        ({"softcap": 0}, "/softcap"),
        ({"position": "rotory"}, "/position"),
        ({"position": {"name": "alibi", "slopes": [1, 2]}}, "/position/slopes"),
        ({"heads": {"query": 0, "key_value": 1}}, "/heads/query"),
        ({"heads": {"query": 1}}, "/heads/key_value"),
        ({"past_key": KEY}, "/past_value"),
        ({"past_key": [[1, 2]], "past_value": [[1, 2, 3]]}, "/past_key"),
        ({"mask": {"window": {"left": -1}}}, "/mask/window/left"),
        ({"mask": {"window": {"lefft": 1}}}, "/mask/window/lefft"),
        ({"mask": {"key_lengths": [5]}}, "/mask/key_lengths/0"),
        ({"mask": {"key_lengths": [1, 2]}}, "/mask/key_lengths"),
        ({"mask": {"key_lengths": [[1, 2.5]]}}, "/mask/key_lengths/0/1"),
        ({"mask": {"query_segments": [0, 1]}}, "/mask/key_segments"),
        ({"mask": {"query_segments": [0, 1], "key_segments": [0, 1]}}, "/mask/key_segments"),
        ({"mask": {"offset": "top_left"}}, "/mask/offset"),
        ({"mask": {"offset": [1, 2]}}, "/mask/offset"),
        ({"normalizer": {"name": "softmax", "sink": [1, 2]}}, "/normalizer/sink"),
        ({"normalizer": {"name": "sparsemax", "temperature": 1}}, "/normalizer/temperature"),
        ({"normalizer": {"name": "entmax", "alpha": 0.9}}, "/normalizer/alpha"),
        ({"score_model": {"name": "gaussian", "bandwidth": 0}}, "/score_model/bandwidth"),
        ({"score_model": {"name": "bilinear", "weight": [[1, 2]]}}, "/score_model/weight"),
        ({"score_model": {"name": "trilinear", "weight": [1, 2]}}, "/score_model/weight"),
        ({"score_model": "bilinear"}, "/score_model"),
        ({"include": ["logsumexp"], "normalizer": "sparsemax"}, "/include/0"),
        ({"include": ["weights", "present"], "value": None}, "/include/1"),
        ({"dtype": "float16", "key": [*KEY[:3], [0, 70000, 0, 0]]}, "/key/3/1"),
    ],
    ids=str,
)
async def test_what_does_not_fit_is_pointed_to(client, change, pointer):
    error = await refused(client, **change)
    assert error["pointer"] == pointer
    assert "expected" in error["detail"]
    assert "received" in error["detail"]


async def test_a_cache_grows_by_what_was_sent_and_comes_back(client):
    whole = await attend(client, mask={"causal": True, "offset": 2}, include=["output"])
    first = await attend(client, key=KEY[:2], value=VALUE[:2], include=["present"])
    assert first["present_key"] == KEY[:2]
    cache = {"past_key": first["present_key"], "past_value": first["present_value"]}
    second = await attend(
        client, key=KEY[2:], value=VALUE[2:], mask={"causal": True}, include=["output", "present"], **cache
    )
    assert_close(second["output"], whole["output"], 1e-15)
    assert second["present_key"] == KEY
    assert second["present_value"] == VALUE


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 5), ("bfloat16", 4)])
async def test_half_types_are_written_with_as_few_digits_as_read_back(client, dtype, digits):
    answer = await attend(client, dtype=dtype, include=["weights", "output", "scores"])
    assert answer["dtype"] == dtype
    written = [number for field in ("weights", "output", "scores") for row in answer[field] for number in row]
    for number in written:
        significant = f"{number:.17g}" if "e" in repr(number) else repr(number)
        assert len(significant.strip("-").replace(".", "").lstrip("0").rstrip("0")) <= digits
    # Sent back, every number is the one that was meant.
    again = await attend(client, query=[[1.0]], key=[[number] for number in written], value=None,
                         score_model="dot_product", dtype=dtype, include=["scores"])  # fmt: skip
    assert again["scores"] == [written]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
async def test_every_half_number_survives_the_journey(client, dtype):
    rng = np.random.default_rng(3)
    drawn = [
        oracle.ROUND[dtype](float(number)) for number in rng.standard_normal(500) * 10.0 ** rng.integers(-6, 4, 500)
    ]
    answer = await attend(client, query=[[1.0]], key=[[number] for number in drawn], value=None,
                          score_model="dot_product", dtype=dtype, include=["scores"])  # fmt: skip
    assert [oracle.ROUND[dtype](number) for number in answer["scores"][0]] == drawn


@pytest.mark.parametrize("decimals", [0, 1, 4, 17])
async def test_decimals_round_correctly(client, decimals):
    keys = [0.285, 2.675, 1e22, 1.005, -0.05, 0.5, 1.5, math.pi, 1e-20]
    answer = await attend(client, query=[[1]], key=[[number] for number in keys], value=None, decimals=decimals,
                          score_model="dot_product", include=["scores"])  # fmt: skip
    assert answer["scores"] == [[round(number, decimals) for number in keys]]


async def test_decimals_leave_null_and_names_alone(client):
    answer = await attend(client, bias=[[None, "Infinity", 0, 0]], include=["logits", "weights"], decimals=2)
    assert answer["logits"][0] == [None, "Infinity", 1.2, 0.5]
    assert answer["weights"][0] == [0, "NaN", "NaN", "NaN"]


async def test_parameters_for_each_head_are_described_by_their_shape(client):
    headed = {"query": [[QUERY] * 2], "key": [[KEY] * 2], "value": [[VALUE] * 2]}
    answer = await attend(client, **headed, score_model={"name": "cosine", "scale": [1, 2]},
                          normalizer={"name": "softmax", "sink": [0, 1]})  # fmt: skip
    assert answer["score_model"] == {"name": "cosine", "scale": {"shape": [2]}}
    assert answer["normalizer"] == {"name": "softmax", "temperature": 1.0, "sink": {"shape": [2]}}


async def test_packed_heads_come_back_packed(client):
    packed = {"query": [[[1, 2, 3, 4]]], "key": [[[1, 2]]], "value": [[[7]]], "heads": {"query": 2, "key_value": 1}}
    answer = await attend(client, **packed, include=["output", "scores", "logsumexp", "present"])
    assert oracle.shape(answer["output"]) == (1, 1, 2)
    assert oracle.shape(answer["scores"]) == (1, 2, 1, 1)
    assert oracle.shape(answer["logsumexp"]) == (1, 2, 1)
    assert oracle.shape(answer["present_key"]) == (1, 1, 1, 2)


async def test_an_estimate_computes_nothing_and_says_whether_it_would_be_allowed(client):
    request = {"query": QUERY, "key": KEY, "value": VALUE}
    small = (await client.post("/v1/attention/estimate", json=request)).json()
    assert set(small) == {"operations", "bytes", "result_bytes", "path", "allowed", "limits"}
    assert small["allowed"] is True
    many = [[0]] * 100_000
    response = await client.post("/v1/attention/estimate", json={"query": many, "key": many, "include": ["weights"]})
    assert response.status_code == 200
    huge = response.json()
    assert huge["allowed"] is False
    assert huge["result_bytes"] > huge["limits"]["max_result_bytes"]
    assert huge["operations"] >= 10**10


async def test_an_estimate_refuses_what_attention_refuses(client):
    response = await client.post("/v1/attention/estimate", json={"query": QUERY, "key": [[1]]})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/key"


async def test_memory_that_the_process_does_not_have_is_refused(client):
    # A million leading entries share five hundred keys: one query of each already holds 4 GB of scores.
    wide = {"query": [[[1]]] * 200_000, "key": [[1]] * 1000, "include": ["ranking"], "top_k": 1}
    response = await client.post("/v1/attention", json=wide)
    assert response.status_code == 413
    assert "expected to hold at most 268435456 bytes" in response.json()["detail"]


SIGNED_ZERO = re.compile(r"[-−]0(\.0*)?(?![0-9.e])")
"""Minus zero, however it is written."""

TINY = {
    "query": [[1.0]], "key": [[-1e-9], [-0.0], [1e-9], [-0.2]], "value": [[-1e-9], [0.0], [-0.0], [1e-12]],
    "score_model": "dot_product", "normalizer": "none", "past_key": [[-1e-9]], "past_value": [[-0.0]],
}  # fmt: skip


@pytest.mark.parametrize("decimals", [1, 4, 8])
async def test_no_rounded_number_is_minus_zero(client, decimals):
    include = [
        "scores",
        "capped_scores",
        "modified",
        "logits",
        "weights",
        "output",
        "diagnostics",
        "ranking",
        "present",
    ]
    response = await client.post("/v1/attention", json=TINY | {"include": include, "decimals": decimals})
    assert response.json()["scores"] == [[0, 0, 0, 0, -0.2]]
    assert SIGNED_ZERO.findall(response.text) == []
    larger = {"base": TINY | {"decimals": decimals}, "variants": [{"label": "x", "overrides": {"softcap": 1}}]}
    results = (await client.post("/v1/attention/compare", json=larger)).json()["results"]
    assert SIGNED_ZERO.findall(json.dumps(results)) == []


async def test_people_see_no_minus_before_zero(client):
    picture = await client.post("/v1/attention", json=TINY | {"decimals": 4}, headers={"Accept": "image/svg+xml"})
    assert picture.status_code == 200
    assert SIGNED_ZERO.findall(" ".join(ET.fromstring(picture.content).itertext())) == []
    assert SIGNED_ZERO.findall(text("attend", "-", body=TINY | {"decimals": 4})) == []
    candidate = {"request": TINY, "candidate": {"scores": [[-0.0, -0.0, -0.0, -0.0, -0.2]]}}
    assert SIGNED_ZERO.findall(text("check", "-", body=candidate)) == []


async def test_without_decimals_minus_zero_stays(client):
    exact = await attend(client, **{**TINY, "include": ["scores", "present"]})
    assert exact["scores"] == [[-1e-9, -1e-9, 0, 1e-9, -0.2]]
    assert [math.copysign(1, number) for [number] in exact["present_value"]] == [-1, -1, 1, -1, 1]


LARGE = {
    "query": [[300.0, 1.0]],
    "key": [[300.0, 0.0], [1.0, 1.0]],
    "value": [[1.0], [2.0]],
    "score_model": "dot_product",
}
NOTE = "finite numbers exceed float16, which holds at most 65504, and are returned as infinite; choose a wider dtype"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "scores"),
        ({"include": ["scores", "logits", "capped_scores", "weights"]}, "scores, capped_scores, logits"),
        ({"include": ["ranking"], "top_k": 1}, "ranking"),
        ({"include": ["weights", "output"], "normalizer": "none"}, "weights, output"),
        ({"include": ["weights", "output"]}, None),
        ({"include": ["ranking"], "mask": {"allowed": [[False, True]]}}, None),
        ({"dtype": "bfloat16"}, None),
        ({"dtype": "float32"}, None),
        ({"key": [[-1.0, 0.0], [1.0, 1.0]]}, None),
        ({"bias": [[None, 0]], "include": ["logits"]}, None),
    ],
)
async def test_a_note_tells_that_float16_could_not_hold_what_was_computed(client, fields, named):
    answer = await attend(client, **{**LARGE, "dtype": "float16", **fields})
    assert answer["notes"] == ([] if named is None else [f"{named}: {NOTE}"])
    assert ('"Infinity"' in json.dumps(answer)) is (named is not None)


async def test_the_note_of_float16_comes_once_and_with_those_of_rows(client):
    keys = [[300.0, 0.0], [-300.0, 0.0]]
    answer = await attend(client, **{**LARGE, "dtype": "float16", "query": [[300.0, 1.0]] * 3, "key": keys,
                                     "mask": {"allowed": [[True, True], [False, False], [True, True]]}})  # fmt: skip
    assert answer["scores"] == [["Infinity", None]] * 3
    assert answer["notes"] == ["row 1: no visible key; weights and output are zero", f"scores: {NOTE}"]


async def test_the_note_of_float16_is_a_parameter_of_an_inference(client):
    inputs = [{"name": name, "shape": shape, "datatype": "FP16", "data": data}
              for name, shape, data in (("query", [1, 1], [300]), ("key", [1, 1], [300]))]  # fmt: skip
    answer = (await client.post("/v2/models/dot_product/infer", json={"inputs": inputs})).json()
    assert json.loads(answer["parameters"]["notes"]) == [f"scores: {NOTE}"]
    assert answer["outputs"][1]["data"] == ["Infinity"]


async def test_numbers_beyond_bfloat16_are_told_too(client):
    largest = 3.3895313892515355e38
    answer = await attend(client, query=[[1.002]], key=[[largest]], value=[[1.0]], score_model="dot_product",
                          dtype="bfloat16", include=["scores"], bias=None)  # fmt: skip
    assert answer["notes"] == []
    answer = await attend(client, query=[[1.0, 1.0]], key=[[largest, 7e35]], value=[[1.0]], score_model="dot_product",
                          dtype="bfloat16", include=["scores"])  # fmt: skip
    assert (answer["scores"], answer["notes"][0][:44]) == (
        [["Infinity"]],
        "scores: finite numbers exceed bfloat16, whic",
    )
