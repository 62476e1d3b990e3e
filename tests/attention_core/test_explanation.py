"""Explanations of one weight: every pair of every head, indices out of range, and the float64 call."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    POSITIONS,
    SCORE_MODELS,
    AttentionCall,
    Causal,
    InvalidValue,
    evaluate,
    resolve,
)
from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.explanation import Explanation, explain
from attention_core.expressions import Expression, ScoreTerms
from attention_core.interfaces import FeatureSizes
from attention_core.normalizers import Entmax, Softmax
from attention_core.positions import Alibi
from attention_core.reference import to_float64_reference
from attention_core.score_tile import Tile
from attention_core.scores import Cosine
from tests.calls import HEADS, Combination
from tests.core_calls import core_call
from tests.sampling import product_sample

FIELDS = ("scores", "capped_scores", "logits", "weights", "output")

PAIRS = list(itertools.product(SCORE_MODELS, NORMALIZERS))
LAYOUTS = [*HEADS, *HEADS]


def resolved(one: Combination) -> ResolvedCall:
    """The call of a combination as it is explained."""
    return resolve(to_float64_reference(replace(core_call(one.request()), include=FIELDS)))


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(2, SCORE_MODELS, NORMALIZERS))
def test_every_pair_is_that_of_the_whole(score_model: str, normalizer: str) -> None:
    """At every index, query and key: score, logit and weight as they are in the matrices, terms and parts the same."""
    turn = PAIRS.index((score_model, normalizer))
    setting = ("everything", "alibi, own slopes", "key lengths per query", "rotary, interleaved")[turn % 4]
    heads = list(HEADS)[turn % len(HEADS)]
    call = resolved(Combination(score_model, normalizer, setting, heads, "float32"))
    arrays = evaluate(call).arrays
    for place in itertools.product(*map(range, call.score_shape)):
        *index, i, j = place
        one = explain(call, tuple(index), i, j)
        scale = max(1.0, *(abs(term.value) for term in one.terms.terms), abs(one.score), abs(one.capped_score))
        _assert_near(one.score, arrays["scores"][place], scale)
        _assert_near(one.capped_score, arrays["capped_scores"][place], scale)
        _assert_near(one.terms.score, one.score, scale)
        _assert_near(one.logits, arrays["logits"][place[:-1]], scale * 300)
        _assert_near(one.weight, arrays["weights"][place], scale * 300)
        assert bool(one.masked_by) == np.isneginf(one.logits[j])
        assert (one.weight_steps == ()) == bool(one.masked_by)
        assert not one.weight_steps or one.weight_steps[-1].value == one.weight


def _assert_near(received: FloatArray | float, expected: FloatArray | float, scale: float) -> None:
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-14 * scale)


@pytest.mark.parametrize("heads", HEADS)
def test_contributions_sum_to_the_output(heads: str) -> None:
    call = resolved(Combination("cosine", "softmax", "causal, offset", heads, "float64"))
    output = evaluate(replace(call, has_packed_heads=False)).output
    for place in itertools.product(*map(range, call.score_shape[:-1])):
        *index, i = place
        shares = [explain(call, tuple(index), i, j).contribution for j in range(call.key_length)]
        np.testing.assert_allclose(sum(shares), output[(..., *place, slice(None))], rtol=0, atol=1e-15)


def test_leading_axes_that_only_value_has_stay() -> None:
    call = resolved(Combination("cosine", "softmax", "none", "wider values", "float64"))
    one = explain(call, (1,), 2, 3)
    assert one.value is not None
    np.testing.assert_array_equal(one.value, call.value[:, 1, 3])
    np.testing.assert_array_equal(one.contribution, one.weight * call.value[:, 1, 3])


CALL = AttentionCall(query=np.ones((1, 4, 2, 3)), key=np.ones((1, 2, 5, 3)))

OUTSIDE = {
    "no index": ((), 0, 0, ("index",), "2 numbers"),
    "an index too many": ((0, 0, 0), 0, 0, ("index",), "2 numbers"),
    "batch": ((1, 0), 0, 0, ("index", 0), "from 0 to 0"),
    "head": ((0, 4), 0, 0, ("index", 1), "from 0 to 3"),
    "batch negative": ((-1, 0), 0, 0, ("index", 0), "from 0 to 0"),
    "query": ((0, 3), 2, 0, ("query_index",), "from 0 to 1"),
    "query negative": ((0, 3), -1, 0, ("query_index",), "from 0 to 1"),
    "key": ((0, 3), 1, 5, ("key_index",), "from 0 to 4"),
    "key negative": ((0, 3), 1, -1, ("key_index",), "from 0 to 4"),
    "all of them": ((9, 9), 9, 9, ("index", 0), "from 0 to 0"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_index_that_names_no_pair_is_refused(name: str) -> None:
    index, query, key, path, expected = OUTSIDE[name]
    with pytest.raises(InvalidValue) as caught:
        explain(resolve(CALL), index, query, key)
    assert caught.value.path == path
    assert expected in caught.value.expected
    assert "[1, 4, 2, 5]" in caught.value.advice


def test_without_keys_there_is_nothing_to_explain() -> None:
    with pytest.raises(InvalidValue) as caught:
        explain(resolve(AttentionCall(query=np.ones((1, 2)), key=np.ones((0, 2)))), (), 0, 0)
    assert caught.value.path == ("key_index",)


def _explained(**fields: object) -> Explanation:
    return explain(resolve(replace(CALL, **fields)), (0, 3), 1, 2)


def test_what_the_call_does_not_have_is_none() -> None:
    one = _explained()
    assert (one.bias, one.alibi, one.rotary, one.value, one.contribution, one.masked_by) == (None,) * 2 + (
        False, None, None, ()
    )  # fmt: skip


def test_positions_count_the_offset() -> None:
    one = _explained(offset=-3, mask=Causal(), position=Alibi(np.array([1.0, 2.0, 3.0, 0.5])))
    assert (one.query_position, one.masked_by) == (-2, ("causal",))
    assert one.alibi == Expression("alibi", -2.0, "−{} × |{} − {}|", (0.5, -2.0, 2.0))


@pytest.mark.parametrize("name", POSITIONS)
def test_what_a_position_adds_is_what_it_takes_apart(name: str) -> None:
    position = POSITIONS[name]().bind(FeatureSizes(4, 4, n_heads=3))
    added = position.score_bias(Tile(slice(0, 5), slice(0, 6), np.array(-2)))
    for head, i, j in itertools.product(range(3), range(5), range(6)):
        part = position.explain_bias(i - 2, j, head)
        if added is None:
            assert part is None
        else:
            assert part is not None
            assert part.value == added[head, i, j]


def test_a_sink_of_another_head_is_not_this_head_s() -> None:
    denominators = [
        explain(
            resolve(replace(CALL, normalizer=Softmax(sink=np.array([0.0, 1.0, 2.0, 3.0])))), (0, head), 0, 0
        ).weight_steps[2]
        for head in range(4)
    ]
    logit = np.sqrt(3)
    for sink, denominator in enumerate(denominators):
        largest = max(logit, sink)
        np.testing.assert_allclose(denominator.value, 5 * np.exp(logit - largest) + np.exp(sink - largest), rtol=1e-15)


@pytest.mark.parametrize("alpha", [1.25, 1.5, 1.75, 2.0])
def test_what_lies_below_the_threshold_weighs_exactly_nothing(alpha: float) -> None:
    """Rounding included: the formula that is shown gives 0, and so must the weight."""
    rng = np.random.default_rng(5)
    highest = rng.normal(0, 3, (500, 1))
    lower = highest - 1 / (alpha - 1) - rng.exponential(1, (500, 4))
    weights = Entmax(alpha).compute_weights(np.concatenate([highest, lower], axis=1), highest)
    np.testing.assert_array_equal(weights, np.broadcast_to([1.0, 0, 0, 0, 0], (500, 5)))


SUMS = {
    "cancelling": ((1e16, 1.0, -1e16), 1.0),
    "beyond float64 on the way": ((1e308, 1e308, -1e308), np.inf),
    "beyond float64": ((-1e308, -1e308), -np.inf),
    "infinite": ((np.inf, 1.0), np.inf),
    "of both infinities": ((np.inf, -np.inf), np.nan),
    "of nothing": ((), 0.0),
}


@pytest.mark.parametrize("name", SUMS)
def test_terms_sum_exactly_or_as_arithmetic_has_it(name: str) -> None:
    values, expected = SUMS[name]
    terms = ScoreTerms(tuple(Expression("", value, "{}", (value,)) for value in values), Expression("", 2.0, "2", ()))
    np.testing.assert_equal(terms.sum, expected)
    np.testing.assert_equal(terms.score, 2 * expected)


def test_a_zero_vector_has_a_cosine_of_zero() -> None:
    model = Cosine(scale=3.0).bind(FeatureSizes(2, 2), np.dtype(np.float64))
    for query, key in (([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0])):
        terms = model.explain_score(np.array(query), np.array(key), 0)
        assert (terms.score, terms.factor.name) == (0.0, "zero vector")


THIRDS = {
    "float64": 1 / 3,
    "float32": float(np.float32(1 / 3)),
    "float16": float(np.float16(1 / 3)),
    "bfloat16": 0.333984375,
}


@pytest.mark.parametrize(("dtype", "third"), list(THIRDS.items()), ids=list(THIRDS))
def test_inputs_are_those_that_the_storage_type_holds(dtype: str, third: float) -> None:
    """And everything after them is float64, so that the plain products are exact."""
    vectors = {name: np.full((1, 1), 1 / 3) for name in ("query", "key", "value", "past_key", "past_value")}
    call = to_float64_reference(AttentionCall(**vectors, softcap=1 / 3, bias=np.full(1, 1 / 3), dtype=dtype))
    assert [getattr(call, name).item() for name in vectors] == [third] * 5
    assert (call.softcap, call.bias.item(), call.dtype) == (1 / 3, 1 / 3, "float64")
    one = explain(resolve(call), (), 0, 0)
    assert one.score == third * third


@pytest.mark.parametrize("name", ["query", "key", "value", "past_key", "past_value"])
def test_a_number_that_the_storage_type_cannot_hold_is_named(name: str) -> None:
    vectors = {field: np.ones((2, 1)) for field in ("query", "key", "value", "past_key", "past_value")}
    vectors[name] = np.array([[1.0], [7e4]])
    with pytest.raises(InvalidValue) as caught:
        to_float64_reference(AttentionCall(**vectors, dtype="float16"))
    assert caught.value.path == (name, 1, 0)
