"""Errors about a file point into the document that it stands for."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.service.safetensors.fitting import ALLOWED, BASE, KEY, QUERY, under
from tests.service.safetensors.stored import BOTH, SEND, file, saved
from tests.service.wrong_questions import QUESTIONS

WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "two types": (
        {**BASE, "key": KEY.astype(np.float16)},
        {},
        "/key",
        "expected F32, the stored type of query; received F16",
    ),
    "another dtype": (
        BASE,
        {"dtype": "float64"},
        "/dtype",
        "the stored type of query is F32; received the string 'float64'",
    ),
    "a dtype that is none": (BASE, {"dtype": [1, 2]}, "/dtype", "expected float32"),
    "integers": (
        {**BASE, "query": np.ones((2, 4), np.int32)},
        {},
        "/query",
        "one of F64, F32, F16, BF16; received I32",
    ),
    "booleans": ({**BASE, "query": np.ones((0, 4), np.bool_)}, {}, "/query", "received BOOL"),
    "integers for the past": ({**BASE, "past_key": np.ones((2, 4), np.int8)}, {}, "/past_key", "received I8"),
    "in both": (BASE, {"query": [[1, 2, 3, 4]]}, "/query", "expected 'query' once"),
    "in both, deeper": ({**BASE, "mask.allowed": ALLOWED}, {"mask": {"allowed": [[True]]}}, "/mask/allowed", "once"),
    "through a number": (
        {**BASE, "mask.allowed": ALLOWED},
        {"mask": 5},
        "/mask",
        "expected an object, since there is a tensor 'mask.allowed'",
    ),
    "through a string": (
        {**BASE, "mask.allowed": ALLOWED},
        {"mask": "causal"},
        "/mask",
        "received the string 'causal'",
    ),
    "through an array": ({**BASE, "mask.allowed": ALLOWED}, {"mask": [1, 2]}, "/mask", "received a list of shape [2]"),
    "through a tensor": ({**BASE, "query.first": QUERY}, {}, "/query", "once"),
    "a prototype": ({**BASE, "__proto__": QUERY}, {}, "/__proto__", "only known fields"),
    "a prototype of something": (
        {**BASE, "mask.__class__.__init__": QUERY},
        {},
        "/mask/__class__",
        "only known fields",
    ),
    "a misspelt name": ({**BASE, "quary": QUERY}, {}, "/quary", "query"),
    "a misspelt parameter": (
        {**BASE, "score_model.wieght": QUERY},
        {"score_model": "bilinear"},
        "/score_model/wieght",
        "weight",
    ),
    "no name": ({**BASE, "": QUERY}, {}, "/", "only known fields"),
    "an empty step": ({**BASE, "mask..allowed": ALLOWED}, {}, "/mask/", "only known fields"),
    "a slash and a tilde": ({**BASE, "a/b~c": QUERY}, {}, "/a~1b~0c", "only known fields"),
    "numbers where booleans must be": ({**BASE, "mask.allowed": QUERY}, {}, "/mask/allowed/0/0", "expected a boolean"),
    "none where booleans must be": ({**BASE, "mask.allowed": QUERY[:0]}, {}, "/mask/allowed", "expected a boolean"),
    "booleans where numbers must be": ({**BASE, "bias": ALLOWED}, {}, "/bias/0/0", "expected a number"),
    "a fraction where integers must be": (
        {**BASE, "mask.key_lengths": np.float16([1.5])},
        {},
        "/mask/key_lengths/0",
        "expected an integer",
    ),
    "NaN where integers must be": (
        {**BASE, "mask.key_lengths": np.float32([np.nan])},
        {},
        "/mask/key_lengths/0",
        "expected an integer; received the number nan",
    ),
    "more than integers can be": (
        {**BASE, "mask.key_lengths": np.uint64([2**64 - 1])},
        {},
        "/mask/key_lengths/0",
        "expected an integer",
    ),
    "an index of an object": ({**BASE, "query.0": QUERY}, {"query": None}, "/query", "once"),
    "shapes": ({**BASE, "key": KEY[:, :3]}, {}, "/key", "expected"),
    "rank 1": ({**BASE, "query": QUERY[0]}, {}, "/query", "rank 1"),
    "NaN as a soft cap": ({**BASE, "softcap": np.float32(np.nan)}, {}, "/softcap", "a finite number"),
    "a larger number than the type": ({**BASE, "bias": np.full((2, 3), 1e300)}, {}, "/bias/0/0", "float32"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_an_error_points_into_the_document(client: httpx.AsyncClient, case: str) -> None:
    tensors, rest, pointer, detail = WRONG[case]
    response = await client.post("/v1/attention", content=saved(tensors, rest), headers=BOTH)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json"), response.text
    violation = response.json()["errors"][0]
    assert violation["pointer"] == pointer, violation
    assert detail in violation["detail"]


WRONG_ELSEWHERE: dict[str, tuple[str, dict[str, np.ndarray], dict[str, Any], str]] = {
    "a gap": ("merge", {"partials.1.output": QUERY}, {}, "/partials/1"),
    "far away": ("merge", {"partials.999999999999999999999.output": QUERY}, {}, "/partials/999999999999999999999"),
    "a leading zero": ("merge", {"partials.0.output": QUERY, "partials.01.output": QUERY}, {}, "/partials/01"),
    "a name in a list": ("merge", {"partials.first.output": QUERY}, {"partials": [{}]}, "/partials/first"),
    "a list item twice": ("merge", {"partials.0": QUERY}, {"partials": [{"output": [[1]]}]}, "/partials/0"),
    "in an override": ("compare", under("base") | {"variants.0.overrides.bias": ALLOWED},
                       {"variants": [{"label": "x"}]}, "/variants/0/overrides/bias/0/0"),
    "types in an override": ("compare", under("base") | {"variants.0.overrides.key": KEY.astype(np.int8)},
                             {"variants": [{"label": "x"}]}, "/variants/0/overrides/key"),
    "a name in an override": ("compare", under("base") | {"variants.0.overrides.score_model.name": QUERY},
                              {"base": {"score_model": "cosine"}, "variants": [{"label": "x"}]},
                              "/variants/0/overrides/score_model/name"),
    "types in a request": ("explain", under("request", {**BASE, "key": KEY.astype(np.float64)}),
                           {"query_index": 0, "key_index": 0}, "/request/key"),
    "a candidate": ("check", under("request") | {"candidate.output": ALLOWED}, {}, "/candidate/output/0/0"),
    "an empty candidate": ("check", under("request") | {"candidate.output": QUERY[:0]}, {}, "/candidate/output"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ELSEWHERE)
async def test_an_error_points_into_a_larger_document(client: httpx.AsyncClient, case: str) -> None:
    name, tensors, rest, pointer = WRONG_ELSEWHERE[case]
    response = await client.post(f"/v1/attention/{name}", content=saved(tensors, rest), headers=SEND)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["pointer"] == pointer, response.text


@pytest.mark.parametrize(
    ("sent", "missing"),
    [((0, 1, 3), "partials.2"), ((1, 2), "partials.0"), ((0, *range(2, 40)), "partials.1"), ((0, 10), "partials.1")],
)
async def test_a_gap_in_the_numbers_of_partials_names_the_missing_one(
    client: httpx.AsyncClient, sent: tuple[int, ...], missing: str
) -> None:
    shapes = {"output": (2, 3), "logsumexp": (2,)}
    tensors = {f"partials.{i}.{name}": np.zeros(shape) for i in sent for name, shape in shapes.items()}
    response = await client.post("/v1/attention/merge", content=saved(tensors), headers=SEND)
    assert response.status_code == 422, response.text
    assert f"{missing} is missing" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("request_json", ["[1]", "3", '"query"', "null"])
async def test_a_request_that_is_no_object_is_a_422(
    client: httpx.AsyncClient, question: str, request_json: str
) -> None:
    header = {
        "__metadata__": {"request": request_json},
        "query": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]},
    }
    content = file(header)
    response = await client.post(QUESTIONS[question].path, content=content, headers=SEND)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["pointer"] == ""
