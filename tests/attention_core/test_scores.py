"""Every score model's views agree with one another: scores, slices, gradient, terms, cost."""

import numpy as np
import pytest

from attention_core import (
    SCORE_MODELS,
    Additive,
    Bilinear,
    Cosine,
    DotProduct,
    Gaussian,
    InvalidValue,
    Laplacian,
    ScaledDotProduct,
    ShapeMismatch,
    Trilinear,
)
from attention_core.descriptions import parameters_of
from attention_core.formulas import PerHead
from attention_core.interfaces import FeatureSizes, ScoreModel
from tests import calls, core_calls, oracle
from tests.attention_core.directions import assert_gradient

HEADS = 3
VARIANTS = [(name, n) for name in SCORE_MODELS for n in range(len(calls.MODEL_PARAMETERS[name]))]
VARIANTS += [(name, "per head") for name in SCORE_MODELS]
FLOAT64 = np.dtype(np.float64)


def drawn(name, variant, rng):
    """A bound model, queries and keys (2, 3 heads, …) that fit it, and their features."""
    draw = rng.standard_normal
    if variant == "per head":
        parameters = calls.HEAD_PARAMETERS[name](draw, HEADS)
    else:
        parameters = calls.MODEL_PARAMETERS[name][variant](draw)
    features = FeatureSizes(calls.FEATURES, calls.key_features(name), HEADS)
    model = SCORE_MODELS[name](**core_calls.core_parameters(parameters)).bind(features, FLOAT64)
    return model, draw((2, HEADS, 4, features.query)), draw((2, HEADS, 6, features.key)), features


def values_of(model, only_with_gradient=False):
    """The parameters of a bound model as arrays; None is left out."""
    if calls.is_written(model.name):
        return {name: np.asarray(getattr(value, "values", value)) for name, value in model.parameters.items()}
    described = parameters_of(type(model))
    values = {
        name: getattr(model, name) for name in described if described[name].has_gradient or not only_with_gradient
    }
    return {name: np.asarray(value) for name, value in values.items() if value is not None}


def with_values(model, values):
    """The model with other values of its parameters, which are arrays, and not bound."""
    given = {name: value if value.ndim else float(value) for name, value in values.items()}
    if not calls.is_written(model.name):
        return type(model)(**given)
    per_head = [name for name, value in model.parameters.items() if isinstance(value, PerHead)]
    return type(model)(model.formula, given | {name: PerHead(given[name]) for name in per_head})


def wire_of(model):
    """The model as a request spells it."""
    values = {name: value.tolist() for name, value in values_of(model).items()}
    if not calls.is_written(model.name):
        return {"name": model.name} | values
    per_head = [name for name, value in model.parameters.items() if isinstance(value, PerHead)]
    values |= {name: {"per_head": values[name]} for name in per_head}
    return {"name": model.name, "formula": model.formula, "parameters": values}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_scores_of_a_slice_are_a_slice_of_the_scores(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(1))
    whole = model.compute_scores(queries, keys)
    part = model.compute_scores(queries[..., 1:3, :], keys[..., 2:, :])
    np.testing.assert_allclose(part, whole[..., 1:3, 2:], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_gradient_in_random_directions(name, variant):
    rng = np.random.default_rng(2)
    model, queries, keys, features = drawn(name, variant, rng)
    score_gradient = rng.standard_normal((2, HEADS, 4, 6))
    parameters, every = values_of(model, only_with_gradient=True), values_of(model)

    def total(arguments):
        chosen = {key: value for key, value in (every | arguments).items() if key in every}
        again = with_values(model, chosen).bind(features, FLOAT64)
        return float(np.sum(score_gradient * again.compute_scores(arguments["queries"], arguments["keys"])))

    gradient = model.backward(queries, keys, score_gradient)
    found = {"queries": gradient.queries, "keys": gradient.keys, **gradient.parameters}
    assert_gradient(total, {"queries": queries, "keys": keys, **parameters}, found, rng)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_terms_recombine_into_the_score(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(3))
    taken_apart = model.explain_score(queries[0, 2, 1], keys[0, 2, 3], head=2)
    factor = 1.0 if taken_apart.factor is None else taken_apart.factor.value
    score = factor * sum(term.value for term in taken_apart.terms)
    assert score == pytest.approx(model.compute_scores(queries, keys)[0, 2, 1, 3], abs=1e-12)
    assert taken_apart.score == pytest.approx(score, abs=1e-14)
    assert len({term.name for term in taken_apart.terms}) == len(taken_apart.terms)
    knows_better = type(model).explain_score is not ScoreModel.explain_score
    # A formula has the terms of a sum at its root, and is one term without.
    assert (len(taken_apart.terms) > 1) is knows_better or calls.is_written(name)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_scores_equal_the_oracle(name, variant):
    model, queries, keys, _ = drawn(name, variant, np.random.default_rng(4))
    wire = wire_of(model)
    for head in range(HEADS):
        pairs = [[oracle.score(wire, q, k, head) for k in keys[1, head].tolist()] for q in queries[1, head].tolist()]
        np.testing.assert_allclose(model.compute_scores(queries, keys)[1, head], pairs, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_cost_grows_with_every_pair(name, variant):
    model, _, _, features = drawn(name, variant, np.random.default_rng(5))
    assert (
        model.count_operations(4, 6, features)
        > model.count_operations(4, 5, features)
        > model.count_operations(3, 5, features)
    )
    assert model.scratch_per_score(features) >= 1


def test_the_default_scale_is_one_over_the_root_of_the_features():
    assert ScaledDotProduct().bind(FeatureSizes(64, 64), FLOAT64).scale == 0.125


EQUAL_FEATURES = [
    DotProduct(),
    ScaledDotProduct(),
    Cosine(),
    Gaussian(),
    Laplacian(),
    Trilinear(np.ones(9)),
]


@pytest.mark.parametrize("model", EQUAL_FEATURES, ids=lambda model: model.name)
def test_models_that_pair_features_need_equally_many(model):
    with pytest.raises(ShapeMismatch, match=r"key: expected 3 features per key.*received 2") as caught:
        model.bind(FeatureSizes(3, 2), FLOAT64)
    assert caught.value.path == ("key",)


NUMBERS = [(ScaledDotProduct, "scale"), (Cosine, "scale"), (Gaussian, "bandwidth"), (Laplacian, "bandwidth")]


@pytest.mark.parametrize(("model", "name"), NUMBERS, ids=lambda one: getattr(one, "name", one))
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), [1.0, float("nan"), 2.0]], ids=str)
def test_a_number_must_be_finite_and_the_first_that_is_not_is_named(model, name, wrong):
    with pytest.raises(InvalidValue, match=f"{name}.*: expected a finite number") as caught:
        model(wrong).bind(FeatureSizes(3, 3, 3), FLOAT64)
    assert caught.value.path == ((name, 1) if isinstance(wrong, list) else (name,))


@pytest.mark.parametrize("model", [Gaussian, Laplacian], ids=lambda model: model.name)
@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_bandwidth_must_be_positive(model, wrong):
    with pytest.raises(InvalidValue, match="bandwidth: expected a finite number greater than 0"):
        model(wrong).bind(FeatureSizes(3, 3), FLOAT64)


@pytest.mark.parametrize(("model", "name"), NUMBERS, ids=lambda one: getattr(one, "name", one))
@pytest.mark.parametrize(("heads", "size"), [(None, 1), (None, 3), (3, 2), (3, 4)])
def test_a_number_per_head_needs_as_many_as_there_are_heads(model, name, heads, size):
    with pytest.raises(ShapeMismatch) as caught:
        model(np.ones(size)).bind(FeatureSizes(3, 3, heads), FLOAT64)
    assert caught.value.path == (name,)


ADDITIVE = {"query_weight": np.ones((2, 3)), "key_weight": np.ones((2, 2)), "score_vector": np.ones(2)}


@pytest.mark.parametrize(
    ("model", "parameters", "path"),
    [
        (Additive, ADDITIVE | {"query_weight": np.ones((2, 4))}, "query_weight"),
        (Additive, ADDITIVE | {"key_weight": np.ones((3, 2))}, "key_weight"),
        (Additive, ADDITIVE | {"score_vector": np.ones((1, 1, 2))}, "score_vector"),
        (Additive, ADDITIVE | {"score_vector": np.ones((5, 2))}, "score_vector"),
        (Additive, ADDITIVE | {"hidden_bias": np.ones(3)}, "hidden_bias"),
        (Bilinear, {"weight": np.ones((2, 3))}, "weight"),
        (Bilinear, {"weight": np.ones((5, 3, 2))}, "weight"),
    ],
)
def test_the_parameter_that_does_not_fit_is_named(model, parameters, path):
    for heads in (None, 4):
        with pytest.raises(ShapeMismatch, match=r"expected shape|one number per hidden unit") as caught:
            model(**parameters).bind(FeatureSizes(3, 2, heads), FLOAT64)
        assert caught.value.path == (path,)


def test_trilinear_needs_three_weights_per_feature():
    with pytest.raises(ShapeMismatch, match=r"weight: expected shape \[9\]"):
        Trilinear(np.ones(6)).bind(FeatureSizes(3, 3), FLOAT64)


def test_the_cosine_of_a_zero_vector_is_zero_and_so_is_its_pull():
    model = Cosine(2.0).bind(FeatureSizes(2, 2), FLOAT64)
    queries, keys = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[6.0, 8.0], [0.0, 0.0]])
    np.testing.assert_allclose(model.compute_scores(queries, keys), [[0, 0], [2, 0]], rtol=0, atol=1e-15)
    assert np.isfinite(model.backward(queries, keys, np.ones((2, 2))).queries).all()


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_cosine_of_tiny_and_huge_vectors_neither_vanishes_nor_overflows(size):
    model = Cosine().bind(FeatureSizes(2, 2), FLOAT64)
    assert model.compute_scores(np.array([[size, size]]), np.array([[size, 0]]))[0, 0] == pytest.approx(
        0.5**0.5, abs=1e-15
    )


def test_the_gaussian_keeps_its_digits_far_from_zero():
    model = Gaussian().bind(FeatureSizes(1, 1), FLOAT64)
    assert model.compute_scores(np.array([[1e8 + 0.5]]), np.array([[1e8]])).tolist() == [[-0.125]]


def test_an_unbound_model_does_not_guess_its_scale():
    with pytest.raises(ValueError, match="bind"):
        ScaledDotProduct().compute_scores(np.ones((1, 2)), np.ones((1, 2)))
