"""Errors of an inference call every field, tensor and output by its name in the protocol."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import attention_core
import service
from attention_core.hints import TABLE
from attention_core.hints.translation import PLACE
from service.codecs.open_inference.places import write_place
from service.schemas.attention import AttentionRequest
from service.schemas.places import own_names
from tests.service.open_inference.asking import KEYS, ONE, PLAIN, assert_problem

INPUTS = {
    "query", "key", "value", "past_key", "past_value", "allowed", "bias", "key_lengths", "query_segments",
    "key_segments", "offset", "sink", "alibi_slopes", "prefix_lengths", "key_allowed", "query_positions",
    "key_positions",
}  # fmt: skip
OWN_INPUTS = {
    "additive": {"query_weight", "key_weight", "score_vector", "hidden_bias"},
    "bilinear": {"weight"},
    "trilinear": {"weight"},
}
PARAMETERS = {
    "causal", "offset", "window_left", "window_right", "softcap", "scale", "bandwidth", "normalizer", "temperature",
    "sink", "alpha", "query_heads", "key_value_heads", "layout", "formula", "memory", "memory_version", "append",
}  # fmt: skip
OUTPUTS = {
    "output", "weights", "scores", "capped_scores", "modified", "logits", "mean_weights", "logsumexp", "present_key",
    "present_value",
}  # fmt: skip
"""The vocabulary of the contract, written down once more."""

ELSEWHERE = re.compile(r".* in (the parameter options|POST /v1/attention)")
KINDS = "input or parameter|inputs and parameters|inputs?|parameters?|outputs?"
NAMED = re.compile(rf"the ({KINDS}) ([a-z_]+(?:(?:, | and )[a-z_]+)*)")
OTHERS = ("the model", "the datatype", "the outputs")


def assert_own_words(text: str) -> None:
    """Fail unless a place is written in names of the protocol, or with where else it stands."""
    if ELSEWHERE.fullmatch(text):
        return
    named = NAMED.match(text)
    if named is None:
        assert text.startswith(OTHERS), text
        return
    known = {"input": INPUTS.union(*OWN_INPUTS.values()), "parameter": PARAMETERS, "output": OUTPUTS}
    kinds = re.findall("input|parameter|output", named[1])
    allowed = set.union(*(known[kind] for kind in kinds))
    assert set(re.split(", | and ", named[2])) <= allowed, text


def strings_in(package: Any) -> Iterator[str]:
    for path in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


OWN_PLACES = own_names(AttentionRequest).places
FIELDS = {place.split(".")[0] for place in OWN_PLACES if "=" not in place}
MARKED = sorted(
    {
        (match[1], match[2])
        for text in (*strings_in(attention_core), *strings_in(service))
        for match in PLACE.finditer(text)
        if match[1].split(".")[0] in FIELDS
    },
    key=str,
)
"""Places in braces in the texts of errors and hints."""


def test_texts_mark_places() -> None:
    """Those of hints, of schemas and of the core are among the places that are tried below."""
    places = {place for place, _ in MARKED}
    assert {"mask.allowed", "bias", "heads", "normalizer.softmax", "position.alibi.slopes"} <= places
    assert {place for rows in TABLE.values() for row in rows for place, _ in row.places} <= places


@pytest.mark.parametrize("place", OWN_PLACES)
def test_every_place_of_a_request_has_a_name(place: str) -> None:
    path, _, value = place.partition("=")
    assert_own_words(write_place(path, value or None))


@pytest.mark.parametrize(("place", "value"), MARKED)
def test_every_place_that_a_text_marks_has_a_name(place: str, value: str | None) -> None:
    assert_own_words(write_place(place, value))


def with_parameters(**parameters: Any) -> dict[str, Any]:
    return PLAIN | {"parameters": parameters}


def beside(name: str, numbers: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    tensor = {"name": name, "shape": shape or [len(numbers)], "datatype": "FP32", "data": numbers}
    return PLAIN | {"inputs": [ONE, KEYS, tensor]}


SAID: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "query heads alone": (with_parameters(query_heads=1), ("the parameter key_value_heads",), ("key_value,",)),
    "key heads alone": (with_parameters(key_value_heads=1), ("the parameter query_heads",), ("query,",)),
    "heads of rank 2": (with_parameters(query_heads=1, key_value_heads=1),
                        ("because of the parameters query_heads, key_value_heads;",
                         "Leave out the parameters query_heads, key_value_heads"), ("of heads",)),
    "slopes of rotary": (beside("alibi_slopes", [1]) | {"parameters": {"options": '{"position": "rotary"}'}},
                         ("received the input alibi_slopes",), ("'slopes'",)),
    "slopes not finite": (beside("alibi_slopes", ["NaN"]), ("the input allowed or the input bias",), ("mask",)),
    "present without value": (PLAIN | {"outputs": [{"name": "present_key"}]},
                              ("leave out the output present_key and present_value",), ("include",)),
    "logsumexp of relu": (with_parameters(normalizer="relu") | {"outputs": [{"name": "logsumexp"}]},
                          ("Leave out the output logsumexp", 'the parameter normalizer: "softmax"'), ("include",)),
    "scale of another model": (with_parameters(scale=1), ("received the input or parameter scale",), ("'scale'",)),
    "window to the wrong side": (with_parameters(window_left=-1), ("an unbounded side",), ("window.left",)),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
async def test_an_error_says(client: httpx.AsyncClient, ask: Callable[..., Any], case: str) -> None:
    request, words, foreign = SAID[case]
    problem = await assert_problem(client, await ask(json.dumps(request).encode()), 422, *words)
    for word in foreign:
        assert word not in problem["detail"], problem


@pytest.mark.parametrize("model", OWN_INPUTS)
async def test_an_input_that_a_model_needs_is_called_one(
    client: httpx.AsyncClient, ask: Callable[..., Any], model: str
) -> None:
    response = await ask(PLAIN, f"/v2/models/{model}/infer")
    problem = await assert_problem(client, response, 422)
    missing = {error["detail"].split(", which is required")[0] for error in problem["errors"]}
    assert missing == {
        f"expected the input {name} of the model {model}" for name in OWN_INPUTS[model] - {"hidden_bias"}
    }
