"""Merged partial attention over random parts of the keys equals attention over all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import Allowed, InvalidValue, Partial, ShapeMismatch, Softmax, attend, merge
from tests.sampling import draws

DRAWN = settings(max_examples=draws(150))
BOTH = ("output", "logsumexp")


def partial(*arguments, **options):
    """What attention over some keys leaves to be merged."""
    result = attend(*arguments, **options, include=BOTH)
    return Partial(result.output, result.logsumexp)


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
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 5), sink=st.sampled_from([None, 0.7]))
def test_any_division_of_the_keys_merges_into_the_whole(seed, parts, sink):
    query, key, value, rng = drawn(seed)
    allowed = rng.random((4, 9)) < 0.6
    owner = rng.integers(parts, size=9)
    whole = attend(query, key, value, mask=Allowed(allowed), normalizer=Softmax(sink=sink), include=BOTH)
    pieces = []
    for part in range(parts):
        own = owner == part
        normalizer = Softmax(sink=sink if part == 0 else None)
        pieces.append(
            partial(query, key[..., own, :], value[..., own, :], mask=Allowed(allowed[:, own]), normalizer=normalizer)
        )
    order = rng.permutation(parts)
    merged = merge([pieces[i] for i in order])
    np.testing.assert_allclose(merged.output, whole.output, rtol=0, atol=1e-12)
    np.testing.assert_allclose(merged.logsumexp, whole.logsumexp, rtol=1e-14, atol=1e-13)


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


def test_nothing_to_merge_is_refused():
    with pytest.raises(InvalidValue):
        merge([])
