"""POST /v1/attention/check: right candidates pass, and wrong ones get advice on what to change."""

import json

import numpy as np
import pytest

from service.compute import Body
from service.compute.check import prepare_check
from service.errors import TooLarge
from service.settings import Settings
from tests import calls, oracle, plain
from tests.attention_core.checking.numbers_apart import apart, neighbour
from tests.sampling import product_sample
from tests.service.checking.kernels import FIELDS, Kernel
from tests.service.checking.planting import REQUESTS, TOLERANCES, candidate_of, wire

RANK_2 = REQUESTS["rank 2: nothing"]
HEADS = REQUESTS["heads: nothing"]
EMPTY_ROWS = REQUESTS["rank 2: causal, empty rows"]


async def post(client, request, candidate, **options):
    return await client.post("/v1/attention/check", json={"request": request, "candidate": candidate} | options)


async def check(client, request, candidate, **options):
    response = await post(client, request, candidate, **options)
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_constant=pytest.fail)


async def own_answer(client, request, names):
    response = await client.post("/v1/attention", json=request | {"include": names})
    assert response.status_code == 200, response.text
    return {name: response.json()[name] for name in names}


def changed(array, index, value):
    copy = np.array(array, float)
    copy[index] = value
    return copy


# Right candidates


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(4, calls.SCORE_MODELS, calls.NORMALIZERS))
async def test_our_own_answer_and_a_plain_evaluation_pass(client, score_model, normalizer):
    for number, (dtype, tolerance) in enumerate(TOLERANCES.items()):
        setting = ("none", "causal, offset", "bias", "everything")[number]
        heads = ("grouped", "packed", "cache", "heads")[number]
        request = calls.Combination(score_model, normalizer, setting, heads, dtype).request()
        names = [name for name in FIELDS if name != "logsumexp" or normalizer == "softmax"]
        ours = await check(client, request, await own_answer(client, request, names))
        evaluated = plain.attention(request)
        theirs = await check(client, request, {name: wire(evaluated[name]) for name in names})
        for answer in (ours, theirs):
            assert (answer["passed"], answer["likely_cause"]) == (True, None), (dtype, answer)
            assert (answer["rtol"], answer["atol"]) == tolerance
            assert set(answer["fields"]) == set(names)
            assert all(field["passed"] for field in answer["fields"].values())


def online(request, block):
    """The kernel's output from blocks of keys, each rescaled to the largest logit so far."""
    query, key, value = (
        np.array(oracle.rounded(request[name], request["dtype"])) for name in ("query", "key", "value")
    )
    kind = np.float64 if request["dtype"] == "float64" else np.float32
    query, key, value = query.astype(kind), key.astype(kind), value.astype(kind)
    largest = np.full((*query.shape[:-1], 1), -np.inf, kind)
    total, output = np.zeros_like(largest), np.zeros((*query.shape[:-1], value.shape[-1]), kind)
    for start in range(0, key.shape[-2], block):
        scores = query @ key[..., start : start + block, :].swapaxes(-1, -2) * kind(query.shape[-1] ** -0.5)
        now = np.maximum(largest, scores.max(-1, keepdims=True))
        powers, rescaled = np.exp(scores - now), np.exp(largest - now)
        total = total * rescaled + powers.sum(-1, keepdims=True)
        output = output * rescaled + powers @ value[..., start : start + block, :]
        largest = now
    kernel = Kernel(request)
    return {"output": kernel.rounded(output / total), "logsumexp": (largest + np.log(total))[..., 0]}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("block", [1, 4])
async def test_an_online_softmax_passes(client, dtype, block):
    request = HEADS | {"dtype": dtype}
    fields = online(request, block)
    answer = await check(client, request, candidate_of(fields, fields))
    assert answer["passed"], answer


async def test_tolerances_can_be_chosen_and_be_zero(client):
    output = Kernel(RANK_2).run()["output"]
    off = {"output": wire(output * (1 + 1e-6))}
    assert not (await check(client, RANK_2, off))["passed"]
    answer = await check(client, RANK_2, off, rtol=1e-5)
    assert (answer["passed"], answer["rtol"], answer["atol"]) == (True, 1e-5, 1e-9)
    answer = await check(client, RANK_2, off, atol=1e-3)
    assert (answer["passed"], answer["rtol"], answer["atol"]) == (True, 1e-7, 1e-3)
    exact = await own_answer(client, RANK_2, ["output"])
    assert (await check(client, RANK_2, exact, rtol=0, atol=0))["passed"]
    next_one = {"output": wire(changed(exact["output"], (0, 0), neighbour(exact["output"][0][0], 1, "float64")))}
    answer = await check(client, RANK_2, next_one, rtol=0, atol=0)
    assert (answer["passed"], answer["fields"]["output"]["max_ulps"]) == (False, 1)
    assert answer["fields"]["output"]["worst_index"] == [0, 0]
    for wrong in ({"rtol": -1}, {"atol": "0"}):
        assert (await post(client, RANK_2, off, **wrong)).status_code == 422


# The figures


@pytest.mark.parametrize("dtype", TOLERANCES)
async def test_the_figures_are_those_worked_out_bit_by_bit(client, dtype):
    request = RANK_2 | {"dtype": dtype}
    exact = np.array(oracle.attention(request)["output"])
    noisy = exact * (1 + 0.05 * np.random.default_rng(4).standard_normal(exact.shape))
    received = Kernel(request).rounded(noisy).astype(float)
    answer = (await check(client, request, {"output": wire(received)}))["fields"]["output"]
    figures = apart(exact.ravel().tolist(), received.ravel().tolist(), dtype, *TOLERANCES[dtype])
    worst = np.unravel_index(figures.pop("worst"), exact.shape)
    assert answer["worst_index"] == list(worst)
    assert answer["expected"] == pytest.approx(exact[worst], rel=1e-12)
    assert Kernel(request).rounded(np.array([answer["received"]]))[0] == received[worst]
    ulps = figures.pop("max_ulps")
    # The reference and the oracle may round to neighbours in float64.
    assert abs(answer["max_ulps"] - ulps) <= (16 if dtype == "float64" else 0)
    for name, figure in figures.items():
        assert answer[name] == pytest.approx(figure, rel=1e-9), name


async def test_logsumexp_is_compared_in_the_compute_type(client):
    request = RANK_2 | {"dtype": "bfloat16"}
    logsumexp = np.float32(Kernel(request).run()["logsumexp"])
    stepped = np.nextafter(logsumexp, np.float32(np.inf))
    answer = await check(client, request, {"logsumexp": wire(stepped)}, rtol=0, atol=0)
    assert 1 <= answer["fields"]["logsumexp"]["max_ulps"] <= 3


async def test_what_the_dtype_cannot_hold_is_infinite_for_everybody(client):
    request = {"query": [[300.0]], "key": [[300.0], [1.0]], "score_model": "dot_product", "dtype": "float16"}
    answer = await check(client, request, {"scores": [["Infinity", 300]]})
    assert answer["passed"]
    answer = await check(client, request, {"scores": [[60000, 300]]})
    assert (answer["passed"], answer["fields"]["scores"]["expected"]) == (False, "Infinity")


# Numbers that are not finite


@pytest.mark.parametrize(("odd", "word"), [("NaN", "NaN"), ("Infinity", "∞"), (None, "∞")])
async def test_one_odd_number_is_pointed_to(client, odd, word):
    output = wire(Kernel(HEADS).run()["output"])
    expected = output[1][2][3][0]
    output[1][2][3][0] = odd
    answer = await check(client, HEADS, {"output": output})
    field = answer["fields"]["output"]
    assert (answer["passed"], answer["likely_cause"], field["passed"]) == (False, None, False)
    assert (field["worst_index"], field["received"]) == ([1, 2, 3, 0], odd)
    assert field["expected"] == pytest.approx(expected)
    assert field["max_abs_error"] < 1e-12
    for language in ("zh", "en"):
        assert word in answer["advice"][language]
        assert "[1, 2, 3, 0]" in answer["advice"][language]


async def test_nothing_but_nan_has_no_figures(client):
    answer = await check(client, RANK_2, {"output": wire(np.full((5, 3), np.nan))})
    field = answer["fields"]["output"]
    assert (answer["likely_cause"], field["worst_index"], field["received"]) == (None, [0, 0], "NaN")
    figures = ("max_abs_error", "max_rel_error", "correlation", "max_ulps")
    assert [field[name] for name in figures] == [None] * len(figures)
    assert "15 NaN" in answer["advice"]["en"]
    assert "15 个 NaN" in answer["advice"]["zh"]


async def test_minus_infinity_of_an_empty_row_is_null(client):
    right = await own_answer(client, EMPTY_ROWS, ["logsumexp"])
    assert right["logsumexp"][:2] == [None, None]
    assert (await check(client, EMPTY_ROWS, right))["passed"]
    answer = await check(client, EMPTY_ROWS, {"logsumexp": [0.25, *right["logsumexp"][1:]]})
    field = answer["fields"]["logsumexp"]
    assert (answer["passed"], field["worst_index"], field["expected"], field["received"]) == (False, [0], None, 0.25)
    assert "−∞" in answer["advice"]["zh"]
    missing = [*right["logsumexp"][:4], None]
    field = (await check(client, EMPTY_ROWS, {"logsumexp": missing}))["fields"]["logsumexp"]
    assert (field["worst_index"], field["received"]) == ([4], None)


async def test_logsumexp_counts_the_sink(client):
    request = EMPTY_ROWS | {"normalizer": {"name": "softmax", "sink": 0.5}}
    right = oracle.attention(request)["logsumexp"]
    assert right[0] == 0.5
    assert (await check(client, request, {"logsumexp": right}))["passed"]


# What no mistake explains


async def test_a_constant_factor_is_said(client):
    right = Kernel(HEADS).run()
    answer = await check(client, HEADS, candidate_of(right | {"output": right["output"] * 1.25}, ("weights", "output")))
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    for language, before in (("zh", "1.25 倍"), ("en", "1.25 times")):
        assert before in answer["advice"][language]
        assert "weights" in answer["advice"][language]


@pytest.mark.parametrize("computed", ["float32", "float16"])
async def test_a_coarser_computation_is_recognised(client, computed):
    right = Kernel(HEADS | {"dtype": computed}).run()
    answer = await check(client, HEADS, candidate_of(right, ("output", "weights")))
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    for text in answer["advice"].values():
        assert f"dtype {computed}" in text.replace(":", "")


async def test_the_advice_names_the_first_wrong_step_and_its_worst_number(client):
    right = Kernel(RANK_2).run()
    weights = changed(right["weights"], (2, 4), right["weights"][2, 4] + 0.25)
    fields = right | {"weights": weights, "output": right["output"] + 3}
    answer = await check(client, RANK_2, candidate_of(fields))
    field = answer["fields"]["weights"]
    assert (field["worst_index"], answer["likely_cause"]) == ([2, 4], None)
    assert field["received"] - field["expected"] == pytest.approx(0.25)
    assert [name for name in FIELDS if not answer["fields"][name]["passed"]] == ["output", "weights"]
    for text in answer["advice"].values():
        assert "weights" in text
        assert "[2, 4]" in text
        assert f"{field['expected']:.6g}" in text
        assert f"{field['received']:.6g}" in text
        assert "logsumexp" in text
    assert "1 wrong numbers out of 45" in answer["advice"]["en"]


# What cannot be compared


SHAPES = [
    (HEADS, "output", lambda array: array.transpose(0, 2, 1, 3), "[0, 2, 1, 3]"),
    (HEADS, "output", lambda array: array.transpose(0, 2, 1, 3).reshape(2, 5, 9), "[0, 2, 1, 3]"),
    (
        REQUESTS["packed: nothing"],
        "output",
        lambda array: array.reshape(2, 5, 6, 3).transpose(0, 2, 1, 3),
        "[2, 5, 18]",
    ),
    (HEADS, "weights", lambda array: array.swapaxes(-1, -2), "[0, 1, 3, 2]"),
    (HEADS, "scores", lambda array: array.reshape(6, 5, 9), "[2, 3, 5, 9]"),
    (REQUESTS["batch: nothing"], "output", lambda array: array[0], "[2]"),
    (HEADS, "logsumexp", lambda array: array[..., None], "[2, 3, 5]"),
]


@pytest.mark.parametrize(("request_", "name", "reshape", "advice"), SHAPES)
async def test_a_wrong_shape_is_told_apart(client, request_, name, reshape, advice):
    candidate = {name: wire(reshape(Kernel(request_).run()[name]))}
    response = await post(client, request_, candidate)
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, "/problems/shape-mismatch")
    assert problem["errors"][0]["pointer"] == f"/candidate/{name}"
    assert advice in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("candidate", "pointer"),
    [
        ({}, "/candidate"),
        ({"output": None}, "/candidate"),
        ({"outputs": [[1]]}, "/candidate/outputs"),
        ({"output": [[1, "x"]]}, "/candidate/output/0/1"),
        ({"output": [[1, 2], [3]]}, "/candidate/output/1"),
        ({"output": []}, "/candidate/output"),
    ],
)
async def test_no_candidate_at_all_is_refused(client, candidate, pointer):
    response = await post(client, RANK_2, candidate)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_what_the_request_does_not_have_is_refused(client):
    without_value = {name: array for name, array in RANK_2.items() if name != "value"}
    assert (await post(client, without_value, {"output": [[1.0]]})).status_code == 422
    sigmoid = RANK_2 | {"normalizer": "sigmoid"}
    assert (await post(client, sigmoid, {"logsumexp": [1.0] * 5})).status_code == 422


LONG = {name: [[0.5], [1.0], [0.25]] * 1000 for name in ("query", "key", "value")}


async def test_a_long_check_ends_with_its_deadline(client):
    longer = {name: rows * 2 for name, rows in LONG.items()}
    # Whole rows, which no kernel computes, take long on every machine.
    request = longer | {"score_model": "laplacian", "normalizer": "sparsemax"}
    document = {"request": request, "candidate": {"output": longer["value"]}}
    response = await client.post("/v1/attention/check", json=document, headers={"Request-Timeout": "0.1"})
    assert (response.status_code, response.json()["type"]) == (504, "/problems/deadline-exceeded")


def test_a_check_beyond_the_limits_is_refused_before_it_starts():
    body = Body(json.dumps({"request": LONG, "candidate": {"output": LONG["value"]}}).encode())
    prepared = prepare_check(body, Settings())
    for limit in ({"max_operations": prepared.operations - 1}, {"bytes_in_flight": 10**8}):
        with pytest.raises(TooLarge, match=str(*limit.values())):
            prepare_check(body, Settings(**limit))
