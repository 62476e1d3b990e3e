"""Score models that need several numbers for each pair: blocks of pairs whose numbers stay in the cache."""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from attention_core.arrays import FloatArray

PAIR_BLOCK_NUMBERS = 1 << 18
"""About how many numbers a block of pairs holds at once: they stay in the cache (benchmarks/RESULTS.md, "chunks of 2¹⁶,
2¹⁷, 2¹⁸, 2¹⁹")."""

MAX_KEYS_PER_PAIR_BLOCK = 512
"""Maximum keys of a block of pairs."""


def iterate_pair_units(
    combine: np.ufunc, queries: FloatArray, keys: FloatArray
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Yield rows, columns and combine(q, k) for each unit of each pair, one block of pairs at a time.

    :param combine: binary ufunc, such as `np.add` or `np.subtract`.
    :param queries: (…, Lq, U).
    :param keys: transposed, (…, U, Lk).

    The yielded array is (…, q, U, k); the caller may change it, and the next block overwrites it.
    """
    leading = np.broadcast_shapes(queries.shape[:-2], keys.shape[:-2])
    n_queries, (n_units, n_keys) = queries.shape[-2], keys.shape[-2:]
    n_pairs = max(1, PAIR_BLOCK_NUMBERS // max(1, prod(leading) * n_units))
    width = max(1, min(n_keys, n_pairs, MAX_KEYS_PER_PAIR_BLOCK))
    height = max(1, min(n_queries, n_pairs // width))
    # A ufunc's inner loop runs along the keys.
    keys = np.ascontiguousarray(keys)
    block = np.empty((*leading, height, n_units, width), dtype=keys.dtype)
    for row, column in product(range(0, n_queries, height), range(0, n_keys, width)):
        rows, columns = slice(row, min(row + height, n_queries)), slice(column, min(column + width, n_keys))
        out = block[..., : rows.stop - row, :, : columns.stop - column]
        yield rows, columns, combine(queries[..., rows, :, None], keys[..., None, :, columns], out=out)
