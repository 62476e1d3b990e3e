"""Rotary embeddings of some features, and with scaled angles: the numbers of Hugging Face transformers.

`rotary_angles.json` holds inv_freq and attention factor as `transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS`
computes them in float32 (transformers 5.24.0, PyTorch 2.13.0).  Its "dynamic" with factor 2, 2 048 positions in
training and a sequence of 4 096 is ntk with the factor 2 · 4096 / 2048 − (2 − 1) = 3.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from attention_core import DotProduct, InvalidValue, Rotary, RotaryScaling, UnknownName, attend

PUBLISHED = json.loads((Path(__file__).parent / "rotary_angles.json").read_text(encoding="utf-8"))
OF_FLOAT32 = 5e-7
"""Relative error of a few operations in float32."""

LONGEST = "original_max_position_embeddings"
YARN = {"kind": "yarn", "factor": 4.0, LONGEST: 2048}


@pytest.mark.parametrize("published", PUBLISHED, ids=[one["case"] for one in PUBLISHED])
def test_angles_and_attention_factor_are_those_of_transformers(published):
    rotary = Rotary(base=published["base"], scaling=RotaryScaling(**published["scaling"]))
    angles = rotary.angles(published["dims"] // 2)
    pairs = [int(pair) for pair in published["angles"]]
    np.testing.assert_allclose(angles[pairs], list(published["angles"].values()), rtol=20 * OF_FLOAT32)
    assert rotary.scaling.attention_scale == pytest.approx(published["attention_factor"], rel=1e-15)


def test_every_kind_has_published_numbers():
    assert {one["scaling"]["kind"] for one in PUBLISHED} == {"linear", "ntk", "yarn", "llama3"}


@pytest.mark.parametrize("published", PUBLISHED, ids=[one["case"] for one in PUBLISHED])
def test_scores_are_those_of_vectors_rotated_by_the_published_angles(published):
    rng = np.random.default_rng(3)
    dims, features = published["dims"], published["features"]
    rotary = Rotary(published["base"], dims=dims, scaling=RotaryScaling(**published["scaling"]))
    query, key = rng.standard_normal((3, features)), rng.standard_normal((5, features))
    scores = attend(query, key, score_model=DotProduct(), position=rotary, offset=7, include=("scores",)).scores
    angles, half = rotary.angles(dims // 2), dims // 2
    expected = query[:, dims:] @ key[:, dims:].T
    for i, j in np.ndindex(3, 5):
        # As complex numbers: one factor of each of the two vectors, and an angle for their distance.
        one, other = (vector[:half] + 1j * vector[half:dims] for vector in (query[i], key[j]))
        product = np.sum(one * np.conj(other) * np.exp(1j * (i + 7 - j) * angles))
        expected[i, j] += product.real * published["attention_factor"] ** 2
    np.testing.assert_allclose(scores, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("interleaved", [False, True])
def test_features_behind_dims_stay(interleaved):
    vectors = np.random.default_rng(2).standard_normal((2, 3, 7))
    rotary = Rotary(interleaved=interleaved, dims=4)
    rotated = rotary.rotate(vectors, np.array([[5, 6, 7], [1, 0, 2]]))
    np.testing.assert_array_equal(rotated[..., 4:], vectors[..., 4:])
    whole = Rotary(interleaved=interleaved).rotate(vectors[..., :4], np.array([[5, 6, 7], [1, 0, 2]]))
    np.testing.assert_array_equal(rotated[..., :4], whole)


def test_a_factor_of_one_scales_nothing():
    for kind in ("linear", "ntk", "yarn", "llama3"):
        longest = {} if kind in ("linear", "ntk") else {LONGEST: 64}
        scaled = Rotary(scaling=RotaryScaling(kind, 1.0, **longest))
        np.testing.assert_allclose(scaled.angles(8), Rotary().angles(8), rtol=1e-15)
        assert scaled.scaling.attention_scale == 1


WRONG = [
    ({"kind": "dynamic", "factor": 2.0}, ("scaling", "kind"), "send 'ntk' with the factor"),
    ({"kind": "linear", "factor": 0.5}, ("scaling", "factor"), "at least 1"),
    ({"kind": "linear", "factor": float("nan")}, ("scaling", "factor"), "finite"),
    ({"kind": "linear", "factor": 2.0, "beta_fast": 3.0}, ("scaling", "beta_fast"), "belongs to yarn"),
    ({"kind": "ntk", "factor": 2.0, LONGEST: 64}, ("scaling", LONGEST), "yarn and llama3"),
    ({"kind": "yarn", "factor": 2.0}, ("scaling", LONGEST), "yarn needs"),
    ({"kind": "llama3", "factor": 2.0}, ("scaling", LONGEST), "llama3 needs"),
    ({**YARN, LONGEST: 0}, ("scaling", LONGEST), "integer of at least 1"),
    ({**YARN, LONGEST: 2.5}, ("scaling", LONGEST), "integer"),
    ({**YARN, "beta_slow": 40.0}, ("scaling", "beta_fast"), "greater than beta_slow, 40"),
    ({**YARN, "attention_factor": 0.0}, ("scaling", "attention_factor"), "greater than 0"),
    (
        {**YARN, "kind": "llama3", "low_freq_factor": 4.0},
        ("scaling", "high_freq_factor"),
        "greater than low_freq_factor",
    ),
]


@pytest.mark.parametrize(("scaling", "path", "words"), WRONG, ids=str)
def test_wrong_scaling_is_refused_where_it_is_wrong(scaling, path, words):
    with pytest.raises((InvalidValue, UnknownName)) as refused:
        attend(np.ones((1, 8)), np.ones((2, 8)), position=Rotary(scaling=RotaryScaling(**scaling)))
    assert refused.value.path == ("position", *path)
    assert words in str(refused.value)


@pytest.mark.parametrize("dims", [0, 3, 10, -2])
def test_dims_are_even_and_at_most_the_features(dims):
    with pytest.raises(InvalidValue, match=r"position\.dims: expected an even number from 2 to 8") as refused:
        attend(np.ones((1, 8)), np.ones((2, 8)), position=Rotary(dims=dims))
    assert refused.value.path == ("position", "dims")


def test_an_odd_number_of_features_may_be_rotated_in_part():
    assert attend(np.ones((1, 5)), np.ones((2, 5)), position=Rotary(dims=4)).weights.shape == (1, 2)


def test_what_a_kind_cannot_divide_by_is_refused():
    with pytest.raises(InvalidValue, match="at least 4 rotated features for ntk"):
        attend(np.ones((1, 2)), np.ones((2, 2)), position=Rotary(scaling=RotaryScaling("ntk", 2.0)))
    with pytest.raises(InvalidValue, match=r"position\.base: expected a base greater than 1 for yarn"):
        attend(np.ones((1, 4)), np.ones((2, 4)), position=Rotary(base=1.0, scaling=RotaryScaling(**YARN)))
