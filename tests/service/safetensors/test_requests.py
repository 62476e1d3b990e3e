"""safetensors on every computing endpoint: the answers and rules of JSON, and errors that point into the document."""

import json
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.compute import Body, prepare_merge
from service.settings import Settings
from tests.service.open_inference.inference import DATATYPES, FIELDS, as_inference, body_of, outputs_of
from tests.service.open_inference.inference import NUMPY as BY_PROTOCOL
from tests.service.open_inference.test_equality import assert_bits, without_what_json_alone_has
from tests.service.safetensors.stored import BOTH, NUMPY, SAFETENSORS, SEND, TAKE, file, loaded, saved, whole
from tests.service.strategies import attention_requests
from tests.service.wrong_questions import QUESTIONS
from tests.service.wrong_requests import BASE as JSON_BASE

DRAWN = settings(
    max_examples=120,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

GENERATOR = np.random.default_rng(5)
STORED = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
VECTORS = ("query", "key", "value", "past_key", "past_value")


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(dtype)


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


QUERY, KEY, VALUE = numbers(2, 4), numbers(3, 4), numbers(3, 5)
BASE = {"query": QUERY, "key": KEY, "value": VALUE}


def under(prefix: str, tensors: dict[str, np.ndarray] = BASE) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": array for name, array in tensors.items()}


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
ALLOWED = np.array([[True, False, True], [True, True, True]])

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


# --- numbers that JSON does not have ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
async def test_nan_and_infinities_travel_bit_exact(client: httpx.AsyncClient, dtype: Any) -> None:
    """Each of them in a key that is seen and in one that is not, in values, in the bias and in the answer."""
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], np.float64)
    # The identity leaves values as they are: each query sees one key, with weight 1.
    query, key = np.eye(5) * 100, np.eye(5)
    allowed = np.eye(5, dtype=np.bool_)
    values = np.stack([odd, odd[::-1]], axis=-1).astype(dtype)
    tensors = {"query": query.astype(dtype), "key": key.astype(dtype), "value": values, "mask.allowed": allowed}
    request = {"include": ["output", "weights", "present", "logits"]}
    document, arrays = loaded(await client.post("/v1/attention", content=saved(tensors, request), headers=BOTH))
    assert document["notes"] == []
    assert (arrays["weights"] == np.eye(5)).all()
    assert arrays["present_value"].tobytes() == values.tobytes()
    finite = np.isfinite(values.astype(np.float64))
    np.testing.assert_array_equal(arrays["output"].astype(np.float64), values.astype(np.float64))
    assert finite.any()
    assert np.isneginf(arrays["logits"][~allowed].astype(np.float64)).all()


async def test_what_is_hidden_has_no_influence_whatever_it_is(client: httpx.AsyncClient) -> None:
    """NaN and infinities in keys and values that no query may see."""
    plain = {"query": numbers(3, 4), "key": numbers(5, 4), "value": numbers(5, 2)}
    hidden = {name: array.copy() for name, array in plain.items()}
    hidden["key"][3:], hidden["value"][3:] = np.array([[np.nan], [np.inf]]), np.array([[-np.inf], [np.nan]])
    answers = []
    for tensors in (plain, hidden):
        content = saved(tensors | {"mask.key_lengths": np.uint8([3])}, {"include": ["weights", "output", "logsumexp"]})
        answers.append(loaded(await client.post("/v1/attention", content=content, headers=BOTH))[1])
    for name, array in answers[0].items():
        assert array.tobytes() == answers[1][name].tobytes(), name
        assert np.isfinite(array).all()


async def test_what_is_seen_poisons_its_row_alone(client: httpx.AsyncClient) -> None:
    tensors = {
        "query": numbers(3, 4),
        "key": numbers(5, 4),
        "value": numbers(5, 2),
        "mask.allowed": np.ones((3, 5), bool),
    }
    tensors["key"][4, 0] = np.nan
    tensors["mask.allowed"][:2, 4] = False
    arrays = loaded(await client.post("/v1/attention", content=saved(tensors), headers=BOTH))[1]
    assert np.isfinite(arrays["output"][:2]).all()
    assert np.isnan(arrays["output"][2]).all()


async def test_infinities_can_be_merged(client: httpx.AsyncClient) -> None:
    tensors = {
        "partials.0.output": np.zeros((2, 3)),
        "partials.0.logsumexp": np.full(2, -np.inf),
        "partials.1.output": numbers(2, 3, dtype=np.float64),
        "partials.1.logsumexp": np.array([1.0, -np.inf]),
    }
    arrays = loaded(await client.post("/v1/attention/merge", content=saved(tensors), headers=BOTH))[1]
    np.testing.assert_array_equal(arrays["output"][0], tensors["partials.1.output"][0])
    assert arrays["logsumexp"].tolist() == [1.0, -np.inf]


# --- axes of no length ------------------------------------------------------------------------------------------------

EMPTY = {"no queries": (0, 3, 4, 5), "no keys": (2, 0, 4, 5), "neither": (0, 0, 4, 5), "no values": (2, 3, 4, 0)}
ALL = ["scores", "capped_scores", "logits", "weights", "output", "logsumexp", "diagnostics", "ranking", "present"]


@pytest.mark.parametrize("leading", [(), (2,), (0,), (2, 3), (2, 0)])
@pytest.mark.parametrize("case", EMPTY)
async def test_an_axis_may_have_no_length(client: httpx.AsyncClient, case: str, leading: tuple[int, ...]) -> None:
    queries, keys, features, values = EMPTY[case]
    tensors = {
        "query": numbers(*leading, queries, features),
        "key": numbers(*leading, keys, features),
        "value": numbers(*leading, keys, values),
    }
    answer = whole(await client.post("/v1/attention", content=saved(tensors, {"include": ALL}), headers=BOTH))
    assert answer["weights"].shape == (*leading, queries, keys)
    assert answer["output"].shape == (*leading, queries, values)
    assert not answer["output"].any() or keys
    if not keys:
        assert np.isneginf(answer["logsumexp"]).all()
        assert (answer["diagnostics"]["top_key"] == -1).all()
    inner = {"query_index": 0, "key_index": 0}
    for path, prefix, rest, more in (
        ("estimate", "", {}, {}),
        ("explain", "request.", inner, {}),
        ("check", "request.", {}, {"candidate.output": answer["output"], "candidate.weights": answer["weights"]}),
        ("compare", "base.", {"variants": [{"label": "other", "overrides": {"softcap": 1}}]}, {}),
    ):
        content = saved({f"{prefix}{name}": array for name, array in tensors.items()} | more, rest)
        response = await client.post(f"/v1/attention/{path}", content=content, headers=BOTH)
        there_is_none = path == "explain" and not (queries and keys and all(leading))
        assert response.status_code == (422 if there_is_none else 200), (path, response.text)
        if path == "check":
            assert loaded(response)[0]["passed"]
    partials = {f"partials.{i}.{name}": answer[name] for i in range(2) for name in ("output", "logsumexp")}
    response = await client.post("/v1/attention/merge", content=saved(partials, {"dtype": "float32"}), headers=BOTH)
    assert loaded(response)[1]["output"].shape == answer["output"].shape


# --- negotiation and limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/vnd.safetensors", "application/vnd.safetensors"),
        ("application/vnd.safetensors, application/json;q=0.9", "application/vnd.safetensors"),
        ("application/vnd.safetensors;q=0.5, application/json", "application/json"),
        ("application/*", "application/json"),
        ("application/json;q=0, application/*;q=0.1", "application/vnd.safetensors"),
        ("*/*", "application/json"),
    ],
)
async def test_accept_decides(client: httpx.AsyncClient, accept: str, media_type: str) -> None:
    for question in QUESTIONS.values():
        response = await client.post(question.path, json=question.asked(JSON_BASE), headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, media_type)


async def test_an_error_is_a_problem_document_all_the_same(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/attention", json={}, headers=TAKE)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


async def test_the_result_is_predicted_in_binary(client: httpx.AsyncClient) -> None:
    """64 MiB are 2048 × 2048 numbers of four bytes four times over, and in JSON not even twice."""
    tensors = {"query": numbers(2048, 2), "key": numbers(2048, 2)}
    request = {"include": ["scores", "weights", "logits", "capped_scores"]}
    for path, headers in (("estimate", BOTH), ("estimate", SEND)):
        response = await client.post(f"/v1/attention/{path}", content=saved(tensors, request), headers=headers)
        document = loaded(response)[0] if headers is BOTH else response.json()
        assert document["result_bytes"] == 4 * 2048 * 2048 * (4 if headers is BOTH else 12)
        assert document["allowed"] == (headers is BOTH)


def test_what_is_made_wider_is_counted() -> None:
    """Partial results are merged in float64, whatever they are stored in."""
    partial = {"partials.0.output": numbers(6, 4), "partials.0.logsumexp": numbers(6)}
    bodies = [
        Body(saved({name: array.astype(dtype) for name, array in partial.items()}), SAFETENSORS)
        for dtype in (np.float64, np.float16)
    ]
    wide, narrow = (prepare_merge(body, Settings()).bytes for body in bodies)
    assert narrow - wide == 30 * 8


async def test_a_body_may_be_larger_than_json_but_not_its_metadata(client: httpx.AsyncClient) -> None:
    large = {"query": np.zeros((1, 40 << 16), np.float32), "key": np.zeros((3, 40 << 16), np.float32)}
    content = saved(large)
    assert 32 << 20 < len(content) < 64 << 20
    assert (await client.post("/v1/attention", content=content, headers=SEND)).status_code == 200
    padded = saved({}, {"labels": {"query": [" " * (33 << 20)]}})
    response = await client.post("/v1/attention", content=padded, headers=SEND)
    assert (response.status_code, response.json()["type"]) == (413, "/problems/too-large")
    assert "header" in response.json()["detail"]


async def test_a_compressed_file_is_read_and_written(client: httpx.AsyncClient) -> None:
    tensors = {"query": numbers(40, 4), "key": numbers(50, 4), "mask.allowed": np.tri(40, 50, dtype=bool)}
    content = zstandard.ZstdCompressor().compress(saved(tensors))
    response = await client.post("/v1/attention", content=content, headers=BOTH | {"Content-Encoding": "zstd"})
    assert response.headers["content-encoding"] == "zstd"
    assert loaded(response)[1]["weights"].shape == (40, 50)
