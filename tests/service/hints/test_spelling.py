"""A name that is suggested by its spelling alone is a misspelling away: the rule holds for every name that is sent."""

import re
from functools import cache
from itertools import product

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core.hints import TABLE, advise, as_json
from attention_core.hints.spelling import nearest
from service.codecs.open_inference.places import advise_place
from service.codecs.open_inference.vocabulary import MODELS, OUTPUTS, SCALARS
from service.schemas.attention import AttentionRequest
from service.schemas.places import own_names
from tests.sampling import draws
from tests.service.hints.sending import BASE
from tests.service.specification import COMPONENTS

KNOWN = {
    "the request": sorted(COMPONENTS["AttentionRequest"]["properties"]),
    "the mask": sorted(COMPONENTS["Mask"]["properties"]),
    "score models": list(MODELS),
    "normalizers": ["softmax", "proportional", "sparsemax", "entmax", "sigmoid", "relu", "hardmax", "none"],
    "number types": ["float64", "float32", "float16", "bfloat16"],
    "parameters": [*SCALARS, "options"],
    "inputs": list(MODELS["additive"]),
    "outputs": list(OUTPUTS),
}
"""Names that are known, by the list that they stand in."""

KINDS = {"score models": "score_model", "normalizers": "normalizer", "number types": "dtype", "outputs": "include"}

FOREIGN = sorted({name for rows in TABLE.values() for row in rows for name in row.names})


@cache
def edits(left: str, right: str) -> int:
    """The Damerau-Levenshtein distance by its recursive definition."""
    if not left or not right:
        return len(left) + len(right)
    ways = [edits(left[1:], right) + 1, edits(left, right[1:]) + 1, edits(left[1:], right[1:]) + (left[0] != right[0])]
    if len(left) > 1 and len(right) > 1 and left[0] == right[1] and left[1] == right[0]:
        ways.append(edits(left[2:], right[2:]) + 1)
    return min(ways)


def plain(name: str) -> str:
    """A name without capitals, hyphens and underscores, whose differences are forgiven."""
    return re.sub(r"[-_\s.]", "", name).lower()


def assert_rule_holds(received: str, said: str) -> None:
    """Fail unless every name that is suggested is a misspelling away, and all that are suggested equally far."""
    question = re.search(r"Did you mean (.+?)\?", said)
    if question is None:
        return
    found = re.findall(r"'([^']+)'", question[1])
    assert found
    if all(plain(name) == plain(received) for name in found):
        return
    # Hyphens and capitals count as the underscore that they stand for, so that they cost nothing.
    snake = re.sub(r"[-\s.]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", received).strip()).lower()
    distances = {edits(snake, name) for name in found}
    assert len(distances) == 1, said
    for name in found:
        shorter = min(len(snake), len(name))
        assert edits(snake, name) <= (1 if shorter <= 4 else 2), (received, said)
        assert shorter >= 3, (received, said)
        assert snake[0] == name[0], (received, said)
        assert re.sub(r"\D", "", snake) == re.sub(r"\D", "", name), (received, said)


LETTERS = "abcdefghiklmnopqrstuvwxyz_"


@st.composite
def misspelt(draw: st.DrawFn) -> str:
    """A name of any place, or of the table, with up to four letters changed, and in one of several ways of writing."""
    name = draw(st.sampled_from([*FOREIGN, *(name for names in KNOWN.values() for name in names)]))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(name) - 1, 0)))
        letter = draw(st.sampled_from(LETTERS))
        name = draw(st.sampled_from([
            name[:at] + name[at + 1 :], name[:at] + letter + name[at:], name[:at] + letter + name[at + 1 :],
            name[:at] + name[at + 1 : at + 2] + name[at : at + 1] + name[at + 2 :],
        ]))  # fmt: skip
    return draw(st.sampled_from([name, name.upper(), name.replace("_", "-"), name.title().replace("_", "")]))


@pytest.mark.parametrize("place", KNOWN)
@settings(max_examples=draws(100))
@given(received=misspelt() | st.text(max_size=12))
def test_the_distance_is_that_of_a_misspelling(place: str, received: str) -> None:
    kind = KINDS.get(place, "field")
    own = own_names(AttentionRequest)
    assert_rule_holds(received, advise(received, KNOWN[place], kind=kind, write=as_json, own=own))
    if place in ("parameters", "inputs", "outputs"):
        assert_rule_holds(received, advise_place(received, KNOWN[place], kind))


@pytest.mark.parametrize("place", KNOWN)
def test_no_name_of_the_table_is_suggested_by_its_spelling(place: str) -> None:
    """What the table holds is never left to the spelling: only a name that is the same without underscores is asked."""
    kind = KINDS.get(place, "field")
    rows = {name for row in TABLE[kind] if not row.within for name in row.names}
    for name in rows - set(KNOWN[place]):
        said = advise(name, KNOWN[place], kind=kind, write=as_json, own=own_names(AttentionRequest))
        assert said
        question = re.search(r"Did you mean '(.+?)'\?", said)
        assert question is None or plain(question[1]) == plain(name), said


EQUALLY_NEAR = {"positios": ["position", "positions"], "positiosn": ["position", "positions"]}
"""Misspellings that are one typing error away from two names."""


def test_every_single_typing_error_is_recognised() -> None:
    """One letter too many, too few or wrong, or two swapped, behind the first letter of a name of five or more."""
    for name in KNOWN["the request"]:
        if len(name) < 5:
            continue
        for at in range(1, len(name) - 1):
            wrong = [name[:at] + name[at + 1 :], name[:at] + "j" + name[at:], name[:at] + "j" + name[at + 1 :],
                     name[:at] + name[at + 1] + name[at] + name[at + 2 :]]  # fmt: skip
            for one in wrong:
                asked = EQUALLY_NEAR.get(one, [name])
                assert one == name or nearest(one, KNOWN["the request"]) == asked, one


def test_names_that_are_equally_near_are_all_named() -> None:
    assert nearest("past_kalue", ["past_value", "past_kales"]) == ["past_value"]
    assert nearest("valus", ["value", "valuz", "other"]) == ["value", "valuz"]
    assert advise("valus", ["value", "valuz"], kind="field", write=as_json) == "Did you mean 'value' or 'valuz'?"


UNLIKE = [("mask", "task"), ("sink", "mask"), ("value", "scale"), ("past_value", "causal"),
          ("float64", "float24"), ("query_heads", "num_kv_heads"), ("key_lengths", "query_lengths"), ("en", "cn"),
          ("key", "kv"), ("cosine", "concat"), ("hardmax", "sparsemax")]  # fmt: skip


@pytest.mark.parametrize(("known", "received"), UNLIKE, ids=str)
def test_what_is_spelt_otherwise_is_not_suggested(known: str, received: str) -> None:
    assert nearest(received, [known]) == []


@pytest.mark.parametrize("known", KNOWN["score models"])
def test_capitals_hyphens_and_camel_case_are_forgiven(known: str) -> None:
    words = known.split("_")
    for received in ("-".join(words), known.upper(), "".join(map(str.title, words)), " ".join(words), "".join(words)):
        if received != known:
            said = advise(received, KNOWN["score models"], kind="score_model", write=as_json)
            assert said == f"Did you mean '{known}'?"


async def test_what_is_forgiven_in_the_hint_is_no_value(client: httpx.AsyncClient) -> None:
    for model, wrong in product(("Dot-Product", "dotProduct", "DOT_PRODUCT"), ({}, {"mask": {"Causal": True}})):
        response = await client.post("/v1/attention", json=BASE | {"score_model": model} | wrong)
        assert response.status_code == 422
        details = [error["detail"] for error in response.json()["errors"]]
        assert any("Did you mean 'dot_product'?" in detail for detail in details)
        assert not wrong or any("Did you mean 'causal'?" in detail for detail in details)


async def test_the_rule_holds_over_http(client: httpx.AsyncClient) -> None:
    """Twenty misspellings in one request, each of them answered for itself."""
    wrong = ["valeu", "querry", "keu", "quury", "softcapp", "maks", "masc", "bais", "positon", "includ", "hed", "topk",
             "decimls", "labls", "normalzer", "past_kye", "casual", "tempreture", "qqqqq", "dtpe"]  # fmt: skip
    response = await client.post("/v1/attention", json=BASE | dict.fromkeys(wrong, 1))
    errors = response.json()["errors"]
    assert len(errors) == len(wrong)
    for error in errors:
        assert_rule_holds(error["pointer"][1:], error["detail"])
    asked = {error["pointer"][1:] for error in errors if "Did you mean" in error["detail"]}
    assert asked == set(wrong) - {"qqqqq", "tempreture", "hed"}
