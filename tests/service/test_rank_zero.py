"""A number or boolean for all pairs: `bias` and `allowed` of rank 0 broadcast as arrays do, in every form and call."""

import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.service.open_inference.inference import frame, outputs_of
from tests.service.safetensors.stored import BOTH, saved, whole
from tests.service.specification import component

QUERY, KEY, VALUE = [[2.0, 1.0], [0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0], [2.0], [4.0]]
REQUEST: dict[str, Any] = {"query": QUERY, "key": KEY, "value": VALUE, "normalizer": "sigmoid"}
"""With weights to which a number added to all scores makes a difference."""

FULL = (2, 3)

BIASES = [0.5, -3, 0, 1e300, "Infinity", "NaN"]
MASKS = [True, False]


def changed(bias: Any = None, allowed: Any = None) -> dict[str, Any]:
    return (
        REQUEST | ({} if bias is None else {"bias": bias}) | ({} if allowed is None else {"mask": {"allowed": allowed}})
    )


def spread(element: Any) -> Any:
    """The same element for every pair, spelt out."""
    return [[element] * FULL[1]] * FULL[0]


PAIRS = [(changed(bias=one), changed(bias=spread(one))) for one in BIASES]
PAIRS += [(changed(allowed=one), changed(allowed=spread(one))) for one in MASKS]
PAIRS += [(changed(bias=0.5, allowed=False), changed(spread(0.5), spread(False)))]


@pytest.mark.parametrize(("bare", "full"), PAIRS)
@pytest.mark.parametrize("dtype", ["float64", "float16"])
async def test_a_bare_element_counts_for_every_pair(
    client: httpx.AsyncClient, bare: dict[str, Any], full: dict[str, Any], dtype: str
) -> None:
    if "bias" in bare and bare["bias"] == 1e300 and dtype == "float16":
        full = bare | {"bias": [[1e300]]}
    include = ["scores", "logits", "weights", "output", "diagnostics", "ranking"]
    answers = [
        await client.post("/v1/attention", json=request | {"include": include, "dtype": dtype})
        for request in (bare, full)
    ]
    assert answers[0].status_code == answers[1].status_code
    first, second = (answer.json() for answer in answers)
    if answers[0].status_code == 200:
        assert first == second
    else:
        assert (first["errors"][0]["pointer"], second["errors"][0]["pointer"]) == ("/bias", "/bias/0/0")


@pytest.mark.parametrize(("bare", "full"), PAIRS)
async def test_every_other_call_reads_it_too(
    client: httpx.AsyncClient, bare: dict[str, Any], full: dict[str, Any]
) -> None:
    whole_answer = (await client.post("/v1/attention", json=full)).json()
    candidate = {"weights": whole_answer["weights"]}
    for path, ask_about in (
        ("estimate", lambda request: request),
        ("explain", lambda request: {"request": request, "query_index": 1, "key_index": 2}),
        ("compare", lambda request: {"base": REQUEST, "variants": [{"label": "x", "overrides": request}]}),
        ("check", lambda request: {"request": request, "candidate": candidate}),
    ):
        answers = [await client.post(f"/v1/attention/{path}", json=ask_about(one)) for one in (bare, full)]
        assert answers[0].status_code == 200, (path, answers[0].text)
        assert answers[0].json() == answers[1].json() or path == "estimate", path
    picture = await client.post("/v1/attention", json=bare, headers={"Accept": "image/svg+xml"})
    assert picture.status_code == 200


TENSORS = {name: np.array(value) for name, value in (("query", QUERY), ("key", KEY), ("value", VALUE))}

STORED = [
    *(
        {"bias": np.array(number, kind)}
        for number in (0.5, -math.inf, math.inf, math.nan)
        for kind in ("f8", "f4", "f2")
    ),
    *({"bias": np.array(2, kind)} for kind in ("i1", "i8", "u8")),
    *({"mask.allowed": np.array(one)} for one in MASKS),
]


@pytest.mark.parametrize("extra", STORED, ids=str)
async def test_a_stored_tensor_of_rank_0_does_as_well(client: httpx.AsyncClient, extra: dict[str, Any]) -> None:
    rest = {"normalizer": "sigmoid", "include": ["logits", "weights", "output"]}
    broadcast = {name: np.broadcast_to(array, FULL) for name, array in extra.items()}
    bare, full = [
        whole(await client.post("/v1/attention", content=saved(TENSORS | more, rest), headers=BOTH))
        for more in (extra, broadcast)
    ]
    assert bare["notes"] == full["notes"]
    for name in rest["include"]:
        np.testing.assert_array_equal(bare[name], full[name])
        assert bare[name].shape == full[name].shape


INPUTS = [
    {"name": name, "shape": list(array.shape), "datatype": "FP64", "data": array.ravel().tolist()}
    for name, array in TENSORS.items()
]


@pytest.mark.parametrize(
    ("name", "datatype", "raw", "data"),
    [("bias", "FP64", np.array(0.5).tobytes(), [0.5]), ("bias", "FP32", np.float32(-math.inf).tobytes(), ["-Infinity"]),
     ("bias", "FP16", np.float16(0.5).tobytes(), [0.5]), ("bias", "BF16", b"\0\x3f", [0.5]),
     ("allowed", "BOOL", b"\1", [True]), ("allowed", "BOOL", b"\0", [False])],
)  # fmt: skip
@pytest.mark.parametrize("form", ["raw", "list", "element"])
async def test_an_input_of_shape_none_does_as_well(
    client: httpx.AsyncClient, name: str, datatype: str, raw: bytes, data: list[Any], form: str
) -> None:
    path = "/v2/models/scaled_dot_product/infer"
    members = {"parameters": {"normalizer": "sigmoid"}, "outputs": [{"name": "logits"}, {"name": "weights"}]}
    bare = {"name": name, "shape": [], "datatype": datatype}
    given = {
        "raw": {"parameters": {"binary_data_size": len(raw)}},
        "list": {"data": data},
        "element": {"data": data[0]},
    }
    bare |= given[form]
    full = {"name": name, "shape": list(FULL), "datatype": datatype, "data": data * 6}
    content, headers = frame({"inputs": [*INPUTS, bare], **members}, *([raw] if form == "raw" else []))
    first = outputs_of(await client.post(path, content=content, headers=headers))
    second = outputs_of(await client.post(path, json={"inputs": [*INPUTS, full], **members}))
    for output in ("logits", "weights"):
        np.testing.assert_array_equal(first[output], second[output])


WRONG = [
    ({"bias": True}, "/bias", "expected a number, or nested lists of any rank; received true. Send one number for all"),
    ({"bias": {}}, "/bias", "expected a number, or nested lists of any rank; received an object. "),
    ({"bias": "-Infinity"}, "/bias", "received the string '-Infinity'"),
    ({"mask": {"allowed": 1}}, "/mask/allowed", "expected a boolean; received the number 1"),
    (
        {"mask": {"allowed": "x"}},
        "/mask/allowed",
        "expected a boolean, or nested lists of any rank; received the string",
    ),
]


@pytest.mark.parametrize(("extra", "pointer", "detail"), WRONG)
async def test_what_is_no_element_is_a_422_that_offers_both(
    client: httpx.AsyncClient, extra: dict[str, Any], pointer: str, detail: str
) -> None:
    answer = await client.post("/v1/attention", json=REQUEST | extra)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert detail in error["detail"]


async def test_a_number_beyond_float64_is_none(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/attention", content=b'{"query": [[1]], "key": [[1]], "bias": 1e400}')
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/bias")
    assert "float64" in answer.json()["detail"]


@pytest.mark.parametrize("extra", [{"bias": [1, 0, -1]}, {"mask": {"allowed": [True, False, True]}}])
async def test_rank_1_broadcasts_over_the_keys(client: httpx.AsyncClient, extra: dict[str, Any]) -> None:
    field, value = next(iter(extra.items()))
    row = value["allowed"] if field == "mask" else value
    full = {"mask": {"allowed": [row, row]}} if field == "mask" else {"bias": [row, row]}
    answers = [(await client.post("/v1/attention", json=REQUEST | one)).json() for one in (extra, full)]
    assert answers[0]["weights"] == answers[1]["weights"]


@pytest.mark.parametrize("request_", [bare for bare, _ in PAIRS])
def test_the_specification_allows_it(request_: dict[str, Any]) -> None:
    component("AttentionRequest").validate(request_)
