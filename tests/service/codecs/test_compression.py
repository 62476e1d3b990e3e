"""Content encodings: what one library writes another reads, in whatever pieces, and never more than is allowed."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs.compression import compress, decompress
from service.errors import MalformedBody, TooLarge

MANY = 1 << 30
ENCODINGS = ("gzip", "deflate")
THEIRS = {"gzip": (gzip.compress, gzip.decompress), "deflate": (zlib.compress, zlib.decompress)}

BODIES = st.binary(max_size=200) | st.builds(
    lambda piece, times: piece * times, st.binary(min_size=1, max_size=50), st.integers(1, 40_000)
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(body=BODIES)
def test_what_others_write_is_read_and_the_other_way_round(encoding: str, body: bytes) -> None:
    write, read = THEIRS[encoding]
    assert decompress(write(body), encoding, MANY, MANY) == body
    assert read(compress(body, encoding)) == body


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(bodies=st.lists(BODIES, min_size=2, max_size=4))
def test_gzip_may_come_in_several_members(bodies: list[bytes]) -> None:
    assert decompress(b"".join(map(gzip.compress, bodies)), "gzip", MANY, MANY) == b"".join(bodies)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 18])
def test_the_limit_is_exact(encoding: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert decompress(compress(body, encoding), encoding, size, MANY) == body
    with pytest.raises(TooLarge, match=f"at most {size} bytes"):
        decompress(compress(body + b"x", encoding), encoding, size, MANY)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(body=BODIES, data=st.data())
def test_whatever_is_cut_off_is_missed(encoding: str, body: bytes, data: st.DataObject) -> None:
    whole = compress(body, encoding)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MalformedBody, match=encoding):
        decompress(cut, encoding, MANY, MANY)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_is_refused_before_it_has_grown(encoding: str) -> None:
    bomb = compress(bytes(256 << 20), encoding)
    tracemalloc.start()
    with pytest.raises(TooLarge, match="at most 100 times its size; received"):
        decompress(bomb, encoding, 64 << 20, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20, f"{peak} bytes"
