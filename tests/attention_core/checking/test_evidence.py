"""Few rounded numbers identify a mistake, and noise is rarely taken for one."""

import itertools

import numpy as np
import pytest

from attention_core.checking import Check
from attention_core.checking.evidence import Evidence, number_digits, without_the_implied
from tests import core_calls
from tests.attention_core.checking.wrong_in_other_ways import KINDS, draw
from tests.sampling import sample
from tests.service.checking.kernels import WRONG, Kernel
from tests.service.checking.small_requests import LAYOUTS, OPTIONS, small_request
from tests.service.checking.wrong_kernels.masks import LastKeyLeftOut
from tests.service.checking.wrong_kernels.scores import (
    BiasTakenOff,
    NoBias,
    NoScale,
    ScaleOnQueriesAndScores,
    ScaleTimesTwo,
)
from tests.service.checking.wrong_kernels.softmaxes import NotDivided, TwoForE

MIN_VISIBLE_UNITS = 10
"""Minimum change of a number by a mistake that counts as visible, in units of the last decimal."""


def causes_of(request, candidate, **tolerances):
    result = Check.of(core_calls.core_call(request), candidate, **tolerances).run()
    return () if result.likely_cause is None else tuple(result.likely_cause.split("; or "))


FEW_NUMBERS = [
    (kernel, layout, option, field)
    for kernel, option in (
        (NoScale, "nothing"),
        (ScaleOnQueriesAndScores, "nothing"),
        (ScaleTimesTwo, "nothing"),
        (TwoForE, "nothing"),
        (NotDivided, "nothing"),
        (NoBias, "bias"),
        (BiasTakenOff, "bias"),
        (LastKeyLeftOut, "lengths"),
    )
    for layout, field in (("1 × 3", "weights"), ("1 × 4", "output"))
    if layout == "1 × 4" or option != "lengths"
]
"""Mistakes in small candidates: three weights of one query, or its output."""


def rate(kernel, cases, draws, decimals):
    """Return how many of the planted mistakes were named, and how many shown; never another one alone."""
    rng = np.random.default_rng(list(itertools.chain(*WRONG.values())).index(kernel))
    mistake = next(name for name, kernels in WRONG.items() if kernel in kernels)
    named = shown = 0
    for attempt in range(40 * draws):
        layout, option, field = cases[attempt % len(cases)]
        request = small_request(rng, layout, option)
        wrong = kernel(request).run()
        if wrong is None or not np.isfinite(wrong[field]).all():
            continue
        right = np.nan_to_num(Kernel(request).run()[field], neginf=0)
        if np.max(np.abs(wrong[field] - right)) < MIN_VISIBLE_UNITS * 10.0**-decimals:
            continue
        causes = causes_of(request, {field: np.round(wrong[field], decimals)}, rtol=0, atol=0.5 * 10.0**-decimals)
        assert not causes or mistake in causes, (causes, request)
        named, shown = named + (mistake in causes), shown + 1
        if shown == draws:
            break
    return named, shown


@pytest.mark.parametrize(("kernel", "layout", "option", "field"), FEW_NUMBERS)
def test_a_mistake_is_named_by_a_few_numbers_of_four_decimals(kernel, layout, option, field):
    named, shown = rate(kernel, [(layout, option, field)], 40, decimals=4)
    assert shown == 40
    assert named >= 0.95 * shown


PASTED = [layout for layout in LAYOUTS if layout != "1 × 2"]
"""All but two weights with one sum, which are one number."""


@pytest.mark.soak
@pytest.mark.parametrize("decimals", [3, 4, 5, 6])
def test_every_mistake_is_named_by_small_rounded_candidates(decimals):
    """The table of naming rates; a mistake that fits is never passed over for another one."""
    cases = {
        kernel: [(layout, option, field) for option in OPTIONS for field in kernel.alone for layout in PASTED]
        for kernels in WRONG.values()
        for kernel in kernels
    }
    rates = {kernel.__name__: rate(kernel, some, 25, decimals) for kernel, some in cases.items()}
    print(f"\n{decimals} decimals:", {name: f"{named}/{shown}" for name, (named, shown) in rates.items()})
    named, shown = (sum(counts) for counts in zip(*rates.values(), strict=True))
    print(f"{decimals} decimals: {named} of {shown} named, {named / shown:.1%}")
    assert named >= {3: 0.8, 4: 0.95, 5: 0.97, 6: 0.98}[decimals] * shown


def falsely_named(kind, draws, seed):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        request, candidate, tolerances = draw(rng, kind)
        causes = causes_of(request, candidate, **tolerances)
        if causes:
            found.append((causes, request, candidate, tolerances))
    return found


@pytest.mark.parametrize("draws", sample((40, 150), 40))
@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_given_no_name(kind, draws):
    assert falsely_named(kind, draws, seed=0) == []


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_given_a_name_less_than_once_in_a_thousand(kind):
    draws = 4000
    found = falsely_named(kind, draws, seed=1)
    print(f"\n{kind}: {len(found)} of {draws} named", [causes for causes, *_ in found])
    assert len(found) <= draws / 1000


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["unrelated", "unrelated, of 4 decimals"])
def test_one_number_is_hardly_ever_taken_for_a_mistake(kind):
    """Two weights with a known sum: unrelated numbers come near some mistake most often where there are fewest."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(400):
        request, candidate, tolerances = draw(rng, kind, layout="1 × 2", names=("weights",))
        found += [causes_of(request, candidate, **tolerances)]
    assert sum(bool(causes) for causes in found) <= len(found) / 400


@pytest.mark.soak
def test_noise_as_large_as_a_mistake_is_given_no_name():
    """Of the size at which it is taken for a mistake most often: as far from right as the mistake is."""
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(300):
        request = small_request(rng, "1 × 3", "nothing")
        right, wrong = (kernel(request).run()["weights"] for kernel in (Kernel, NoScale))
        noise = right + np.sqrt(np.mean((wrong - right) ** 2)) * rng.standard_normal(right.shape)
        named += bool(causes_of(request, {"weights": np.round(noise, 4)}))
    assert named == 0


# The digits


def test_each_decimal_place_adds_a_digit():
    made, right = np.array([0.5]), np.array([0.25])
    agrees = np.array([True])
    digits = [number_digits(made, right, np.array([10.0**-places]), agrees)[0] for places in range(2, 7)]
    assert np.diff(digits) == pytest.approx(np.ones(4))
    assert digits[0] == pytest.approx(np.log10(0.25 / (0.5 * 0.01)))


def test_a_number_that_is_right_as_well_tells_nothing_nor_does_one_that_does_not_agree():
    made, right = np.array([0.5, 0.5, np.nan, np.nan]), np.array([0.5, 0.1, np.nan, 0.1])
    digits = number_digits(made, right, np.full(4, 1e-4), np.array([True, False, True, True]))
    assert list(digits[:3]) == [0, 0, 0]
    assert digits[3] > 0


def test_of_weights_with_the_right_sum_one_is_implied():
    right, made = np.array([[0.5, 0.3, 0.2]]), np.array([[0.1, 0.2, 0.7]])
    digits = np.array([[3.0, 2.0, 4.0]])
    errors = np.full((1, 3), 1e-4)
    assert without_the_implied(digits, made, right, errors).tolist() == [[3.0, 0.0, 4.0]]
    assert without_the_implied(digits, 2 * made, right, errors).tolist() == digits.tolist()


def test_fields_that_follow_from_one_another_do_not_add_up():
    evidence = Evidence()
    evidence.add("weights", np.array([[2.0, 1.0]]))
    evidence.add("output", np.array([[3.0, 1.0, 0.5]]), most=2)
    assert evidence.digits(choices=0, fitted=0) == 4.0
    assert evidence.digits(choices=0.5, fitted=1) == 0.5
