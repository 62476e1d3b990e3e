"""Every normalizer's views agree; the goldens of the contract hold."""

from dataclasses import replace

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    Entmax,
    Hardmax,
    Identity,
    InvalidValue,
    Proportional,
    Relu,
    ShapeMismatch,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from attention_core.descriptions import parameters_of
from tests import calls, oracle
from tests.attention_core.directions import assert_gradient

VARIANTS = [(name, n) for name in NORMALIZERS for n in range(len(calls.NORMALIZER_PARAMETERS[name]))]
FLOAT64 = np.dtype(np.float64)


def sums_to_one(name, variant):
    """Whether the weights of every row are shares of one."""
    return NORMALIZERS[name].is_distribution and "sink" not in calls.NORMALIZER_PARAMETERS[name][variant]


def drawn(name, variant, rng, shape=(2, 3, 5)):
    normalizer = NORMALIZERS[name](**calls.NORMALIZER_PARAMETERS[name][variant]).bind(None, FLOAT64)
    logits = rng.uniform(0.2, 3, shape) if name in calls.POSITIVE else rng.standard_normal(shape)
    return normalizer, logits


def weigh(normalizer, logits):
    with np.errstate(all="ignore"):
        return normalizer.compute_weights(logits, logits.max(axis=-1, keepdims=True))


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_weights_equal_the_oracle(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(1))
    wire = {"name": name, **calls.NORMALIZER_PARAMETERS[name][variant]}
    expected = [oracle.normalize(wire, row)[0] for row in logits.reshape(-1, 5).tolist()]
    np.testing.assert_allclose(weigh(normalizer, logits).reshape(-1, 5), expected, rtol=0, atol=2e-15)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_minus_infinity_is_removal(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(2))
    logits[..., 2] = -np.inf
    weights = weigh(normalizer, logits)
    kept = [0, 1, 3, 4]
    np.testing.assert_allclose(weights[..., kept], weigh(normalizer, logits[..., kept]), rtol=0, atol=1e-15)
    assert not weights[..., 2].any()


@pytest.mark.parametrize(("name", "variant"), [pair for pair in VARIANTS if sums_to_one(*pair)])
def test_rows_sum_to_one(name, variant):
    normalizer, logits = drawn(name, variant, np.random.default_rng(3), (50, 40))
    np.testing.assert_allclose(weigh(normalizer, logits).sum(axis=-1), 1, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("name", "variant"), [pair for pair in VARIANTS if pair[0] != "hardmax"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_in_random_directions(name, variant, masked):
    rng = np.random.default_rng(4)
    normalizer, logits = drawn(name, variant, rng)
    hidden = np.zeros(logits.shape, bool)
    hidden[..., 1] = masked
    weight_gradient = rng.standard_normal(logits.shape)
    described = parameters_of(type(normalizer))
    values = {key: getattr(normalizer, key) for key, one in described.items() if one.has_gradient}
    parameters = {key: np.asarray(value) for key, value in values.items() if value is not None}

    def total(arguments):
        changed = {key: float(arguments[key]) for key in parameters}
        again = replace(normalizer, **changed).bind(None, FLOAT64)
        shown = np.where(hidden, -np.inf, arguments["logits"])
        return float(np.sum(weight_gradient * weigh(again, shown)))

    shown = np.where(hidden, -np.inf, logits)
    gradient = normalizer.backward(shown, weigh(normalizer, shown), weight_gradient.copy())
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
        Proportional().check_logits(np.array([[[1.0, -np.inf, 3]], [[4.0, 5, -2]]]), (0, 0, 0))


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive_and_finite(temperature):
    with pytest.raises(InvalidValue, match="temperature: expected a finite number greater than 0"):
        Softmax(temperature).bind(None, FLOAT64)


@pytest.mark.parametrize("temperature", [1e-300, 1e300])
def test_extreme_temperatures_stay_finite(temperature):
    weights = weigh(Softmax(temperature), np.array([[3.0, 1.0, -1e300]]))
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)


def test_logsumexp_is_the_log_of_the_denominator():
    logits = np.array([[0.0, 1.0, 2.0]])
    expected = np.log(np.exp(logits / 2).sum())
    assert Softmax(2.0).compute_logsumexp(logits, logits.max(-1, keepdims=True))[0] == pytest.approx(
        expected, abs=1e-15
    )


GOLDEN = np.array([[-2.0, 0.0, 0.5]])


def test_sparsemax_golden():
    np.testing.assert_allclose(weigh(Sparsemax(), GOLDEN), [[0, 0.25, 0.75]], rtol=0, atol=1e-15)


def test_entmax_golden():
    np.testing.assert_allclose(weigh(Entmax(), GOLDEN), [[0, 0.326, 0.674]], rtol=0, atol=5e-4)


@pytest.mark.parametrize(("alpha", "limit"), [(1 + 1e-9, Softmax()), (2 - 1e-12, Sparsemax()), (1.5 + 1e-12, Entmax())])
def test_entmax_meets_its_special_cases(alpha, limit):
    logits = np.random.default_rng(5).standard_normal((20, 9)) * 2
    np.testing.assert_allclose(weigh(Entmax(alpha), logits), weigh(limit, logits), rtol=0, atol=3e-8)


@pytest.mark.parametrize("alpha", [1.0 + 1e-12, 1.1, 1.5, 2.0, 2.5, 4.0, 30.0])
def test_entmax_satisfies_its_definition(alpha):
    """Every key of the support has the same threshold τ = (α − 1) z − w^(α − 1), and no other key reaches it."""
    logits = np.random.default_rng(6).standard_normal((200, 12)) * 3
    weights = weigh(Entmax(alpha), logits)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-14)
    support = weights > 0
    thresholds = (alpha - 1) * (logits - logits.max(-1, keepdims=True)) - weights ** (alpha - 1)
    highest = np.where(support, thresholds, -np.inf).max(-1)
    lowest = np.where(support, thresholds, np.inf).min(-1)
    np.testing.assert_allclose(highest, lowest, rtol=0, atol=1e-12)
    assert (np.where(support, -np.inf, thresholds).max(-1) <= lowest + 1e-12).all()


@pytest.mark.parametrize("alpha", [0.999, -1.0, float("nan"), float("inf")])
def test_alpha_is_finite_and_at_least_one(alpha):
    with pytest.raises(InvalidValue, match="alpha: expected a finite number of at least 1"):
        Entmax(alpha).bind(None, FLOAT64)


def test_sigmoid_keeps_the_digits_of_both_tails():
    weights = weigh(Sigmoid(), np.array([[-700.0, -40.0, 0.0, 40.0, 700.0]]))[0]
    assert weights[0] == pytest.approx(np.exp(-700.0), rel=1e-14)
    assert weights[1] == pytest.approx(np.exp(-40.0), rel=1e-14)
    assert weights[2:].tolist() == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("bias", [float("nan"), float("inf")])
def test_a_sigmoid_bias_is_finite(bias):
    with pytest.raises(InvalidValue, match="bias: expected a finite number"):
        Sigmoid(bias).bind(None, FLOAT64)


def test_relu_counts_visible_keys_only():
    assert weigh(Relu(), np.array([[4.0, -1.0, -np.inf, 2.0]])).tolist() == [[4 / 3, 0, 0, 2 / 3]]


def test_hardmax_takes_the_lowest_index_on_ties():
    assert weigh(Hardmax(), np.array([[1.0, 3.0, 3.0], [-np.inf, -2.0, -5.0]])).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_hardmax_has_no_gradient():
    with pytest.raises(InvalidValue, match="expected a normalizer that can be differentiated"):
        Hardmax().backward(GOLDEN, GOLDEN, GOLDEN)


def test_none_leaves_logits_as_they_are():
    assert weigh(Identity(), np.array([[-3.0, -np.inf, 2.0]])).tolist() == [[-3.0, 0.0, 2.0]]


def test_a_sink_takes_its_share():
    logits = np.array([[0.0, 1.0]])
    denominator = 1 + np.e + np.exp(0.5)
    np.testing.assert_allclose(weigh(Softmax(sink=0.5), logits), [[1 / denominator, np.e / denominator]], atol=1e-15)
    off_by_one = weigh(Softmax(sink=0.0), np.array([[0.0, 0.0]]))
    np.testing.assert_allclose(off_by_one, [[1 / 3, 1 / 3]], atol=1e-15)


def test_a_sink_is_not_divided_by_the_temperature():
    weights = weigh(Softmax(temperature=2.0, sink=1.0), np.array([[2.0]]))
    assert weights[0, 0] == pytest.approx(np.e / (np.e + np.e), abs=1e-15)


@pytest.mark.parametrize("sink", [1e308, -1e308, 700.0, -700.0])
def test_extreme_sinks_do_not_overflow(sink):
    logits = np.array([[1.0, 2.0]])
    normalizer, largest = Softmax(sink=sink), logits.max(-1, keepdims=True)
    assert np.isfinite(weigh(normalizer, logits)).all()
    assert normalizer.compute_logsumexp(logits, largest)[0] == pytest.approx(
        np.logaddexp.reduce([1.0, 2.0, sink]), rel=1e-15
    )


def test_a_sink_for_each_head():
    logits = np.zeros((1, 2, 3, 4))
    weights = weigh(Softmax(sink=np.array([0.0, np.log(4.0)])).bind(2, FLOAT64), logits)
    np.testing.assert_allclose(weights[0, 0], 1 / 5, atol=1e-15)
    np.testing.assert_allclose(weights[0, 1], 1 / 8, atol=1e-15)
    with pytest.raises(ShapeMismatch, match="sink: expected a number, or 3"):
        Softmax(sink=np.zeros(2)).bind(3, FLOAT64)
    with pytest.raises(InvalidValue, match=r"sink\[1\]: expected a finite number"):
        Softmax(sink=np.array([0.0, np.nan])).bind(2, FLOAT64)
