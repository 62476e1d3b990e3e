"""Notes on unusual rows of a result, and on requests that are valid but often meant otherwise."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.call import RESULT_FIELDS, AttentionCall
from attention_core.dtypes import DType
from attention_core.formula_mask import FORMULA_PATH as MASK_PATH
from attention_core.formula_mask import FormulaMask
from attention_core.formulas import Formula, Node, parse_formula
from attention_core.interfaces import Mask, Normalizer
from attention_core.masks import Allowed, Causal, PrefixLengths, Window, masks_in
from attention_core.score_modifier import FORMULA_PATH as MODIFIER_PATH
from attention_core.shapes import Shape

MAX_NOTES = 20
"""Maximum number of notes about rows and the call together; the other rows are counted in one more."""


def call_notes(call: AttentionCall, scores: Shape, past_length: int) -> tuple[str, ...]:
    """Return notes on valid options that are often meant otherwise, or have no effect.

    They depend on shapes and options, not on numbers.

    :param call: the call, unchecked.
    :param scores: shape of the scores, (…, Lq, Lk), heads unpacked.
    :param past_length: number of cached keys, P.
    """
    masks = masks_in(call.mask)
    if not masks and call.bias is None and call.query.ndim != 4 and call.positions is None:
        return ()
    found = [_corner_note(call, scores, past_length)] if any(isinstance(mask, Causal) for mask in masks) else []
    found += [_reading_note("allowed", np.shape(mask.allowed), scores) for mask in masks if isinstance(mask, Allowed)]
    if call.bias is not None:
        found.append(_reading_note("bias", call.bias.shape, scores))
    found.append(_order_note(call))
    if call.positions is not None:
        found += _positions_notes(call, masks)
    if any(isinstance(mask, PrefixLengths) for mask in masks) and not any(map(_compares_positions, masks)):
        found.append("prefix_lengths has no effect: there is neither causal nor window to hide a key of the prefix")
    return tuple(dict.fromkeys(note for note in found if note))


def _corner_note(call: AttentionCall, scores: Shape, past_length: int) -> str:
    """Return where a causal mask begins, for lengths that differ and neither offset nor positions; empty otherwise."""
    queries, keys = scores[-2:]
    is_placed = call.offset is not None or call.positions is not None
    if is_placed or past_length or queries == keys or not queries or not keys:
        return ""
    counted = f"{_count(queries, 'query', 'queries')} and {_count(keys, 'key', 'keys')}"
    return f"causal with {counted}: query 0 stands at key 0; bottom_right aligns the ends"


def _count(number: int, one: str, many: str) -> str:
    """Return a number with the singular or the plural of what it counts."""
    return f"{number} {one if number == 1 else many}"


def _compares_positions(mask: Mask) -> bool:
    """Return whether a mask hides keys by their positions; a window without ends hides none."""
    if isinstance(mask, Window):
        return mask.left is not None or mask.right is not None
    return isinstance(mask, Causal)


def _positions_notes(call: AttentionCall, masks: Sequence[Mask]) -> Iterator[str]:
    """Yield which positions nothing reads, and the formulas that compare j, the index of a key that has a position."""
    positions = call.positions
    if positions is None:
        return
    formulas = dict(_formulas(call, masks))
    is_read = call.position is not None or any(map(_compares_positions, masks))
    if positions.query is not None and not is_read and not any(one.uses("p") for one in formulas.values()):
        yield "positions.query has no effect: only causal, window, alibi, rotary and p in a formula read it"
    if positions.key is None:
        return
    if not is_read:
        yield "positions.key has no effect: only causal, window, alibi and rotary read it"
    for name, formula in formulas.items():
        if _compares_key_index(formula.root):
            yield f"{name}: j is the index of the key, whatever positions.key says; p is the position of the query"


def _formulas(call: AttentionCall, masks: Sequence[Mask]) -> Iterator[tuple[str, Formula]]:
    """Yield the formulas over positions of a call, each with the name of its field."""
    if call.score_modifier is not None:
        yield "score_modifier", parse_formula(call.score_modifier.formula, "score_modifier", MODIFIER_PATH)
    for mask in masks:
        if isinstance(mask, FormulaMask):
            yield "mask.formula", parse_formula(mask.formula, "mask", MASK_PATH)


def _compares_key_index(node: Node) -> bool:
    """Return whether a formula uses j otherwise than as an index by itself, as in ``doc[j]``."""
    if node.operation == "name":
        return node.value == "j"
    is_index = node.operation == "index"
    return any(_compares_key_index(one) for one in node.operands if not (is_index and one.operation == "name"))


def _reading_note(name: str, shape: Shape, scores: Shape) -> str:
    """Return how an array of rank 2 or 3 is read that would fit the batch rows as well; empty for any other."""
    batch, lengths = scores[0], scores[-2:]
    if len(scores) > 2 and shape == lengths and shape[0] == batch > 1:
        read, meant, sent = "(Lq, Lk)", "(B, Lk)", [batch, *(1,) * (len(scores) - 2), shape[1]]
    elif len(scores) == 4 and len(shape) == 3 and shape[0] == scores[1] == batch > 1:
        read, meant, sent = "(H, Lq, Lk)", "(B, Lq, Lk)", [batch, 1, *shape[1:]]
    else:
        return ""
    return f"{name} of shape {list(shape)} is read as {read}, the same for every batch row; for {meant} send {sent}"


def _order_note(call: AttentionCall) -> str:
    """Return how axes 1 and 2 are read where no layout says it and the other order fits more heads than positions."""
    query, key, value = call.query, call.key, call.value
    if query.ndim != 4 or key.ndim != 4 or call.past_key is not None or call.layout is not None:
        return ""
    (query_heads, queries), (key_heads, keys) = query.shape[1:3], key.shape[1:3]
    fits = keys > 0 and queries % keys == 0 and (value is None or value.shape[1:3] == key.shape[1:3])
    if not fits or query_heads <= queries or key_heads <= keys:
        return ""
    return (
        f"rank 4 is read as (batch, heads, length, features): {query_heads} heads, "
        f"{_count(queries, 'query', 'queries')} and {_count(keys, 'key', 'keys')}; "
        "if it is (batch, length, heads, features), send layout bshd, or transpose axes 1 and 2"
    )


def row_notes(maximum: PerQuery, normalizer: Normalizer, max_rows: int = MAX_NOTES) -> tuple[str, ...]:
    """Return a note for each row without a visible key, or with NaN or +∞ among its visible logits.

    :param maximum: largest logit of each row, (…, Lq).
    :param normalizer: the call's normalizer.
    :param max_rows: maximum rows with a note of their own; one more note counts the others.
    """
    return tuple(_row_notes(np.argwhere(~np.isfinite(maximum)), maximum, normalizer, max_rows))


def _row_notes(rows: np.ndarray, maximum: PerQuery, normalizer: Normalizer, max_rows: int) -> Iterator[str]:
    for row in rows[:max_rows]:
        yield _note(tuple(int(i) for i in row), float(maximum[tuple(row)]), normalizer)
    if len(rows) > max_rows:
        yield f"and {len(rows) - max_rows} more"


def _note(row: tuple[int, ...], maximum: float, normalizer: Normalizer) -> str:
    name = f"row {row[0]}" if len(row) == 1 else f"row {list(row)}"
    if maximum == -np.inf:
        return f"{name}: no visible key; weights and output are zero"
    note = f"{name}: NaN or +infinity among the visible logits"
    return note if normalizer.propagates_non_finite else f"{note}; weights and output are NaN"


def storage_notes(
    computed: Mapping[str, FloatArray],
    stored: Mapping[str, FloatArray],
    dtype: DType,
    order: Sequence[str] = RESULT_FIELDS,
) -> tuple[str, ...]:
    """Return a note on the fields with finite numbers that became ±∞ when they were stored; none if there are none.

    :param computed: arrays by field, in the compute type.
    :param stored: the same arrays rounded to the storage type, possibly in another shape.
    :param dtype: the storage type.
    :param order: fields in the order in which the note names them; others are ignored.
    """
    both = ((name, computed[name], stored[name]) for name in order if name in computed and name in stored)
    names = [name for name, before, after in both if _infinite(after) > _infinite(before)]
    if not names:
        return ()
    limit = f"{dtype.name}, which holds at most {dtype.max_finite:.6g}"
    return (f"{', '.join(names)}: finite numbers exceed {limit}, and are returned as infinite; choose a wider dtype",)


def _infinite(array: FloatArray) -> int:
    """Return how many numbers are ±∞."""
    return int(np.count_nonzero(np.isinf(array)))
