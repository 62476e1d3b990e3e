"""Content encodings: what one library writes another reads, in whatever pieces, and never more than is allowed."""

import gzip
import random
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs.compression import CODINGS, INPUT_BYTES, compress, compress_if_shorter, decompress
from service.codecs.negotiate import AS_IT_IS, ENCODINGS, WantedEncoding, body_encoding, choose_encoding
from service.errors import MalformedBody, NotAcceptable, TooLarge, UnsupportedEncoding
from tests.sampling import draws

MANY = 1 << 30
THEIRS = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
    "zstd": (
        zstandard.ZstdCompressor(write_checksum=True).compress,
        lambda frame: zstandard.ZstdDecompressor().decompressobj().decompress(frame),
    ),
}

BODIES = st.binary(max_size=200) | st.builds(
    lambda piece, times: piece * times, st.binary(min_size=1, max_size=50), st.integers(1, 40_000)
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=draws(80))
@given(body=BODIES)
def test_what_others_write_is_read_and_the_other_way_round(encoding: str, body: bytes) -> None:
    write, read = THEIRS[encoding]
    assert decompress(write(body), encoding, MANY, MANY) == body
    assert read(compress(body, encoding)) == body


def test_every_encoding_that_is_negotiated_is_written_and_tried_here() -> None:
    assert set(ENCODINGS) == set(CODINGS) == set(THEIRS)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@settings(max_examples=draws(60))
@given(bodies=st.lists(BODIES, min_size=2, max_size=4))
def test_some_may_come_in_several_members(encoding: str, bodies: list[bytes]) -> None:
    write, _ = THEIRS[encoding]
    assert decompress(b"".join(map(write, bodies)), encoding, MANY, MANY) == b"".join(bodies)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("behind", [b"x", b"more", bytes(INPUT_BYTES), b"\0" * 3 * INPUT_BYTES])
@pytest.mark.parametrize("size", [0, 5, 40_000])
def test_nothing_may_lie_behind_the_end(encoding: str, behind: bytes, size: int) -> None:
    write, _ = THEIRS[encoding]
    with pytest.raises(MalformedBody, match=encoding):
        decompress(write(random.Random(1).randbytes(size)) + behind, encoding, MANY, MANY)


def test_zstd_may_not_ask_for_more_memory_than_the_web_allows() -> None:
    body = random.Random(2).randbytes(1000) * 20_000
    for window, fits in ((23, True), (24, False)):
        parameters = zstandard.ZstdCompressionParameters(window_log=window)
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # of unknown size
        frame = compressor.compress(body) + compressor.flush()
        if fits:
            assert decompress(frame, "zstd", MANY, MANY) == body
        else:
            with pytest.raises(MalformedBody, match="zstd"):
                decompress(frame, "zstd", MANY, MANY)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 18])
def test_the_limit_is_exact(encoding: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert decompress(compress(body, encoding), encoding, size, MANY) == body
    with pytest.raises(TooLarge, match=f"at most {size} bytes"):
        decompress(compress(body + b"x", encoding), encoding, size, MANY)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=draws(80))
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


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_hardly_shrinks_is_left_as_it_is(encoding: str) -> None:
    noise, words = random.Random(3).randbytes(200_000), b"0.70167,0.14893,0.09983,0.04957," * 6_000
    assert compress_if_shorter(noise, encoding) is None
    assert compress_if_shorter(words[:1000], encoding) is None
    for long in (words[:2000], words):
        compressed = compress_if_shorter(long, encoding)
        assert compressed is not None
        assert THEIRS[encoding][1](compressed) == long


@pytest.mark.parametrize(
    ("accepted", "name", "insistent"),
    [
        (None, None, False),
        ("", None, False),
        ("identity", None, False),
        ("snappy, compress", None, False),
        ("gzip", "gzip", False),
        ("GZIP;Q=0.5", "gzip", False),
        ("gzip, deflate", "gzip", False),
        ("deflate, gzip;q=0.5", "deflate", False),
        ("gzip, deflate, br, zstd", "zstd", False),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "br", False),
        ("gzip;q=0", None, False),
        ("gzip;q=2, br;q=0.1", "br", False),
        ("*", "zstd", False),
        ("*, zstd;q=0", "br", False),
        ("*;q=0", "", False),
        ("identity;q=0", "", False),
        ("identity, gzip;q=0.5", None, False),
        ("identity;q=0.5, gzip", "gzip", False),
        ("gzip, identity;q=0", "gzip", True),
        ("br, *;q=0", "br", True),
        ("*;q=0, identity", None, False),
    ],
)
def test_the_best_of_what_is_accepted_is_chosen(accepted: str | None, name: str | None, insistent: bool) -> None:
    if name == "":
        with pytest.raises(NotAcceptable):
            choose_encoding(accepted)
    else:
        assert choose_encoding(accepted) == (AS_IT_IS if name is None else WantedEncoding(name, insistent))


@pytest.mark.parametrize(
    ("sent", "encoding"), [(None, None), ("", None), (" Identity", None), ("BR ", "br"), ("zstd", "zstd")]
)
def test_one_encoding_is_read(sent: str | None, encoding: str | None) -> None:
    assert body_encoding(sent) == encoding


@pytest.mark.parametrize("sent", ["gzip, br", "gzip, gzip", "compress", "br;q=1"])
def test_any_other_is_refused(sent: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="gzip or deflate, or none"):
        body_encoding(sent)
