"""POST /v1/attention over a real socket: what comes back, and what it looks like."""

import math

import httpx
import pytest

from tests import oracle
from tests.compare import assert_close

QUERY = [[2, 1, 1, 0]]
KEY = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]]
VALUE = [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]]
WEIGHTS = [[0.7016690736051048, 0.1489278391695713, 0.09982931600813535, 0.04957377121718851]]


async def attend(client: httpx.AsyncClient, **request):
    response = await client.post("/v1/attention", json={"query": QUERY, "key": KEY} | request)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_the_founding_example(client):
    answer = await attend(client, value=VALUE)
    assert set(answer) == {"scores", "weights", "output", "score_model", "normalizer", "dtype", "notes"}
    assert_close(answer["scores"], [[3.15, 1.6, 1.2, 0.5]], 1e-12)
    assert_close(answer["weights"], WEIGHTS, 1e-12)
    assert_close(answer["output"], [[0.736527720723689, 0.3241678258147518, 0.19905946864971472]], 1e-12)
    assert answer["score_model"] == {"name": "scaled_dot_product", "scale": 0.5}
    assert answer["normalizer"] == {"name": "softmax", "temperature": 1.0}
    assert (answer["dtype"], answer["notes"]) == ("float64", [])


async def test_without_value_there_are_scores_and_weights(client):
    assert {"scores", "weights"} < set(await attend(client))
    assert "output" not in await attend(client)


@pytest.mark.parametrize("include", [[], ["weights"], ["output", "scores"], ["logits", "logsumexp"]])
async def test_only_what_was_included_is_present(client, include):
    answer = await attend(client, value=VALUE, include=include)
    assert set(answer) == {*include, "score_model", "normalizer", "dtype", "notes"}


async def test_null_means_absent(client):
    optional = ("value", "score_model", "normalizer", "mask", "bias", "dtype", "include")
    assert await attend(client, **dict.fromkeys(optional)) == await attend(client)
    empty_mask = {"mask": {"allowed": None, "causal": None, "offset": None}}
    assert await attend(client, **empty_mask) == await attend(client)
    null_parameters = {"score_model": {"name": "scaled_dot_product", "scale": None}}
    assert await attend(client, **null_parameters) == await attend(client)


async def test_a_bare_name_means_default_parameters(client):
    bare = await attend(client, score_model="dot_product", normalizer="softmax")
    spelled = await attend(client, score_model={"name": "dot_product"}, normalizer={"name": "softmax"})
    assert bare == spelled
    assert bare["score_model"] == {"name": "dot_product"}


async def test_tensor_parameters_are_described_by_their_shape(client):
    model = {"name": "additive", "query_weight": [[1, 0, 0, 0]], "key_weight": [[0, 1, 0, 0]], "score_vector": [2]}
    answer = await attend(client, score_model=model)
    shapes = {"query_weight": {"shape": [1, 4]}, "key_weight": {"shape": [1, 4]}, "score_vector": {"shape": [1]}}
    assert answer["score_model"] == {"name": "additive", **shapes}


async def test_minus_infinity_leaves_as_null_and_comes_back_as_bias(client):
    masked = await attend(client, mask={"allowed": [False, True, True, True]}, include=["logits", "weights"])
    assert masked["logits"][0][0] is None
    again = await attend(client, bias=[[None, 0, 0, 0]], include=["logits", "weights"])
    assert again["logits"] == masked["logits"]
    assert again["weights"] == masked["weights"]
    assert masked["weights"][0][0] == 0


async def test_nan_and_infinity_leave_as_strings_in_strict_json(client):
    huge = {"query": [[1e200], [1.0]], "key": [[1e200], [-1e200], [0]], "score_model": "dot_product"}
    answer = await attend(client, **huge, value=[[1], [2], [3]])
    assert answer["scores"][0] == ["Infinity", None, 0.0]
    assert answer["weights"][0] == ["NaN", 0.0, "NaN"]
    assert answer["output"][0] == ["NaN"]
    assert_close(answer["weights"][1], [1, 0, 0], 1e-15)
    assert answer["notes"] == ["row 0: NaN or +infinity among the visible logits; weights and output are NaN"]


async def test_float32_numbers_are_the_shortest_that_read_back(client):
    answer = await attend(client, dtype="float32")
    assert answer["dtype"] == "float32"
    assert max(len(str(number)) for number in answer["weights"][0]) <= 11
    assert_close(answer["weights"], WEIGHTS, 1e-7)


async def test_numbers_survive_to_the_last_bit(client):
    key = [[math.pi], [5e-324], [1.7976931348623157e308], [-0.0], [0.1 + 0.2]]
    answer = await attend(client, query=[[1.0]], key=key, score_model="dot_product", include=["scores"])
    assert answer["scores"] == [[number[0] for number in key]]


async def test_integers_are_numbers_even_beyond_64_bits(client):
    answer = await attend(client, query=[[1]], key=[[2**70], [3], [-(2**63)]], score_model="dot_product")
    assert answer["scores"] == [[2.0**70, 3.0, -(2.0**63)]]


@pytest.mark.parametrize("rank", [3, 4, 5, 6, 9])
async def test_any_rank_from_two(client, rank):
    query, key = QUERY, KEY
    for _ in range(rank - 2):
        query, key = [query], [key]
    answer = await attend(client, query=query, key=key)
    assert_close(answer["weights"], oracle.attention({"query": query, "key": key})["weights"], 1e-15)
    assert len(oracle.shape(answer["weights"])) == rank


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "application/merge-patch+json"},
        {"Accept": "*/*"},
        {"Accept": "application/*;q=0.5, text/html"},
        {"Accept": "text/html;q=0.9, application/json;q=0.1"},
    ],
)
async def test_headers_that_clients_send_are_understood(client, headers):
    body = b'{"query": [[1, 2]], "key": [[3, 4]]}'
    response = await client.post("/v1/attention", content=body, headers=headers)
    assert response.status_code == 200
    assert response.json()["weights"] == [[1.0]]
