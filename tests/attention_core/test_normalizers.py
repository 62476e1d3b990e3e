"""Every normalizer's views agree; the goldens of the contract hold."""

from dataclasses import fields

import numpy as np
import pytest

from attention_core import NORMALIZERS, InvalidValue, Proportional, Softmax
from tests import calls, oracle
from tests.attention_core.directions import assert_gradient

VARIANTS = [(name, n) for name in NORMALIZERS for n in range(len(calls.NORMALIZER_PARAMETERS[name]))]
SUM_TO_ONE = frozenset(("softmax", "proportional"))


def drawn(name, variant, rng, shape=(2, 3, 5)):
    normalizer = NORMALIZERS[name](**calls.NORMALIZER_PARAMETERS[name][variant]).bind()
    logits = rng.uniform(0.2, 3, shape) if name in calls.POSITIVE else rng.standard_normal(shape)
    return normalizer, logits


def weigh(normalizer, logits):
    with np.errstate(all="ignore"):
        return normalizer.weights(logits, logits.max(axis=-1, keepdims=True))


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_weights_equal_the_oracle(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(1))
    wire = {"name": name, **calls.NORMALIZER_PARAMETERS[name][variant]}
    expected = [oracle.normalize(wire, row)[0] for row in logits.reshape(-1, 5).tolist()]
    np.testing.assert_allclose(weigh(normalizer, logits).reshape(-1, 5), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_minus_infinity_is_removal(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(2))
    logits[..., 2] = -np.inf
    weights = weigh(normalizer, logits)
    kept = [0, 1, 3, 4]
    np.testing.assert_allclose(weights[..., kept], weigh(normalizer, logits[..., kept]), rtol=0, atol=1e-15)
    assert not weights[..., 2].any()


@pytest.mark.parametrize(("name", "variant"), [pair for pair in VARIANTS if pair[0] in SUM_TO_ONE])
def test_rows_sum_to_one(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(3), (50, 40))
    np.testing.assert_allclose(weigh(normalizer, logits).sum(axis=-1), 1, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_in_random_directions(name, variant, masked):
    rng = np.random.default_rng(4)
    normalizer, logits = drawn(name, variant, rng)
    hidden = np.zeros(logits.shape, bool)
    hidden[..., 1] = masked
    weight_gradient = rng.standard_normal(logits.shape)
    parameters = {field.name: np.asarray(getattr(normalizer, field.name)) for field in fields(normalizer)}

    def total(arguments):
        again = type(normalizer)(**{key: float(arguments[key]) for key in parameters}).bind()
        shown = np.where(hidden, -np.inf, arguments["logits"])
        return float(np.sum(weight_gradient * weigh(again, shown)))

    shown = np.where(hidden, -np.inf, logits)
    gradient = normalizer.gradient(shown, weigh(normalizer, shown), weight_gradient)
    found = {"logits": gradient.logits, **gradient.parameters}
    assert_gradient(total, {"logits": logits, **parameters}, found, rng)


def test_the_tutorials_proportions():
    assert weigh(Proportional(), np.array([[70.0, 15.0, 10.0, 5.0]])).tolist() == [[0.7, 0.15, 0.1, 0.05]]


def test_proportions_of_huge_logits_do_not_overflow():
    assert weigh(Proportional(), np.array([[1.5e308, 1.5e308]])).tolist() == [[0.5, 0.5]]


def test_proportions_of_a_row_of_zeros_are_zeros():
    assert weigh(Proportional(), np.zeros((1, 3))).tolist() == [[0, 0, 0]]


def test_a_negative_logit_under_proportional_is_named():
    with pytest.raises(InvalidValue, match=r"received -2.0 in row \[1, 0\], key 2"):
        weigh(Proportional(), np.array([[[1.0, 0, 3]], [[4.0, 5, -2]]]))


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive_and_finite(temperature):
    with pytest.raises(InvalidValue, match="temperature: expected a finite number greater than 0"):
        Softmax(temperature).bind()


@pytest.mark.parametrize("temperature", [1e-300, 1e300])
def test_extreme_temperatures_stay_finite(temperature):
    weights = weigh(Softmax(temperature), np.array([[3.0, 1.0, -1e300]]))
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)


def test_logsumexp_is_the_log_of_the_denominator():
    logits = np.array([[0.0, 1.0, 2.0]])
    expected = np.log(np.exp(logits / 2).sum())
    assert Softmax(2.0).logsumexp(logits, logits.max(-1, keepdims=True))[0] == pytest.approx(expected, abs=1e-15)
