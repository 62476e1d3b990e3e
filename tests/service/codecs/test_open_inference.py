"""Raw tensors are read where they lie, and written without a detour."""

import numpy as np
import pytest

from attention_wire.datatypes import DATATYPES
from attention_wire.open_inference import HEADER
from service.codecs.open_inference.framing import lead_of, split
from service.codecs.open_inference.tensors import read_inputs
from service.schemas.open_inference import InputTensor
from tests.service.open_inference.inference import Tensor, body_of


def read(content: bytes, length: str, tensors: list[Tensor], lead: int) -> list[np.ndarray]:
    _, raw = split(content, length, lead)
    inputs = [InputTensor.model_validate(tensor.as_binary()[0]) for tensor in tensors]
    return [received.array for received in read_inputs(inputs, raw)]


@pytest.mark.parametrize("padding", range(17))
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16"])
def test_behind_its_lead_nothing_of_a_body_is_copied_and_everything_is_aligned(datatype: str, padding: int) -> None:
    tensors = [Tensor(name, datatype, np.arange(6.0).reshape(2, 3)) for name in ("query", "key", "value")]
    body, headers = body_of(tensors, {"query", "key", "value"}, id="x" * padding)
    lead = lead_of(headers[HEADER])
    content = bytes(lead) + body
    for array, tensor in zip(read(content, headers[HEADER], tensors, lead), tensors, strict=True):
        assert np.shares_memory(array, np.frombuffer(content, np.uint8))
        assert array.flags.aligned
        np.testing.assert_array_equal(array, tensor.array)


@pytest.mark.parametrize("padding", range(17))
def test_without_one_what_is_not_aligned_is_copied(padding: int) -> None:
    """As it is after decompression."""
    tensors = [Tensor("query", "FP64", np.arange(6.0).reshape(2, 3))]
    content, headers = body_of(tensors, {"query"}, id="x" * padding)
    [array] = read(content, headers[HEADER], tensors, 0)
    assert array.flags.aligned
    assert np.shares_memory(array, np.frombuffer(content, np.uint8)) == (int(headers[HEADER]) % 8 == 0)
    np.testing.assert_array_equal(array, tensors[0].array)


@pytest.mark.parametrize("length", [None, "", "abc", "-1", "9" * 30])
def test_what_is_no_length_asks_for_no_lead(length: str | None) -> None:
    assert lead_of(length) == 0


@pytest.mark.parametrize("name", DATATYPES)
def test_what_is_stored_is_read_again(name: str) -> None:
    datatype = DATATYPES[name]
    numbers = np.array([[0, 1, 1], [1, 0, 1]], np.float32)
    raw = datatype.store(numbers)
    assert len(raw) == 6 * datatype.wire.itemsize
    np.testing.assert_array_equal(datatype.load(np.frombuffer(raw, datatype.wire).reshape(2, 3)), numbers)


def test_an_array_that_lies_in_order_is_not_copied_to_be_stored() -> None:
    array = np.ones((2, 3), np.float32)
    assert np.shares_memory(np.frombuffer(DATATYPES["FP32"].store(array), np.uint8), array)
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert bytes(DATATYPES["FP32"].store(turned)) == turned.tobytes()
