"""Mistakes in the inputs of a call: scaled biases, queries, keys and values in each other's place, later scores."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.checking.empty_rows import LARGE_NEGATIVE
from attention_core.checking.variants import ChangedCall, CheckContext, Fields, Variant, resolve_repeated
from attention_core.dense import evaluate_query_block
from attention_core.parameters import broadcast_over_pairs
from attention_core.positions import Alibi
from attention_core.scores import ScaledDotProduct


def negated_bias(_: ResolvedCall, bias: FloatArray) -> FloatArray:
    """Subtracted instead of added; keys hidden by −∞ stay hidden."""
    return np.where(np.isneginf(bias), -np.inf, -bias)


def transposed_bias(call: ResolvedCall, bias: FloatArray) -> FloatArray:
    """Keys by queries."""
    is_square = bias.shape[-2] == bias.shape[-1] == call.key_length > 1
    return bias.swapaxes(-1, -2) if is_square else bias


def bias_scaled(context: CheckContext) -> Iterator[Variant]:
    """(q·k + bias) · scale; or ALiBi in place of the bias, or both."""
    model = context.call.score_model
    if not isinstance(model, ScaledDotProduct) or model.scale is None or not np.all(model.scale > 0):
        return
    bias, position = context.call.bias, context.call.position
    scaled: dict[str, Any] = {}
    if bias is not None:
        scaled["bias"] = bias * broadcast_over_pairs(model.scale)
    if isinstance(position, Alibi):
        scaled["position"] = replace(position, slopes=np.asarray(position.slopes) * model.scale)
    for name, value in scaled.items():
        yield context.changed(**{name: value})
    if len(scaled) > 1:
        yield context.changed(**scaled)


def inputs_swapped(context: CheckContext) -> Iterator[Variant]:
    """Keys and values in each other's place, or keys mixed in place of values; or queries and keys."""
    sent = context.sent
    if sent.value is not None and sent.value.shape == sent.key.shape:
        past: dict[str, Any] = {"past_key": sent.past_value, "past_value": sent.past_key}
        yield ChangedCall(resolve_repeated(replace(sent, key=sent.value, value=sent.key, **past)))
        keys = resolve_repeated(replace(sent, value=sent.key, past_value=sent.past_key, position=None)).value
        yield context.changed(stored_value=keys)
    # Scores alone are transposed by that.
    if sent.query.shape == sent.key.shape and sent.past_key is None and context.candidate.keys() - {"scores"}:
        yield ChangedCall(resolve_repeated(replace(sent, query=sent.key, key=sent.query)))


def scores_not_raw(context: CheckContext) -> Iterator[Variant]:
    """The candidate's scores have the cap, the bias, the score modifier or the mask in them already."""
    if "scores" in context.candidate:
        modified = () if context.call.score_modifier is None else ("modified",)
        for name in ("capped_scores", *modified, "logits"):
            yield ChangedCall(context.call, partial(_with_later, context, name))


def _with_later(context: CheckContext, name: str, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    """Evaluate some queries, with a later step in place of the scores; hidden ones may be any large negative number."""
    fields, maximum = evaluate_query_block(call, rows, {*call.include, name})
    later, received = fields[name], context.candidate["scores"][..., rows, :]
    return fields | {"scores": np.where(np.isneginf(later) & (received < LARGE_NEGATIVE), received, later)}, maximum
