"""Writing JSON: in pieces as in one go, numbers that JSON does not have, and correct rounding."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.codecs.decimals import rounded
from service.codecs.json import encode, plain
from tests.sampling import draws

floats = st.sampled_from([np.float64, np.float32]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, max_side=5, min_side=0))
)
tensors = floats | arrays.arrays(np.int64, (4, 3)) | arrays.arrays(np.bool_, (7,))
values = st.recursive(
    tensors | st.integers(-9, 9) | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@settings(max_examples=draws(100))
@given(st.dictionaries(st.text(max_size=3), values, max_size=4), st.sampled_from([1, 3, 20]))
def test_in_pieces_it_is_the_same_text_as_in_one(document, piece):
    whole = encode(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["service.codecs.json.encode"], "PIECE_NUMBERS", piece)
        assert encode(document) == whole
        # And so it is where every array of float32 is written by compiled code.
        patch.setattr(sys.modules["service.codecs.json.encode"], "MIN_COMPILED_NUMBERS", 1)
        assert encode(document) == whole


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_outputs_in_a_list_are_written_in_pieces(monkeypatch, dtype):
    """The outputs of an inference, a short one before a long one: other threads run between two pieces."""
    lengths = []
    numbers = sys.modules["service.codecs.json.encode"]
    monkeypatch.setattr(
        numbers, "_text", lambda value, text=numbers._text: lengths.append(np.size(value)) or text(value)
    )
    long = np.arange(4 * numbers.PIECE_NUMBERS, dtype=dtype)
    document = {"outputs": [{"name": "logsumexp", "data": long[:3]}, {"name": "weights", "data": long}]}
    assert json.loads(encode(document)) == {
        "outputs": [{"name": "logsumexp", "data": [0, 1, 2]}, {"name": "weights", "data": long.tolist()}]
    }
    assert max(lengths) <= numbers.PIECE_NUMBERS


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("beside", [0.1, "largest", "next to the largest", "least"])
def test_numbers_that_json_does_not_have(dtype, beside):
    largest = np.finfo(dtype).max
    named = {"largest": largest, "next to the largest": np.nextafter(largest, dtype(0)), "least": -largest}
    array = np.array([[np.nan, np.inf], [-np.inf, named.get(beside, beside)]], dtype)
    received = json.loads(encode({"scores": array}), parse_constant=pytest.fail)["scores"]
    assert received[0] == ["NaN", "Infinity"]
    assert received[1][0] is None
    assert dtype(received[1][1]) == array[1, 1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_number_beside_nan_has_no_more_digits_than_elsewhere(dtype):
    array = np.array([0.1, 1 / 3, 2e-40, 7e30], dtype)
    alone = encode({"a": array})[:-2]
    assert encode({"a": np.append(array, dtype(np.nan))}) == alone + b',"NaN"]}'


@pytest.mark.parametrize("letters", [0, 1, 15, 16, 17, 1000])
@pytest.mark.parametrize("after", [False, True])
def test_a_word_among_many_letters_is_found(letters, after):
    """NaN is written as a word however many times its letters come in names and labels before, or after."""
    words = {"labels": ["u" * letters, "nul", "null"]}
    numbers = {"scores": np.array([1.0, np.nan, -np.inf])}
    document = numbers | words if after else words | numbers
    received = json.loads(encode(document), parse_constant=pytest.fail)
    assert received["scores"] == [1.0, "NaN", None]
    assert received["labels"] == words["labels"]


def _one_by_one(array, decimals):
    # What rounds to zero has no sign.
    numbers = [round(number, decimals) + 0.0 if np.isfinite(number) else number for number in array.ravel().tolist()]
    return np.array(numbers, np.float64).reshape(array.shape)


def _near_ties(draws, decimals):
    """Numbers whose decimal expansion ends in a five just after the last decimal that is kept, or nearly so."""
    ties = (draws.integers(-(10**6), 10**6, 1000) + 0.5) / 10.0**decimals
    return np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])


@pytest.mark.parametrize("decimals", range(18))
def test_rounding_is_that_of_python_to_the_last_bit(decimals):
    draws = np.random.default_rng(decimals)
    normal = draws.standard_normal(2000)
    for array in (
        normal,
        normal.astype(np.float32),
        normal * 10.0 ** draws.integers(-30, 300, 2000),
        _near_ties(draws, decimals),
        np.round(normal, decimals),
        np.array([0.0, -0.0, -1e-9, 5e-324, np.nan, np.inf, -np.inf, 2.0**52 - 0.5, 2.0**53, 0.5, 1.5, 2.5, 2.675]),
    ):
        expected = _one_by_one(array, decimals)
        received = rounded(array, decimals)
        assert received[~np.isnan(expected)].tobytes() == expected[~np.isnan(expected)].tobytes()
        assert np.isnan(received[np.isnan(expected)]).all()


@settings(max_examples=draws(300))
@given(st.floats(allow_nan=False), st.integers(0, 17))
def test_rounding_any_number(number, decimals):
    assert rounded(np.array([number]), decimals).tobytes() == _one_by_one(np.array([number]), decimals).tobytes()


def test_plain_lists_say_what_the_text_says():
    array = np.array([[1.5, np.nan], [-np.inf, np.inf]])
    assert json.loads(encode({"a": array})) == {"a": plain(array)}
