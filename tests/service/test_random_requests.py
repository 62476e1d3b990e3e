"""Whatever valid request is drawn, the application answers 200, and with the numbers of the oracle."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings

from tests import oracle
from tests.compare import assert_close
from tests.service.strategies import (
    DTYPES,
    INCLUDE_NEEDS,
    MASK_FIELDS,
    NORMALIZERS,
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

DRAWN = settings(max_examples=300, derandomize=True, database=None, deadline=None)


def test_everything_the_service_knows_has_a_strategy() -> None:
    assert not missing_strategies()


def test_everything_that_has_a_strategy_is_drawn() -> None:
    seen: Counter[tuple[str, str]] = Counter()

    @DRAWN
    @given(attention_requests())
    def count(request: Request) -> None:
        seen.update(set(_features(request)))

    count()
    print(f"\n{dict(sorted(seen.items()))}")
    assert _every_feature() <= set(seen)


@settings(DRAWN, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=attention_requests(dtypes=("float64",)))
async def test_the_numbers_are_those_of_the_oracle(app_client: httpx.AsyncClient, request: Request) -> None:
    """In float64; how much narrower dtypes may lose is derived in the core's tests."""
    response = await app_client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    received, expected = response.json(), oracle.attention(request)
    asked = _asked(request)
    assert set(received) == {*asked, "score_model", "normalizer", "dtype", "notes"}
    for field in asked:
        largest = max(_magnitudes(expected[field]), default=0)
        assert_close(received[field], expected[field], TOLERANCE * max(SMALLEST, largest), field)


@settings(DRAWN, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=attention_requests())
async def test_the_answer_says_what_was_used(app_client: httpx.AsyncClient, request: Request) -> None:
    answer = (await app_client.post("/v1/attention", json=request)).json()
    assert answer["score_model"]["name"] == name_of(request.get("score_model"), "scaled_dot_product")
    assert answer["normalizer"]["name"] == name_of(request.get("normalizer"), "softmax")
    assert answer["dtype"] == (request.get("dtype") or "float64")


def _asked(request: Request) -> set[str]:
    if request.get("include") is not None:
        return set(request["include"])
    return {"scores", "weights", *(["output"] if request.get("value") is not None else [])}


def _magnitudes(nested: Any) -> Iterator[float]:
    """Sizes of the finite numbers in nested lists."""
    if isinstance(nested, list):
        for item in nested:
            yield from _magnitudes(item)
    elif math.isfinite(nested):
        yield abs(nested)


def _every_feature() -> set[tuple[str, str]]:
    return {
        *(("score_model", name) for name in SCORE_MODELS),
        *(("normalizer", name) for name in NORMALIZERS),
        *(("request", name) for group in REQUEST_FIELDS for name in group),
        *(("mask", name) for group in MASK_FIELDS for name in group),
        *(("include", name) for name in INCLUDE_NEEDS),
        *(("dtype", name) for name in DTYPES),
        *(("rank", str(rank)) for rank in (2, 3, 4)),
    }


def _features(request: Request) -> Iterator[tuple[str, str]]:
    """What a request makes use of, null excepted."""
    yield "score_model", name_of(request.get("score_model"), "scaled_dot_product")
    yield "normalizer", name_of(request.get("normalizer"), "softmax")
    yield "rank", str(len(oracle.shape(request["query"])))
    for kind, fields in (("request", request), ("mask", request.get("mask") or {})):
        yield from ((kind, name) for name, value in fields.items() if value is not None)
    for name in request.get("include") or []:
        yield "include", name
    if request.get("dtype") is not None:
        yield "dtype", request["dtype"]
