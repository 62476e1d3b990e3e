"""The compiled writer: the characters that are written in small answers, of every float32."""

import numpy as np
import pytest

from service.codecs.json import encode, native
from tests.service.codecs.number_texts import by_orjson, written

pytestmark = pytest.mark.usefixtures("each_library")


def test_float32_are_written_as_in_small_answers():
    """The digits and their layout are orjson's, for numbers of every size, near powers of two and short in decimals."""
    draws = np.random.default_rng(7)
    any_bits = draws.integers(0, 2**32, 300_000, dtype=np.uint32).view(np.float32)
    powers = np.ldexp(np.float32(1), np.arange(-149, 128)).astype(np.float32)
    short = draws.integers(1, 2000, 100_000) * 10.0 ** draws.integers(-44, 35, 100_000)
    for numbers in (
        any_bits[np.isfinite(any_bits)],
        draws.standard_normal(100_000).astype(np.float32),
        draws.random(100_000, np.float32),
        short[short < 3e38].astype(np.float32),
        np.concatenate([powers, -powers, np.nextafter(powers, np.float32(0)), np.nextafter(powers, np.float32(1e38))]),
        np.arange(3000, dtype=np.uint32).view(np.float32),
        np.arange(-3000, 3000, dtype=np.float32) / 8,
        np.array([0.0, -0.0, 1e8, 99999990, 99999999, 123456790, 1e12, 9999999e6, 1e13, 1e-5, 9.9999e-7], np.float32),
    ):
        assert written(numbers) == by_orjson(numbers)


@pytest.mark.parametrize(
    "shape", [(1,), (7,), (1, 1), (3, 1), (1, 3), (2, 3, 4), (1, 2, 1, 3), (4, 1, 1, 1, 1), (5, 64)]
)
def test_lists_nest_like_the_axes(shape):
    numbers = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    assert written(numbers) == by_orjson(numbers)
    assert written(numbers.T) == by_orjson(np.ascontiguousarray(numbers.T))


def test_what_json_has_no_number_for_is_written_as_words():
    numbers = np.array([[1.5, np.nan, -np.inf], [np.inf, -np.nan, -2]], np.float32)
    assert written(numbers) == b'[[1.5,"NaN",null],["Infinity","NaN",-2.0]]'


def test_a_document_has_the_same_characters_with_and_without_compiled_code(monkeypatch):
    draws = np.random.default_rng(3)
    numbers = draws.standard_normal((40, 50)).astype(np.float32)
    odd = numbers.copy()
    odd[3, 4:7] = np.nan, np.inf, -np.inf
    document = {
        "scores": numbers, "weights": odd, "output": numbers.astype(float), "few": numbers[0], "none": numbers[:0],
        "more": [{"inner": odd}, {"inner": odd}], "turned": numbers.T, "long": draws.random(70_000, np.float32),
    }  # fmt: skip
    fast = encode(document)
    monkeypatch.setattr(native, "AVAILABLE", False)
    assert encode(document) == fast
