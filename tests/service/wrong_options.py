"""Wrong requests continued: masks, positions, heads, caches, parameters, and the form of the answer."""

from typing import Any

from tests.service.wrong_requests import (
    BASE,
    INVALID,
    SHAPE,
    UNKNOWN,
    Request,
    WrongRequest,
    mask,
    with_,
    without,
)

HEADS = {"query": 2, "key_value": 1}

PACKED: Request = {"query": [[[1, 0, 2, 1]]], "key": [[[1, 0], [0, 1]]], "heads": HEADS}
"""Two query heads and one key head of two features: right as it is."""

CACHE: Request = {"past_key": [[1, 1]], "past_value": [[4]]}
"""One past key; right for BASE as it is."""


def _window(**sides: Any) -> Request:
    return mask(window=sides)


def _heads(**heads: Any) -> Request:
    return PACKED | {"heads": HEADS | heads}


def _past(**past: Any) -> Request:
    return BASE | CACHE | past


def _position(name: str, **parameters: Any) -> Request:
    return with_(position={"name": name, **parameters})


def _model(name: str, **parameters: Any) -> Request:
    return with_(score_model={"name": name, **parameters})


def _normalizer(name: str, **parameters: Any) -> Request:
    return with_(normalizer={"name": name, **parameters})


def _ranking(top_k: Any) -> Request:
    return with_(include=["ranking"], top_k=top_k)


def _segments(query: Any, key: Any) -> Request:
    return mask(query_segments=query, key_segments=key)


MASKS = [
    WrongRequest("offset of another name", mask(offset="bottomright"), UNKNOWN, "/mask/offset"),
    WrongRequest("offset a matrix", mask(offset=[[0]]), SHAPE, "/mask/offset"),
    WrongRequest("fraction among the offsets", mask(offset=[0.5]), INVALID, "/mask/offset/0"),
    WrongRequest("offset an object", mask(offset={}), INVALID, "/mask/offset"),
    WrongRequest("window negative", _window(left=-1), INVALID, "/mask/window/left"),
    WrongRequest("window a fraction", _window(right=0.5), INVALID, "/mask/window/right"),
    WrongRequest("window a number", mask(window=2), INVALID, "/mask/window"),
    WrongRequest("window a list", mask(window=[1, 1]), INVALID, "/mask/window"),
    WrongRequest("unknown side of the window", _window(lft=1), UNKNOWN, "/mask/window/lft"),
    WrongRequest("key lengths a number", mask(key_lengths=3), INVALID, "/mask/key_lengths"),
    WrongRequest("key lengths of rank 3", mask(key_lengths=[[[3]]]), SHAPE, "/mask/key_lengths"),
    WrongRequest("fraction among the key lengths", mask(key_lengths=[1.5]), INVALID, "/mask/key_lengths/0"),
    WrongRequest("boolean among the key lengths", mask(key_lengths=[True]), INVALID, "/mask/key_lengths/0"),
    WrongRequest("key lengths empty", mask(key_lengths=[]), INVALID, "/mask/key_lengths"),
    WrongRequest("string among the segments", _segments([0, "a"], [0, 0, 0]), INVALID, "/mask/query_segments/1"),
    WrongRequest("bias of minus infinity in words", with_(bias=["-Infinity", 0, 0]), INVALID, "/bias/0"),
]

MASKS_BEYOND_SCHEMA = [
    WrongRequest("offsets for other rows", mask(offset=[0, 1]), SHAPE, "/mask/offset", False),
    WrongRequest("offset that positions overflow", mask(causal=True, offset=2**63 - 1), INVALID, "/mask/offset", False),
    WrongRequest("key lengths for other rows", mask(key_lengths=[1, 2]), SHAPE, "/mask/key_lengths", False),
    WrongRequest("key length beyond the keys", mask(key_lengths=[4]), INVALID, "/mask/key_lengths/0", False),
    WrongRequest("key length negative", mask(key_lengths=[-1]), INVALID, "/mask/key_lengths/0", False),
    WrongRequest("query segments alone", mask(query_segments=[0, 0]), INVALID, "/mask/key_segments", False),
    WrongRequest("key segments alone", mask(key_segments=[0, 0, 1]), INVALID, "/mask/query_segments", False),
    WrongRequest("fewer key segments than keys", _segments([0, 0], [0, 0]), SHAPE, "/mask/key_segments", False),
]

PARAMETERS = [
    WrongRequest("softcap zero", with_(softcap=0), INVALID, "/softcap"),
    WrongRequest("softcap a string", with_(softcap="30"), INVALID, "/softcap"),
    WrongRequest("softcap a list", with_(softcap=[30]), INVALID, "/softcap"),
    WrongRequest("scale an empty list", _model("cosine", scale=[]), INVALID, "/score_model/scale"),
    WrongRequest("bandwidth a string", _model("laplacian", bandwidth="1"), INVALID, "/score_model/bandwidth"),
    WrongRequest("bilinear without its weight", with_(score_model="bilinear"), INVALID, "/score_model"),
    WrongRequest("trilinear without its weight", _model("trilinear"), INVALID, "/score_model/weight"),
    WrongRequest("trilinear weight of rank 3", _model("trilinear", weight=[[[1]]]), SHAPE, "/score_model/weight"),
    WrongRequest("bilinear weight of rank 1", _model("bilinear", weight=[1, 2]), SHAPE, "/score_model/weight"),
    WrongRequest("alpha below 1", _normalizer("entmax", alpha=0.5), INVALID, "/normalizer/alpha"),
    WrongRequest("alpha of another normalizer", _normalizer("relu", alpha=2), UNKNOWN, "/normalizer/alpha"),
    WrongRequest("sink a string", _normalizer("softmax", sink="0"), INVALID, "/normalizer/sink"),
    WrongRequest("sigmoid's bias a list", _normalizer("sigmoid", bias=[1]), INVALID, "/normalizer/bias"),
    WrongRequest("unknown position", with_(position="alibis"), UNKNOWN, "/position"),
    WrongRequest("unknown position object", _position("rope"), UNKNOWN, "/position/name"),
    WrongRequest("position without a name", with_(position={"base": 10}), INVALID, "/position"),
    WrongRequest("position a list", with_(position=["rotary"]), INVALID, "/position"),
    WrongRequest("base zero", _position("rotary", base=0), INVALID, "/position/base"),
    WrongRequest("interleaved a number", _position("rotary", interleaved=1), INVALID, "/position/interleaved"),
    WrongRequest("slopes of rotary", _position("rotary", slopes=1), UNKNOWN, "/position/slopes"),
    WrongRequest("slopes a string", _position("alibi", slopes="1"), INVALID, "/position/slopes"),
    WrongRequest("slopes empty", _position("alibi", slopes=[]), INVALID, "/position/slopes"),
]

PARAMETERS_BEYOND_SCHEMA = [
    WrongRequest("scales without heads", _model("cosine", scale=[1, 2]), SHAPE, "/score_model/scale", False),
    WrongRequest("bandwidth zero", _model("gaussian", bandwidth=0), INVALID, "/score_model/bandwidth", False),
    WrongRequest("weight that does not fit", _model("bilinear", weight=[[1]]), SHAPE, "/score_model/weight", False),
    WrongRequest("weight too short", _model("trilinear", weight=[1, 2]), SHAPE, "/score_model/weight", False),
    WrongRequest("slopes without heads", _position("alibi", slopes=[1, 2]), SHAPE, "/position/slopes", False),
    WrongRequest("sinks without heads", _normalizer("softmax", sink=[1, 2]), SHAPE, "/normalizer/sink", False),
    WrongRequest(
        "rotary with odd features",
        {"query": [[1, 2, 3]], "key": [[1, 2, 3]], "position": "rotary"},
        SHAPE,
        "/position",
        False,
    ),
]

HEADS_AND_CACHES = [
    WrongRequest("heads a number", PACKED | {"heads": 2}, INVALID, "/heads"),
    WrongRequest("heads without key_value", PACKED | {"heads": {"query": 2}}, INVALID, "/heads/key_value"),
    WrongRequest("no query head", _heads(query=0), INVALID, "/heads/query"),
    WrongRequest("heads a fraction", _heads(query=2.5), INVALID, "/heads/query"),
    WrongRequest("heads a string", _heads(key_value="1"), INVALID, "/heads/key_value"),
    WrongRequest("unknown kind of head", _heads(value=1), UNKNOWN, "/heads/value"),
    WrongRequest("past key of rank 1", _past(past_key=[1, 1]), SHAPE, "/past_key"),
    WrongRequest("string in past key", _past(past_key=[[1, "1"]]), INVALID, "/past_key/0/1"),
    WrongRequest("null in past value", _past(past_value=[[None]]), INVALID, "/past_value/0/0"),
]

HEADS_AND_CACHES_BEYOND_SCHEMA = [
    WrongRequest("heads of rank 2", with_(heads={"query": 2, "key_value": 2}), SHAPE, "/query", False),
    WrongRequest("heads that do not share evenly", _heads(query=3), SHAPE, "/query", False),
    WrongRequest("query heads that key heads do not divide", _heads(query=1, key_value=2), SHAPE, "/key", False),
    WrongRequest(
        "heads of rank 4 that do not divide",
        {"query": [[[[1]], [[1]], [[1]]]], "key": [[[[1]], [[1]]]]},
        SHAPE,
        "/key",
        False,
    ),
    WrongRequest(
        "fewer value heads than key heads",
        {"query": [[[[1]], [[1]]]], "key": [[[[1]], [[1]]]], "value": [[[[1]]]]},
        SHAPE,
        "/value",
        False,
    ),
    WrongRequest("past key alone", with_(past_key=[[1, 1]]), INVALID, "/past_value", False),
    WrongRequest("past value alone", with_(past_value=[[1]]), INVALID, "/past_key", False),
    WrongRequest("past without a value", without("value") | CACHE, INVALID, "/value", False),
    WrongRequest("past key of other features", _past(past_key=[[1, 1, 1]]), SHAPE, "/past_key", False),
    WrongRequest("past value of other features", _past(past_value=[[1, 1]]), SHAPE, "/past_value", False),
    WrongRequest("fewer past values than past keys", _past(past_key=[[1, 1]] * 2), SHAPE, "/past_value", False),
]

ANSWERS = [
    WrongRequest("labels a list", with_(labels=["a", "b"]), INVALID, "/labels"),
    WrongRequest("unknown kind of label", with_(labels={"keys": []}), UNKNOWN, "/labels/keys"),
    WrongRequest("labels a string", with_(labels={"query": "ab"}), INVALID, "/labels/query"),
    WrongRequest("labels of numbers", with_(labels={"key": [1, 2, 3]}), INVALID, "/labels/key/0"),
    WrongRequest("null among the labels", with_(labels={"key": ["a", None, "c"]}), INVALID, "/labels/key/1"),
    WrongRequest("top_k zero", _ranking(0), INVALID, "/top_k"),
    WrongRequest("top_k a fraction", _ranking(1.5), INVALID, "/top_k"),
    WrongRequest("top_k a string", _ranking("1"), INVALID, "/top_k"),
    WrongRequest("decimals negative", with_(decimals=-1), INVALID, "/decimals"),
    WrongRequest("decimals beyond 17", with_(decimals=18), INVALID, "/decimals"),
    WrongRequest("decimals a string", with_(decimals="2"), INVALID, "/decimals"),
    WrongRequest("decimals a boolean", with_(decimals=True), INVALID, "/decimals"),
]

ANSWERS_BEYOND_SCHEMA = [
    WrongRequest("fewer labels than keys", with_(labels={"key": ["a", "b"]}), SHAPE, "/labels/key", False),
    WrongRequest("fewer labels than queries", with_(labels={"query": ["a"]}), SHAPE, "/labels/query", False),
    WrongRequest("top_k without ranking", with_(top_k=1), INVALID, "/top_k", False),
    WrongRequest("present without a value", without("value") | {"include": ["present"]}, INVALID, "/include/0", False),
    WrongRequest("query beyond float16", with_(query=[[7e4, 0]], dtype="float16"), INVALID, "/query/0/0", False),
]

WRONG_OPTIONS: list[WrongRequest] = [
    *MASKS,
    *MASKS_BEYOND_SCHEMA,
    *PARAMETERS,
    *PARAMETERS_BEYOND_SCHEMA,
    *HEADS_AND_CACHES,
    *HEADS_AND_CACHES_BEYOND_SCHEMA,
    *ANSWERS,
    *ANSWERS_BEYOND_SCHEMA,
]
"""Every one of them."""
