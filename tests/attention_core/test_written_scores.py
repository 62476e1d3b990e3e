"""Each built-in score model written as a formula: the same results on every path."""

from dataclasses import astuple

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    FormulaScore,
    InvalidValue,
    Laplacian,
    ShapeMismatch,
    attend,
    differentiate,
    predict,
    resolve,
)
from attention_core.formulas import PerHead
from attention_core.interfaces import FeatureSizes
from tests import calls, core_calls, oracle, written
from tests.attention_core.judge import judge
from tests.sampling import product_sample

FLOAT64 = np.dtype(np.float64)


class Written(calls.Combination):
    """A combination whose score model is written as a formula."""

    def request(self):
        """The wire document of the combination, with the formula."""
        request = super().request()
        return request | {"score_model": written.as_formula(request["score_model"])}


def with_built_in(request):
    """The request with the built-in score model in the place of its formula."""
    return request | {"score_model": written.as_built_in(request["score_model"])}


def judge_written(combinations):
    """Fail unless a formula is as near to the built-in model's truth as the plain evaluation of either."""
    judge(
        [Written(*astuple(one)) for one in combinations],
        reference=lambda request: oracle.attention(with_built_in(request)),
        ways=lambda request: (request, with_built_in(request)),
    )


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(8, calls.BUILT_IN, NORMALIZERS))
def test_a_formula_equals_the_built_in_model_within_the_derived_bound(score_model, normalizer):
    some = calls.quarter(score_model, normalizer)[::5]
    assert {one.heads for one in some} == set(calls.HEADS)
    judge_written(some)


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", calls.BUILT_IN)
def test_a_formula_equals_the_built_in_model_in_every_dtype(score_model, normalizer):
    """A fifteenth of the combinations, others for the next pair."""
    chosen = calls.one_in(3, score_model, normalizer)[::5]
    assert {one.dtype for one in chosen} == set(calls.DTYPES)
    assert {one.setting for one in chosen} == set(calls.SETTINGS)
    judge_written(chosen)


def test_every_formula_is_read_back_as_the_model_that_it_was():
    for name, formulas in written.FORMULAS.items():
        for given in formulas:
            model = {"name": name, **dict.fromkeys(given, 0.5)}
            assert written.as_built_in(written.as_formula(model)) == model


def vectors(*leading):
    rng = np.random.default_rng(18)
    return [rng.standard_normal((*leading, length, size)) for length, size in ((3, 4), (5, 4), (5, 2))]


def test_gradients_have_the_names_and_the_shapes_of_the_parameters():
    query, key, value = vectors(2, 3)
    weights = np.random.default_rng(1).standard_normal((3, 4, 4))
    model = FormulaScore("tau * (q @ W @ k)", {"tau": 0.5, "W": PerHead(weights)})
    found = differentiate(query, key, value, np.ones((2, 3, 3, 2)), score_model=model)
    assert {name: np.shape(array) for name, array in found.score_model.items()} == {"tau": (), "W": (3, 4, 4)}
    each = [
        differentiate(
            query[:, h], key[:, h], value[:, h], np.ones((2, 3, 2)),
            score_model=FormulaScore("tau * (q @ W @ k)", {"tau": 0.5, "W": weights[h]}),
        )
        for h in range(3)
    ]  # fmt: skip
    np.testing.assert_allclose(found.score_model["W"], [one.score_model["W"] for one in each], atol=1e-14)
    np.testing.assert_allclose(found.score_model["tau"], sum(one.score_model["tau"] for one in each), atol=1e-14)


def test_grouped_heads_have_parameters_of_their_own():
    rng = np.random.default_rng(2)
    query, key, value = (
        rng.standard_normal((1, 4, 3, 4)),
        rng.standard_normal((1, 2, 5, 4)),
        rng.standard_normal((1, 2, 5, 2)),
    )
    weights = rng.standard_normal((4, 4, 4))
    model = FormulaScore("tanh(q @ W @ k)", {"W": PerHead(weights)})
    assert model.has_head_tensors()
    grouped = attend(query, key, value, score_model=model).output
    repeated = attend(query, np.repeat(key, 2, 1), np.repeat(value, 2, 1), score_model=model).output
    np.testing.assert_allclose(grouped, repeated, atol=1e-14)


def test_an_unbound_formula_computes_nothing():
    with pytest.raises(ValueError, match="bind"):
        FormulaScore("q @ k").compute_scores(np.ones((1, 2)), np.ones((1, 2)))


@pytest.mark.parametrize(
    ("formula", "parameters", "path"),
    [
        ("q @ k +", None, ("formula",)),
        ("q * k", None, ("formula",)),
        ("q @ k / D", None, ("formula",)),
        ("q @ W @ k", {"W": np.ones((3, 3))}, ("formula",)),
        ("dot(q, W @ k) * s", {"W": np.ones((3, 2)), "s": np.array("x")}, ("parameters", "s")),
        ("dot(q, W @ k)", {"W": PerHead(np.ones((2, 3, 2)))}, ("parameters", "W", "per_head")),
    ],
)
def test_what_does_not_fit_is_named(formula, parameters, path):
    with pytest.raises((InvalidValue, ShapeMismatch)) as caught:
        FormulaScore(formula, parameters).bind(FeatureSizes(3, 2, 4), FLOAT64)
    assert caught.value.path == path


def test_queries_and_keys_may_differ_in_their_features():
    query, key = np.ones((2, 3)), np.ones((4, 2))
    scores = attend(query, key, score_model=FormulaScore("sum(q) * sum(k) + Dq - Dk")).scores
    np.testing.assert_array_equal(scores, np.full((2, 4), 7.0))


def test_a_dearer_formula_costs_more():
    query, key, value = vectors()
    formulas = ("q @ k", "-sum(abs(q - k))", "-sum(abs(tanh(q - k) * exp(q - k)))")
    costs = [predict(resolve(core_calls.core_call(_request(query, key, value, text)))) for text in formulas]
    assert costs[0].operations < costs[1].operations < costs[2].operations


def _request(query, key, value, formula):
    arrays = {"query": query.tolist(), "key": key.tolist(), "value": value.tolist()}
    return arrays | {"score_model": {"name": "expression", "formula": formula}}


def test_the_terms_of_a_sum_are_the_terms_of_the_score():
    query, key, _ = vectors()
    model = FormulaScore("sum(-abs(q - k) / tau)", {"tau": 2.0}).bind(FeatureSizes(4, 4), FLOAT64)
    taken_apart = model.explain_score(query[0], key[1], 0)
    built_in = Laplacian(2.0).bind(FeatureSizes(4, 4), FLOAT64).explain_score(query[0], key[1], 0)
    assert taken_apart.score == pytest.approx(built_in.score, abs=1e-15)
