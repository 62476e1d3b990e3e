"""Arrays read where they stand, beside the plain decoder: the same documents, bit for bit, and the same refusals."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs.json import Extended
from service.codecs.json.cut import cut_arrays
from service.codecs.json.decode import decode, decode_plain
from tests.sampling import draws
from tests.service.codecs.cuts import DEPTH, ODD_NUMBERS, cut_small, described, outcome

ODD_NUMBERS += ["1" * 400, "0." + "0" * 400 + "1", "123456789" * 5 + "." + "987654321" * 90, "1" * 310 + "e-300"]
ODD_NUMBERS += ["0." + "0" * zeros + f"1e{zeros + 1}" for zeros in (1500, 1_000_000)]
ODD_NUMBERS += ["0." + "0" * 400 + "1e4010", "0." + "0" * 999_990 + "1e10000000"]
TOKENS = [
    *ODD_NUMBERS,
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"',
    "\\",
    " ",
    "\n",
    "\t",
    "\r",
    "\f",
    "\x00",
    "é",
    "\ud800",
    "],[",
    "[[",
    "]]",
]
tokens = st.sampled_from([token.encode(errors="surrogatepass") for token in TOKENS if len(token) < 2000])


@st.composite
def lists(draw):
    """A rectangular list of numbers, booleans or extended numbers, perhaps with an odd element."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    kinds = {
        "integers": st.integers(-(2**53), 2**53),
        "floats": st.floats(allow_nan=False, allow_infinity=False),
        "numbers": st.integers(-9, 9) | st.floats(-9, 9),
        "booleans": st.booleans(),
        "extended": st.floats(-9, 9) | st.sampled_from([None, "NaN", "Infinity"]),
        "words": st.sampled_from([None, "NaN", "Infinity"]),
    }
    elements = kinds[draw(st.sampled_from(sorted(kinds)))]

    def nest(axis):
        return draw(elements) if axis == len(shape) else [nest(axis + 1) for _ in range(shape[axis])]

    return nest(0)


names = st.sampled_from(["query", "key", 'a"b', "a\\", "[1,2]", ':"[', "ключ"])
plain_members = st.none() | st.text(max_size=4) | st.integers(-9, 9)
members = st.deferred(lambda: lists() | plain_members | objects | st.lists(objects | lists(), max_size=2))
objects = st.dictionaries(names, members, max_size=3)
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"separators": (" ,\n", "\t: ")}])


@st.composite
def bodies(draw):
    """The bytes of a request, whole or with a few bytes changed."""
    layout = draw(layouts)
    parts = [
        json.dumps(name) + ":" + json.dumps(value, ensure_ascii=False, **layout)
        for name, value in draw(st.lists(st.tuples(names, members), min_size=1, max_size=4))
    ]
    body = ("{" + ",".join(parts) + "}").encode()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(body)))
        change = draw(st.sampled_from(["insert", "replace number", "flip", "cut", "swap", "drop"]))
        if change == "insert":
            body = body[:place] + draw(tokens) + body[place:]
        elif change == "replace number":
            end = place
            while end < len(body) and body[end : end + 1] not in b",[]{}: \n\t":
                end += 1
            body = body[:place] + draw(tokens) + body[end:]
        elif change == "flip" and place < len(body):
            body = body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + 1 :]
        elif change == "cut":
            body = body[:place]
        elif change == "swap":
            body = (
                body[:place] + body[place : place + 9].translate(bytes.maketrans(b"[]{}", b"][}{")) + body[place + 9 :]
            )
        elif change == "drop":
            body = body[:place] + body[place + draw(st.integers(1, 4)) :]
    return body


@settings(max_examples=draws(300))
@given(bodies())
def test_both_ways_of_decoding_agree(body):
    assert outcome(cut_small, body) == outcome(decode_plain, body)


@pytest.mark.parametrize(
    "frame",
    [
        '{"a": [%s]}',
        '{"a": [1, %s]}',
        '{"a": [2.5, %s]}',
        '{"a": [null, %s]}',
        '{"a": [[1, %s], [3, 4]]}',
        '{"a": [1.5, %s, null]}',
        '{"a": [true, %s]}',
        '{"a": [' + "0.5," * 20 + "%s," + "3.5," * 30 + "1]}",
        '{"a": [' + "0.5, " * 20 + "%s, " + "3.5, " * 30 + "1]}",
    ],
)
def test_a_number_in_an_odd_spelling(frame):
    for number in ODD_NUMBERS:
        body = (frame % number).encode()
        assert outcome(cut_small, body) == outcome(decode_plain, body), number[:40]


@pytest.mark.parametrize(
    "value",
    ["[[1,[2]],[3,[4]]]", "[[1,2],3,[4,5]]", "[[1,2],[3]]", "[[],[]]", "[[[1]],[1]]", "[1,[]]", "[[1]2,[3]4]",
     "[[]1,[2]]", "[[1,2]3,[4 5]]", "[1 2]", "[1,]", "[,1]", "[[1],,[2]]", "[1],[2]", "[1][2]", "[1]]", "[[1]"],
)  # fmt: skip
def test_what_is_not_a_whole_array_is_left_to_the_plain_decoder(value):
    for body in (
        f'{{"a": {value}}}',
        f'{{"b": 1, "a": {value}, "c": [2]}}',
        f"[{value}]",
        f'{{"a": [[{{"b": {value}}}]]}}',
    ):
        assert outcome(cut_small, body.encode()) == outcome(decode_plain, body.encode())


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.arange(-5000, 5000).reshape(100, 100), np.ndarray),
        (np.linspace(-1, 1, 9000).reshape(10, 9, 100), np.ndarray),
        (np.arange(20000).reshape(2, 10000) % 3 == 0, np.ndarray),
        (np.where(np.arange(20000.0) % 7, np.arange(20000.0) / 3, -np.inf).reshape(200, 100), Extended),
        (np.where(np.arange(20000.0) % 7, np.arange(20000.0) / 3, np.nan).reshape(2, 100, 100), Extended),
        (np.full((4, 5000), np.inf), Extended),
    ],
)
def test_long_arrays_are_cut(array, kind):
    names = {-np.inf: None, np.inf: "Infinity"}
    nested = [names.get(leaf, "NaN" if leaf != leaf else leaf) for leaf in array.ravel().tolist()]
    value = np.array(nested, dtype=object).reshape(array.shape).tolist()
    body = json.dumps({"first": 1, "tensor": value, "labels": ["[1", "]"]}).encode()
    rest, arrays, _ = cut_arrays(body)
    assert [type(cut) for cut in arrays.values()] == [kind], "otherwise this is not the fast way"
    assert len(rest) < 100
    assert described(decode(body, DEPTH)) == described(decode_plain(body, DEPTH))


@pytest.mark.alone
@pytest.mark.parametrize("piece", [b":[", b":[1", b":[1]}", b':[1],"', b":[]", b'":["', b':["a"],', b'\\"', b':["NaN"'])
def test_text_that_looks_like_many_arrays_is_looked_at_a_few_times(piece):
    times = []
    for repeats in (10_000, 160_000):
        body = b"{" + piece * repeats
        began = time.perf_counter()
        cut_arrays(body)
        times.append(time.perf_counter() - began)
    # Sixteen times as long takes sixteen times as long, not two hundred and fifty-six times.
    assert times[1] < 60 * times[0] + 0.1
