"""Choose the sizes of the tiles of a call."""

from dataclasses import dataclass
from math import prod

from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_online

TILE_ROWS = 256
"""Maximum queries of a tile."""

MAX_TILE_SCORES = TILE_ROWS * 512
"""About how many scores a tile has: in float32 they stay in one core's cache."""

MAX_TILE_COLUMNS = 4096
"""Maximum keys of a tile, of few rows: their features are read, and projected, together."""

TASKS_PER_CALL = 8
"""Number of tasks into which a call is divided at least, if it has enough rows, so that threads can share it."""

MAX_BLOCK_WEIGHTS = 1 << 20
"""Maximum weights that are held at once while they are averaged over heads, unless a single matrix has more."""


@dataclass(frozen=True, slots=True)
class TileSizes:
    """Sizes of a tile of the scores."""

    rows: int
    """Queries, ≥ 1."""
    columns: int
    """Keys, ≥ 1."""
    matrices: int = 1
    """Matrices of the leading axes, ≥ 1."""


def choose_tile_sizes(call: ResolvedCall) -> TileSizes:
    """Return the sizes of a call's tiles on the tiled path, each of about `MAX_TILE_SCORES` scores.

    A normalizer that is not online needs whole rows.  Sizes do not depend on the number of threads, so that results do
    not either, but leave enough tasks to share.
    """
    leading, keys = prod(call.score_shape[:-2]), max(1, call.key_length)
    max_rows = TILE_ROWS if supports_online(call.normalizer) else min(TILE_ROWS, MAX_TILE_SCORES // keys)
    rows = max(1, min(call.query_length, max_rows))
    columns = min(keys, MAX_TILE_COLUMNS, max(1, MAX_TILE_SCORES // rows))
    n_row_tiles = leading * -(-call.query_length // rows)
    matrices = min(leading, MAX_TILE_SCORES // (rows * keys), n_row_tiles // TASKS_PER_CALL)
    return TileSizes(rows, columns, max(1, matrices))


def count_block_matrices(call: ResolvedCall) -> int:
    """Return of how many matrices the weights are held at once while they are averaged over heads, ≥ 1."""
    return min(max(1, prod(call.score_shape[:-2])), max(1, MAX_BLOCK_WEIGHTS // max(1, prod(call.score_shape[-2:]))))
