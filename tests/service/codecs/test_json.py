"""The JSON codec beside plain `json.loads`: the same documents, the same values, strict both ways."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.codecs.json import Extended, as_array, decode, encode
from service.errors import MalformedBody
from tests.sampling import draws

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
leaves = numbers | st.booleans() | st.none() | st.text(max_size=5)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def plain(value):
    """A decoded document with its arrays as lists again."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Extended):
        return value.lists()
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=draws(500))
@given(documents)
def test_decoding_changes_no_value(document):
    body = json.dumps(document).encode()
    received, expected = plain(decode(body, 64)), json.loads(body)
    assert _as_floats(received) == _as_floats(expected)
    assert _kinds(received) == _kinds(expected)


def _as_floats(value):
    """Every number as float64 holds it: that is all that a tensor needs of an integer."""
    if isinstance(value, dict):
        return {name: _as_floats(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _kinds(value):
    """Numbers as one kind, booleans as another: 1 == True, but they are not the same document."""
    if isinstance(value, dict):
        return {name: _kinds(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_kinds(item) for item in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@settings(max_examples=draws(200))
@given(arrays.arrays(st.sampled_from([np.float64, np.float32]), arrays.array_shapes(max_dims=4, max_side=4)))
def test_encoding_is_strict_json_that_reads_back_to_the_last_bit(array):
    body = encode({"weights": array})
    received = json.loads(body, parse_constant=pytest.fail)["weights"]
    expected = array.tolist()
    names = {None: -math.inf, "NaN": math.nan, "Infinity": math.inf}
    back = np.array(_named(received, names), array.dtype)
    np.testing.assert_array_equal(back, np.array(expected, array.dtype))
    assert np.signbit(back[~np.isnan(back)]).tolist() == np.signbit(array[~np.isnan(array)]).tolist()


def _named(nested, names):
    return [_named(item, names) for item in nested] if isinstance(nested, list) else names.get(nested, nested)


@settings(max_examples=draws(300))
@given(documents, st.integers(0, 200), st.binary(max_size=2))
def test_mutated_bytes_are_refused_or_read_as_plain_json_reads_them(document, position, insertion):
    body = json.dumps(document).encode()
    mutated = body[:position] + insertion + body[position + 1 :]
    try:
        expected = json.loads(mutated.decode(), parse_constant=_refuse)
        json.dumps(expected, ensure_ascii=False).encode()
    except ValueError:
        with pytest.raises(MalformedBody):
            decode(mutated, 64)
    else:
        assert _as_floats(plain(decode(mutated, 64))) == _as_floats(expected)


def _refuse(constant):
    raise ValueError(constant)


@pytest.mark.parametrize(
    "nested",
    [
        [],
        [[]],
        [[1], [2, 3]],
        [1, [2]],
        [[1], 2],
        [1, "2"],
        [1, True],
        [True, None],
        [{}],
        ["NaN", "nan"],
        ["a"],
        [[None], 1],
    ],
)
def test_what_is_not_a_whole_array_stays_as_it_is(nested):
    assert as_array(nested) is None


@pytest.mark.parametrize(
    ("nested", "dtype"),
    [([1, 2], np.int64), ([1, 2.5], np.float64), ([2**63, 1], np.float64), ([[True], [False]], np.bool_)],
)
def test_an_array_has_the_type_of_its_elements(nested, dtype):
    array = as_array(nested)
    assert array.dtype == dtype
    assert array.tolist() == nested


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400])
@pytest.mark.parametrize("list_of", ["[1.5, %s]", "[[1], [%s]]", "[null, %s]", "[%s]"])
def test_a_list_with_a_number_beyond_float64_is_no_array(number, list_of):
    assert isinstance(decode(('{"query": ' + list_of % number + "}").encode(), 64)["query"], list)


def test_null_and_named_numbers_make_an_extended_array():
    nested = [[1, None], ["NaN", 2.5], ["Infinity", -3]]
    array = as_array(nested)
    np.testing.assert_array_equal(array.numbers, [[1, -np.inf], [np.nan, 2.5], [np.inf, -3]])
    assert array.lists() == nested


@pytest.mark.parametrize(("levels", "accepted"), [(63, True), (64, False)])
def test_the_depth_limit_is_exact(levels, accepted):
    for core in ("1", '"a"', "null"):
        body = ('{"query": ' + "[" * levels + core + "]" * levels + "}").encode()
        if accepted:
            assert decode(body, 64)["query"] is not None
        else:
            with pytest.raises(MalformedBody, match="nested deeper"):
                decode(body, 64)
