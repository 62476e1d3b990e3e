"""Score modifiers: equal to what they spell out on every path, and without influence on pairs that are hidden."""

import numpy as np
import pytest

from attention_core import (
    Alibi,
    AttentionCall,
    Causal,
    InvalidValue,
    KeyLengths,
    ScaledDotProduct,
    ScoreModifier,
    ShapeMismatch,
    UnknownName,
    attend,
    differentiate,
    evaluate,
    predict,
    resolve,
)
from attention_core.explanation import explain
from attention_core.formulas import PerHead
from attention_core.native import using_kernel
from attention_core.positions import default_alibi_slopes
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import tiled
from tests.attention_core.native.kernels import KERNELS

RNG = np.random.default_rng(3)
MATRICES = ("scores", "capped_scores", "modified", "logits", "weights", "output")
HEADS = 4
QUERY, KEY, VALUE = RNG.normal(size=(3, 2, HEADS, 7, 8))
SIZES = [TileSizes(2, 3), TileSizes(7, 7, 2), TileSizes(3, 2, 4)]

ALIBI = ScoreModifier("score - slope * abs(p - j)", {"slope": PerHead(default_alibi_slopes(HEADS))})
INDEXED_ALIBI = ScoreModifier("score - slope[h] * abs(p - j)", {"slope": default_alibi_slopes(HEADS)})


def assert_same(received, expected, names):
    for name in names:
        np.testing.assert_array_equal(received[name], expected[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("modifier", [ALIBI, INDEXED_ALIBI], ids=["per_head", "vector"])
def test_alibi_as_a_modifier_equals_alibi(modifier, dtype):
    options = {"mask": Causal(), "offset": 2, "dtype": dtype, "include": MATRICES}
    with using_kernel("numpy"):
        named = attend(QUERY, KEY, VALUE, position=Alibi(), **options)
    formula = attend(QUERY, KEY, VALUE, score_modifier=modifier, **options)
    assert_same(formula.arrays, named.arrays, MATRICES)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_alibi_as_a_modifier_equals_alibi_on_the_tiled_path(sizes):
    options = {"mask": Causal() & KeyLengths(np.array([5, 7])), "include": ("output", "logsumexp")}
    named, formula = (
        tiled(resolve(AttentionCall(QUERY, KEY, VALUE, **options, **one)), sizes)[0]
        for one in ({"position": Alibi()}, {"score_modifier": ALIBI})
    )
    assert_same(formula, named, ("output", "logsumexp"))


def test_a_soft_cap_as_a_modifier_equals_the_soft_cap():
    modifier = ScoreModifier("tanh(score / cap) * cap", {"cap": 1.5})
    with using_kernel("numpy"):
        named = attend(QUERY, KEY, VALUE, softcap=1.5, include=MATRICES)
    formula = attend(QUERY, KEY, VALUE, score_modifier=modifier, include=MATRICES)
    assert_same(formula.arrays, named.arrays, ("modified", "logits", "weights", "output"))
    assert_same(formula.arrays, {"capped_scores": named.scores}, ("capped_scores",))


def test_a_causal_mask_as_a_modifier_equals_the_mask():
    modifier = ScoreModifier("where(j <= p, score, -inf)")
    with using_kernel("numpy"):
        named = attend(QUERY, KEY, VALUE, mask=Causal(), offset=-2, include=("weights", "output", "logits"))
    formula = attend(QUERY, KEY, VALUE, score_modifier=modifier, offset=-2, include=("weights", "output", "logits"))
    assert_same(formula.arrays, named.arrays, ("weights", "output", "logits"))
    assert formula.notes == named.notes
    assert len(named.notes) == 2 * 2 * HEADS
    assert "no visible key" in named.notes[0]


@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_without_a_modifier_modified_is_capped_scores_bias_and_alibi(kernel):
    bias = RNG.normal(size=(7, 7))
    bias[1, 2] = -np.inf
    with using_kernel(kernel):
        result = attend(
            QUERY, KEY, VALUE, bias=bias, position=Alibi(), softcap=2.0, mask=Causal(), include=(*MATRICES, "logsumexp")
        )
    distance = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    expected = result.capped_scores + bias - default_alibi_slopes(HEADS)[:, None, None] * distance
    np.testing.assert_allclose(result.modified, expected, rtol=1e-14)
    visible = np.tril(np.ones((7, 7), bool))
    np.testing.assert_array_equal(result.logits, np.where(visible, result.modified, -np.inf))


WILD = ScoreModifier("where(j > p, score / 0, where(j == hidden, log(-1 - j), 2 * score))", {"hidden": 4})
"""±∞ and NaN at pairs that other masks hide."""


@pytest.mark.parametrize("path", ["dense", "tiled"])
def test_what_a_modifier_makes_of_a_hidden_pair_has_no_influence(path):
    bias = np.zeros(7)
    bias[4] = -np.inf
    options = {"mask": Causal(), "bias": bias}
    doubled = 2 / np.sqrt(8)

    def run(**others):
        call = resolve(AttentionCall(QUERY, KEY, VALUE, include=("output", "logsumexp"), **options, **others))
        if path == "tiled":
            return tiled(call, TileSizes(3, 2))[0]
        return evaluate(call).arrays

    with using_kernel("numpy"):
        plain = run(score_model=ScaledDotProduct(doubled))
    wild = run(score_modifier=WILD)
    for name in ("output", "logsumexp"):
        np.testing.assert_allclose(wild[name], plain[name], rtol=1e-13)


def test_what_a_modifier_makes_of_a_hidden_pair_has_no_influence_on_gradients():
    bias = np.zeros(7)
    bias[4] = -np.inf
    modifier = ScoreModifier(
        "where(j == hidden, sqrt(-1 - j), gain * score + 0 * gain * log(1 + p - j))", {"hidden": 4, "gain": 2.0}
    )
    upstream = RNG.normal(size=VALUE.shape)
    found = differentiate(QUERY, KEY, VALUE, upstream, mask=Causal(), bias=bias, score_modifier=modifier)
    plain = differentiate(
        QUERY, KEY, VALUE, upstream, mask=Causal(), bias=bias, score_model=ScaledDotProduct(2 / np.sqrt(8))
    )
    for name in ("output", "query", "key", "value"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-9, atol=1e-12)
    # The bias is doubled as the scores are.
    np.testing.assert_allclose(found.bias, 2 * plain.bias, rtol=1e-9, atol=1e-12)
    expected = plain.score_model["scale"] / np.sqrt(8)
    np.testing.assert_allclose(found.score_modifier["gain"], expected, rtol=1e-9)


@pytest.mark.parametrize(("made", "word"), [("score / 0 * 0", "NaN"), ("inf", "infinity")])
def test_nan_and_infinity_of_a_visible_pair_spoil_their_row_alone(made, word):
    modifier = ScoreModifier(f"where(i == 2 and j == 1, {made}, score)")
    query, key, value = QUERY[0, 0], KEY[0, 0], VALUE[0, 0]
    result = attend(query, key, value, score_modifier=modifier)
    plain = attend(query, key, value)
    others = np.arange(7) != 2
    assert np.isnan(result.weights[2]).all()
    assert np.isnan(result.output[2]).all()
    np.testing.assert_allclose(result.weights[others], plain.weights[others], rtol=1e-13)
    assert result.notes == ("row 2: NaN or +infinity among the visible logits; weights and output are NaN",)
    assert word in result.notes[0]


def test_hidden_values_do_not_reach_the_output():
    value = VALUE[0, 0].copy()
    value[5] = np.nan
    modifier = ScoreModifier("where(j == 5, -inf, score)")
    result = attend(QUERY[0, 0], KEY[0, 0], value, score_modifier=modifier)
    assert np.isfinite(result.output).all()
    assert (result.weights[:, 5] == 0).all()


def test_batch_rows_and_heads_are_those_of_the_whole_call_in_every_block():
    modifier = ScoreModifier("score * (1 + 10 * b + h)")
    call = resolve(AttentionCall(QUERY, KEY, VALUE, score_modifier=modifier, include=("output",)))
    factors = (1 + 10 * np.arange(2)[:, None] + np.arange(HEADS))[..., None, None]
    scores = factors * (QUERY @ KEY.swapaxes(-1, -2)) / np.sqrt(8)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = weights / weights.sum(-1, keepdims=True) @ VALUE
    for sizes in SIZES:
        np.testing.assert_allclose(tiled(call, sizes)[0]["output"], expected, rtol=1e-12)


def test_a_modifier_costs_operations_and_memory():
    plain = predict(resolve(AttentionCall(QUERY, KEY, VALUE)))
    modified = predict(resolve(AttentionCall(QUERY, KEY, VALUE, score_modifier=ALIBI)))
    formula = ScoreModifier("exp(tanh(score) + j) - p + sin(2 * score)")
    longer = predict(resolve(AttentionCall(QUERY, KEY, VALUE, score_modifier=formula)))
    assert plain.operations < modified.operations < longer.operations
    assert plain.bytes < modified.bytes


def test_explain_shows_the_modified_score_and_what_hides_the_key():
    query, key = QUERY[0, 0], KEY[0, 0]
    modifier = ScoreModifier("where(j <= p, score + slope * (j - p), -inf)", {"slope": 0.5})
    call = resolve(AttentionCall(query, key, bias=np.full(7, 0.25), score_modifier=modifier))
    result = attend(
        query, key, bias=np.full(7, 0.25), score_modifier=modifier, include=("scores", "modified", "logits")
    )
    seen = explain(call, (), 3, 1)
    assert seen.modified == pytest.approx(result.modified[3, 1], rel=1e-14)
    assert seen.modified == pytest.approx(result.scores[3, 1] + 0.25 + 0.5 * (1 - 3), rel=1e-14)
    assert seen.masked_by == ()
    hidden = explain(call, (), 3, 5)
    assert hidden.modified == -np.inf
    assert hidden.masked_by == ("score_modifier",)
    assert hidden.weight == 0


@pytest.mark.parametrize(
    ("modifier", "error", "path"),
    [
        (ScoreModifier("score +"), InvalidValue, ("score_modifier", "formula")),
        (ScoreModifier("score < 1"), InvalidValue, ("score_modifier", "formula")),
        (ScoreModifier("scores + 1"), UnknownName, ("score_modifier", "formula")),
        (ScoreModifier("score + gain"), UnknownName, ("score_modifier", "formula")),
        (ScoreModifier("score", {"gain": 1.0}), InvalidValue, ("score_modifier", "parameters", "gain")),
        (
            ScoreModifier("score + a", {"a": PerHead([1.0, 2.0])}),
            ShapeMismatch,
            ("score_modifier", "parameters", "a", "per_head"),
        ),
        (ScoreModifier("score + a[j]", {"a": np.ones(6)}), InvalidValue, ("score_modifier", "formula")),
    ],
)
def test_a_wrong_modifier_is_an_error_with_the_path(modifier, error, path):
    with pytest.raises(error) as raised:
        attend(QUERY, KEY, VALUE, score_modifier=modifier)
    assert raised.value.path == path
    if path[-1] == "formula":
        assert "column" in raised.value.detail
