"""safetensors on every computing endpoint: the answers and rules of JSON, and errors that point into the document."""

import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import draws
from tests.service.open_inference.equality import assert_bits, without_what_json_alone_has
from tests.service.open_inference.inference import DATATYPES, FIELDS, as_inference, body_of, outputs_of
from tests.service.open_inference.inference import NUMPY as BY_PROTOCOL
from tests.service.safetensors.fitting import ALLOWED, BASE, numbers, under
from tests.service.safetensors.stored import BOTH, NUMPY, SEND, TAKE, loaded, saved, whole
from tests.service.strategies import attention_requests

DRAWN = settings(max_examples=draws(60))

STORED = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
VECTORS = ("query", "key", "value", "past_key", "past_value")


def torn(document: Any, draw: Any, name: str = "", dtype: str = "float64") -> dict[str, np.ndarray]:
    """Take arrays out of a document, those that are drawn and always the vectors; return them by dotted names."""
    tensors: dict[str, np.ndarray] = {}
    dtype = document.get("dtype") or dtype
    for step, value in list(document.items()):
        inside = f"{name}.{step}" if name else step
        vector = step in VECTORS
        if isinstance(value, dict) and step != "labels":
            tensors |= torn(value, draw, inside, dtype)
        elif isinstance(value, list) and step != "include" and (vector or draw(st.booleans())):
            tensors[inside] = as_array(value, STORED[dtype] if vector else "F64")
            del document[step]
    if any(step in VECTORS for step in (one.rpartition(".")[2] for one in tensors)):
        document.pop("dtype", None)
    return tensors


def as_array(nested: Any, stored: str) -> np.ndarray:
    spelt = np.array(nested, dtype=object)
    if isinstance(spelt.ravel()[0], bool):
        return spelt.astype(np.bool_)
    flat = [-np.inf if item is None else float(item) for item in spelt.ravel()]
    return np.array(flat, np.float64).astype(NUMPY[stored]).reshape(spelt.shape)


@DRAWN
@given(data=st.data())
async def test_json_safetensors_and_v2_give_identical_results(
    app_client: httpx.AsyncClient, data: st.DataObject
) -> None:
    asked = without_what_json_alone_has(data.draw(attention_requests()))
    as_json = await app_client.post("/v1/attention", json=asked)
    assert as_json.status_code == 200, as_json.text
    expected = as_json.json()
    rest = json.loads(json.dumps(asked))
    content = saved(torn(rest, data.draw), rest)
    stored, tensors = loaded(await app_client.post("/v1/attention", content=content, headers=BOTH))
    assert stored.keys() | tensors.keys() == expected.keys()
    assert stored == {name: expected[name] for name in stored}
    for name, array in tensors.items():
        assert array.dtype == expected_type(name, expected["dtype"])
        assert_bits(array, expected[name], name)
    crossed = await app_client.post("/v1/attention", content=content, headers=SEND)
    assert crossed.json() == expected
    back = await app_client.post("/v1/attention", json=asked, headers=TAKE)
    assert {name: array.tobytes() for name, array in loaded(back)[1].items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }
    model, inputs, parameters = as_inference(asked, through_options=False)
    outputs = [{"name": name} for field in asked.get("include") or () for name in FIELDS[field]]
    members = {"parameters": parameters | {"binary_data_output": True}} | ({"outputs": outputs} if outputs else {})
    body, headers = body_of(inputs, {tensor.name for tensor in inputs}, **members)
    protocol = outputs_of(await app_client.post(f"/v2/models/{model}/infer", content=body, headers=headers))
    assert {name: array.tobytes() for name, array in protocol.items()} == {
        name: array.tobytes() for name, array in tensors.items() if name in protocol
    }


def expected_type(name: str, dtype: str) -> Any:
    if name == "logsumexp":
        return np.float64 if dtype == "float64" else np.float32
    return BY_PROTOCOL[DATATYPES[dtype]]


def spelt(value: Any) -> Any:
    """Tensors as JSON has them."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).tolist() if value.dtype != np.bool_ else value.tolist()
    if isinstance(value, dict):
        return {name: spelt(member) for name, member in value.items()}
    return [spelt(item) for item in value] if isinstance(value, list) else value


def nested(tensors: dict[str, np.ndarray], rest: dict[str, Any]) -> dict[str, Any]:
    """The document that tensors and the rest stand for; every object whose vectors are tensors has their dtype."""
    document = json.loads(json.dumps(rest))
    for name, array in tensors.items():
        *parents, last = name.split(".")
        inside: Any = document
        for step, following in zip(parents, [*parents[1:], last], strict=False):
            empty: Any = [] if following.isdecimal() else {}
            if isinstance(inside, list):
                inside.extend({} for _ in range(int(step) + 1 - len(inside)))
                inside = inside[int(step)]
            else:
                if isinstance(inside.get(step), str):
                    inside[step] = {"name": inside[step]}
                inside = inside.setdefault(step, empty)
        inside[last] = spelt(array)
        if last == "query":
            inside["dtype"] = array.dtype.name
    return document


ADDITIVE = {
    "score_model.query_weight": numbers(3, 4),
    "score_model.key_weight": numbers(3, 4),
    "score_model.score_vector": numbers(3),
}

ASKED: dict[str, tuple[str, dict[str, np.ndarray], dict[str, Any]]] = {
    "attention": ("attention", BASE, {}),
    "a bare name": ("attention", BASE | ADDITIVE, {"score_model": "additive"}),
    "an object": ("attention", BASE | ADDITIVE, {"score_model": {"name": "additive"}, "dtype": "float32"}),
    "a mask": ("attention", BASE | {"mask.allowed": ALLOWED}, {"mask": {"causal": True, "offset": 1}}),
    "null is absent": ("attention", BASE | {"mask.allowed": ALLOWED}, {"mask": {"allowed": None}, "query": None}),
    "everything back": (
        "attention",
        BASE,
        {"include": ["scores", "weights", "output", "logsumexp", "diagnostics", "ranking", "present"],
         "labels": {"key": ["射手", "打野", "中路"]}, "top_k": 2},
    ),
    "estimate": ("attention/estimate", BASE, {}),
    "explain": ("attention/explain", under("request"), {"query_index": 0, "key_index": 1}),
    "check": ("attention/check", under("request") | {"candidate.output": numbers(2, 5)}, {"rtol": 0.1}),
    "check in half precision": (
        "attention/check",
        under("request", {name: array.astype(np.float16) for name, array in BASE.items()})
        | {"candidate.weights": numbers(2, 3, dtype=np.float16)},
        {},
    ),
    "compare": (
        "attention/compare",
        under("base") | {"variants.1.overrides.bias": numbers(2, 3)},
        {"variants": [{"label": "cold", "overrides": {"softcap": 0.1}}, {"label": "biased"}]},
    ),
    "compare stored types": (
        "attention/compare",
        under("base") | under("variants.0.overrides", {n: a.astype(np.float16) for n, a in BASE.items()}),
        {"variants": [{"label": "half"}]},
    ),
    "merge": (
        "attention/merge",
        {f"partials.{i}.{name}": numbers(*shape) for i in range(11)
         for name, shape in (("output", (2, 3)), ("logsumexp", (2,)))},
        {"dtype": "float32"},
    ),
    "merge bases": (
        "attention/merge",
        {f"partials.{i}.{name}": numbers(*shape) for i in range(3)
         for name, shape in (("output", (2, 3)), ("logsumexp", (2,)))},
        {"dtype": "float32", "log_base": 2, "partials": [{}, {"log_base": "e"}, {"log_base": 2}]},
    ),
    "merge a thousand": (
        "attention/merge",
        {f"partials.{i}.{name}": numbers(*shape) for i in range(1000)
         for name, shape in (("output", (1, 1)), ("logsumexp", (1,)))},
        {"dtype": "float32"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
async def test_every_endpoint_answers_what_it_answers_to_json(client: httpx.AsyncClient, case: str) -> None:
    path, tensors, rest = ASKED[case]
    as_json = await client.post(f"/v1/{path}", json=nested(tensors, rest))
    assert as_json.status_code == 200, as_json.text
    content = saved(tensors, rest)
    assert (await client.post(f"/v1/{path}", content=content, headers=SEND)).json() == as_json.json()
    answer = whole(await client.post(f"/v1/{path}", content=content, headers=BOTH))
    expected = as_json.json()
    if path.endswith("estimate"):
        assert answer.pop("result_bytes") == 22 * 4
        assert expected.pop("result_bytes") == 22 * 12
    assert_alike(answer, expected)


def assert_alike(received: Any, expected: Any, place: str = "") -> None:
    """Bit for bit, with arrays where JSON has lists."""
    if isinstance(received, np.ndarray):
        if received.dtype.kind == "i":
            assert received.tolist() == expected
        else:
            assert_bits(received, expected, place)
    elif isinstance(received, dict):
        assert received.keys() == expected.keys(), place
        for name, member in received.items():
            assert_alike(member, expected[name], f"{place}/{name}")
    elif isinstance(received, list):
        assert len(received) == len(expected), place
        for position, (one, other) in enumerate(zip(received, expected, strict=True)):
            assert_alike(one, other, f"{place}/{position}")
    else:
        assert received == expected, place
