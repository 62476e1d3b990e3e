"""Reads texts and writes numbers with a library that ends the process at the first byte that it must not touch.

python -m tests.service.codecs.sanitized LIBRARY
"""

import ctypes
import random
import sys

from service.codecs.json.native import library

TEXTS = 6000

FIELDS, ARRAYS = library.SHAPE_AT + library.MAX_DIMENSIONS, 2

WORDS = """
0 -0 1 -1 12 0.5 -0.25 0.12345678901234567 -123.456 12345678 123456789012345678901234567890 1e5 -1.5e-300 1e400 5e-324
0.000000000000000000000000000001 null true false "NaN" "Infinity" "x" [ ] { } , : " \\ ],[ 1.5,2.5,3.5
"""
PIECES = [*WORDS.split(), " ", ", ", "\n", "\x00", "\xff"]


def text(chance: random.Random) -> bytes:
    """Return something that begins like an array, of any length, and ends anywhere."""
    if chance.random() < 0.5:
        rows = ",".join(
            "[" + ",".join(f"{chance.gauss(0, 9):.{chance.randint(1, 20)}f}" for _ in range(9)) + "]" for _ in range(9)
        )
        body = f'{{"a":[{rows}],"b":[1,2]}}'
    else:
        body = '{"a":[' + ",".join(chance.choices(PIECES, k=chance.randint(0, 40)))
    whole = bytearray(body.encode("latin-1"))
    for _ in range(chance.randint(0, 3)):
        whole[chance.randrange(len(whole))] = chance.choice(b'0159.,-e[]\x00 "tfn')
    return bytes(whole[: chance.randint(0, len(whole))] if chance.random() < 0.5 else whole)


def write(compiled: ctypes.CDLL, chance: random.Random, size: int) -> None:
    """Write numbers of any bits into as much room as is asked for, to the last of it."""
    numbers = (ctypes.c_uint32 * size)(*(chance.getrandbits(32) for _ in range(size)))
    shape = (ctypes.c_int64 * 3)(1, size, 1)
    lists = size * 3
    room = library.BYTES_PER_NUMBER * size + library.BYTES_PER_LIST * lists + library.BYTES_BEHIND
    characters = ctypes.create_string_buffer(room)
    addresses = [ctypes.addressof(one) for one in (numbers, shape, characters)]
    length = compiled.attention_write_numbers(addresses[0], addresses[1], 3, addresses[2])
    assert characters.raw[:length].count(b"[") == 1 + 1 + size


def main() -> None:
    """Read, and say how many arrays there were; then write."""
    compiled = library.open_library(sys.argv[1])
    chance = random.Random(3)
    found = 0
    for _ in range(TEXTS):
        body = text(chance)
        # Unlike bytes, which have a head before them, this has memory of its own, with guards at both ends.
        alone = ctypes.create_string_buffer(body, len(body) + 1)
        slots = (ctypes.c_double * (len(body) // 2 + 1))()
        progress, fields = library.Progress(), (ctypes.c_int64 * (FIELDS * ARRAYS))()
        addresses = [ctypes.addressof(one) for one in (slots, progress, fields)]
        # Few at once, so that reading is taken up again in most texts.
        batch = ARRAYS
        while batch == ARRAYS:
            batch = compiled.attention_read_arrays(alone, len(body), 1, *addresses, ARRAYS)
            found += batch
        counts = (ctypes.c_int64 * 3)()
        compiled.attention_count_structure(alone, 0, len(body), ctypes.addressof(counts))
        assert sum(counts) <= len(body)
    assert found > TEXTS / 10
    for size in range(1, 600):
        write(compiled, chance, size)
    print(f"read {found} arrays")


if __name__ == "__main__":
    main()
