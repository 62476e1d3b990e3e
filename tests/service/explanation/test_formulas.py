"""The evaluator that explanations are judged by: right formulas pass, wrong ones do not."""

import pytest

from tests.service.explanation.formulas import assert_true, evaluate

RIGHT = {
    "2 × 1.9 = 3.8": 3.8,
    "(−2) × 1.9 + 0.5 × (−4) = −5.8": -5.8,
    "(2 − (−1))² + (0.25 − 0.5)² = 9.0625": 9.0625,
    "|(−1) − 2| + |3 − 1| = 5": 5.0,
    "1/√4 = 0.5": 0.5,
    "1/√3 = 0.57735": 3**-0.5,
    "−1/(2 × 0.7²) = −1.02041": -0.5 / 0.49,
    "2 / (3 × 0.333333) = 2": 2.0,
    "1.5 × tanh(−0.3 / 1.5) = −0.296063": -0.29606298,
    "−(0.25^0.5) = −0.5": -0.5,
    "max(0.5 × (1 − 2) − (−0.75), 0)^(1/0.5) = 0.0625": 0.0625,
    "max(max(−1, 3, 2) / 0.3, 4) = 10": 10.0,
    "exp(200.1 − 200.4) = 0.740818": 0.74081822,
    "1e−05 × 1e+07 = 100": 100.0,
    "−0.5 × |(−1) − 3| = −2": -2.0,
    "0.25": 0.25,
}

WRONG = {
    "2 × 1.9 = 3.8": 3.81,
    "2 × 1.9 = 3.9": 3.9,
    "2 × 1.9 = 3.7": 3.8,
    "(2 − 1)² = −1": -1.0,
    "1/√4 = 0.25": 0.25,
    "exp(1 − 2) = 0.367879": 0.36789,
    "max(−1, 3) = −1": -1.0,
    "1 / 3 = 0.333333": 0.33334,
    "0 × 5 = 1e−09": 1e-9,
}


@pytest.mark.parametrize("formula", RIGHT)
def test_a_right_formula_is_true(formula: str) -> None:
    assert_true(formula, RIGHT[formula])


@pytest.mark.parametrize("formula", WRONG)
def test_a_wrong_formula_is_not(formula: str) -> None:
    with pytest.raises(AssertionError):
        assert_true(formula, WRONG[formula])


@pytest.mark.parametrize("formula", ["slope × 2", "__import__(1)", "max(a, 1)", "1 if 2 else 3"])
def test_what_is_no_number_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="the tests do not know"):
        evaluate(formula)
