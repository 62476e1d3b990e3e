"""Merged partial attention over random parts of the keys equals attention over all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import Allowed, InvalidValue, Partial, ShapeMismatch, Softmax, UnknownName, attend, merge
from tests.sampling import draws

DRAWN = settings(max_examples=draws(150))
BOTH = ("output", "logsumexp")
LN_BASE = {"e": 1.0, 2: math.log(2)}
"""Natural logarithm of each base that a logsumexp may have."""


def partial(*arguments, log_base="e", **options):
    """What attention over some keys leaves to be merged, its logarithm to a base."""
    result = attend(*arguments, **options, include=BOTH)
    return Partial(result.output, result.logsumexp / LN_BASE[log_base], log_base)


def drawn(seed, queries=4, keys=9):
    rng = np.random.default_rng(seed)
    leading = [(), (2,), (2, 3)][seed % 3]
    scale = [1.0, 30.0, 1000.0][seed // 3 % 3]
    return (
        rng.standard_normal((*leading, queries, 3)) * scale,
        rng.standard_normal((*leading, keys, 3)),
        rng.standard_normal((*leading, keys, 2)),
        rng,
    )


@DRAWN
@given(
    seed=st.integers(0, 10**6),
    bases=st.lists(st.sampled_from(list(LN_BASE)), min_size=1, max_size=5),
    merged_base=st.sampled_from(list(LN_BASE)),
    sink=st.sampled_from([None, 0.7]),
)
def test_any_division_of_the_keys_merges_into_the_whole_whatever_the_bases(seed, bases, merged_base, sink):
    query, key, value, rng = drawn(seed)
    parts = len(bases)
    allowed = rng.random((4, 9)) < 0.6
    owner = rng.integers(parts, size=9)
    whole = attend(query, key, value, mask=Allowed(allowed), normalizer=Softmax(sink=sink), include=BOTH)
    pieces = []
    for part in range(parts):
        own = owner == part
        normalizer = Softmax(sink=sink if part == 0 else None)
        mask = Allowed(allowed[:, own])
        found = partial(
            query, key[..., own, :], value[..., own, :], mask=mask, normalizer=normalizer, log_base=bases[part]
        )
        pieces.append(found)
    order = rng.permutation(parts)
    merged = merge([pieces[i] for i in order], log_base=merged_base)
    # Rounding a logarithm L to another base moves its weight by up to about 2 eps |L|.
    largest = max(np.abs(whole.logsumexp[np.isfinite(whole.logsumexp)]), default=0)
    changed = any(base != merged_base for base in bases)
    bound = 1e-12 + (8 * np.finfo(float).eps * largest * np.abs(value).max() if changed else 0)
    np.testing.assert_allclose(merged.output, whole.output, rtol=0, atol=bound)
    np.testing.assert_allclose(merged.logsumexp * LN_BASE[merged_base], whole.logsumexp, rtol=1e-14, atol=1e-13)
    assert merged.log_base == merged_base


@DRAWN
@given(seed=st.integers(0, 10**6))
def test_merging_in_two_steps_is_merging_at_once(seed):
    query, key, value, _ = drawn(seed)
    pieces = [partial(query, key[..., j : j + 3, :], value[..., j : j + 3, :]) for j in (0, 3, 6)]
    at_once, in_steps = merge(pieces), merge([merge(pieces[:2]), pieces[2]])
    np.testing.assert_allclose(in_steps.output, at_once.output, rtol=0, atol=1e-13)
    np.testing.assert_allclose(in_steps.logsumexp, at_once.logsumexp, rtol=1e-14)


def test_merging_empties_gives_zeros_and_minus_infinity():
    empty = partial(np.ones((2, 1)), np.ones((0, 1)), np.ones((0, 3)))
    merged = merge([empty, empty])
    assert merged.output.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert merged.logsumexp.tolist() == [-np.inf, -np.inf]


def test_an_empty_partial_changes_nothing_even_with_nan_in_its_output():
    full = partial(np.ones((2, 1)), np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    empty = Partial(np.full((2, 1), np.nan), np.full(2, -np.inf))
    merged = merge([empty, full])
    np.testing.assert_array_equal(merged.output, full.output)
    np.testing.assert_array_equal(merged.logsumexp, full.logsumexp)


def test_a_nan_row_stays_nan_and_changes_no_other():
    key = np.array([[1.0], [np.nan]])
    poisoned = partial(np.ones((2, 1)), key, key, mask=Allowed(np.array([[True, True], [True, False]])))
    sound = partial(np.ones((2, 1)), np.ones((1, 1)), np.ones((1, 1)))
    merged = merge([sound, poisoned])
    assert np.isnan(merged.output[0]).all()
    assert np.isnan(merged.logsumexp[0])
    assert merged.output[1] == pytest.approx(1)
    assert merged.logsumexp[1] == pytest.approx(1 + np.log(2))


def test_half_outputs_merge_in_the_type_of_their_logsumexp():
    options = {"dtype": "float16"}
    one = partial(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), **options)
    merged = merge([one, one])
    assert merged.output.dtype == merged.logsumexp.dtype == np.float32


@pytest.mark.parametrize(
    ("other", "path"),
    [
        (Partial(np.ones((2, 4)), np.ones(2)), ("partials", 1, "output")),
        (Partial(np.ones((2, 3)), np.ones(3)), ("partials", 1, "logsumexp")),
        (Partial(np.ones((2, 3)), np.ones((2, 1))), ("partials", 1, "logsumexp")),
    ],
)
def test_partials_that_do_not_fit_are_named(other, path):
    with pytest.raises(ShapeMismatch) as caught:
        merge([Partial(np.ones((2, 3)), np.ones(2)), other])
    assert caught.value.path == path


@pytest.mark.parametrize("log_base", LN_BASE)
def test_one_partial_keeps_its_bits_in_its_own_base(log_base):
    sent = partial(np.ones((2, 1)), np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]), log_base=log_base)
    merged = merge([sent], log_base=log_base)
    np.testing.assert_array_equal(merged.output, sent.output)
    np.testing.assert_array_equal(merged.logsumexp, sent.logsumexp)


def test_two_equal_keys_add_one_to_a_logarithm_to_base_2():
    one = Partial(np.array([[4.0]]), np.array([3.0]), 2)
    merged = merge([one, one], log_base=2)
    assert (merged.output.tolist(), merged.logsumexp.tolist()) == ([[4.0]], [4.0])
    natural = merge([one, one])
    assert natural.log_base == "e"
    assert natural.logsumexp == pytest.approx(4 * math.log(2), rel=1e-15)


@pytest.mark.parametrize("log_base", LN_BASE)
def test_empties_of_any_base_give_zeros_and_minus_infinity(log_base):
    empty = Partial(np.full((2, 3), np.nan), np.full(2, -np.inf), 2)
    merged = merge([empty, Partial(np.zeros((2, 3)), np.full(2, -np.inf))], log_base=log_base)
    assert merged.output.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert merged.logsumexp.tolist() == [-np.inf, -np.inf]


def test_a_sink_in_one_partial_of_another_base_counts_once():
    key, value = np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]])
    whole = partial(np.ones((2, 1)), key, value, normalizer=Softmax(sink=1.5))
    first = partial(np.ones((2, 1)), key[:1], value[:1], normalizer=Softmax(sink=1.5), log_base=2)
    merged = merge([first, partial(np.ones((2, 1)), key[1:], value[1:])])
    np.testing.assert_allclose(merged.output, whole.output, rtol=1e-14)
    np.testing.assert_allclose(merged.logsumexp, whole.logsumexp, rtol=1e-14)


@pytest.mark.parametrize(
    ("partials", "log_base", "path"),
    [
        ([Partial(np.ones((1, 1)), np.ones(1), 10)], "e", ("partials", 0, "log_base")),
        ([Partial(np.ones((1, 1)), np.ones(1))], 10, ("log_base",)),
        ([Partial(np.ones((2, 1)), np.array([1, 1.7e308]))], 2, ("partials", 0, "logsumexp", 1)),
    ],
)
def test_another_base_and_a_logarithm_that_overflows_in_it_are_named(partials, log_base, path):
    with pytest.raises(InvalidValue) as caught:
        merge(partials, log_base=log_base)
    assert caught.value.path == path


def test_nothing_to_merge_is_refused():
    with pytest.raises(InvalidValue):
        merge([])


@pytest.mark.parametrize("queries", [3, 4])
def test_outputs_of_the_layout_bshd_are_merged_as_they_were_sent(queries):
    """With as many heads as queries, three, the shapes of both layouts are equal."""
    rng = np.random.default_rng(queries)
    query, key, value = (rng.standard_normal((2, length, 3, 2)) for length in (queries, 6, 6))
    key[1, :2] = np.inf
    options = {"layout": "bshd"}
    whole = attend(query, key, value, **options, include=BOTH)
    pieces = [partial(query, key[:, keys], value[:, keys], **options) for keys in (slice(2), slice(2, 6))]
    merged = merge(pieces, layout="bshd")
    np.testing.assert_allclose(merged.output, whole.output, rtol=0, atol=1e-14)
    np.testing.assert_allclose(merged.logsumexp, whole.logsumexp, rtol=1e-14, atol=1e-14)


def test_outputs_that_do_not_fit_the_layout_are_refused():
    by_length, rows = np.ones((2, 5, 3, 4)), np.ones((2, 3, 5))
    wrong = [
        ((by_length, rows), {}, ShapeMismatch, ("partials", 0, "logsumexp"), 'send the layout "bshd"'),
        ((by_length, np.ones((2, 5, 3))), {"layout": "bshd"}, ShapeMismatch, ("partials", 0, "logsumexp"), "leave out"),
        ((by_length, np.ones((3, 5))), {"layout": "bshd"}, ShapeMismatch, ("partials", 0, "logsumexp"), "[2, 3, 5]"),
        ((by_length[0], rows[0]), {"layout": "bshd"}, ShapeMismatch, ("partials", 0, "output"), "rank 4"),
        ((by_length, rows), {"layout": "sbhd"}, UnknownName, ("layout",), "bshd"),
    ]
    for arrays, options, error, path, said in wrong:
        with pytest.raises(error) as caught:
            merge([Partial(*arrays)] * 2, **options)
        assert caught.value.path == path
        assert said in str(caught.value)
