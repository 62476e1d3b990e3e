"""Rotary embeddings and ALiBi."""

import numpy as np
import pytest

from attention_core import Alibi, DotProduct, InvalidValue, Rotary, ShapeMismatch, attend
from attention_core.positions import default_alibi_slopes


def scores(query, key, **options):
    return attend(query, key, score_model=DotProduct(), include=("scores", "logits"), **options)


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16])
def test_slopes_of_a_power_of_two_heads(heads):
    np.testing.assert_allclose(
        default_alibi_slopes(heads), [2 ** (-8 * h / heads) for h in range(1, heads + 1)], rtol=1e-15
    )


def test_slopes_of_other_numbers_of_heads_follow_the_paper():
    twelve = [2**-n for n in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    np.testing.assert_allclose(default_alibi_slopes(12), twelve, rtol=1e-15)
    np.testing.assert_allclose(default_alibi_slopes(3), [2**-4, 2**-8, 2**-2], rtol=1e-15)


def test_alibi_by_hand():
    logits = scores([[0.0], [0.0]], [[1.0]] * 3, position=Alibi(0.5)).logits
    assert logits.tolist() == [[0, -0.5, -1], [-0.5, 0, -0.5]]
    shifted = scores([[0.0], [0.0]], [[1.0]] * 3, position=Alibi(0.5), offset=1).logits
    assert shifted.tolist() == [[-0.5, 0, -0.5], [-1, -0.5, 0]]


def test_alibi_has_one_slope_without_a_head_axis_and_one_each_with_it():
    flat = scores(np.zeros((3, 1, 2)), np.zeros((3, 2, 2)), position=Alibi()).logits
    assert flat[:, 0, 1].tolist() == [-(2**-8)] * 3
    headed = scores(np.zeros((1, 2, 1, 2)), np.zeros((1, 2, 2, 2)), position=Alibi()).logits
    assert headed[0, :, 0, 1].tolist() == [-(2**-4), -(2**-8)]


@pytest.mark.parametrize("slopes", [np.ones(2), np.ones((1, 1))])
def test_slopes_per_head_need_heads(slopes):
    with pytest.raises(ShapeMismatch, match="position.slopes".replace(".", r"\.")):
        scores(np.zeros((2, 1, 2)), np.zeros((2, 2, 2)), position=Alibi(slopes))


def test_slopes_are_finite():
    with pytest.raises(InvalidValue, match=r"position\.slopes"):
        scores(np.zeros((1, 2)), np.zeros((2, 2)), position=Alibi(float("nan")))


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_scores_depend_on_distances_only(interleaved):
    rng = np.random.default_rng(1)
    query, key = rng.standard_normal((4, 6)), rng.standard_normal((9, 6))
    position = Rotary(interleaved=interleaved)
    plain = scores(query, key, position=position, offset=3).scores
    further = np.concatenate([rng.standard_normal((1000, 6)), key])
    moved = scores(query, further, position=position, offset=1003).scores[:, 1000:]
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-11)


def test_rotary_keeps_lengths_and_leaves_position_zero_alone():
    key = np.random.default_rng(2).standard_normal((5, 4))
    position = Rotary()
    turned = position.rotate(key, np.arange(5))
    np.testing.assert_array_equal(turned[0], key[0])
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(key, axis=-1), rtol=1e-14)


def test_rotary_by_hand():
    quarter = np.pi / 2
    turned = Rotary().rotate(np.array([[1.0, 0.0]]), np.array([quarter]))
    np.testing.assert_allclose(turned, [[0, 1]], atol=1e-15)
    four = np.array([[1.0, 2.0, 3.0, 4.0]])
    angles = 2.0 * np.array([1.0, 100.0**-0.5])
    cosines, sines = np.cos(angles), np.sin(angles)
    split = Rotary(base=100.0).rotate(four, np.array([2]))[0]
    np.testing.assert_allclose(split[[0, 2]], [cosines[0] - 3 * sines[0], sines[0] + 3 * cosines[0]], rtol=1e-15)
    np.testing.assert_allclose(
        split[[1, 3]], [2 * cosines[1] - 4 * sines[1], 2 * sines[1] + 4 * cosines[1]], rtol=1e-15
    )
    paired = Rotary(base=100.0, interleaved=True).rotate(four, np.array([2]))[0]
    np.testing.assert_allclose(paired[:2], [cosines[0] - 2 * sines[0], sines[0] + 2 * cosines[0]], rtol=1e-15)


def test_rotary_keeps_its_digits_at_far_positions_in_float32():
    vector = np.array([[1.0, 0.0]], np.float32)
    turned = Rotary().rotate(vector, np.array([1_000_003]))
    np.testing.assert_allclose(turned, [[np.cos(1_000_003.0), np.sin(1_000_003.0)]], rtol=0, atol=1e-7)


def test_rotary_needs_pairs_and_a_positive_base():
    with pytest.raises(ShapeMismatch, match="position: expected an even number of features"):
        scores(np.zeros((1, 3)), np.zeros((1, 3)), position=Rotary())
    with pytest.raises(InvalidValue, match=r"position\.base"):
        scores(np.zeros((1, 2)), np.zeros((1, 2)), position=Rotary(base=0.0))
