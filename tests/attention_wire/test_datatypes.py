"""Number types on the wire, compared with ml_dtypes and the safetensors library."""

import ml_dtypes
import numpy as np
import pytest
import safetensors

from attention_wire import safetensors as wire
from attention_wire.datatypes import BY_NUMPY_NAME, BY_SAFETENSORS_NAME, DATATYPES, RawTensor, round_to_bfloat16
from attention_wire.open_inference import json_length

FLOATS = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_rounding_to_bfloat16_is_that_of_ml_dtypes(dtype: type) -> None:
    bits = np.random.default_rng(3).integers(0, 2**32, 100_000, dtype=np.uint32)
    with np.errstate(all="ignore"):
        numbers = bits.view(np.float32).astype(dtype)
        expected = numbers.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(round_to_bfloat16(numbers), expected)


def test_float64_is_rounded_to_bfloat16_in_one_step() -> None:
    """A number just above a tie goes up; rounded to float32 first it would be the tie, and go down to even."""
    tie = 1 + 2.0**-8
    numbers = np.array([tie, tie + 2.0**-40, tie - 2.0**-40, -tie - 2.0**-40])
    np.testing.assert_array_equal(round_to_bfloat16(numbers), [1, 1 + 2.0**-7, 1, -1 - 2.0**-7])


@pytest.mark.parametrize("number", [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38, 1e-40])
def test_a_single_number_is_rounded_like_an_array(number: float) -> None:
    rounded = round_to_bfloat16(np.array(number))
    assert rounded.shape == ()
    np.testing.assert_array_equal(rounded, round_to_bfloat16(np.array([number]))[0])
    assert np.signbit(rounded) == np.signbit(number)


@pytest.mark.parametrize("name", DATATYPES)
def test_every_datatype_reads_what_it_stores(name: str) -> None:
    datatype = DATATYPES[name]
    raw = np.arange(96, dtype=np.uint8) if datatype.kind != "boolean" else np.arange(96, dtype=np.uint8) % 2
    shape = (2, 3, 16 // datatype.wire.itemsize)
    array = datatype.read(raw.data, shape)
    assert array.shape == shape
    assert bytes(datatype.store(array)) == raw.tobytes()
    assert RawTensor(array, datatype).nbytes == 96


@pytest.mark.parametrize("dtype", [*FLOATS.values(), np.bool_, np.int8, np.int16, np.int32, np.int64,
                                   np.uint8, np.uint16, np.uint32, np.uint64])  # fmt: skip
def test_the_safetensors_library_reads_a_written_file(dtype: type) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensors = {"a": RawTensor.of(array), "b.c": RawTensor.of(np.array(2.5))}
    read = dict(safetensors.deserialize(wire.write({"request": '{"é": 1}'}, tensors)))
    assert {name: tuple(one["shape"]) for name, one in read.items()} == {"a": (2, 3), "b.c": ()}
    assert bytes(read["a"]["data"]) == array.tobytes()
    assert read["b.c"] == {"dtype": "F64", "shape": [], "data": np.array(2.5).tobytes()}


def test_every_datatype_has_one_name_in_each_format() -> None:
    assert len(BY_SAFETENSORS_NAME) == len(BY_NUMPY_NAME) == len(DATATYPES)


@pytest.mark.parametrize("text", [None, "", "1_0", "+2", "-1", " 2", "2.0", "\u0662", "1" * 19])
def test_the_length_of_the_json_is_decimal_digits(text: str | None) -> None:
    assert json_length("015") == 15
    assert json_length(text) is None
