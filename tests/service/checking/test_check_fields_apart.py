"""POST /v1/attention/check with fields that are rounded to different places, or of which one alone is wrong."""

import numpy as np
import pytest

from tests.service.checking.kernels import Kernel
from tests.service.checking.readme_request import README, check

RIGHT = Kernel(README).run()


@pytest.mark.parametrize(("weights", "output"), [(3, 4), (4, 3), (2, 6)])
async def test_two_right_fields_are_each_told_to_how_many_decimals(client, weights, output):
    candidate = {"weights": np.round(RIGHT["weights"], weights), "output": np.round(RIGHT["output"], output)}
    answer = await check(client, README, {name: array.tolist() for name, array in candidate.items()})
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    for language, texts in {
        "en": (f"weights is right to {weights} decimals", f"output is right to {output} decimals"),
        "zh": (f"weights 精确到 {weights} 位小数", f"output 精确到 {output} 位小数"),
    }.items():
        assert all(text in answer["advice"][language] for text in texts), answer["advice"]
    assert f"an atol of {10.0 ** -min(weights, output):.0e}" in answer["advice"]["en"]


async def test_a_rounded_field_beside_one_in_full_is_told_to_how_many_decimals(client):
    candidate = {"weights": np.round(RIGHT["weights"], 4).tolist(), "output": RIGHT["output"].tolist()}
    answer = await check(client, README, candidate)
    assert (answer["fields"]["output"]["passed"], answer["likely_cause"]) == (True, None)
    assert "weights is right to 4 decimals" in answer["advice"]["en"]
    assert "output" not in answer["advice"]["en"]


async def test_decimals_and_significant_digits_are_told_apart(client):
    spread = README | {"value": (np.array(README["value"]) * [1, 1, 1e-7]).tolist()}
    output = np.vectorize(lambda number: float(f"{number:.3g}"))(Kernel(spread).run()["output"])
    answer = await check(client, spread, {"weights": np.round(RIGHT["weights"], 3).tolist(), "output": output.tolist()})
    assert "weights is right to 3 decimals" in answer["advice"]["en"]
    assert "output is right to 3 significant digits" in answer["advice"]["en"]
    assert "an atol of 1e-03 and an rtol of 1e-02" in answer["advice"]["en"]


@pytest.mark.parametrize("places", [2, 4])
async def test_a_wrong_output_comes_before_right_weights_that_are_rounded(client, places):
    output = RIGHT["output"] + [[0.3, -0.2, 0.1]]
    candidate = {"weights": np.round(RIGHT["weights"], places).tolist(), "output": output.tolist()}
    answer = await check(client, README, candidate)
    assert (answer["passed"], answer["likely_cause"]) == (False, None)
    assert answer["advice"]["en"].startswith("Right up to weights; output is the first step that is not.")
    assert "weights 是对的，output 是第一个不对的步骤" in answer["advice"]["zh"]
