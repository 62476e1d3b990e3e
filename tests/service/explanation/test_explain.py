"""POST /v1/attention/explain: from the response alone every number can be put together again."""

import itertools
import math
import random
import re
from collections import Counter

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from tests import oracle, plain
from tests.calls import DTYPES, HEADS, SETTINGS, Combination
from tests.compare import assert_close
from tests.nested import shape
from tests.sampling import product_sample
from tests.service.explanation.explained import PARTS, Row, near, steps_of

EVERY = 3
"""Each score model with each normalizer takes settings, heads and dtypes in turn, at a fixed stride."""

FIGHT = {
    "query": [[2, 1, 1, 0]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
}
LABELS = {"query": ["团战"], "key": ["射手", "打野", "中路", "上路"]}


async def explain(client, request, query_index=0, key_index=0, **fields):
    document = {"request": request, "query_index": query_index, "key_index": key_index} | fields
    response = await client.post("/v1/attention/explain", json=document)
    assert response.status_code == 200, response.text
    return response.json()


async def explain_row(client, request, index, i, **fields):
    """The explanations of all keys for one query, as a row that can judge itself."""
    keys = range(oracle.Inputs(request).keys)
    return Row(request, index, i, [await explain(client, request, i, j, index=index, **fields) for j in keys])


def combinations(score_model, normalizer):
    """Settings, heads and dtypes in turn, beginning at another place for each score model and normalizer."""
    first = len(NORMALIZERS) * list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    settings, heads = list(SETTINGS), list(HEADS)
    for n in range(first % EVERY, len(settings), EVERY):
        turn = first // EVERY + n
        yield Combination(score_model, normalizer, settings[n], heads[turn % len(heads)], DTYPES[turn % len(DTYPES)])


PAIRS = list(itertools.product(SCORE_MODELS, NORMALIZERS))
EACH_ONCE = [
    (list(SCORE_MODELS)[n % len(SCORE_MODELS)], list(NORMALIZERS)[n % len(NORMALIZERS)])
    for n in range(max(len(SCORE_MODELS), len(NORMALIZERS)))
]
"""Pairs in which each score model and each normalizer is."""
ALL = [one for pair in PAIRS for one in combinations(*pair)]


def test_every_two_choices_meet():
    names = ("score_model", "normalizer", "setting", "heads", "dtype")
    sizes = (len(SCORE_MODELS), len(NORMALIZERS), len(SETTINGS), len(HEADS), len(DTYPES))
    for (a, of_a), (b, of_b) in itertools.combinations(zip(names, sizes, strict=True), 2):
        met = Counter((getattr(one, a), getattr(one, b)) for one in ALL)
        assert len(met) == of_a * of_b, (a, b, of_a * of_b - len(met))


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(7, SCORE_MODELS, NORMALIZERS))
async def test_the_response_alone_recombines(client, score_model, normalizer):
    """Also into what /v1/attention answers: to 1e-12 in float64, within their own rounding in the other dtypes."""
    for one in combinations(score_model, normalizer):
        request = one.request()
        rng = random.Random(one.seed)
        inputs = oracle.Inputs(request)
        index, i = [rng.randrange(size) for size in inputs.leading], rng.randrange(inputs.queries)
        row = await explain_row(client, request, index, i, language=rng.choice(["zh", "en"]))
        row.judge()
        fields = ["scores", "capped_scores", "logits", "weights", "output"]
        response = await client.post("/v1/attention", json=request | {"include": fields})
        assert response.status_code == 200, response.text
        agree(row, response.json(), one.dtype)


def agree(row, answer, dtype):
    """Fail unless /v1/attention answers with the explained numbers, and the contributions sum to its output."""
    names = {"scores": "score", "capped_scores": "capped_score", "logits": "logit", "weights": "weight"}
    largest = max(abs(one["logit"] or one["capped_score"]) for one in row.explanations)
    for field, name in names.items():
        received = _element(answer[field], (*row.index, row.i))
        for one, number in zip(row.explanations, received, strict=True):
            if one[name] is None or number is None:
                assert one[name] == number
            elif not (row.inputs.normalizer["name"] == "hardmax" and field == "weights" and dtype != "float64"):
                spread = max(largest, row.sharpness, *(abs(term["value"]) for term in one["terms"]))
                assert abs(one[name] - number) <= rounding(dtype, number, spread), (field, one[name], number)
    if dtype == "float64":
        for extra, output in enumerate(outputs(row, answer)):
            shares = [of_extra(one["contribution"], extra) for one in row.explanations]
            for c, number in enumerate(output):
                near(math.fsum(share[c] for share in shares), number, math.fsum(abs(share[c]) for share in shares))


def rounding(dtype, number, spread):
    """One unit in the last place where the result is stored, and some where it is computed."""
    if dtype == "float64":
        return 1e-12 * max(1.0, spread)
    computed = plain.DIGITS[plain.COMPUTE[dtype].__name__]
    return 2.0 ** -plain.DIGITS[dtype] * abs(number) + 32 * 2.0**-computed * max(1.0, spread)


def outputs(row, answer):
    """The output of the row, at each of those leading axes that only value has."""
    output, index, i = answer["output"], row.index, row.i
    if row.inputs.packed:
        size = shape(row.inputs.value)[-1]
        return [output[index[0]][i][index[1] * size : (index[1] + 1) * size]]
    wider = len(shape(output)) - 2 - len(index)
    return [_element(extra, (*index, i)) for extra in (output if wider else [output])]


def _element(nested, index):
    for step in index:
        nested = nested[step]
    return nested


def of_extra(contribution, extra):
    return contribution[extra] if isinstance(contribution[0], list) else contribution


async def test_all_rows_of_all_heads(client):
    """Grouped heads with parameters, slopes and sinks of their own: none is taken for another."""
    request = Combination("scaled_dot_product", "softmax", "alibi, own slopes", "grouped cache", "float64").request()
    request["score_model"] = {"name": "scaled_dot_product", "scale": [0.3, 0.9, -0.4, 1.7]}
    request["normalizer"] = {"name": "softmax", "temperature": 0.7, "sink": [0.0, 1.5, -1.0, 3.0]}
    inputs = oracle.Inputs(request)
    assert inputs.leading == (1, 4)
    for index in itertools.product(*map(range, inputs.leading)):
        for i in range(inputs.queries):
            (await explain_row(client, request, list(index), i)).judge()


async def test_without_an_index_the_first_of_each_leading_axis_is_explained(client):
    request = Combination("cosine", "softmax", "causal", "heads", "float64").request()
    assert await explain(client, request, 1, 2) == await explain(client, request, 1, 2, index=[0, 0])
    assert await explain(client, request, 1, 2) != await explain(client, request, 1, 2, index=[1, 1])


async def test_without_a_value_there_is_no_contribution(client):
    answer = await explain(client, FIGHT | {"value": None})
    assert answer["contribution"] is None
    assert "contribution" not in steps_of(answer)


async def test_the_founding_example(client):
    answer = await explain(client, FIGHT)
    assert answer["score"] == 3.15
    assert_close(answer["weight"], 0.7017, 5e-5)
    assert_close(answer["contribution"], [0.7017, 0.1403, 0], 5e-5)
    assert [(term["name"], term["expression"]) for term in answer["terms"]] == [
        ("feature 0", "2 × 1.9"), ("feature 1", "1 × 1.5"), ("feature 2", "1 × 1"), ("feature 3", "0 × 0.3")
    ]  # fmt: skip
    assert steps_of(answer)["sum"]["formula"] == "2 × 1.9 + 1 × 1.5 + 1 × 1 + 0 × 0.3 = 6.3"
    assert steps_of(answer)["weight"]["formula"] == "1 / 1.42517 = 0.701669"


MASKS = {
    "causal": {"mask": {"causal": True, "offset": -1}},
    "window": {"mask": {"window": {"left": 0, "right": 0}, "offset": -1}},
    "key_lengths": {"mask": {"key_lengths": [0]}},
    "segments": {"mask": {"query_segments": [1], "key_segments": [0, 1, 1, 1]}},
    "allowed": {"mask": {"allowed": [False, True, True, True]}},
    "key_allowed": {"mask": {"key_allowed": [False, True, True, True]}},
    "formula": {"mask": {"formula": "j > p + 1", "parameters": {}}},
    "bias": {"bias": [None, 0, 0, 0]},
}
"""Each hides the first key of FIGHT."""


@pytest.mark.parametrize(
    ("names", "normalizer"),
    product_sample(3, [*((name,) for name in MASKS), ("allowed", "bias"), tuple(MASKS)], NORMALIZERS),
    ids=lambda names: names if isinstance(names, str) else "+".join(names),
)
async def test_a_hidden_key_is_hidden_by_what_hides_it(client, names, normalizer):
    request = FIGHT | {"normalizer": normalizer, "mask": {}}
    for name in names:
        request["mask"] |= MASKS[name].get("mask", {})
        request["bias"] = MASKS[name].get("bias", request.get("bias"))
    answer = await explain(client, request)
    assert (answer["visible"], sorted(answer["masked_by"])) == (False, sorted(names))
    assert answer["score"] == answer["capped_score"] == 3.15
    assert [answer[name] for name in ("bias" if "bias" in names else "logit", "logit", *PARTS)] == [None] * 6
    assert answer["weight"] == 0.0
    assert answer["contribution"] == [0.0, 0.0, 0.0]
    assert steps_of(answer)["mask"]["formula"] == "−∞"
    Row(request, [], 0, [await explain(client, request, 0, j) for j in range(4)]).judge()


@pytest.mark.parametrize("normalizer", NORMALIZERS)
async def test_a_row_that_sees_nothing_weighs_nothing(client, normalizer):
    for one in (await explain_row(client, FIGHT | {"normalizer": normalizer, "bias": [None]}, [], 0)).explanations:
        assert (one["weight"], one["logit"], one["contribution"]) == (0.0, None, [0.0, 0.0, 0.0])
        assert "sees no key at all" in steps_of(one)["weight"]["sentence"]


async def test_a_row_of_zeros_has_no_proportions(client):
    row = await explain_row(client, FIGHT | {"query": [[0, 0, 0, 0]], "normalizer": "proportional"}, [], 0)
    row.judge()
    for one in row.explanations:
        assert (one["weight"], one["logit"], one["denominator"]) == (0.0, 0.0, 0.0)
        assert one["contribution"] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("normalizer", [name for name in NORMALIZERS if name != "none"])
async def test_a_poisoned_row_says_so(client, normalizer):
    request = FIGHT | {"normalizer": normalizer, "bias": [0, "Infinity", None, 0]}
    one, poison, hidden = [await explain(client, request, 0, j) for j in range(3)]
    assert (one["logit"], poison["logit"], poison["bias"], hidden["logit"]) == (3.15, "Infinity", "Infinity", None)
    assert (one["weight"], poison["weight"], hidden["weight"]) == ("NaN", "NaN", 0.0)
    assert "plus infinity" in steps_of(one)["weight"]["sentence"]
    assert steps_of(one)["weight"]["formula"] == "NaN"
    assert hidden["contribution"] == [0.0, 0.0, 0.0]


BEYOND = {
    "+∞ beside −∞": ({"query": [[1e200, 1e200]], "key": [[1e200, -1e200], [1, 1]]}, "dot_product"),
    "a sum beyond float64": ({"query": [[1e300, 1e300]], "key": [[1e8, 1e8], [0, 0]]}, "dot_product"),
    "a score of minus infinity": ({"query": [[1e200]], "key": [[-1e200], [1]]}, "dot_product"),
    "a square beyond float64": ({"query": [[1e200]], "key": [[-1e200], [1]]}, "gaussian"),
    "a bandwidth that vanishes": ({"query": [[1]], "key": [[2], [1]]}, {"name": "gaussian", "bandwidth": 1e-200}),
    "distances beyond float64": ({"query": [[1e308, 1]], "key": [[-1e308, 0], [0, 0]]}, "laplacian"),
    "three factors": ({"query": [[1e200]], "key": [[1e200], [0]]}, {"name": "trilinear", "weight": [1, 1, -1e10]}),
    "a projection": ({"query": [[1e200]], "key": [[1e200], [0]]}, {"name": "bilinear", "weight": [[-1e300]]}),
    "a hidden layer": (
        {"query": [[1e300]], "key": [[1e300], [0]]},
        {"name": "additive", "query_weight": [[1e300]], "key_weight": [[-1e300]], "score_vector": [1e308]},
    ),
    "lengths": ({"query": [[1e300]], "key": [[1e300], [0]]}, {"name": "cosine", "scale": 1e300}),
}


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("normalizer", ["softmax", "sparsemax", "entmax", "sigmoid", "none"])
async def test_numbers_beyond_float64_are_explained_as_attention_answers_them(client, name, normalizer):
    vectors, score_model = BEYOND[name]
    request = vectors | {"score_model": score_model, "normalizer": normalizer, "value": [[1], [2]]}
    include = {"include": ["scores", "logits", "weights"]}
    answer = (await client.post("/v1/attention", json=request | include)).json()
    for j in range(2):
        one = await explain(client, request, 0, j)
        assert [one["score"], one["logit"], one["weight"]] == [answer[field][0][j] for field in include["include"]]
        assert one["visible"] is True
        if one["logit"] is None:
            assert one["weight"] == 0.0
            assert re.search("weighs exactly 0|sees no key", steps_of(one)["weight"]["sentence"])


@pytest.mark.parametrize("normalizer", ["sparsemax", {"name": "entmax", "alpha": 2}])
async def test_the_threshold_of_sparsemax_is_written_as_what_the_support_needs_to_sum_to_one(client, normalizer):
    request = {"query": [[1]], "key": [[2], [1.5], [-3]], "score_model": "dot_product", "normalizer": normalizer}
    steps = steps_of(await explain(client, request, 0, 1))
    assert steps["threshold"]["formula"] == "(0 + (−0.5) − 1) / 2 = −0.75"
    assert steps["weight"]["formula"] == "max(1.5 − 2 − (−0.75), 0) = 0.25"
    alone = steps_of(await explain(client, request | {"key": [[2], [0.5], [-3]]}, 0, 0))
    assert alone["threshold"]["formula"] == "(0 − 1) / 1 = −1"


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_entmax_of_alpha_1_is_explained_as_softmax(client, language):
    request = {"query": [[1]], "key": [[2], [1.5], [-3]], "score_model": "dot_product"}
    received = [
        await explain(client, request | {"normalizer": normalizer}, 0, 1, language=language)
        for normalizer in ({"name": "entmax", "alpha": 1}, "softmax")
    ]
    written = [[(step["name"], step["formula"], step["value"]) for step in one["steps"]] for one in received]
    assert written[0] == written[1]
    [kept] = [step["sentence"] for step in received[0]["steps"] if step["name"] == "exponential"]
    assert "37" in kept


async def test_a_long_sum_is_written_with_its_beginning_and_its_end(client):
    many = [[float(m) for m in range(1, 31)]]
    request = {"query": many, "key": many * 20, "value": [[float(c) for c in range(20)]] * 20}
    answer = await explain(client, request)
    assert len(answer["terms"]) == 30
    steps = steps_of(answer)
    ten = " + ".join(f"{m} × {m}" for m in range(1, 11))
    assert steps["sum"]["formula"] == f"{ten} + … + 30 × 30 = 9455"
    assert steps["denominator"]["formula"] == f"{'1 + ' * 10}… + 1 = 20"
    assert steps["contribution"]["formula"].startswith("0.05 × [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, 19] = [0, 0.05, ")


@pytest.mark.parametrize(("score_model", "normalizer"), EACH_ONCE)
async def test_every_step_has_a_sentence_in_the_language_asked_for(client, score_model, normalizer):
    for setting in ("everything", "rotary", "softcap"):
        request = Combination(score_model, normalizer, setting, "rank 2", "float64").request()
        for j in range(5):
            answers = [await explain(client, request, 1, j, language=language) for language in ("zh", "en")]
            zh, en = [[step.pop("sentence") for step in answer["steps"]] for answer in answers]
            assert answers[0] == answers[1], "only sentences depend on the language"
            assert all(re.search("[\u4e00-\u9fff]", sentence) for sentence in zh), zh
            assert all(re.search("[A-Za-z]{2}", sentence) and sentence.isprintable() for sentence in en), en
            assert not any(re.search("[\u3000-\u9fff\uff00-\uffef]", sentence) for sentence in en), en
            assert not any("{" in sentence or "None" in sentence for sentence in (*zh, *en))
    assert [step["sentence"] for step in (await explain(client, request, 1, 4))["steps"]] == en


async def test_sentences_call_queries_and_keys_by_their_labels(client):
    sentences = [step["sentence"] for step in (await explain(client, FIGHT | {"labels": LABELS}, 0, 1))["steps"]]
    assert sum("打野" in sentence for sentence in sentences) >= 4
    assert not any("射手" in sentence or "key 1" in sentence for sentence in sentences)
    assert any("团战" in sentence for sentence in sentences)


async def test_numbers_of_the_request_do_not_shape_the_explanation(client):
    """include and decimals are about the answer of /v1/attention."""
    plain_answer = await explain(client, FIGHT)
    assert await explain(client, FIGHT | {"decimals": 1, "include": ["ranking"], "top_k": 1}) == plain_answer


FORMULAS = {
    "mask": {"formula": "j <= p and (p - j < n or j < 1)", "parameters": {"n": 2}},
    "score_model": {"name": "expression", "formula": "-sum((q - k)**2) / tau", "parameters": {"tau": 2}},
    "score_modifier": {"formula": "where(j < 2, score, -inf)"},
}


async def test_each_formula_is_shown_with_its_operands_and_values(client):
    points = [[1, 0], [0, 1], [1, 1], [1, -1]]
    request = {"query": points, "key": points} | FORMULAS
    zh, en = [(await explain(client, request, 2, 1, language=language))["steps"] for language in ("zh", "en")]
    assert [(step["name"], step["formula"], step["value"]) for step in en[:11]] == [
        ("sum", "1 ^ 2 + 0 ^ 2 = 1", 1),
        ("factor", "−1 / 2 = −0.5", -0.5),
        ("score", "1 × (−0.5) = −0.5", -0.5),
        ("modifier", "1 < 2: true", 1),
        ("modified", "where(true, (−0.5), (−∞)) = −0.5", -0.5),
        ("mask formula", "1 ≤ 2: true", 1),
        ("mask formula", "2 − 1 = 1", 1),
        ("mask formula", "1 < 2: true", 1),
        ("mask formula", "1 < 1: false", 0),
        ("mask formula", "true or false: true", 1),
        ("mask formula", "true and true: true", 1),
    ]
    sentences = [(one["sentence"], other["sentence"]) for one, other in zip(zh, en, strict=True)]
    assert sentences[1][1] == "The sum is multiplied by the factor −0.5, which is -1 / tau in the formula."
    assert sentences[8] == ("掩码公式的一部分：j < 1 是 假。", "A part of the mask formula: j < 1 is false.")
    assert sentences[10] == (
        "掩码公式“j <= p and (p - j < n or j < 1)”对查询 2 和键 1 为真。",
        "The mask formula “j <= p and (p - j < n or j < 1)” is true for query 2 and key 1.",
    )


async def test_zero_has_no_sign(client):
    request = {"query": [[1, 0]], "key": [[1, 0]], "value": [[-0.0]], "score_model": FORMULAS["score_model"]}
    response = await client.post("/v1/attention/explain", json={"request": request, "query_index": 0, "key_index": 0})
    assert response.json()["maximum"] == 0
    assert "-0.0" not in response.text


SCALED = {
    "linear": ({}, "scaled as linear with factor 4; the"),
    "yarn": (
        {"original_max_position_embeddings": 8, "attention_factor": 1.5},
        "scaled as yarn with factor 4, and multiplies both by the attention factor 1.5; the",
    ),
}


@pytest.mark.parametrize("kind", SCALED)
async def test_scaled_rotary_angles_are_in_the_sentence(client, kind):
    parameters, said = SCALED[kind]
    position = {"name": "rotary", "scaling": {"kind": kind, "factor": 4} | parameters}
    request = {"query": [[1, 0]] * 2, "key": [[1, 0]] * 2, "position": position}
    assert said in steps_of(await explain(client, request, 1, 0))["rotary"]["sentence"]
