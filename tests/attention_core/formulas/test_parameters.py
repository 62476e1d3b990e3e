"""Parameters of formulas: which numbers are refused, and by which names they are found."""

import numpy as np
import pytest

from attention_core.errors import InvalidValue
from attention_core.formulas import FormulaContext, PerHead, bind_formula, parse_formula

SHAPE = (1, 2, 3, 4)
TEXTS = {"score_model": "sum(q) * a", "score_modifier": "score + a", "mask": "a > j"}
VECTORS = {"score_model": "sum(q) * a[0]", "score_modifier": "score + a[0]", "mask": "a[0] > j"}


def bind(kind, text, parameters, dtype=np.float64):
    """Bind a formula at two heads, three queries and four keys, of two features."""
    features = 2 if kind == "score_model" else None
    shape = None if kind == "score_model" else SHAPE
    context = FormulaContext(np.dtype(dtype), 2, features, features, shape)
    return bind_formula(parse_formula(text, kind, ()), parameters, context, ("formula",), ("parameters",))


def refused(kind, text, parameters, dtype=np.float64):
    """Return the error about parameters."""
    with pytest.raises(InvalidValue) as caught:
        bind(kind, text, parameters, dtype)
    return caught.value


@pytest.mark.parametrize("kind", ["score_modifier", "mask"])
@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**62, 2**63 + 1])
def test_integers_that_float64_merges_are_refused_with_their_place(kind, number):
    assert refused(kind, TEXTS[kind], {"a": number}).path == ("parameters", "a")
    dtype = np.uint64 if number > 2**63 else np.int64
    error = refused(kind, VECTORS[kind], {"a": np.array([1, abs(number), 2], dtype)})
    assert error.path == ("parameters", "a", 1)
    assert str(abs(number)) in error.received
    error = refused(kind, TEXTS[kind], {"a": PerHead(np.array([1, abs(number)], dtype))})
    assert error.path == ("parameters", "a", "per_head", 1)


@pytest.mark.parametrize("number", [2.0**53, -(2.0**60), 1e300])
def test_a_float_of_that_size_may_have_been_an_integer_of_a_mask(number):
    assert refused("mask", TEXTS["mask"], {"a": number}).path == ("parameters", "a")
    assert refused("mask", VECTORS["mask"], {"a": np.array([0.5, number])}).path == ("parameters", "a", 1)
    for kind in ("score_model", "score_modifier"):
        assert bind(kind, TEXTS[kind], {"a": number})


@pytest.mark.parametrize("kind", ["score_model", "score_modifier", "mask"])
def test_integers_that_float64_holds_are_taken(kind):
    for number in (2**53, -(2**53), 2**53 - 1):
        assert float(bind(kind, TEXTS[kind], {"a": number}).parameters["a"].array) == number
    assert bind(kind, VECTORS[kind], {"a": np.array([np.inf, 1])})


@pytest.mark.parametrize("kind", ["score_model", "score_modifier"])
def test_a_number_beyond_the_compute_type_is_refused_as_any_other_parameter(kind):
    for parameters, place in (
        ({"a": 1e39}, ("parameters", "a")),
        ({"a": PerHead(np.array([1.0, -1e39]))}, ("parameters", "a", "per_head", 1)),
    ):
        error = refused(kind, TEXTS[kind], parameters, np.float32)
        assert error.path == place
        assert error.expected == "a number within the range of float32 (at most 3.40282e+38)"
        assert bind(kind, TEXTS[kind], parameters, np.float64)
    assert refused(kind, VECTORS[kind], {"a": np.array([1, 1e39])}, np.float32).path == ("parameters", "a", 1)


def test_a_modifier_computes_with_parameters_in_float64_in_every_compute_type():
    bound = bind("score_modifier", "where(i == a, 1, score)", {"a": 2**24 + 1}, np.float32)
    assert bound.parameters["a"].array.dtype == np.float64


@pytest.mark.parametrize(("written", "sent"), [("ﬁ", "fi"), ("fi", "ﬁ"), ("ﬁ", "ﬁ"), ("ｗ", "w"), ("é", "e\u0301")])
def test_names_are_compared_as_python_reads_them(written, sent):
    bound = bind("score_modifier", f"score * {written}", {sent: 2})
    assert float(next(iter(bound.parameters.values())).array) == 2


def test_two_names_that_are_one_in_the_formula_are_refused():
    error = refused("score_modifier", "score * fi", {"fi": 1, "ﬁ": 2})
    assert error.path == ("parameters", "ﬁ")
    assert "'fi'" in error.received


def test_a_reserved_name_is_reserved_in_every_width():
    error = refused("score_modifier", "score * 2", {"ｊ": 1})
    assert "index of the key" in error.advice


@pytest.mark.parametrize("name", ["x" * 1_000_000, " " * 1_000_000])
def test_a_long_name_is_not_repeated_whole(name):
    error = refused("score_modifier", "score", {name: 1})
    assert error.path == ("parameters", name)
    assert len(error.detail) < 300
