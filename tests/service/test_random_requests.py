"""Whatever valid request is drawn, the application answers 200, and with the numbers of the oracle."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import oracle
from tests.compare import assert_close
from tests.nested import shape
from tests.sampling import draws
from tests.service.drawn_questions import (
    check_requests,
    compare_requests,
    explain_requests,
    gradients_requests,
    without_infinities,
)
from tests.service.strategies import (
    DTYPES,
    INCLUDE_NEEDS,
    MASK_FIELDS,
    NORMALIZERS,
    POSITIONS,
    REQUEST_FIELDS,
    SCORE_MODELS,
    Request,
    attention_requests,
    missing_strategies,
    name_of,
)

TOLERANCE = 1e-7
"""Relative to the largest number of a field."""

SMALLEST = 0.01
"""What a field whose numbers cancel to almost nothing counts as."""

DRAWN = settings(max_examples=draws(20))
"""Requests for each score model."""

FEWER = settings(DRAWN, max_examples=draws(25))
"""Requests that take several times as long, for all score models together."""

with_each_score_model = pytest.mark.parametrize("score_model", SCORE_MODELS)


def test_everything_the_service_knows_has_a_strategy() -> None:
    assert not missing_strategies()


@pytest.mark.soak
def test_everything_that_has_a_strategy_is_drawn() -> None:
    seen: Counter[tuple[str, str]] = Counter()

    @settings(DRAWN, max_examples=20)
    @given(st.data())
    def count(score_model: str, data: st.DataObject) -> None:
        seen.update(set(_features(data.draw(attention_requests(score_models=[score_model])))))

    for score_model in SCORE_MODELS:
        count(score_model)
    print(f"\n{dict(sorted(seen.items()))}")
    assert _every_feature() <= set(seen)


@with_each_score_model
@DRAWN
@given(data=st.data())
async def test_the_answer_says_what_was_used_and_has_the_numbers_of_the_oracle(
    app_client: httpx.AsyncClient, score_model: str, data: st.DataObject
) -> None:
    """Numbers in float64; how much narrower dtypes may lose is derived in the core's tests."""
    request = data.draw(attention_requests(score_models=[score_model]))
    normalizer, dtype = name_of(request.get("normalizer"), "softmax"), request.get("dtype") or "float64"
    expected = oracle.attention(request)
    assume(not (normalizer == "hardmax" and _is_tied(expected["logits"])))
    response = await app_client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    received, asked = response.json(), _asked(request)
    assert set(received) == {*asked, "score_model", "normalizer", "dtype", "notes"}
    used = [received["score_model"]["name"], received["normalizer"]["name"], received["dtype"]]
    assert used == [name_of(request.get("score_model"), "scaled_dot_product"), normalizer, dtype]
    if dtype != "float64":
        return
    rounding = 0 if request.get("decimals") is None else 0.5 * 10.0 ** -request["decimals"]
    for field in asked - {"diagnostics", "ranking"}:
        _assert_close(received[field], expected[field], rounding, field)
    if "diagnostics" in asked:
        _assert_diagnosed(received["diagnostics"], expected, rounding)
    if "ranking" in asked:
        rows = zip(_rows(received["ranking"]), _rows(expected["logits"]), _rows(expected["weights"]), strict=True)
        for row in rows:
            _assert_ranked(*row, request, rounding)


@FEWER
@given(question=explain_requests(dtypes=["float64"]))
async def test_any_weight_is_explained_as_the_oracle_has_it(app_client: httpx.AsyncClient, question: Request) -> None:
    request = question["request"]
    response = await app_client.post("/v1/attention/explain", json=question)
    assert response.status_code == 200, response.text
    answer, expected = response.json(), oracle.attention(request)
    index = question.get("index") or [0] * len(oracle.Inputs(request).leading)
    place = (*index, question["query_index"], question["key_index"])
    for name, field in (("score", "scores"), ("capped_score", "capped_scores"), ("logit", "logits")):
        _assert_close(answer[name], _element(expected[field], place), 0, name)
    if not (name_of(request.get("normalizer"), "softmax") == "hardmax" and _is_tied(expected["logits"])):
        _assert_close(answer["weight"], _element(expected["weights"], place), 0, "weight")
    assert (answer["contribution"] is None) == (request.get("value") is None)


@FEWER
@given(question=compare_requests())
async def test_any_variants_are_compared(app_client: httpx.AsyncClient, question: Request) -> None:
    response = await app_client.post("/v1/attention/compare", json=question)
    assert response.status_code == 200, response.text
    answer, labels = response.json(), ["base", *(variant["label"] for variant in question["variants"])]
    assert [one["label"] for one in answer["results"]] == labels
    assert [(pair["a"], pair["b"]) for pair in answer["pairs"]] == list(combinations(labels, 2))
    alone = await app_client.post("/v1/attention", json=question["base"])
    assert answer["results"][0]["result"] == alone.json()


@FEWER
@given(question=check_requests(dtypes=["float64"]), data=st.data())
async def test_the_oracle_passes_every_check(
    app_client: httpx.AsyncClient, question: Request, data: st.DataObject
) -> None:
    """And numbers that are wrong by more than the tolerance fail."""
    expected = oracle.attention(question["request"])
    assume(
        not (name_of(question["request"].get("normalizer"), "softmax") == "hardmax" and _is_tied(expected["logits"]))
    )
    name = data.draw(st.sampled_from([name for name in ("output", "weights", "scores") if name in expected]))
    right = without_infinities(expected[name])
    tolerance = TOLERANCE * max(1, *_magnitudes(right))
    for candidate, passes in ((right, True), (_shifted(right, 2 * tolerance), False)):
        document = {"request": question["request"], "candidate": {name: candidate}, "rtol": 0, "atol": tolerance}
        response = await app_client.post("/v1/attention/check", json=document)
        assert response.status_code == 200, response.text
        assert response.json()["passed"] is passes
    response = await app_client.post("/v1/attention/check", json=question)
    assert response.status_code == 200, response.text
    assert set(response.json()["fields"]) == set(question["candidate"])


@FEWER
@given(question=gradients_requests())
async def test_every_gradient_has_the_shape_of_what_was_sent(app_client: httpx.AsyncClient, question: Request) -> None:
    """Beside the output that attention has."""
    response = await app_client.post("/v1/attention/gradients", json=question)
    assert response.status_code == 200, response.text
    answer, request = response.json(), question["request"]
    included = question.get("include")
    for name, found in answer["gradients"].items():
        assert included is None or name in included
        if name in ("score_model", "normalizer"):
            sent = request.get(name) if isinstance(request.get(name), dict) else {}
            for parameter, gradient in found.items():
                assert sent.get(parameter) is None or shape(gradient) == shape(sent[parameter]), parameter
        else:
            assert shape(found) == shape(request[name]), name
    plain = await app_client.post("/v1/attention", json=without_top_k(request) | {"include": ["output"]})
    # Narrow types, and decimals, may round what differs by the last bit to two numbers.
    if "output" in answer and answer["dtype"] == "float64" and request.get("decimals") is None:
        expected = plain.json()["output"]
        assert_close(answer["output"], expected, TOLERANCE * max(1, *_magnitudes(expected)))
    assert answer["dtype"] == plain.json()["dtype"]


def without_top_k(request: Request) -> Request:
    return {name: field for name, field in request.items() if name != "top_k"}


def _shifted(nested: Any, by: float) -> Any:
    return [_shifted(item, by) for item in nested] if isinstance(nested, list) else nested + by


def _element(nested: Any, place: tuple[int, ...]) -> Any:
    for step in place:
        nested = nested[step]
    return nested


def _asked(request: Request) -> set[str]:
    """The fields that the answer must have."""
    if request.get("include") is None:
        return {"scores", "weights", *(["output"] if request.get("value") is not None else [])}
    included = set(request["include"])
    return included - {"present"} | ({"present_key", "present_value"} if "present" in included else set())


def _assert_close(received: Any, expected: Any, rounding: float, field: str) -> None:
    largest = max(_magnitudes(expected), default=0)
    assert_close(received, expected, TOLERANCE * max(SMALLEST, largest) + rounding, field)


def _assert_diagnosed(received: Any, expected: dict[str, Any], rounding: float) -> None:
    """Every number; where weights are equal but for rounding, any of their keys may be the top one."""
    diagnosed = expected["diagnostics"]
    assert set(received) == set(diagnosed)
    for field in set(diagnosed) - {"top_key"}:
        if diagnosed[field] is None:
            assert received[field] is None
        else:
            _assert_close(received[field], diagnosed[field], rounding, field)
    for weights, top, best in zip(
        _rows(expected["weights"]), _flat(received["top_key"]), _flat(diagnosed["top_key"]), strict=True
    ):
        assert (top is None) == (best is None)
        if top is not None:
            _assert_close(weights[top], weights[best], 0, "top_key")


def _assert_ranked(ranked: Any, logits: Any, weights: Any, request: Request, rounding: float) -> None:
    """As many visible keys as there may be, each once, weights right and falling, none left out that weighs more."""
    visible = [key for key, logit in enumerate(logits) if logit != -math.inf]
    keys = [entry["key"] for entry in ranked]
    assert set(keys) <= set(visible)
    assert len(keys) == len(set(keys)) == min(request.get("top_k") or math.inf, len(visible))
    sent = [entry["weight"] for entry in ranked]
    _assert_close(sent, [weights[key] for key in keys], rounding, "ranking")
    assert all(one >= next_ for one, next_ in pairwise(sent))
    heaviest_left_out = max((weights[key] for key in set(visible) - set(keys)), default=-math.inf)
    assert not keys or heaviest_left_out <= weights[keys[-1]] + TOLERANCE * max(1, abs(weights[keys[-1]]))
    labels = (request.get("labels") or {}).get("key")
    assert [entry.get("label") for entry in ranked] == [labels and labels[key] for key in keys]


def _is_tied(logits: Any) -> bool:
    """Whether in some row the two largest logits differ by rounding at most."""
    for row in _rows(logits):
        *_, second, first = [-math.inf, *sorted(row)]
        if first > -math.inf and first - second <= TOLERANCE * max(1, abs(first)):
            return True
    return False


def _rows(nested: Any) -> Iterator[Any]:
    """The innermost lists."""
    if nested and isinstance(nested[0], list):
        for item in nested:
            yield from _rows(item)
    else:
        yield nested


def _flat(nested: Any) -> Iterator[Any]:
    if isinstance(nested, list):
        for item in nested:
            yield from _flat(item)
    else:
        yield nested


def _magnitudes(nested: Any) -> Iterator[float]:
    """Sizes of the finite numbers in nested lists; null is none."""
    return (abs(number) for number in _flat(nested) if math.isfinite(number))


def _every_feature() -> set[tuple[str, str]]:
    return {
        *(("score_model", name) for name in SCORE_MODELS),
        *(("normalizer", name) for name in NORMALIZERS),
        *(("position", name) for name in POSITIONS),
        *(("request", name) for group in REQUEST_FIELDS for name in group),
        *(("request", name) for name in ("value", "past_key", "past_value", "include", "top_k")),
        *(("mask", name) for group in MASK_FIELDS for name in group),
        *(("include", name) for name in INCLUDE_NEEDS),
        *(("dtype", name) for name in DTYPES),
        *(("rank", str(rank)) for rank in (2, 3, 4)),
    }


def _features(request: Request) -> Iterator[tuple[str, str]]:
    """What a request makes use of, null excepted."""
    yield "score_model", name_of(request.get("score_model"), "scaled_dot_product")
    yield "normalizer", name_of(request.get("normalizer"), "softmax")
    yield "position", name_of(request.get("position"), "none")
    yield "rank", str(len(oracle.shape(request["query"])))
    for kind, fields in (("request", request), ("mask", request.get("mask") or {})):
        yield from ((kind, name) for name, value in fields.items() if value is not None)
    for name in request.get("include") or []:
        yield "include", name
    if request.get("dtype") is not None:
        yield "dtype", request["dtype"]
