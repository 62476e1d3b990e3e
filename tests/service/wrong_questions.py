"""Wrong requests continued: what explain, compare, check and gradients are asked beside the request inside them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.service.wrong_requests import BASE, INVALID, SHAPE, UNKNOWN, Request, WrongRequest, mask, with_, without


class Question(NamedTuple):
    """A POST that takes an attention request: where to, how it is asked, and at which place the request stands then."""

    path: str
    place: str
    asked: Callable[[Any], Request]


def explained(request: Any, **fields: Any) -> Request:
    """The first key for the first query of a request, with some fields replaced or added."""
    return {"request": request, "query_index": 0, "key_index": 0} | fields


def compared(request: Any, *overrides: Any) -> Request:
    """A request and a variant for each of the overrides; one at least."""
    variants = [{"label": f"variant {i}", "overrides": one} for i, one in enumerate(overrides or ({},))]
    return {"base": request, "variants": variants}


def checked(request: Any, **fields: Any) -> Request:
    """A candidate for BASE, with some fields replaced or added."""
    return {"request": request, "candidate": {"weights": [[1, 0, 0], [0, 1, 0]]}} | fields


def differentiated(request: Any, **fields: Any) -> Request:
    """A gradient of the output, with some fields replaced or added; keys stand in for values that a request lacks."""
    if isinstance(request, dict) and "key" in request and not {"value", "past_value"} & set(request):
        request = request | {"value": request["key"]}
    return {"request": request, "output_gradient": 1} | fields


def overrides_of(request: Request) -> Request:
    """The merge patch that makes a request of BASE: what it lacks is null."""
    return dict.fromkeys(BASE) | request


QUESTIONS = {
    "attention": Question("/v1/attention", "", lambda request: request),
    "estimate": Question("/v1/attention/estimate", "", lambda request: request),
    "explain": Question("/v1/attention/explain", "/request", explained),
    "compare": Question("/v1/attention/compare", "/base", compared),
    "check": Question("/v1/attention/check", "/request", checked),
    "gradients": Question("/v1/attention/gradients", "/request", differentiated),
    "estimate of gradients": Question("/v1/attention/gradients/estimate", "/request", differentiated),
}

HEADED: Request = {"query": [[[[1, 0]], [[0, 1]]]], "key": [[[[1, 1]], [[2, 0]]]]}
"""One batch row, two heads, one query, one key: right as it is."""

PROPORTIONAL = with_(query=[[1, 0], [-1, 0]], normalizer="proportional")
"""Its second query has negative logits."""

BEYOND_ANY_LENGTH = 10**30


def _explanations() -> list[tuple[Any, ...]]:
    """Id, request, slug, pointer, and whether a schema can tell."""
    right = explained(BASE)
    return [
        ("explain nothing", {}, INVALID, "/request"),
        ("explain a request as it is", BASE, UNKNOWN, "/query"),
        *((f"explain without {name}", _less(right, name), INVALID, f"/{name}") for name in right),
        ("explain a list of requests", explained([BASE]), INVALID, "/request"),
        ("explain null", explained(None), INVALID, "/request"),
        ("query index negative", explained(BASE, query_index=-1), INVALID, "/query_index"),
        ("key index negative", explained(BASE, key_index=-1), INVALID, "/key_index"),
        ("query index a fraction", explained(BASE, query_index=0.5), INVALID, "/query_index"),
        ("key index a string", explained(BASE, key_index="0"), INVALID, "/key_index"),
        ("key index a boolean", explained(BASE, key_index=False), INVALID, "/key_index"),
        ("key index a list", explained(BASE, key_index=[0]), INVALID, "/key_index"),
        ("key index null", explained(BASE, key_index=None), INVALID, "/key_index"),
        ("query index out of range", explained(BASE, query_index=2), INVALID, "/query_index", False),
        ("key index out of range", explained(BASE, key_index=3), INVALID, "/key_index", False),
        ("both out of range", explained(BASE, query_index=2, key_index=3), INVALID, "/query_index", False),
        ("beyond any", explained(BASE, key_index=BEYOND_ANY_LENGTH), INVALID, "/key_index", False),
        ("key index for query index", explained(HEADED, index=[0, 1], key_index=1), INVALID, "/key_index", False),
        ("index a number", explained(HEADED, index=0), INVALID, "/index"),
        ("index of lists", explained(HEADED, index=[[0], [0]]), INVALID, "/index/0"),
        ("index with a fraction", explained(HEADED, index=[0, 0.5]), INVALID, "/index/1"),
        ("index with a null", explained(HEADED, index=[None, 0]), INVALID, "/index/0"),
        ("index negative", explained(HEADED, index=[0, -1]), INVALID, "/index/1"),
        ("index where there are no leading axes", explained(BASE, index=[0]), INVALID, "/index", False),
        ("index empty where there are two", explained(HEADED, index=[]), INVALID, "/index", False),
        ("index too short", explained(HEADED, index=[0]), INVALID, "/index", False),
        ("index too long", explained(HEADED, index=[0, 0, 0]), INVALID, "/index", False),
        ("batch out of range", explained(HEADED, index=[1, 0]), INVALID, "/index/0", False),
        ("head out of range", explained(HEADED, index=[0, 2]), INVALID, "/index/1", False),
        ("another language", explained(BASE, language="fr"), UNKNOWN, "/language"),
        ("a language in capitals", explained(BASE, language="ZH"), UNKNOWN, "/language"),
        ("field of explain misspelt", explained(BASE, langage="zh"), UNKNOWN, "/langage"),
        ("indices inside the request", explained(with_(key_index=0)), UNKNOWN, "/request/key_index"),
        (
            "negative logit in the row that is explained",
            explained(PROPORTIONAL, query_index=1),
            INVALID,
            "/request/normalizer",
            False,
        ),
    ]


def _comparisons() -> list[tuple[Any, ...]]:
    right, empty = compared(BASE), {"label": "a", "overrides": {}}
    lengths = mask(key_lengths=[3])
    return [
        ("compare nothing", {}, INVALID, "/base"),
        *((f"compare without {name}", _less(right, name), INVALID, f"/{name}") for name in right),
        ("field of compare misspelt", right | {"variant": []}, UNKNOWN, "/variant"),
        ("no variants", right | {"variants": []}, INVALID, "/variants"),
        ("sixteen variants", compared(BASE, *({} for _ in range(16))), INVALID, "/variants"),
        ("variants an object", right | {"variants": empty}, INVALID, "/variants"),
        ("variants of numbers", right | {"variants": [1, 2]}, INVALID, "/variants/0"),
        ("variant null", right | {"variants": [empty, None]}, INVALID, "/variants/1"),
        *(
            (f"variant without {name}", right | {"variants": [_less(empty, name)]}, INVALID, f"/variants/0/{name}")
            for name in empty
        ),
        ("field of a variant misspelt", _variant(override={}), UNKNOWN, "/variants/0/override"),
        ("label a number", _variant(label=1), INVALID, "/variants/0/label"),
        ("label empty", _variant(label=""), INVALID, "/variants/0/label"),
        ("label of 201 characters", _variant(label="宽" * 201), INVALID, "/variants/0/label"),
        ("label base", _variant(label="base"), INVALID, "/variants/0/label", False),
        ("label twice", right | {"variants": [empty, empty]}, INVALID, "/variants/1/label", False),
        ("overrides a list", _variant(overrides=[1]), INVALID, "/variants/0/overrides"),
        ("overrides a name", _variant(overrides="softmax"), INVALID, "/variants/0/overrides"),
        ("overrides null", _variant(overrides=None), INVALID, "/variants/0/overrides"),
        _overridden("a field misspelt", {}, {"quary": [[1, 0]]}, UNKNOWN, "quary"),
        _overridden("a field that needs escapes", {}, {"a/b~c": 1}, UNKNOWN, "a~1b~0c"),
        _overridden("a field of the mask misspelt", {"mask": {"causal": False}}, {"mask": {"causl": True}}, UNKNOWN,
                    "mask/causl"),
        _overridden("an unknown name", {}, {"normalizer": "sofmax"}, UNKNOWN, "normalizer"),
        _overridden("a parameter of the model before", {}, {"score_model": {"name": "cosine", "bandwidth": 1}}, UNKNOWN,
                    "score_model/bandwidth"),
        _overridden("a parameter of no model", {}, {"normalizer": {"temperature": 2}}, INVALID, "normalizer"),
        _overridden("a model without its weight", {"score_model": {"name": "trilinear", "weight": [1] * 6}},
                    {"score_model": {"name": "bilinear"}}, INVALID, "score_model/weight"),
        _overridden("what cannot be done without", {}, {"key": None}, INVALID, "key"),
        _overridden("a ragged key", {}, {"key": [[1, 0], [1]]}, INVALID, "key/1"),
        _overridden("other features", {}, {"key": [[1], [2], [3]]}, SHAPE, "key"),
        _overridden("half of a pair", {}, {"past_key": [[1, 1]]}, INVALID, "past_value"),
        _overridden("half of a pair in the mask", {}, {"mask": {"query_segments": [0, 0]}}, INVALID,
                    "mask/key_segments"),
        _overridden("a negative logit", {}, {"query": [[-1, 0]], "normalizer": "proportional"}, INVALID, "normalizer"),
        _overridden("a number beyond float16", {"query": [[7e4, 0]]}, {"dtype": "float16", "query": [[8e4, 0]]},
                    INVALID, "query/0/0"),
        ("the second variant", compared(BASE, {}, {"softcap": -1}), INVALID, "/variants/1/overrides/softcap", False),
        ("in the base, by an override elsewhere", compared(lengths, {"key": [[1, 0]], "value": [[1]]}), INVALID,
         "/base/mask/key_lengths/0", False),
        ("in the base, by an override beside it",
         compared(lengths, {"key": [[1, 0]], "value": [[1]], "mask": {"causal": True}}), INVALID,
         "/base/mask/key_lengths/0", False),
        ("in the base, by a dtype", compared(with_(query=[[7e4, 0]]), {"dtype": "float16"}), INVALID,
         "/base/query/0/0", False),
        ("labels in the base, by fewer keys", compared(with_(labels={"key": ["a", "b", "c"]}), {
            "key": [[1, 0]], "value": [[1]]}), SHAPE, "/base/labels/key", False),
        ("labels in the overrides", compared(BASE, {"labels": {"key": ["a", "b"]}}), SHAPE,
         "/variants/0/overrides/labels/key", False),
        ("negative logit in the base", compared(PROPORTIONAL), INVALID, "/base/normalizer", False),
    ]  # fmt: skip


def _checks() -> list[tuple[Any, ...]]:
    right = checked(BASE)
    return [
        ("check nothing", {}, INVALID, "/request"),
        *((f"check without {name}", _less(right, name), INVALID, f"/{name}") for name in right),
        ("field of check misspelt", right | {"rtoll": 0}, UNKNOWN, "/rtoll"),
        ("candidate null", checked(BASE, candidate=None), INVALID, "/candidate"),
        ("candidate a matrix", checked(BASE, candidate=[[1, 0, 0]]), INVALID, "/candidate"),
        ("candidate empty", checked(BASE, candidate={}), INVALID, "/candidate"),
        ("candidate misspelt", _candidate(weigths=[[1, 0, 0]]), UNKNOWN, "/candidate/weigths"),
        ("candidate that is not compared", _candidate(logits=[[1, 0, 0]] * 2), UNKNOWN, "/candidate/logits"),
        ("string in the candidate", _candidate(output=[[1], ["2"]]), INVALID, "/candidate/output/1/0"),
        ("minus infinity in words", _candidate(scores=[[1, 2, "-Infinity"]] * 2), INVALID, "/candidate/scores/0/2"),
        ("candidate a number", _candidate(weights=1), INVALID, "/candidate/weights"),
        ("candidate ragged", _candidate(weights=[[1, 0, 0], [0]]), INVALID, "/candidate/weights/1", False),
        ("candidate of nulls only", _candidate(weights=None), INVALID, "/candidate", False),
        ("one row of weights too few", _candidate(weights=[[1, 0, 0]]), SHAPE, "/candidate/weights", False),
        ("weights transposed", _candidate(weights=[[1, 0]] * 3), SHAPE, "/candidate/weights", False),
        ("output of other features", _candidate(output=[[1, 2]] * 2), SHAPE, "/candidate/output", False),
        ("a logsumexp for each key", _candidate(logsumexp=[1, 2, 3]), SHAPE, "/candidate/logsumexp", False),
        (
            "output without a value",
            checked(without("value"), candidate={"output": [[1], [2]]}),
            INVALID,
            "/candidate/output",
            False,
        ),
        (
            "logsumexp of relu",
            checked(with_(normalizer="relu"), candidate={"logsumexp": [1, 2]}),
            INVALID,
            "/candidate/logsumexp",
            False,
        ),
        ("rtol negative", checked(BASE, rtol=-1e-3), INVALID, "/rtol"),
        ("atol a string", checked(BASE, atol="1e-3"), INVALID, "/atol"),
        ("rtol a boolean", checked(BASE, rtol=True), INVALID, "/rtol"),
        ("negative logit in the request", checked(PROPORTIONAL), INVALID, "/request/normalizer", False),
    ]


def _gradients() -> list[tuple[Any, ...]]:
    right, of_output = differentiated(BASE), "/output_gradient"
    return [
        ("gradients of nothing", {}, INVALID, "/request"),
        ("gradients of a request as it is", BASE, UNKNOWN, "/query"),
        *((f"gradients without {name}", _less(right, name), INVALID, f"/{name}") for name in right),
        ("field of gradients misspelt", right | {"output_gradients": 1}, UNKNOWN, "/output_gradients"),
        ("gradient of the output null", differentiated(BASE, output_gradient=None), INVALID, of_output),
        ("gradient of the output a string", differentiated(BASE, output_gradient="1"), INVALID, of_output),
        ("gradient of the output a boolean", differentiated(BASE, output_gradient=True), INVALID, of_output),
        ("a null in it", differentiated(BASE, output_gradient=[[1], [None]]), INVALID, f"{of_output}/1/0"),
        ("an infinity in it", differentiated(BASE, output_gradient=[[1], ["Infinity"]]), INVALID, f"{of_output}/1/0"),
        ("ragged", differentiated(BASE, output_gradient=[[1], [1, 2]]), INVALID, f"{of_output}/1", False),
        ("a row too few", differentiated(BASE, output_gradient=[[1]]), SHAPE, of_output, False),
        ("a gradient for each query", differentiated(BASE, output_gradient=[1, 1]), SHAPE, of_output, False),
        (
            "gradients of no value",
            {"request": without("value"), "output_gradient": 1},
            INVALID,
            "/request/value",
            False,
        ),
        ("gradients of hardmax", differentiated(with_(normalizer="hardmax")), INVALID, "/request/normalizer", False),
        ("an unknown gradient", differentiated(BASE, include=["query", "weights"]), UNKNOWN, "/include/1"),
        ("the same gradient twice", differentiated(BASE, include=["key", "key"]), INVALID, "/include/1"),
        ("the gradient of no bias", differentiated(BASE, include=["output", "bias"]), INVALID, "/include/1", False),
        ("the gradient of no past", differentiated(BASE, include=["past_value"]), INVALID, "/include/0", False),
        ("gradients a name", differentiated(BASE, include="query"), INVALID, "/include"),
    ]


def _less(asked: Request, name: str) -> Request:
    return {field: value for field, value in asked.items() if field != name}


def _variant(**fields: Any) -> Request:
    return {"base": BASE, "variants": [{"label": "a", "overrides": {}} | fields]}


def _overridden(id_: str, base: Request, overrides: Request, slug: str, place: str) -> tuple[Any, ...]:
    """What overrides spoil is pointed to inside them; a schema does not look into them."""
    return f"{id_}, overridden", compared(with_(**base), overrides), slug, f"/variants/0/overrides/{place}", False


def _candidate(**fields: Any) -> Request:
    return checked(BASE, candidate=fields)


TABLES = {"explain": _explanations, "compare": _comparisons, "check": _checks, "gradients": _gradients}

WRONG_QUESTIONS: list[WrongRequest] = [
    WrongRequest(*(*row, True)[:5], path=QUESTIONS[name].path) for name, table in TABLES.items() for row in table()
]
"""Every one of them."""

_OF_INCLUDE = {
    "output without a value",
    "logsumexp of proportional",
    "mean weights without heads",
    "present without a value",
    "top_k without ranking",
}

WITHOUT_EFFECT = {
    "check": _OF_INCLUDE,
    "gradients": _OF_INCLUDE,
    "estimate of gradients": _OF_INCLUDE | {"negative logit under proportional"},
    "overrides": {"unknown field, null", "score model's name null"},
}
"""Mistakes that are none here: no other question takes included results, an estimate computes no logit, and null in a
merge patch removes."""
