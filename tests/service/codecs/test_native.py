"""The compiled code: every number to the last bit, whatever stands around it."""

import json
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs.json import Extended, native
from service.codecs.json.cut import cut_arrays
from service.codecs.json.decode import decode_cut, decode_plain
from service.codecs.json.native import library
from tests.sampling import draws, every
from tests.service.codecs.cuts import ODD_NUMBERS, cut_small, outcome

pytestmark = pytest.mark.usefixtures("each_library")


def read(numbers, separator=","):
    """Return what the compiled code makes of an array with these numbers, which must be read."""
    text = '{"a":[' + separator.join(numbers) + "]}"
    ((start, end, array),), _ = native.read_arrays(text.encode(), 1)
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


@pytest.mark.parametrize("separator", every(3, [",", ", ", " ,", ",\n", ",  ", "\t,\r\n "]))
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


@settings(max_examples=draws(400))
@given(long_bodies())
def test_long_arrays_are_read_or_refused_as_the_plain_decoder_does(body):
    assert outcome(cut_small, body) == outcome(decode_plain, body)


def test_an_array_may_end_anywhere_before_the_end_of_the_text():
    numbers = ["-0.12345678901234567", "7.5", "-123.25", "0.1234567890123456789", "12345678", "1e5", "-0.0", "0.001"]
    for behind in range(200):
        for count in range(1, 9):
            body = '{"a":[' + ",".join((numbers * 3)[-count:]) + '],"b":"' + "x" * behind + '"}'
            ((_, _, array),), _ = native.read_arrays(body.encode(), 1)
            assert array.tolist() == [float(number) for number in (numbers * 3)[-count:]]


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 128, 129, 255, 256, 257, 1000])
def test_any_number_of_arrays_is_read(count):
    body = json.dumps({str(name): [name + 0.5] * (name % 7 + 1) for name in range(count)}).encode()
    arrays, refused = native.read_arrays(body, 1)
    assert [array.tolist() for _, _, array in arrays] == [[name + 0.5] * (name % 7 + 1) for name in range(count)]
    assert [json.loads(body[start:end]) for start, end, _ in arrays] == [array.tolist() for _, _, array in arrays]
    assert refused is None
    assert outcome(cut_small, body) == outcome(decode_plain, body)


def test_beyond_what_memory_allows_arrays_are_left_to_the_plain_decoder(monkeypatch):
    body = json.dumps({str(name): [name + 0.5] for name in range(300)}).encode()
    expected = outcome(decode_plain, body)
    for limit in (1, 63, 64, 65, 299, 300):
        monkeypatch.setattr(library, "MAX_ARRAYS", limit)
        assert len(native.read_arrays(body, 1)[0]) == limit
        assert outcome(cut_small, body) == expected


@pytest.mark.parametrize("axes", [1, 8, 9, 32, 33, 63, 64, 65, 66, 1000, 1100, 5000])
def test_an_array_has_any_number_of_axes_up_to_those_of_numpy(axes):
    for numbers in ("1.5,2.5", "true", "1"):
        body = ('{"a":' + "[" * axes + numbers + "]" * axes + "}").encode()
        arrays, _ = native.read_arrays(body, 1)
        assert [array.ndim for _, _, array in arrays] == [axes] * (axes <= 64)
        for max_depth in (12, 64, 65, 66, 200):
            fast, plain = outcome(cut_small, body, max_depth), outcome(decode_plain, body, max_depth)
            assert fast == plain
            if axes >= max_depth:
                assert f"at most {max_depth} levels" in plain


@pytest.mark.parametrize(
    ("text", "start", "at", "elements"),
    [
        ('{"a":[1,2,"x"]}', 5, 10, 2),
        ('{"a":[1.5,2.5,1e400]}', 5, 14, 2),
        ('{"a":[[1,2],[3]]}', 5, 14, 3),
        ('{"a":[1,2', 5, 9, 2),
        ('{"a":[1,2 3]}', 5, 10, 2),
        ('{"a":[1,true],"b":[1,2,3,{}],"c":[1,2,null,{}]}', 18, 25, 3),
    ],
)
def test_of_the_arrays_that_are_none_the_longest_is_told(text, start, at, elements):
    assert native.read_arrays(text.encode(), 1) == ([], (start, at, elements))


def structure_of(text):
    """Count one character after the other: commas, colons behind strings, openings."""
    commas = names = openings = 0
    inside = skipped = behind_string = False
    for character in text.decode("latin-1"):
        if skipped:
            skipped = False
        elif inside:
            skipped, inside = character == "\\", character != '"'
            behind_string = not inside
        else:
            commas += character == ","
            openings += character in "[{"
            names += character == ":" and behind_string
            inside = character == '"'
            behind_string = behind_string and character in " \n\t\r"
    return commas, names, openings


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 129, 64 * 255, 64 * 256 + 1, 30_000])
def test_structural_characters_are_counted_outside_strings_alone(size):
    chance = random.Random(size)
    texts = [bytes(chance.choices(b',:[{ 1.5"\\]}', weights, k=size)) for weights in ([9] * 12, [9] * 8 + [1] * 4)]
    for text in (chance.randbytes(size), b"," * size, b'"' + b"," * size, b"[" * size + b'"', *texts):
        assert native.count_structure(text) == structure_of(text)
        start, end = sorted(chance.choices(range(size + 1), k=2))
        assert native.count_structure(text, start, end) == structure_of(text[start:end])
        assert native.count_structure(text, start, size + 9) == structure_of(text[start:])


def test_where_nothing_is_compiled_all_is_read_all_the_same(monkeypatch):
    body = json.dumps({"a": [[0.1, 2.0]] * 2000, "b": [None, "NaN", 1], "c": 'd,":[{'}).encode()
    fast, structure = outcome(decode_cut, body), native.count_structure(body)
    monkeypatch.setattr(library, "_library", None)
    assert native.read_arrays(body, 1) == ([], None)
    assert cut_arrays(body) == (body, {}, None)
    assert native.count_structure(body) == structure == structure_of(body)
    assert native.count_structure(body[:-6]) == structure_of(body[:-6])
    assert outcome(decode_cut, body) == fast
