"""Mathematical laws on random calls, and adversarial values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import NORMALIZERS, SCORE_MODELS, Allowed, DotProduct, Entmax, Softmax, Sparsemax, attend
from tests import bounds, calls, core_calls, oracle, plain
from tests.attention_core.adversarial import ADVERSARIAL, UNLIMITED
from tests.sampling import draws

DRAWN = settings(max_examples=draws(30))
SHIFT_INVARIANT = {"softmax": Softmax(), "sparsemax": Sparsemax(), "entmax": Entmax(), "entmax 1.2": Entmax(1.2)}
QUERIES, KEYS = 4, 6


def vectors(seed, name="scaled_dot_product"):
    """Queries, keys, values and a score model that fit one another."""
    rng = np.random.default_rng(seed)
    parameters = calls.MODEL_PARAMETERS[name][-1](rng.standard_normal)
    return (
        rng.standard_normal((QUERIES, calls.FEATURES)),
        rng.standard_normal((KEYS, calls.key_features(name))),
        rng.standard_normal((KEYS, 3)),
        SCORE_MODELS[name](**core_calls.core_parameters(parameters)),
    )


def lifted(name):
    """A bias under which no normalizer refuses a logit."""
    return np.full((1, KEYS), 2000.0) if name in calls.POSITIVE else None


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
@DRAWN
@given(seed=st.integers(0, 10**6), order=st.permutations(range(KEYS)))
def test_permuting_keys_with_values_permutes_weights_and_leaves_the_output(score_model, normalizer, seed, order):
    query, key, value, model = vectors(seed, score_model)
    options = {"score_model": model, "normalizer": NORMALIZERS[normalizer](), "bias": lifted(normalizer)}
    one, other = attend(query, key, value, **options), attend(query, key[order], value[order], **options)
    np.testing.assert_allclose(other.weights, one.weights[:, order], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(other.output, one.output, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", SHIFT_INVARIANT)
@DRAWN
@given(seed=st.integers(0, 10**6), constants=st.lists(st.floats(-50, 50), min_size=QUERIES, max_size=QUERIES))
def test_a_constant_added_to_a_rows_logits_changes_nothing(name, seed, constants):
    query, key, _, model = vectors(seed)
    options = {"score_model": model, "normalizer": SHIFT_INVARIANT[name]}
    shifted = attend(query, key, bias=np.array(constants)[:, None], **options).weights
    np.testing.assert_allclose(shifted, attend(query, key, **options).weights, rtol=0, atol=1e-13)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
@DRAWN
@given(seed=st.integers(0, 10**6), hidden=st.sets(st.integers(0, KEYS - 1), max_size=KEYS - 1))
def test_a_hidden_key_is_equivalent_to_an_absent_key(score_model, normalizer, seed, hidden):
    query, key, value, model = vectors(seed, score_model)
    options = {"score_model": model, "normalizer": NORMALIZERS[normalizer]()}
    kept = [j for j in range(KEYS) if j not in hidden]
    poisons = np.array([np.nan, np.inf, -np.inf])
    for count, j in enumerate(sorted(hidden)):
        key[j], value[j] = poisons[count % 3], poisons[(count + 1) % 3]
    allowed = np.array([j not in hidden for j in range(KEYS)])
    bias = lifted(normalizer)
    masked = attend(query, key, value, mask=Allowed(allowed), bias=bias, **options)
    removed = attend(query, key[kept], value[kept], bias=None if bias is None else bias[:, kept], **options)
    np.testing.assert_allclose(masked.weights[:, kept], removed.weights, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(masked.output, removed.output, rtol=1e-12, atol=1e-14)
    assert not masked.weights[:, sorted(hidden)].any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("normalizer", UNLIMITED)
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_logits_stay_within_the_derived_bound(name, normalizer, dtype):
    request = {
        "query": [[1.0]],
        "key": [[number] for number in ADVERSARIAL[name]],
        "value": [[1.0], [-1.0], [0.5], [2.0], [3.0], [-4.0]],
        "score_model": {"name": "dot_product"},
        "normalizer": {"name": normalizer},
        "dtype": dtype,
    }
    result = attend(
        request["query"], request["key"], request["value"],
        score_model=DotProduct(), normalizer=NORMALIZERS[normalizer](), dtype=dtype,
    )  # fmt: skip
    expected, simple = oracle.attention(request), plain.attention(request)
    for field in ("weights", "output"):
        received, reference = result.arrays[field].astype(float), np.array(expected[field], float)
        assert np.isfinite(received).all()
        assert np.max(np.abs(received - reference)) <= bounds.bound(reference, simple[field], dtype), field
    if NORMALIZERS[normalizer].is_distribution:
        assert result.weights.sum() == pytest.approx(1, abs=4 * float(np.finfo(dtype).eps))
