"""Shapes of the fields of a result."""

from attention_core.call import ResolvedCall, ResultField

MATRIX_FIELDS: frozenset[ResultField] = frozenset(("scores", "capped_scores", "modified", "logits", "weights"))
"""Fields that are one matrix of the score shape."""

ARRAYS_PER_RANKING = 3
"""Arrays of a ranking: keys, scores and weights."""


def output_shape(call: ResolvedCall) -> tuple[int, ...]:
    """Return the shape of the output, (…, Lq, Dv), heads unpacked; raise ValueError for a call without values."""
    if call.stored_value is None:
        raise ValueError("a call without values has no output")
    return (*call.output_leading_shape, call.query_length, call.stored_value.shape[-1])


def field_shapes(call: ResolvedCall, name: ResultField) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays that make up one field of the result, heads unpacked.

    :param call: what `resolve` returned.
    :param name: the field; present has two arrays, diagnostics up to six, ranking three, others one.
    """
    if name in MATRIX_FIELDS:
        return [call.score_shape]
    rows, keys = call.score_shape[:-1], (*call.score_shape[:-2], call.score_shape[-1])
    if name == "output":
        return [output_shape(call)]
    if name == "mean_weights":
        return [(call.score_shape[0], *call.score_shape[2:])]
    if name == "logsumexp":
        return [rows]
    if name == "present":
        return [] if call.present is None else [array.shape for array in call.present]
    if name == "diagnostics":
        spread = 5 if call.normalizer.is_distribution else 2
        return [rows] * spread + [keys]
    ranked_keys = call.key_length if call.top_k is None else min(call.top_k, call.key_length)
    return [(*rows, ranked_keys)] * ARRAYS_PER_RANKING
