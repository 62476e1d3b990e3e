"""What a call will cost, known before anything is computed."""

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Literal

from attention_core.call import Field, ResolvedCall
from attention_core.interfaces import ELEMENTWISE, Normalizer, Streaming
from attention_core.scores.features import BLOCK_NUMBERS as PAIR_NUMBERS

BLOCK_NUMBERS = 1 << 22
"""About how many numbers a block of queries may hold while it is scored."""

MATRICES = 4
"""A tile that streams holds logits, weights and what it takes to make them."""

STEP, FRESH, RANKED = 10, 20, 450
"""Elementwise operations per pair: of a step between scores and logits, of memory that is new, of a ranking."""

ROUNDED = 3
"""Numbers held for each that is rounded to bfloat16."""

NUMBERS_PER_RANK = 3
"""A ranked key, its score and its weight."""


KEPT_KEYS = 1 << 22
"""Up to so many numbers are kept of what a score model made of the keys of one block; beyond, it is made again."""

MATRIX_FREE: frozenset[Field] = frozenset(("output", "logsumexp", "present"))
"""Fields for which no matrix of scores, logits or weights need exist."""

MATRIX_FIELDS: frozenset[Field] = frozenset(("scores", "capped_scores", "logits", "weights"))
"""Fields that are one matrix of the scores' shape."""

TILED_PAIRS = 1 << 17
"""From so many pairs on tiles are worth their bookkeeping; below it one matrix fits in the cache."""

TILE_ROWS, TILE_COLUMNS = 512, 512
"""A tile of float32 scores and its operands stay in the cache of one core."""

MOST_ROWS = 2 * TILE_ROWS
"""Of short rows a tile has more."""

LEAST_ROWS = 128
"""Fewer rows leave more to share; below it products become slow."""

MASKED_NUMBERS = 4 * TILE_ROWS * TILE_COLUMNS
"""A tile that a mask cuts is taken step by step, so that it may begin with more."""

ROW_NUMBERS = 1 << 20
"""Short rows are taken together until they have so many scores: what a thread does between tiles costs the others."""

SHARES = 8
"""In so many parts the rows of a call can be shared by threads, if there are enough of them."""

MASKED_SHARES = 4
"""In so many where a mask makes steps of them: small steps cost threads more than they gain."""

WHOLE_ROWS = 1 << 17
"""About how many logits are held where a normalizer needs whole rows, and MATRICES as many beside them."""

Path = Literal["dense", "tiled"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost: operations, peak bytes beside the inputs, numbers in the result, and the path.

    Operations are those of a matrix product; every other counts as many times as it takes longer.
    """

    operations: int
    bytes: int
    result_numbers: int
    path: Path = "dense"


@dataclass(frozen=True, slots=True)
class TileSizes:
    """How the scores are cut: rows and columns of a tile, and how many matrices of the leading axes it holds."""

    rows: int
    columns: int
    matrices: int = 1


def predict(call: ResolvedCall, threads: int = 1) -> Cost:
    """Return the cost of a call on the path that will be taken, with that many threads on the tiled one."""
    path = choose_path(call)
    return _cost(call, path, _dense_numbers(call) if path == "dense" else _tiled_numbers(call, threads))


def predict_dense(call: ResolvedCall) -> Cost:
    """Return the cost on the dense path, for those who take it whatever is asked back."""
    return _cost(call, "dense", _dense_numbers(call))


def _cost(call: ResolvedCall, path: Path, held: int) -> Cost:
    """Count operations and result, beside `held` numbers."""
    pairs = prod(call.scores)
    leading = prod(call.scores[:-2])
    model = call.score_model
    operations = leading * model.operations(call.query_length, call.key_length, call.features)
    steps = (call.softcap, call.softcap, call.bias, call.mask, call.position)
    passes = call.normalizer.operations_per_logit() + STEP * sum([step is not None for step in steps])
    passes += (FRESH if path == "dense" else 0) + (RANKED if "ranking" in call.include else 0)
    operations += ELEMENTWISE * pairs * passes
    if "output" in call.include and call.value is not None:
        operations += 2 * prod(output_shape(call)) * call.key_length
    sizes = [prod(shape) for name in call.include for shape in field_shapes(call, name)]
    result = sum(sizes)
    if call.dtype.name == "bfloat16":
        held += ROUNDED * max(sizes, default=0)
    return Cost(operations, (held + result) * call.dtype.compute.itemsize, result, path)


def choose_path(call: ResolvedCall) -> Path:
    """Return tiled where no matrix is asked back and the scores are large, else dense."""
    return "tiled" if call.include <= MATRIX_FREE and prod(call.scores) >= TILED_PAIRS else "dense"


def tile_sizes(call: ResolvedCall) -> TileSizes:
    """Return sizes under which a tile stays in the cache; small matrices go several at a time.

    They do not depend on the number of threads, so that no number of the result does, but leave something to share.
    """
    leading, length, keys = prod(call.scores[:-2]), call.query_length, max(1, call.key_length)
    streamed, masked = streams(type(call.normalizer)), call.mask is not None
    shares = MASKED_SHARES if masked else SHARES
    # What a mask leaves of a short tile is little, and of a tall one it takes many steps.
    most = min(TILE_ROWS, length // shares) if masked else min(MOST_ROWS, ROW_NUMBERS // keys)
    most = max(most, LEAST_ROWS if masked else TILE_ROWS)
    if not streamed:
        most = min(most, WHOLE_ROWS // keys)
    rows = max(1, min(length, most, max(LEAST_ROWS, leading * length // SHARES)))
    columns = min(keys, TILE_COLUMNS)
    if streamed:
        numbers = MASKED_NUMBERS if masked else TILE_ROWS * TILE_COLUMNS
        fitting = max(numbers // (rows * columns), ROW_NUMBERS // (rows * keys))
    else:
        fitting = WHOLE_ROWS // (rows * keys)
    matrices = min(fitting, leading, leading * -(-length // rows) // shares)
    return TileSizes(rows, columns, max(1, matrices))


@cache
def streams(normalizer: type[Normalizer]) -> bool:
    """Return whether tiles of a row may come one at a time; a protocol takes long to answer."""
    return issubclass(normalizer, Streaming)


def _dense_numbers(call: ResolvedCall) -> int:
    """Numbers that a block of queries holds against all keys.

    Beside its scores there are numbers for each row and each key, even where the other of the two is missing.
    """
    least = prod(call.scores[:-2]) * max(1, call.query_length, call.key_length)
    block = max(least, min(prod(call.scores), queries_per_block(call) * call.scores_per_query))
    repeated = (call.group - 1) * (call.key.size + (0 if call.value is None else call.value.size))
    return block * (call.score_model.scratch(call.features) + call.normalizer.scratch()) + (
        repeated if call.group > 1 else 0
    )


def _tiled_numbers(call: ResolvedCall, threads: int) -> int:
    """Numbers that the tiles of all threads hold, with what is made of a matrix's keys and of their queries."""
    sizes = tile_sizes(call)
    in_tiles = streams(type(call.normalizer))
    row = sizes.columns if in_tiles else (call.normalizer.scratch() + 1) * call.key_length
    vectors = call.features.query + call.features.key + 3 * (0 if call.value is None else call.value.shape[-1])
    scratch = 2 * PAIR_NUMBERS
    tile = sizes.matrices * sizes.rows * (MATRICES * row if in_tiles else row) + sizes.rows * vectors + scratch
    keys = min(sizes.matrices * call.key_length * call.features.key, KEPT_KEYS)
    return threads * tile + 2 * keys + prod(call.scores[:-1])


def queries_per_block(call: ResolvedCall) -> int:
    """Return how many queries the dense path takes at once, so that their scratch stays near BLOCK_NUMBERS."""
    numbers = prod(call.scores) * call.score_model.scratch(call.features)
    # Most calls fit, and are not asked what they would be cut into.
    return call.query_length if numbers <= BLOCK_NUMBERS else max(1, BLOCK_NUMBERS * call.query_length // numbers)


def output_shape(call: ResolvedCall) -> tuple[int, ...]:
    """Return (…, Lq, Dv)."""
    if call.value is None:
        raise ValueError("a call without values has no output")
    return (*call.output_leading, call.query_length, call.value.shape[-1])


def field_shapes(call: ResolvedCall, name: Field) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays that one field of the result consists of."""
    if name in MATRIX_FIELDS:
        return [call.scores]
    rows, keys = call.scores[:-1], (*call.scores[:-2], call.scores[-1])
    if name == "output":
        return [output_shape(call)]
    if name == "logsumexp":
        return [rows]
    if name == "present":
        return [] if call.present is None else [array.shape for array in call.present]
    if name == "diagnostics":
        spread = 5 if call.normalizer.is_distribution else 2
        return [rows] * spread + [keys]
    most = call.key_length if call.top_k is None else min(call.top_k, call.key_length)
    return [(*rows, most)] * NUMBERS_PER_RANK
