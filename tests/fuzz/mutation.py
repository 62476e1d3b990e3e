"""Inputs made of others: bytes flipped, cut, repeated and spliced, numbers and words put in place of others.

The same seed and corpus make the same inputs in every run.
"""

import random
import re

NUMBERS = (b"0", b"-0", b"1", b"-1", b"7", b"255", b"256", b"65536", b"2147483648", b"-9223372036854775808",
           b"9223372036854775807", b"18446744073709551616", b"1e308", b"1e309", b"-1e400", b"1e-400", b"0.1", b"1.",
           b".5", b"00", b"1E+2", b"9" * 25, b"9" * 5000, b"5e-324", b"123456789012345678901e-20")  # fmt: skip

WORDS = (b"null", b"true", b"false", b"NaN", b"-Infinity", b'"NaN"', b'"Infinity"', b"[", b"]", b"[]", b"{}", b"{",
         b"}", b",", b":", b'"', b"\\", b'"\\ud800"', b'"\\u0000"', b'""', b" ", b"\n", b"\xef\xbb\xbf", b"\xff",
         b"\xc3\xa9", b"[[", b"]]", b"[" * 70, b'"query"', b'"key"', b'"value"', b'"name"', b'"mask"', b'"causal"',
         b'"allowed"', b'"bias"', b'"dtype"', b'"include"', b'"heads"', b'"inputs"', b'"shape"', b'"datatype"',
         b'"data"', b'"parameters"', b'"binary_data_size"', b'"FP16"', b'"BF16"', b'"BOOL"', b'"BYTES"',
         b'"options"', b'"data_offsets"', b'"F32"', b'"__metadata__"')  # fmt: skip

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

MAX_INPUT_BYTES = 12_000
"""Defects of decoders show in short inputs, of which many fit into a minute."""

KEPT_SHARE = 0.4

MAX_POOL_INPUTS = 1000


class Mutator:
    """Draws inputs from a pool, to which inputs with new outcomes are added."""

    def __init__(self, corpus: list[bytes], seed: int) -> None:
        self.random = random.Random(seed)
        self._corpus = list(corpus)
        self.pool = list(corpus)
        self._changes = (self._flip, self._set, self._insert, self._remove, self._repeat, self._splice, self._number,
                         self._number, self._word, self._word, self._cut)  # fmt: skip

    def next(self) -> bytes:
        """Return the next input: one of the corpus or of the pool, changed once or a few times."""
        data = self.random.choice(self._corpus if self.random.random() < KEPT_SHARE else self.pool)
        for _ in range(1 + int(self.random.expovariate(0.7))):
            data = self.random.choice(self._changes)(data)
        return data[:MAX_INPUT_BYTES]

    def keep(self, data: bytes) -> None:
        """Add an input to the pool; in a full one it takes the place of another."""
        if len(self.pool) < MAX_POOL_INPUTS:
            self.pool.append(data)
        else:
            self.pool[self.random.randrange(MAX_POOL_INPUTS)] = data

    def _place(self, data: bytes) -> int:
        return self.random.randrange(len(data) + 1)

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + 1 + int(self.random.expovariate(0.1)))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        place = self.random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << self.random.randrange(8))]) + data[place + 1 :]

    def _set(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + bytes([self.random.choice((0, 1, 127, 128, 255, 34, 91, 93))]) + data[place + 1 :]

    def _insert(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self.random.randbytes(self.random.randrange(1, 9)) + data[place:]

    def _remove(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self.random.choice((1, 1, 2, 10, 100)) + data[end:]

    def _splice(self, data: bytes) -> bytes:
        other = self.random.choice(self.pool)
        return data[: self._place(data)] + other[self._place(other) :]

    def _number(self, data: bytes) -> bytes:
        found = NUMBER.search(data, self._place(data))
        return data[: found.start()] + self.random.choice(NUMBERS) + data[found.end() :] if found else data

    def _word(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self.random.choice(WORDS) + data[self.random.choice((start, end)) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]
