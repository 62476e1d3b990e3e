"""Every score model's views agree with one another: scores, slices, gradient, terms, cost."""

from dataclasses import fields

import numpy as np
import pytest

from attention_core import SCORE_MODELS, Additive, CallError, DotProduct, ScaledDotProduct, ShapeMismatch
from attention_core.interfaces import Features
from tests import calls, oracle
from tests.attention_core.directions import assert_gradient

VARIANTS = [(name, n) for name in SCORE_MODELS for n in range(len(calls.MODEL_PARAMETERS[name]))]
FLOAT64 = np.dtype(np.float64)


def drawn(name, variant, rng):
    """A bound model and queries and keys that fit it."""
    parameters = calls.MODEL_PARAMETERS[name][variant](rng.standard_normal)
    features = Features(calls.FEATURES, calls.KEY_FEATURES.get(name, calls.FEATURES))
    arrays = {key: np.array(value) if isinstance(value, list) else float(value) for key, value in parameters.items()}
    model = SCORE_MODELS[name](**arrays).bind(features, FLOAT64)
    return model, rng.standard_normal((2, 4, features.query)), rng.standard_normal((2, 6, features.key)), features


def parameters_of(model):
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    return {name: np.asarray(value) for name, value in values.items() if value is not None}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_scores_of_a_slice_are_a_slice_of_the_scores(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(1))
    whole = model.scores(queries, keys)
    part = model.scores(queries[:, 1:3], keys[:, 2:])
    np.testing.assert_allclose(part, whole[:, 1:3, 2:], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_gradient_in_random_directions(name, variant):
    rng = np.random.default_rng(2)
    model, queries, keys, features = drawn(name, variant, rng)
    score_gradient = rng.standard_normal((2, 4, 6))
    parameters = parameters_of(model)

    def total(arguments):
        chosen = {key: value if value.ndim else float(value) for key, value in arguments.items() if key in parameters}
        again = SCORE_MODELS[name](**chosen).bind(features, FLOAT64)
        return float(np.sum(score_gradient * again.scores(arguments["queries"], arguments["keys"])))

    gradient = model.gradient(queries, keys, score_gradient)
    found = {"queries": gradient.queries, "keys": gradient.keys, **gradient.parameters}
    assert_gradient(total, {"queries": queries, "keys": keys, **parameters}, found, rng)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_terms_recombine_into_the_score(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(3))
    taken_apart = model.terms(queries[0, 1], keys[0, 2])
    score = taken_apart.factor * sum(term.value for term in taken_apart.terms)
    assert score == pytest.approx(model.scores(queries, keys)[0, 1, 2], abs=1e-12)
    assert len({term.name for term in taken_apart.terms}) == len(taken_apart.terms) > 1


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_scores_equal_the_oracle(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(4))
    wire = {"name": name} | {key: value.tolist() for key, value in parameters_of(model).items()}
    expected = [[oracle.score(wire, q, k) for k in keys[1].tolist()] for q in queries[1].tolist()]
    np.testing.assert_allclose(model.scores(queries, keys)[1], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_cost_grows_with_every_pair(name, variant):
    model, _, _, features = drawn(name, variant, np.random.default_rng(5))
    assert model.operations(4, 6, features) > model.operations(4, 5, features) > model.operations(3, 5, features)
    assert model.scratch(features) >= 1


def test_the_default_scale_is_one_over_the_root_of_the_features():
    assert ScaledDotProduct().bind(Features(64, 64), FLOAT64).scale == 0.125


@pytest.mark.parametrize("model", [DotProduct(), ScaledDotProduct()])
def test_dot_products_need_equal_feature_sizes(model):
    with pytest.raises(ShapeMismatch, match=r"key: expected 3 features per key.*received 2") as caught:
        model.bind(Features(3, 2), FLOAT64)
    assert caught.value.path == ("key",)


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_scale_must_be_finite(scale):
    with pytest.raises(CallError, match="scale: expected a finite number"):
        ScaledDotProduct(scale).bind(Features(3, 3), FLOAT64)


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"query_weight": np.ones((2, 4))}, ("query_weight",)),
        ({"key_weight": np.ones((3, 2))}, ("key_weight",)),
        ({"score_vector": np.ones((2, 1))}, ("score_vector",)),
        ({"hidden_bias": np.ones(3)}, ("hidden_bias",)),
    ],
)
def test_additive_names_the_parameter_that_does_not_fit(changed, path):
    right = {"query_weight": np.ones((2, 3)), "key_weight": np.ones((2, 2)), "score_vector": np.ones(2)}
    with pytest.raises(ShapeMismatch) as caught:
        Additive(**(right | changed)).bind(Features(3, 2), FLOAT64)
    assert caught.value.path == path


def test_an_unbound_model_does_not_guess_its_scale():
    with pytest.raises(ValueError, match="bind"):
        ScaledDotProduct().scores(np.ones((1, 2)), np.ones((1, 2)))
