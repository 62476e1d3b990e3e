"""The compiled code: every number to the last bit, whatever stands around it."""

import json
import random
from fractions import Fraction

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hatch_build
from service.codecs.json import Extended, encode, native
from service.codecs.json.cut import cut_arrays
from service.codecs.json.decode import decode_cut, decode_plain
from service.codecs.json.native import library
from service.main import create_app
from service.settings import Settings
from tests.service.codecs.libraries import RUNNABLE
from tests.service.codecs.test_cut import ODD_NUMBERS, cut_small, outcome


@pytest.fixture(params=RUNNABLE, autouse=True)
def each_library(request, monkeypatch):
    monkeypatch.setattr(library, "_library", library.open_library(request.param))


def read(numbers, separator=","):
    """Return what the compiled code makes of an array with these numbers, which must be read."""
    text = '{"a":[' + separator.join(numbers) + "]}"
    ((start, end, array),) = native.read_arrays(text.encode(), 1)
    assert text[start:end] == text[5:-1]
    return array


def assert_exact(numbers, separator=","):
    expected = np.array([float(number) for number in numbers])
    array = read(numbers, separator)
    differing = [
        number for number, same in zip(numbers, array.view("u8") == expected.view("u8"), strict=True) if not same
    ]
    assert array.dtype == np.float64
    assert differing == []


def test_the_service_reads_with_it():
    assert native.AVAILABLE, "make installs it; gcc and libc6-dev must be there"


@pytest.mark.parametrize("separator", [",", ", ", " ,", ",\n", ",  ", "\t,\r\n "])
def test_numbers_of_any_size_are_those_of_python(separator):
    """Every bit pattern of a float64 may come, as repr writes it and with more digits or fewer."""
    draws = np.random.default_rng(len(separator))
    wild = draws.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    wild = wild[np.isfinite(wild)].tolist()
    near_one = draws.standard_normal(20_000).tolist()
    singles = draws.standard_normal(20_000).astype(np.float32).astype(str).tolist()
    for numbers in (
        [repr(number) for number in wild],
        [repr(number) for number in near_one],
        singles,
        [format(number, f".{digits}f") for digits in range(1, 22) for number in near_one[:500]],
        [format(100 * number, f".{digits}f") for digits in range(1, 22) for number in near_one[:500]],
        [format(number, f".{digits}e") for digits in range(1, 22) for number in wild[:500]],
        [
            format(number, f"{'+' if number < 0 else ''}.{digits}E").replace("+", "")
            for digits in range(20)
            for number in wild[:300]
        ],
    ):
        assert_exact([*numbers, "0.5"], separator)


def halfway(number):
    """The decimal expansion of what lies in the middle between a float64 and the next, to the last digit."""
    middle = (Fraction(number) + Fraction(np.nextafter(number, np.inf))) / 2
    # A denominator that is a power of two has as many decimals as it has bits.
    places = middle.denominator.bit_length() - 1
    digits = str(middle.numerator * 10**places // middle.denominator)
    return (digits[:-places] or "0") + "." + digits[-places:].zfill(places) if places else digits + ".0"


def test_between_two_float64_the_nearer_and_of_equally_near_ones_the_even():
    """The decimals nearest to where rounding turns, from either side, cut after any number of digits."""
    draws = np.random.default_rng(5)
    exponents = (-30, 0, 0, 30, *range(45, 54))
    numbers = np.concatenate([np.ldexp(draws.random(100) + 1, exponent) for exponent in exponents]).tolist()
    texts = []
    for number in numbers:
        exact = halfway(number)
        for kept in (15, 16, 17, 18, 19, 20, 21, 25, 40):
            text = exact[: exact.index(".") + 1 + kept]
            texts += [text, text[:-1] + str((int(text[-1]) + 1) % 10)]
        texts += [exact, exact + "0" * 20, exact + "0" * 20 + "1"]
    texts += [f"{2**53 + odd}.0" for odd in range(1, 20, 2)] + [f"{2**53 + odd}.00000001" for odd in range(1, 20, 2)]
    texts += [f"{2**53 + odd}e{tens}" for odd in range(1, 20, 2) for tens in range(-30, 30)]
    assert_exact([*texts, "0.5"])


def test_integers_stay_integers_as_long_as_int64_holds_them():
    whole = [10**power + one for power in range(19) for one in (-1, 0, 1) if 10**power + one < 2**63]
    whole += [2**63 - 1, -(2**63), *(-number for number in whole)]
    array = read([str(number) for number in whole])
    assert array.dtype == np.int64
    assert array.tolist() == whole
    for beyond in (2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30):
        array = read([str(number) for number in [*whole, beyond]])
        assert array.dtype == np.float64
        assert array.tolist() == [float(number) for number in [*whole, beyond]]


def test_words_among_long_rows():
    words = {"null": -np.inf, '"NaN"': np.nan, '"Infinity"': np.inf}
    for row in (["0.25"] * 40, ["1"] * 40):
        for place in range(40):
            for word, meaning in words.items():
                texts = [*row[:place], word, *row[place + 1 :]]
                array = read(texts)
                assert isinstance(array, Extended)
                expected = np.array(row, float)
                expected[place] = meaning
                np.testing.assert_array_equal(array.numbers, expected)
    truths = random.Random(1).choices(["true", "false"], k=1001)
    assert read(truths).tolist() == [truth == "true" for truth in truths]


@st.composite
def long_bodies(draw):
    """A document with a rectangular array too long for the eye, in which a few bytes are changed."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    kinds = [
        lambda: repr(chance.gauss(0, 1)),
        lambda: str(np.float32(chance.gauss(0, 30))),
        lambda: str(chance.randint(-99, 99)),
        lambda: chance.choice(["null", '"NaN"', "1.5", "2"]),
        lambda: chance.choice(["true", "false"]),
        lambda: chance.choice([*(number for number in ODD_NUMBERS if len(number) < 2000), "0.125", "-3.5"]),
    ]
    kind = kinds[draw(st.integers(0, len(kinds) - 1))]
    columns, rows = draw(st.integers(1, 30)), draw(st.integers(1, 8))
    separator = draw(st.sampled_from([",", ", ", ",\n"]))
    written = [f"[{separator.join(kind() for _ in range(columns))}]" for _ in range(rows)]
    body = bytearray(f'{{"a":[{separator.join(written)}],"b":[1.5]}}'.encode())
    for _ in range(draw(st.integers(0, 3))):
        place = chance.randrange(len(body))
        body[place : place + chance.choice([0, 1, 1, 2])] = chance.choice(
            [
                b"",
                b"0",
                b"5",
                b".",
                b"-",
                b"e",
                b",",
                b" ",
                b"[",
                b"]",
                b"],[",
                b"1e3",
                b"\x00",
                b"\xff",
                b'"',
                b"99999999",
            ]
        )
    return bytes(body)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(long_bodies())
def test_long_arrays_are_read_or_refused_as_the_plain_decoder_does(body):
    assert outcome(cut_small, body) == outcome(decode_plain, body)


def test_an_array_may_end_anywhere_before_the_end_of_the_text():
    numbers = ["-0.12345678901234567", "7.5", "-123.25", "0.1234567890123456789", "12345678", "1e5", "-0.0", "0.001"]
    for behind in range(200):
        for count in range(1, 9):
            body = '{"a":[' + ",".join((numbers * 3)[-count:]) + '],"b":"' + "x" * behind + '"}'
            ((_, _, array),) = native.read_arrays(body.encode(), 1)
            assert array.tolist() == [float(number) for number in (numbers * 3)[-count:]]


def test_of_very_many_arrays_the_first_are_cut():
    body = json.dumps({str(name): [name + 0.5] for name in range(library.MOST_ARRAYS + 50)}).encode()
    assert len(native.read_arrays(body, 1)) == library.MOST_ARRAYS
    assert outcome(cut_small, body) == outcome(decode_plain, body)


def test_deeper_than_any_tensor_is_left_to_the_plain_decoder():
    for depth in (8, 9, 11):
        body = ('{"a":' + "[" * depth + "1.5" + "]" * depth + "}").encode()
        assert len(native.read_arrays(body, 1)) == (depth <= 8)
        assert outcome(cut_small, body) == outcome(decode_plain, body)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 64 * 255, 64 * 256 + 1, 100_000])
def test_characters_are_counted(size):
    for text in (random.Random(size).randbytes(size), b"," * size):
        for character in (b",", b"\x00", b"\xff"):
            assert native.count(text, character) == text.count(character)


def test_where_nothing_is_compiled_all_is_read_all_the_same(monkeypatch):
    body = json.dumps({"a": [[0.1, 2.0]] * 2000, "b": [None, "NaN", 1]}).encode()
    fast = outcome(decode_cut, body)
    monkeypatch.setattr(library, "_library", None)
    assert native.read_arrays(body, 1) == []
    assert cut_arrays(body) == (body, {})
    assert native.count(body, b",") == body.count(b",")
    assert outcome(decode_cut, body) == fast


def written(array):
    return bytes(native.write_numbers(array))


def by_orjson(array):
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)


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


@pytest.mark.soak
def test_every_float32_there_is():
    infinity = 0x7F80_0000
    for first in range(0, infinity, 1 << 20):
        numbers = np.arange(first, min(first + (1 << 20), infinity), dtype=np.uint32).view(np.float32)
        assert written(numbers) == by_orjson(numbers), f"from the bits {first:#x} on"


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


async def test_a_service_without_compiled_code_says_so_at_its_start(monkeypatch, caplog):
    for available in (True, False):
        monkeypatch.setattr(native, "AVAILABLE", available)
        monkeypatch.setattr("service.main.configure", lambda *_: None)
        app = create_app(Settings(compute_threads=1))
        caplog.clear()
        async with app.router.lifespan_context(app):
            told = [record.getMessage() for record in caplog.records if record.name == "service.server"]
        assert [("gcc" in message) for message in told] == [True] * (not available)


def test_without_a_compiler_installing_goes_on(tmp_path, monkeypatch):
    warnings = []
    hook = hatch_build.NativeNumbers.__new__(hatch_build.NativeNumbers)
    app = type("App", (), {"display_warning": lambda self, text: warnings.append(text)})()
    monkeypatch.setattr(hatch_build.NativeNumbers, "root", str(tmp_path))
    monkeypatch.setattr(hatch_build.NativeNumbers, "app", app)
    monkeypatch.setenv("CC", "no-such-compiler")
    build_data = {"artifacts": []}
    hook.initialize("editable", build_data)
    assert build_data == {"artifacts": []}
    assert "no-such-compiler" in warnings[0]
    assert "gcc" in warnings[0]
