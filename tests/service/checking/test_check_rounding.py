"""POST /v1/attention/check with numbers as people paste them: a few decimals, a few numbers."""

import numpy as np
import pytest

from tests.service.checking.kernels import Kernel
from tests.service.checking.planting import REQUESTS, candidate_of, wire
from tests.service.checking.readme_request import README, check
from tests.service.checking.small_requests import small_request
from tests.service.checking.wrong_kernels.masks import BottomRightForTopLeft
from tests.service.checking.wrong_kernels.scores import AConstantForTheScale, NoScale

TOLERANCES = [{"atol": 5e-5, "rtol": 0}, {}]
"""That of four decimals, and the default, which is closer than them."""


@pytest.mark.parametrize("tolerances", TOLERANCES)
async def test_the_example_of_the_readme_is_recognised_by_four_decimals(client, tolerances):
    answer = await check(client, README, {"output": [[0.9423, 0.2351, 0.0395]]}, **tolerances)
    assert (answer["passed"], answer["likely_cause"]) == (False, "scale missing")
    assert "rounded to 4 decimals" in answer["advice"]["en"]
    assert "4 位小数" in answer["advice"]["zh"]


@pytest.mark.parametrize("tolerances", TOLERANCES)
async def test_three_weights_of_four_decimals_are_recognised(client, tolerances):
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(50):
        request = small_request(rng, "1 × 3", "nothing")
        candidate = {"weights": np.round(NoScale(request).run()["weights"], 4).tolist()}
        named += (await check(client, request, candidate, **tolerances))["likely_cause"] == "scale missing"
    assert named == 50


async def test_a_mask_added_as_0_and_1_is_recognised_by_two_weights(client):
    request = {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "mask": {"allowed": [[True, False]]}}
    answer = await check(client, request, {"weights": [[0.8464606437862121, 0.1535393562137878]]})
    assert answer["likely_cause"] == "mask added as 0 and 1"


async def test_the_one_key_that_a_wrong_corner_shows_is_enough(client):
    request = README | {"mask": {"causal": True, "offset": "bottom_right"}}
    for candidate in ({"output": [README["value"][0]]}, {"weights": [[1, 0, 0, 0]]}):
        assert "causal corner" in (await check(client, request, candidate))["likely_cause"]


@pytest.mark.parametrize("places", range(1, 8))
async def test_a_right_candidate_is_told_to_how_many_decimals(client, places):
    for request in (README, REQUESTS["heads: causal"]):
        right = Kernel(request).run()
        for fields in (("output",), ("output", "weights", "logsumexp")):
            rounded = {name: np.round(right[name], places).tolist() for name in fields}
            answer = await check(client, request, rounded)
            assert (answer["passed"], answer["likely_cause"]) == (False, None)
            assert f"right to {places} decimal{'s' * (places > 1)}:" in answer["advice"]["en"]
            assert f"精确到 {places} 位小数" in answer["advice"]["zh"]


@pytest.mark.parametrize("digits", range(2, 7))
async def test_a_right_candidate_is_told_to_how_many_significant_digits(client, digits):
    request = REQUESTS["heads: nothing"]
    weights = Kernel(request).run()["weights"]
    # Weights differ by powers of ten, so that no number of decimals is right for all of them.
    assert weights.min() < 1e-3 < 0.5 < weights.max()
    rounded = np.vectorize(lambda number: float(f"{number:.{digits}g}"))(weights)
    answer = await check(client, request, {"weights": rounded.tolist()})
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    assert f"right to {digits} significant digits:" in answer["advice"]["en"]
    assert f"精确到 {digits} 位有效数字" in answer["advice"]["zh"]


async def test_one_wrong_number_among_rounded_ones_is_not_right(client):
    output = np.round(Kernel(README).run()["output"], 4)
    output[0, 1] += 1e-4
    answer = await check(client, README, {"output": output.tolist()})
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    assert "right to" not in answer["advice"]["en"]


async def test_numbers_that_are_exact_are_not_called_rounded(client):
    scores = [[6.3, 3.2, 2.4, 1.0]]
    answer = await check(client, README, {"scores": scores})
    assert answer["likely_cause"] == "scale missing"
    assert "rounded" not in answer["advice"]["en"]


async def test_two_mistakes_that_give_the_same_are_both_named_with_what_to_change(client):
    """As many positions as keys remain: with two batch rows of lengths 9 and 3 the longest for all hides nothing."""
    request = REQUESTS["batch: lengths"] | {"mask": {"key_lengths": [9, 3]}}
    answer = await check(client, request, candidate_of(Kernel(request | {"mask": None}).run(), ("output",)))
    assert answer["likely_cause"] == "mask missing; or one position for all batch rows"
    assert " Or: All batch rows" in answer["advice"]["en"]
    assert "或者：所有批次行" in answer["advice"]["zh"]


async def test_a_corner_that_is_also_a_window_is_named_as_both(client):
    """Both give the first query the last key as well."""
    request = {
        "query": [[0.3, 1.1]],
        "key": [[1.0, 0.2], [0.4, -0.7], [-1.2, 0.5]],
        "value": [[0.25, 1.5], [-0.125, 0.75], [0.5, -1.0]],
        "mask": {"causal": True, "offset": 1},
    }
    wrong = BottomRightForTopLeft(request).run()
    answer = await check(client, request, candidate_of(wrong, ("output",)))
    assert {"causal corner", "causal off by one"} <= set(answer["likely_cause"].split("; or "))


@pytest.mark.parametrize("decimals", [None, 4, 6])
async def test_a_constant_for_the_scale_is_said(client, decimals):
    for name in ("rank 2: nothing", "heads: causal", "packed: softcap", "square: temperature", "grouped: rotary"):
        request = REQUESTS[name]
        wrong = AConstantForTheScale(request).run()
        candidate = {
            field: wire(wrong[field] if decimals is None else np.round(wrong[field], decimals))
            for field in ("output", "weights")
        }
        answer = await check(client, request, candidate)
        assert answer["likely_cause"] == "another scale"
        assert "scale 0.27 instead of 0.353553" in answer["advice"]["en"]
        assert "scale 0.27" in answer["advice"]["zh"]
