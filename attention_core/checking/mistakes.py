"""The usual mistakes in attention, each as what it would have computed.

A mistake changes the call that is evaluated (another scale, another mask), how it is evaluated (another normalizer), or
its result (a logarithm to another base).
"""

from dataclasses import replace
from functools import partial
from math import sqrt

import numpy as np

from attention_core.checking import (
    empty_rows,
    wrong_batches,
    wrong_calls,
    wrong_formulas,
    wrong_heads,
    wrong_masks,
    wrong_normalizers,
    wrong_positions,
    wrong_results,
    wrong_scores,
)
from attention_core.checking.changes import (
    all_of,
    change_field,
    change_rotary,
    change_rotary_of_one_side,
    change_scale,
    change_softmax,
)
from attention_core.checking.variants import Mistake
from attention_core.checking.wrong_positions import MixedRotary, ReversedRotary, copy_rotary
from attention_core.scores import ScaledDotProduct

MISTAKES: dict[str, Mistake] = {
    "scale missing": change_scale(lambda _, __: 1.0),
    # Applied twice, as when both the queries and the scores are scaled; or times two, unless that leaves q·k.
    "scale doubled": change_scale(
        lambda scale, _: scale * scale,
        lambda scale, _: 2.0 * scale if np.any(2.0 * scale != 1.0) else None,
    ),
    "scale inverted": change_scale(lambda scale, _: 1.0 / scale if np.all(scale) else None),
    "scale of the model size": change_scale(
        lambda _, features: 1.0 / sqrt(features.query * features.n_heads) if features.n_heads else None,
        of=ScaledDotProduct,
    ),
    "scale of the number of heads": change_scale(
        lambda _, features: 1.0 / sqrt(features.n_heads) if features.n_heads and features.n_heads > 1 else None,
        of=ScaledDotProduct,
    ),
    "scale ignored": change_scale(lambda _, features: 1.0 / sqrt(features.query), of=ScaledDotProduct),
    "temperature ignored": change_softmax(
        lambda softmax: replace(softmax, temperature=1.0),
        lambda softmax: replace(softmax, temperature=1 / softmax.temperature),
        applies=lambda softmax: softmax.temperature != 1,
    ),
    "causal corner": wrong_masks.causal_corner,
    "causal off by one": wrong_masks.causal_off_by_one,
    "window off by one": wrong_masks.window_off_by_one,
    "key lengths off by one": wrong_masks.lengths_off_by_one,
    "prefix ignored": wrong_masks.prefix_ignored,
    "mask inverted": wrong_masks.mask_inverted,
    "mask transposed": wrong_masks.mask_transposed,
    "mask missing": wrong_masks.mask_missing,
    "rows without a visible key are NaN": empty_rows.nan_rows,
    "large negative number instead of minus infinity": empty_rows.mixed_rows,
    "mask after softmax": wrong_masks.mask_after_weights,
    "masked scores set to zero": wrong_masks.change_masked_logits(lambda logits, visible: np.where(visible, logits, 0)),
    # 1 for visible keys, or for hidden ones; that hides no key.
    "mask added as 0 and 1": wrong_masks.change_masked_logits(
        lambda logits, visible: logits + np.where(visible, 1.0, 0.0),
        lambda logits, visible: logits + np.where(visible, 0.0, 1.0),
    ),
    "mask of the wrong batch row": wrong_batches.wrong_row_mask,
    "weights of the wrong batch row": wrong_batches.wrong_row_weights,
    "one position for all batch rows": wrong_batches.one_position,
    "past keys ignored": wrong_masks.past_ignored,
    "past and new keys swapped": wrong_positions.cache_order,
    "heads tiled instead of interleaved": wrong_heads.heads_tiled,
    "heads grouped wrongly": wrong_heads.heads_grouped_wrongly,
    "heads reshaped without transposing": wrong_heads.heads_reshaped,
    "heads and lengths swapped": wrong_heads.heads_and_lengths_swapped,
    "layout mistaken": wrong_heads.layout_mistaken,
    "query, key and value swapped": wrong_calls.inputs_swapped,
    "softcap after mask": wrong_normalizers.softcap_after_mask,
    "softcap before scale": change_field("softcap", wrong_scores.softcap_before_scale),
    "softcap missing": change_field("softcap", lambda _, __: None),
    "softcap formula": wrong_scores.softcap_formula,
    "bias missing": change_field("bias", lambda _, __: None),
    "bias sign": change_field("bias", wrong_calls.negated_bias),
    "bias transposed": change_field("bias", wrong_calls.transposed_bias),
    "bias scaled": wrong_calls.bias_scaled,
    "alibi sign": change_field("position", wrong_positions.negated_alibi, wrong_positions.signed_alibi),
    "alibi slopes": wrong_positions.alibi_slopes,
    "rotary pairing": change_rotary(wrong_positions.other_pairs),
    "rotary pairings mixed": all_of(
        change_rotary_of_one_side(wrong_positions.other_pairs),
        change_rotary(
            lambda rotary: copy_rotary(MixedRotary, rotary, interleaved=False),
            lambda rotary: copy_rotary(MixedRotary, rotary, interleaved=True),
        ),
    ),
    "rotary on one side": change_rotary_of_one_side(lambda _: None),
    "rotary direction": change_rotary(lambda rotary: copy_rotary(ReversedRotary, rotary)),
    "rotary base": change_rotary(wrong_positions.default_base),
    "rotary dims": wrong_positions.other_dims,
    "rotary scaling": wrong_positions.other_scaling,
    "rotary attention factor": wrong_positions.other_attention_factor,
    "positions ignored": wrong_positions.positions_ignored,
    "positions from zero": wrong_positions.positions_from_zero,
    "position missing": wrong_positions.position_missing,
    "sink missing": change_softmax(
        lambda softmax: replace(softmax, sink=None),
        wrong_normalizers.sink_missing_in_logsumexp,
        applies=lambda softmax: softmax.sink is not None,
    ),
    # 1 is added to the denominator after the maximum was subtracted, or before.
    "sink added": change_softmax(
        partial(wrong_normalizers.with_denominator, lambda total, _: total + 1),
        lambda softmax: replace(softmax, sink=0.0),
        applies=lambda softmax: softmax.sink is None,
    ),
    # exp(sink) is added to Σ exp(z − max), though the sum was divided by exp(max).
    "sink not shifted by the maximum": change_softmax(
        partial(wrong_normalizers.with_denominator, lambda total, sink: total + np.exp(sink)),
        applies=lambda softmax: softmax.sink is not None,
    ),
    "score modifier missing": change_field("score_modifier", lambda _, __: None),
    "score modifier before scale": wrong_formulas.modifier_before_scale,
    "score modifier before softcap": wrong_formulas.modifier_before_softcap,
    "score modifier before bias": wrong_formulas.modifier_before_bias,
    "score modifier after mask": wrong_formulas.modifier_after_mask,
    "score modifier positions": wrong_formulas.modifier_positions,
    "score modifier sign": wrong_formulas.change_modifier(wrong_formulas.change_sign),
    "score modifier heads": wrong_formulas.change_modifier(wrong_formulas.take_other_heads),
    "mask formula missing": wrong_formulas.mask_formula_missing,
    "mask formula inverted": wrong_formulas.mask_formula_inverted,
    "mask formula off by one": wrong_formulas.change_mask_formula(wrong_formulas.move_edges),
    "mask formula positions": wrong_formulas.change_mask_formula(wrong_formulas.rename({"p": "i"})),
    "mask formula transposed": wrong_formulas.change_mask_formula(wrong_formulas.exchange_positions),
    "mask formula heads": wrong_formulas.change_mask_formula(wrong_formulas.take_other_heads),
    "q and k swapped in the formula": wrong_formulas.change_score_formula(
        wrong_formulas.rename({"q": "k", "k": "q", "Dq": "Dk", "Dk": "Dq"})
    ),
    "base-2 logsumexp": wrong_results.logsumexp_to_base_two,
    "logsumexp without the maximum": wrong_results.logsumexp_without_maximum,
    "base-2 softmax": change_softmax(wrong_normalizers.base_two, wrong_normalizers.base_two_throughout),
    "softmax twice": change_softmax(wrong_normalizers.twice),
    "denominator missing": change_softmax(
        wrong_normalizers.without_denominator, wrong_normalizers.without_denominator_or_maximum
    ),
    "softmax over the wrong axis": wrong_results.softmax_over_the_wrong_axis,
    "maximum not subtracted": wrong_normalizers.maximum_not_subtracted,
    "scores not raw": wrong_calls.scores_not_raw,
    "dropout": wrong_results.dropout,
    "axes transposed": wrong_results.transposed,
    "rows in another order": wrong_results.rows_in_another_order,
    "another scale": wrong_scores.other_scale,
    "another factor of the formula": wrong_scores.other_factor_of_formula,
}
"""Every mistake by its name, in the order in which they are tried and named."""

FITTED_MISTAKES: tuple[str, ...] = (
    "rows in another order",
    "another scale",
    "another factor of the formula",
)
"""Mistakes with something fitted to the candidate, which are tried only if no other gives it."""
