"""The dimensions in annotations are those of the arrays that are passed and returned."""

import inspect
from typing import Annotated, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, interfaces
from attention_core.capabilities import supports_logsumexp
from attention_core.interfaces import FeatureSizes, Normalizer
from tests import calls, core_calls


def dimensions(annotation):
    """The dimension string of an annotation, or None."""
    return get_args(annotation)[1] if get_origin(annotation) is Annotated else None


def check(function, *arguments):
    """Call a method; hold arguments and result against its annotations, each dimension bound once."""
    hints = get_type_hints(function, vars(interfaces), include_extras=True)
    names = list(inspect.signature(function).parameters)
    bound = {}
    for name, argument in zip(names, arguments, strict=True):
        fits(dimensions(hints.get(name)), argument, bound, name)
    result = function(*arguments)
    fits(dimensions(hints["return"]), result, bound, "the result")
    return result, bound


def fits(spelled, array, bound, name):
    if spelled is None:
        return
    sizes = [part for part in spelled.split() if part != "..."]
    shape = np.shape(array)
    assert len(shape) >= len(sizes), (name, spelled, shape)
    assert "..." in spelled or len(shape) == len(sizes), (name, spelled, shape)
    for size, actual in zip(sizes[::-1], shape[::-1], strict=False):
        expected = int(size) if size.isdigit() else bound.setdefault(size, actual)
        assert actual == expected, f"{name}: {spelled} says {size} = {expected}, but it is {actual}"


@pytest.mark.parametrize("name", sorted(SCORE_MODELS))
def test_score_models(name):
    rng = np.random.default_rng(1)
    features = FeatureSizes(calls.FEATURES, calls.key_features(name))
    drawn = calls.MODEL_PARAMETERS[name][-1](rng.standard_normal)
    model = SCORE_MODELS[name](**core_calls.core_parameters(drawn)).bind(features, np.dtype(np.float64))
    queries, keys = rng.standard_normal((2, 3, features.query)), rng.standard_normal((2, 4, features.key))
    scores, bound = check(model.compute_scores, queries, keys)
    assert bound == {"q": 3, "k": 4, "Dq": features.query, "Dk": features.key}
    gradient, _ = check(model.backward, queries, keys, scores)
    hints = get_type_hints(type(gradient), vars(interfaces), include_extras=True)
    fits(dimensions(hints["queries"]), gradient.queries, bound, "gradient.queries")
    fits(dimensions(hints["keys"]), gradient.keys, bound, "gradient.keys")
    check(model.explain_score, queries[0, 0], keys[0, 0], 0)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_normalizers(name):
    normalizer: Normalizer = NORMALIZERS[name]().bind(None, np.dtype(np.float64))
    logits = np.random.default_rng(2).uniform(0.1, 1, (2, 3, 4))
    maximum = logits.max(axis=-1, keepdims=True)
    weights, bound = check(normalizer.compute_weights, logits, maximum)
    assert bound == {"q": 3, "k": 4}
    check(normalizer.explain_weight, logits[0, 0], weights[0, 0], 1, 0)
    if name != "hardmax":
        check(normalizer.backward, logits, weights, weights)
    if supports_logsumexp(normalizer):
        check(normalizer.compute_logsumexp, logits, maximum)


def test_the_check_itself_catches_a_lie():
    with pytest.raises(AssertionError, match="says k = 4"):
        fits("... q k", np.ones((3, 5)), {"k": 4}, "x")
