"""Requests that are wrong, one thing each: where, and as which kind of problem the service must report it."""

from typing import Any, NamedTuple

Request = dict[str, Any]

INVALID = "invalid-request"
SHAPE = "shape-mismatch"
UNKNOWN = "unknown-name"


class WrongRequest(NamedTuple):
    """A document that is decodable JSON and must be answered 422."""

    id: str
    request: Any
    slug: str
    pointer: str
    refused_by_schema: bool = True
    """Whether JSON Schema can tell; what depends on lengths, on other fields or on the size of a number it cannot."""
    path: str = "/v1/attention"


BASE: Request = {"query": [[1, 0], [0, 2]], "key": [[1, 0], [0.5, 1], [2, 2]], "value": [[1], [2], [3]]}
"""Two queries, three keys, two features: right as it is."""

ADDITIVE: Request = {
    "name": "additive",
    "query_weight": [[1, 0], [0, 1]],
    "key_weight": [[1, 0], [0, 1]],
    "score_vector": [1, -1],
}
"""Right for BASE as it is."""

TOO_LARGE = 10**400
"""A number beyond float64; written in digits, since Python writes no 1e400."""


def with_(**fields: Any) -> Request:
    """BASE with some fields replaced or added."""
    return BASE | fields


def without(name: str) -> Request:
    """BASE less a field."""
    return {field: value for field, value in BASE.items() if field != name}


def _spoilt(name: str, element: Any) -> Request:
    """BASE with one number of a matrix replaced."""
    first, second, *others = BASE[name]
    return with_(**{name: [first, [element, *second[1:]], *others]})


def mask(**fields: Any) -> Request:
    """BASE with a mask."""
    return with_(mask=fields)


def additive(**parameters: Any) -> Request:
    """BASE with ADDITIVE, some parameters replaced or added."""
    return with_(score_model=ADDITIVE | parameters)


def _scaled(scale: Any) -> Request:
    return with_(score_model={"name": "scaled_dot_product", "scale": scale})


def _softmax(temperature: Any) -> Request:
    return with_(normalizer={"name": "softmax", "temperature": temperature})


DOCUMENTS = [
    WrongRequest("an empty object", {}, INVALID, "/query"),
    WrongRequest("null", None, INVALID, ""),
    WrongRequest("a number", 3, INVALID, ""),
    WrongRequest("a string", "query", INVALID, ""),
    WrongRequest("a boolean", True, INVALID, ""),
    WrongRequest("an empty list", [], INVALID, ""),
    WrongRequest("a list of requests", [BASE], INVALID, ""),
    WrongRequest("a matrix", [[1, 2], [3, 4]], INVALID, ""),
    WrongRequest("no query", without("query"), INVALID, "/query"),
    WrongRequest("no key", without("key"), INVALID, "/key", refused_by_schema=False),
    WrongRequest("query null", with_(query=None), INVALID, "/query"),
    WrongRequest("key null", with_(key=None), INVALID, "/key", refused_by_schema=False),
]

UNKNOWN_FIELDS = [
    WrongRequest("unknown field", with_(querry=[[1, 0]]), UNKNOWN, "/querry"),
    WrongRequest("unknown field, null", with_(masks=None), UNKNOWN, "/masks"),
    WrongRequest("unknown field that needs escapes", with_(**{"a/b~c": 1}), UNKNOWN, "/a~1b~0c"),
    WrongRequest("unknown field of the mask", mask(alowed=[True, True, False]), UNKNOWN, "/mask/alowed"),
    WrongRequest("field of the mask outside it", with_(causal=True), UNKNOWN, "/causal"),
    WrongRequest("unknown score model parameter", additive(bias=[1, 2]), UNKNOWN, "/score_model/bias"),
    WrongRequest(
        "unknown normalizer parameter",
        with_(normalizer={"name": "softmax", "temprature": 2}),
        UNKNOWN,
        "/normalizer/temprature",
    ),
    WrongRequest(
        "parameter of another score model",
        with_(score_model={"name": "dot_product", "scale": 0.5}),
        UNKNOWN,
        "/score_model/scale",
    ),
    WrongRequest(
        "parameter of another normalizer",
        with_(normalizer={"name": "proportional", "temperature": 2}),
        UNKNOWN,
        "/normalizer/temperature",
    ),
]

UNKNOWN_NAMES = [
    WrongRequest("unknown score model", with_(score_model="dot_produkt"), UNKNOWN, "/score_model"),
    WrongRequest("unknown score model object", with_(score_model={"name": "dot"}), UNKNOWN, "/score_model/name"),
    WrongRequest("unknown normalizer", with_(normalizer="sofmax"), UNKNOWN, "/normalizer"),
    WrongRequest("unknown normalizer object", with_(normalizer={"name": "max"}), UNKNOWN, "/normalizer/name"),
    WrongRequest("unknown dtype", with_(dtype="float8"), UNKNOWN, "/dtype"),
    WrongRequest("dtype in capitals", with_(dtype="FLOAT64"), UNKNOWN, "/dtype"),
    WrongRequest("unknown field included", with_(include=["scores", "weight"]), UNKNOWN, "/include/1"),
]

WRONG_ELEMENTS: dict[str, Any] = {"string": "2", "null": None, "boolean": True, "object": {"re": 1}}

TENSORS = [
    *(
        WrongRequest(f"{kind} in {name}", _spoilt(name, element), INVALID, f"/{name}/1/0")
        for name in ("query", "key", "value")
        for kind, element in WRONG_ELEMENTS.items()
    ),
    WrongRequest("query of booleans", with_(query=[[True, False]]), INVALID, "/query/0/0"),
    WrongRequest("query a number", with_(query=1), INVALID, "/query"),
    WrongRequest("query a string", with_(query="[[1, 0]]"), INVALID, "/query"),
    WrongRequest("query an object", with_(query={"0": [1, 0]}), INVALID, "/query"),
    WrongRequest("query of rank 1", with_(query=[1, 0]), SHAPE, "/query"),
    WrongRequest("key of rank 1", with_(key=[1, 0]), SHAPE, "/key"),
    WrongRequest("value of rank 1", with_(value=[1, 2, 3]), SHAPE, "/value"),
    WrongRequest("number where the key has lists", with_(key=[[1, 0], 1, [2, 2]]), INVALID, "/key/1"),
    WrongRequest("list where the key has numbers", with_(key=[[1, 0], [[1], 0], [2, 2]]), INVALID, "/key/1/0"),
    WrongRequest("query without rows", with_(query=[]), INVALID, "/query"),
    WrongRequest("query without features", with_(query=[[]]), INVALID, "/query/0"),
    WrongRequest("query with an empty batch", with_(query=[[[]]]), INVALID, "/query/0/0"),
    WrongRequest(
        "string in additive weights", additive(key_weight=[[1, 0], [0, "1"]]), INVALID, "/score_model/key_weight/1/1"
    ),
    WrongRequest("null in additive scores", additive(score_vector=[1, None]), INVALID, "/score_model/score_vector/1"),
    WrongRequest("weight of rank 1", additive(query_weight=[1, 0]), SHAPE, "/score_model/query_weight"),
    WrongRequest("score vector of rank 3", additive(score_vector=[[[1], [1]]]), SHAPE, "/score_model/score_vector"),
    WrongRequest(
        "additive without a weight",
        with_(score_model={k: v for k, v in ADDITIVE.items() if k != "key_weight"}),
        INVALID,
        "/score_model/key_weight",
    ),
    WrongRequest("weight null", additive(query_weight=None), INVALID, "/score_model/query_weight"),
    WrongRequest("bare name that needs parameters", with_(score_model="additive"), INVALID, "/score_model"),
]

MASKS = [
    WrongRequest("allowed of numbers", mask(allowed=[1, 0, 1]), INVALID, "/mask/allowed/0"),
    WrongRequest(
        "number in allowed", mask(allowed=[[True, True, 0], [True, True, True]]), INVALID, "/mask/allowed/0/2"
    ),
    WrongRequest("null in allowed", mask(allowed=[True, None, True]), INVALID, "/mask/allowed/1"),
    WrongRequest("string in allowed", mask(allowed=[True, "true", True]), INVALID, "/mask/allowed/1"),
    WrongRequest("allowed a number", mask(allowed=1), INVALID, "/mask/allowed"),
    WrongRequest("allowed empty", mask(allowed=[]), INVALID, "/mask/allowed"),
    WrongRequest("causal a number", mask(causal=1), INVALID, "/mask/causal"),
    WrongRequest("causal a string", mask(causal="true"), INVALID, "/mask/causal"),
    WrongRequest("offset a fraction", mask(causal=True, offset=0.5), INVALID, "/mask/offset"),
    WrongRequest("offset a string", mask(causal=True, offset="1"), UNKNOWN, "/mask/offset"),
    WrongRequest("offset a boolean", mask(causal=True, offset=True), INVALID, "/mask/offset"),
    WrongRequest("mask a boolean", with_(mask=True), INVALID, "/mask"),
    WrongRequest("mask a list", with_(mask=[[True, True, True]]), INVALID, "/mask"),
    WrongRequest("mask a name", with_(mask="causal"), INVALID, "/mask"),
    WrongRequest("string in bias", with_(bias=[0, "-inf", 0]), INVALID, "/bias/1"),
    WrongRequest("boolean in bias", with_(bias=[[0, 0, True], [0, 0, 0]]), INVALID, "/bias/0/2"),
    WrongRequest("bias a boolean", with_(bias=True), INVALID, "/bias"),
    WrongRequest("bias an object", with_(bias={}), INVALID, "/bias"),
    WrongRequest("bias empty", with_(bias=[]), INVALID, "/bias"),
]

SCALARS = [
    WrongRequest("temperature zero", _softmax(0), INVALID, "/normalizer/temperature"),
    WrongRequest("temperature negative", _softmax(-1), INVALID, "/normalizer/temperature"),
    WrongRequest("temperature a string", _softmax("1"), INVALID, "/normalizer/temperature"),
    WrongRequest("temperature a list", _softmax([1]), INVALID, "/normalizer/temperature"),
    WrongRequest("scale a string", _scaled("1"), INVALID, "/score_model/scale"),
    WrongRequest("scale a boolean", _scaled(True), INVALID, "/score_model/scale"),
    WrongRequest("scale a matrix", _scaled([[1]]), SHAPE, "/score_model/scale"),
    WrongRequest("score model a number", with_(score_model=1), INVALID, "/score_model"),
    WrongRequest("score model a list", with_(score_model=["dot_product"]), INVALID, "/score_model"),
    WrongRequest("score model without a name", with_(score_model={"scale": 1}), INVALID, "/score_model"),
    WrongRequest("score model's name null", with_(score_model={"name": None}), INVALID, "/score_model/name"),
    WrongRequest("score model's name a number", with_(score_model={"name": 1}), INVALID, "/score_model/name"),
    WrongRequest("normalizer's name a list", with_(normalizer={"name": ["softmax"]}), INVALID, "/normalizer/name"),
    WrongRequest("normalizer a boolean", with_(normalizer=True), INVALID, "/normalizer"),
    WrongRequest("dtype a number", with_(dtype=64), UNKNOWN, "/dtype"),
    WrongRequest("dtype a list", with_(dtype=["float64"]), UNKNOWN, "/dtype"),
    WrongRequest("include a name", with_(include="scores"), INVALID, "/include"),
    WrongRequest("include an object", with_(include={"scores": True}), INVALID, "/include"),
    WrongRequest("include of numbers", with_(include=[0, 1]), UNKNOWN, "/include/0"),
    WrongRequest("include with a null", with_(include=["scores", None]), UNKNOWN, "/include/1"),
    WrongRequest("include with a list", with_(include=[["scores"]]), UNKNOWN, "/include/0"),
    WrongRequest("include twice the same", with_(include=["scores", "weights", "scores"]), INVALID, "/include/2"),
]

BEYOND_SCHEMA = [
    WrongRequest("ragged query", with_(query=[[1, 0], [1]]), INVALID, "/query/1", refused_by_schema=False),
    WrongRequest("ragged allowed", mask(allowed=[[True] * 3, [True]]), INVALID, "/mask/allowed/1", False),
    WrongRequest("ragged weights", additive(key_weight=[[1, 0], [1]]), INVALID, "/score_model/key_weight/1", False),
    WrongRequest("string at rank 6", with_(query=[[[[[[1, "a"]]]]]]), INVALID, "/query/0/0/0/0/0/1", False),
    WrongRequest("features that differ", with_(key=[[1, 0, 0]] * 3), SHAPE, "/key", False),
    WrongRequest("fewer values than keys", with_(value=[[1], [2]]), SHAPE, "/value", False),
    WrongRequest("leading axes of key", with_(query=[BASE["query"]] * 2, key=[BASE["key"]] * 3), SHAPE, "/key", False),
    WrongRequest(
        "leading axes of value", with_(query=[BASE["query"]] * 2, value=[BASE["value"]] * 3), SHAPE, "/value", False
    ),
    WrongRequest("allowed of another shape", mask(allowed=[True, True]), SHAPE, "/mask/allowed", False),
    WrongRequest(
        "allowed that would enlarge the scores", mask(allowed=[[[True] * 3] * 2] * 2), SHAPE, "/mask/allowed", False
    ),
    WrongRequest("bias of another shape", with_(bias=[[0, 0, 0]] * 3), SHAPE, "/bias", False),
    WrongRequest(
        "weights that do not fit", additive(query_weight=[[1, 0, 0]] * 2), SHAPE, "/score_model/query_weight", False
    ),
    WrongRequest(
        "hidden bias that does not fit", additive(hidden_bias=[1, 2, 3]), SHAPE, "/score_model/hidden_bias", False
    ),
    WrongRequest(
        "negative logit under proportional",
        with_(query=[[-1, 0], [0, 2]], normalizer="proportional"),
        INVALID,
        "/normalizer",
        False,
    ),
    WrongRequest("output without a value", without("value") | {"include": ["output"]}, INVALID, "/include/0", False),
    WrongRequest(
        "logsumexp of proportional",
        with_(normalizer="proportional", include=["scores", "logsumexp"]),
        INVALID,
        "/include/1",
        False,
    ),
    WrongRequest("another rank by length", with_(layout="bshd"), SHAPE, "/query", False),
    WrongRequest(
        "another rank of a key by length",
        {"query": [[[[1]]]], "key": [[1]], "layout": "bshd", "score_model": "dot_product"},
        SHAPE,
        "/key",
        False,
    ),
    WrongRequest(
        "packed heads by length",
        {"query": [[[1]]], "key": [[[1]]], "layout": "bshd", "heads": {"query": 1, "key_value": 1}},
        INVALID,
        "/layout",
        False,
    ),
    WrongRequest("mean weights without heads", with_(include=["output", "mean_weights"]), INVALID, "/include/1", False),
    WrongRequest("query beyond float64", with_(query=[[1, 0], [TOO_LARGE, 0]]), INVALID, "/query/1/0", False),
    WrongRequest("query just beyond float64", with_(query=[[1, 0], [10**309, 0]]), INVALID, "/query/1/0", False),
    WrongRequest("bias beyond float64", with_(bias=[None, -TOO_LARGE, 0]), INVALID, "/bias/1", False),
    WrongRequest("temperature beyond float64", _softmax(TOO_LARGE), INVALID, "/normalizer/temperature", False),
    WrongRequest("scale beyond float64", _scaled(-TOO_LARGE), INVALID, "/score_model/scale", False),
    WrongRequest("offset beyond any length", mask(causal=True, offset=10**30), INVALID, "/mask/offset", False),
    WrongRequest(
        "key beyond float32", with_(key=[[1, 0], [1e39, 0], [1, 1]], dtype="float32"), INVALID, "/key/1/0", False
    ),
]

WRONG_REQUESTS: list[WrongRequest] = [
    *DOCUMENTS,
    *UNKNOWN_FIELDS,
    *UNKNOWN_NAMES,
    *TENSORS,
    *MASKS,
    *SCALARS,
    *BEYOND_SCHEMA,
]
"""Every one of them."""
