"""POST /v1/attention/compare: results are those of /v1/attention, differences those of plain Python."""

import copy
import itertools
import math

import pytest

from tests import oracle
from tests.calls import Combination
from tests.compare import assert_close
from tests.sampling import every

BASE = {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
}
COSINE = BASE | {"score_model": "cosine"}
SCALED = BASE | {
    "score_model": {"name": "scaled_dot_product", "scale": 2},
    "normalizer": {"name": "entmax", "alpha": 2},
}
MASKED = BASE | {"mask": {"causal": True, "offset": 1, "window": {"left": 2}}, "softcap": 2, "bias": [0, None, 0.5, 1]}

OVERRIDES = {
    "nothing": (BASE, {}),
    "a bare name": (BASE, {"score_model": "dot_product"}),
    "another value": (BASE, {"value": [[1], [2], [3], [4]]}),
    "other keys": (BASE, {"key": BASE["key"][:2], "value": BASE["value"][:2]}),
    "a parameter of a bare name": (COSINE, {"score_model": {"scale": 2}}),
    "the same name, another parameter": (SCALED, {"score_model": {"name": "scaled_dot_product", "scale": 3}}),
    "the same name alone": (SCALED, {"score_model": {"name": "scaled_dot_product"}}),
    "another name": (SCALED, {"score_model": {"name": "cosine"}}),
    "another bare name": (SCALED, {"score_model": "cosine"}),
    "another name with parameters": (SCALED, {"normalizer": {"name": "softmax", "temperature": 0.5}}),
    "a parameter removed": (SCALED, {"score_model": {"scale": None}}),
    "a model removed": (SCALED, {"score_model": None, "normalizer": None}),
    "a mask removed": (MASKED, {"mask": None}),
    "one field of a mask removed": (MASKED, {"mask": {"causal": None}}),
    "one field of a mask added": (MASKED, {"mask": {"key_lengths": [3]}}),
    "one side of a window": (MASKED, {"mask": {"window": {"right": 0}}}),
    "absent fields removed": (BASE, {"mask": None, "bias": None, "position": {"name": "alibi", "slopes": None}}),
    "an array replaced": (MASKED, {"bias": [[0, 1, None, 0], [1, 1, 1, 1]]}),
    "decimals": (BASE, {"decimals": 2}),
    "what to include": (BASE, {"include": ["diagnostics", "ranking", "logsumexp"], "top_k": 2}),
    "nothing included": (BASE, {"include": []}),
    "present": (BASE, {"include": ["present"]}),
    "float16": (BASE, {"dtype": "float16"}),
    "bfloat16": (MASKED, {"dtype": "bfloat16"}),
    "labels": (BASE, {"include": ["ranking"], "labels": {"key": ["a", "b", "c", "d"]}}),
    "no value": (BASE, {"value": None}),
}
"""A base, and what to change about it."""


def merged(target, patch):
    """RFC 7386's pseudo-code, and the rule about names."""
    if not isinstance(patch, dict):
        return patch
    if isinstance(target, str):
        target = {"name": target}
    if not isinstance(target, dict) or ("name" in patch and target.get("name", patch["name"]) != patch["name"]):
        target = {}
    target = copy.deepcopy(target)
    for name, value in patch.items():
        if value is None:
            if name in target:
                del target[name]
        else:
            target[name] = merged(target.get(name), value)
    return target


async def compare(client, base, **overrides):
    variants = [{"label": label, "overrides": one} for label, one in overrides.items()]
    response = await client.post("/v1/attention/compare", json={"base": base, "variants": variants})
    assert response.status_code == 200, response.text
    return response.json()


async def attend(client, request):
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("name", every(2, OVERRIDES))
async def test_results_are_those_of_attention(client, name):
    base, overrides = OVERRIDES[name]
    answer = await compare(client, base, variant=overrides)
    assert [one["label"] for one in answer["results"]] == ["base", "variant"]
    requests = [base, merged(base, overrides)]
    for one, request in zip(answer["results"], requests, strict=True):
        assert one["result"] == await attend(client, request)
    [pair] = answer["pairs"]
    await assert_pair(client, pair, *requests)


async def assert_pair(client, pair, first, second):
    """Fail unless the pair is what plain Python makes of what /v1/attention answers, whatever was included."""
    left, right = [await numbers_of(client, request) for request in (first, second)]
    for field in ("scores", "weights", "output"):
        received, expected = pair["max_abs_difference"][field], furthest(left.get(field), right.get(field))
        assert (received is None) == (expected is None), field
        if expected is not None:
            assert_close(received, expected, 1e-15 * max(1, expected), field)
    if oracle.shape(left["weights"]) != oracle.shape(right["weights"]):
        assert (pair["correlation"], pair["total_variation"]) == (None, {"mean": None, "max": None})
        return
    variations = [
        total_variation(*rows) for rows in zip(*(rows_of(side["weights"]) for side in (left, right)), strict=True)
    ]
    assert_close(pair["total_variation"]["mean"], math.fsum(variations) / len(variations), 1e-14)
    assert_close(pair["total_variation"]["max"], max(variations), 1e-15)
    correlation = pearson(flat(left["weights"]), flat(right["weights"]))
    assert (pair["correlation"] is None) == (correlation is None)
    assert_close(pair["correlation"] or 0, correlation or 0, 1e-12)


async def numbers_of(client, request):
    """Scores, weights and output in full, as the dtype holds them."""
    fields = ["scores", "weights", *(["output"] if request.get("value") else [])]
    answer = await attend(client, request | {"include": fields, "decimals": None, "top_k": None})
    return {field: oracle.rounded(answer[field], request.get("dtype")) for field in fields}


def furthest(left, right):
    """The largest absolute difference; None where one is missing or shapes differ."""
    if left is None or right is None or oracle.shape(left) != oracle.shape(right):
        return None
    return max(abs(a - b) for a, b in zip(flat(left), flat(right), strict=True))


def total_variation(left, right):
    """Half the sum of absolute differences."""
    return math.fsum(abs(a - b) for a, b in zip(left, right, strict=True)) / 2


def pearson(left, right):
    """Pearson's coefficient by its definition; None where one side is constant."""
    if len(set(left)) == 1 or len(set(right)) == 1:
        return None
    means = [math.fsum(side) / len(side) for side in (left, right)]
    a, b = ([number - mean for number in side] for side, mean in zip((left, right), means, strict=True))
    covariance = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return covariance / math.sqrt(math.fsum(x * x for x in a)) / math.sqrt(math.fsum(y * y for y in b))


def flat(nested):
    return [number for item in nested for number in flat(item)] if isinstance(nested, list) else [nested]


def rows_of(nested):
    return [row for item in nested for row in rows_of(item)] if isinstance(nested[0], list) else [nested]


async def test_every_two_are_compared_in_the_order_of_the_request(client):
    variants = {f"T = {t}": {"normalizer": {"name": "softmax", "temperature": t}} for t in (0.5, 2, 4)}
    answer = await compare(client, BASE, **variants)
    labels = ["base", *variants]
    assert [one["label"] for one in answer["results"]] == labels
    assert [(pair["a"], pair["b"]) for pair in answer["pairs"]] == list(itertools.combinations(labels, 2))
    requests = {"base": BASE} | {label: merged(BASE, one) for label, one in variants.items()}
    for pair in answer["pairs"]:
        await assert_pair(client, pair, requests[pair["a"]], requests[pair["b"]])


async def test_fifteen_variants_make_a_hundred_and_twenty_pairs(client):
    answer = await compare(client, BASE, **{f"{n}": {"softcap": n + 1} for n in range(15)})
    assert (len(answer["results"]), len(answer["pairs"])) == (16, 120)


@pytest.mark.parametrize("heads", ["heads", "packed", "wider values", "grouped cache"])
async def test_leading_axes_are_compared_row_by_row(client, heads):
    base = Combination("scaled_dot_product", "softmax", "causal", heads, "float64").request()
    for overrides in ({"normalizer": {"name": "sparsemax"}}, {"mask": None}, {"dtype": "float16", "softcap": 1}):
        answer = await compare(client, base, variant=overrides)
        await assert_pair(client, answer["pairs"][0], base, merged(base, overrides))


async def test_include_shapes_results_but_not_pairs(client):
    whole = await compare(client, BASE, other={"softcap": 1})
    bare = await compare(client, BASE | {"include": []}, other={"softcap": 1})
    assert [set(one["result"]) for one in bare["results"]] == [{"score_model", "normalizer", "dtype", "notes"}] * 2
    assert bare["pairs"] == whole["pairs"]
    rounded = await compare(client, BASE | {"decimals": 0}, other={"softcap": 1})
    assert rounded["pairs"] == whole["pairs"], "decimals are for results alone"


async def test_constant_weights_correlate_with_nothing(client):
    flat_base = {"query": [[0], [0]], "key": [[1], [2]]}
    answer = await compare(client, flat_base, same={}, sharp={"query": [[1], [2]]})
    assert [pair["correlation"] for pair in answer["pairs"]] == [None, None, None]
    assert answer["pairs"][0]["total_variation"] == {"mean": 0, "max": 0}
    assert answer["pairs"][1]["total_variation"]["max"] > 0


async def test_equal_results_are_no_distance_apart(client):
    """Rows that see nothing, weights of zero and poisoned rows included."""
    base = BASE | {"bias": [[None, None, None, None], [0, 0, 0, 1]]}
    poisoned = BASE | {"bias": [[0, "NaN", 0, 0], [0, "Infinity", None, 1]]}
    [pair] = (await compare(client, base, same={}))["pairs"]
    assert pair["max_abs_difference"] == {"scores": 0, "weights": 0, "output": 0}
    assert pair["correlation"] == 1
    [pair] = (await compare(client, poisoned, same={}))["pairs"]
    assert pair["max_abs_difference"] == {"scores": 0, "weights": 0, "output": 0}
    assert (pair["correlation"], pair["total_variation"]) == (None, {"mean": 0, "max": 0})


async def test_what_is_no_number_on_one_side_is_said_to_be_none(client):
    [pair] = (await compare(client, BASE, poisoned={"bias": ["NaN", 0, 0, 0]}))["pairs"]
    assert pair["max_abs_difference"] == {"scores": 0, "weights": "NaN", "output": "NaN"}
    assert (pair["correlation"], pair["total_variation"]) == (None, {"mean": "NaN", "max": "NaN"})
    [pair] = (await compare(client, BASE, infinite={"bias": ["Infinity", 0, 0, 0], "normalizer": "none"}))["pairs"]
    assert pair["max_abs_difference"]["weights"] == "Infinity"
    assert (pair["correlation"], pair["total_variation"]) == (None, {"mean": "Infinity", "max": "Infinity"})


async def test_disjoint_weights_have_a_total_variation_of_one(client):
    one, other = ({"mask": {"allowed": [key == seen for key in range(4)]}} for seen in (0, 3))
    pair = (await compare(client, BASE, one=one, other=other))["pairs"][2]
    assert pair["total_variation"] == {"mean": 1, "max": 1}
    assert_close(pair["correlation"], -1 / 3, 1e-15)


async def test_what_all_of_them_cost_together_counts(client):
    """Each of the results could be returned alone, sixteen cannot; the refusal says how many bytes it would be."""
    large = {"query": [[0]] * 800, "key": [[0]] * 800, "include": ["weights"]}
    assert (await client.post("/v1/attention", json=large)).status_code == 200
    variants = [{"label": f"{n}", "overrides": {}} for n in range(15)]
    response = await client.post("/v1/attention/compare", json={"base": large, "variants": variants})
    assert response.status_code == 413, response.text
    assert "at most 67108864 bytes" in response.json()["detail"]
    assert f"{16 * 2 * 800 * 800} numbers" in response.json()["detail"]
