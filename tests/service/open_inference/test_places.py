"""Faults of a well-framed request are a 422 with their place; scalars win over options."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.open_inference.asking import KEYS, ONE, PLAIN, assert_problem
from tests.service.open_inference.inference import frame


def with_parameters(**parameters: Any) -> dict[str, Any]:
    return PLAIN | {"parameters": parameters}


def options(**fields: Any) -> dict[str, Any]:
    return with_parameters(options=json.dumps(fields))


def beside(name: str, shape: list[int], numbers: Any, datatype: str = "FP32") -> dict[str, Any]:
    return {"inputs": [ONE, KEYS, {"name": name, "shape": shape, "datatype": datatype, "data": numbers}]}


SLOPES = beside("alibi_slopes", [1], [1])["inputs"]

WRONG: dict[str, tuple[Any, str, str]] = {
    "no object": ([1], "invalid-request", ""),
    "no inputs": ({}, "invalid-request", "/inputs"),
    "inputs no list": ({"inputs": 3}, "invalid-request", "/inputs"),
    "input no object": ({"inputs": [3]}, "invalid-request", "/inputs/0"),
    "no name": ({"inputs": [{"shape": [1], "datatype": "FP32", "data": [1]}]}, "invalid-request", "/inputs/0/name"),
    "no datatype": ({"inputs": [{"name": "key", "shape": [1], "data": [1]}]}, "invalid-request", "/inputs/0/datatype"),
    "no shape": ({"inputs": [{"name": "key", "datatype": "FP32", "data": [1]}]}, "invalid-request", "/inputs/0/shape"),
    "id a number": (PLAIN | {"id": 3}, "invalid-request", "/id"),
    "no key": ({"inputs": [ONE]}, "invalid-request", "/inputs"),
    "input misspelt": (beside("valeu", [2, 1], [1, 2]), "unknown-name", "/inputs/2/name"),
    "input of another model": (beside("weight", [1, 1], [1]), "unknown-name", "/inputs/2/name"),
    "output misspelt": (PLAIN | {"outputs": [{"name": "weigths"}]}, "unknown-name", "/outputs/0/name"),
    "output without value": (PLAIN | {"outputs": [{"name": "scores"}, {"name": "output"}]}, "invalid-request",
                             "/outputs/1"),
    "classes instead of numbers": (PLAIN | {"outputs": [{"name": "scores", "parameters": {"classification": 3}}]},
                                   "invalid-request", "/outputs/0/parameters/classification"),
    "parameter misspelt": (with_parameters(casual=True), "unknown-name", "/parameters/casual"),
    "odd parameter": (with_parameters(**{"a/b~": 1}), "unknown-name", "/parameters/a~1b~0"),
    "parameter of another model": (with_parameters(scale=2), "unknown-name", "/parameters/scale"),
    "flag as text": (with_parameters(causal="yes"), "invalid-request", "/parameters/causal"),
    "temperature zero": (with_parameters(temperature=0), "invalid-request", "/parameters/temperature"),
    "normalizer misspelt": (with_parameters(normalizer="sofmax"), "unknown-name", "/parameters/normalizer"),
    "parameter of another normalizer": (with_parameters(normalizer="entmax", temperature=2), "unknown-name",
                                        "/parameters/temperature"),
    "window to the wrong side": (with_parameters(window_left=-1), "invalid-request", "/parameters/window_left"),
    "offset misspelt": (with_parameters(offset="bottom_rigth"), "unknown-name", "/parameters/offset"),
    "offset with a fraction": (with_parameters(offset=1.5), "invalid-request", "/parameters/offset"),
    "half of the heads": (with_parameters(query_heads=2), "invalid-request", "/parameters"),
    "layout misspelt": (with_parameters(layout="bsdh"), "unknown-name", "/parameters/layout"),
    "layout of another rank": (with_parameters(layout="bshd"), "shape-mismatch", "/inputs/0/shape"),
    "layout beside packed heads": (with_parameters(layout="bshd", query_heads=1, key_value_heads=1), "invalid-request",
                                   "/parameters/layout"),
    "mean of no heads": (PLAIN | {"outputs": [{"name": "scores"}, {"name": "mean_weights"}]}, "invalid-request",
                         "/outputs/1"),
    "key of another size": ({"inputs": [ONE, KEYS | {"shape": [1, 2]}]}, "shape-mismatch", "/inputs/1/shape"),
    "rank 1": ({"inputs": [ONE, KEYS | {"shape": [2]}]}, "shape-mismatch", "/inputs/1/shape"),
    "one value too few": (beside("value", [1, 1], [1]), "shape-mismatch", "/inputs/2/shape"),
    "mask of another shape": (beside("allowed", [1, 3], [True] * 3, "BOOL"), "shape-mismatch", "/inputs/2/shape"),
    "too long a length": (beside("key_lengths", [1], [3], "INT64"), "invalid-request", "/inputs/2/data/0"),
    "half of the segments": (beside("key_segments", [2], [1, 1], "INT64"), "invalid-request", "/inputs"),
    "half of the past": (beside("past_key", [1, 1], [1]), "invalid-request", "/inputs"),
    "too large for the datatype": (beside("bias", [1, 2], [0, 70000], "FP16"), "invalid-request", "/inputs/2/data/1"),
    "too large, nested": (beside("bias", [1, 2], [[0, 1e39]]), "invalid-request", "/inputs/2/data/0/1"),
    "too large for float64": (PLAIN | {"inputs": [ONE, KEYS | {"data": [1e308 * 10, 1]}]}, "invalid-request",
                              "/inputs/1/data/0"),
    "sink not finite": (beside("sink", [1], ["NaN"]), "invalid-request", "/inputs/2/data"),
    "twice": (beside("sink", [1], [1]) | {"parameters": {"sink": 1}}, "invalid-request", "/inputs/2/name"),
    "slopes for another position": (options(position="rotary") | {"inputs": SLOPES},
                                    "unknown-name", "/inputs/2/data"),
    "options no text": (with_parameters(options={"softcap": 1}), "invalid-request", "/parameters/options"),
    "options no JSON": (with_parameters(options="{"), "invalid-request", "/parameters/options"),
    "options no object": (with_parameters(options="[1]"), "invalid-request", "/parameters/options"),
    "option misspelt": (options(softcpa=1), "unknown-name", "/parameters/options"),
    "option misspelt further in": (options(mask={"casual": True}), "unknown-name", "/parameters/options"),
    "mask no object": (options(mask=3), "invalid-request", "/parameters/options"),
    "mask no object beside a scalar": (options(mask=3) | {"parameters": {"options": '{"mask": 3}', "causal": True}},
                                       "invalid-request", "/parameters/options"),
    "tensor among the options": (options(key=[[1]]), "unknown-name", "/parameters/options"),
    "outputs among the options": (options(include=["weights"]), "unknown-name", "/parameters/options"),
    "dtype against the datatype": (options(dtype="float64"), "invalid-request", "/parameters/options"),
    "dtype a list": (options(dtype=[1, 2]), "invalid-request", "/parameters/options"),
    "model against the path": (options(score_model="gaussian"), "invalid-request", "/parameters/options"),
    "model a list": (options(score_model={"name": [1, 2]}), "invalid-request", "/parameters/options"),
    "normalizer a list": (options(normalizer={"name": [1, 2]}), "invalid-request", "/parameters/options"),
    "parameters no object": (PLAIN | {"parameters": [1]}, "invalid-request", "/parameters"),
    "logsumexp of another normalizer": (with_parameters(normalizer="relu") | {"outputs": [{"name": "logsumexp"}]},
                                        "invalid-request", "/outputs/0"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_a_422_at_its_place(
    client: httpx.AsyncClient, ask: Callable[..., Any], case: str
) -> None:
    request, slug, pointer = WRONG[case]
    body = json.dumps(request).replace("Infinity,", "1e400,").encode() if "float64" in case else request
    problem = await assert_problem(client, await ask(body), 422)
    assert problem["type"] == f"/problems/{slug}", problem
    assert problem["errors"][0]["pointer"] == pointer, problem
    if case.endswith("misspelt"):
        assert "Did you mean" in problem["detail"]


async def test_a_raw_tensor_has_no_elements_to_point_to(client: httpx.AsyncClient, ask: Callable[..., Any]) -> None:
    lengths = {"name": "key_lengths", "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": 4}}
    content, headers = frame({"inputs": [ONE, KEYS, lengths]}, b"\3\0\0\0")
    problem = await assert_problem(client, await ask(content, **headers), 422)
    assert problem["errors"][0]["pointer"] == "/inputs/2"


# --- what wins --------------------------------------------------------------------------------------------------------


async def test_scalars_win_over_options_and_leave_the_rest_of_them(ask: Callable[..., Any]) -> None:
    fields = {"mask": {"causal": False, "offset": 1}, "normalizer": {"name": "entmax", "alpha": 2}, "softcap": 9}
    request = options(**fields)
    request["parameters"] |= {"causal": True, "alpha": 1, "softcap": 30}
    same = with_parameters(causal=True, offset=1, normalizer="entmax", alpha=1, softcap=30)
    assert (await ask(request)).json() == (await ask(same)).json()
    request["parameters"]["normalizer"] = "softmax"
    del request["parameters"]["alpha"]
    same = with_parameters(causal=True, offset=1, softcap=30)
    assert (await ask(request)).json() == (await ask(same)).json()


async def test_a_tensor_of_one_number_is_a_number(ask: Callable[..., Any]) -> None:
    for name, parameter in (("sink", 2), ("offset", 1)):
        for shape in ([1], []):
            datatype = "INT64" if name == "offset" else "FP32"
            one = await ask(beside(name, shape, [parameter], datatype) | {"parameters": {"causal": True}})
            other = await ask(with_parameters(**{name: parameter}, causal=True))
            assert one.status_code == 200, one.text
            assert one.json() == other.json()
