"""The mistakes that people make when they write attention, each as what it would have computed.

A mistake changes the call that is evaluated (another scale, another mask), how it is evaluated (another normalizer), or
what becomes of its result (a logarithm to another base).
"""

from attention_core.checking import (
    empty_rows,
    wrong_calls,
    wrong_endings,
    wrong_heads,
    wrong_masks,
    wrong_normalizers,
    wrong_positions,
)
from attention_core.checking.attempts import Mistake

MISTAKES: dict[str, Mistake] = {
    "scale missing": wrong_calls.scale_missing,
    "scale doubled": wrong_calls.scale_doubled,
    "scale inverted": wrong_calls.scale_inverted,
    "scale of the model size": wrong_calls.scale_of_model,
    "scale ignored": wrong_calls.scale_ignored,
    "temperature ignored": wrong_normalizers.temperature_ignored,
    "causal corner": wrong_masks.causal_corner,
    "causal off by one": wrong_masks.causal_off_by_one,
    "window off by one": wrong_masks.window_off_by_one,
    "key lengths off by one": wrong_masks.lengths_off_by_one,
    "mask inverted": wrong_masks.mask_inverted,
    "mask transposed": wrong_masks.mask_transposed,
    "mask missing": wrong_masks.mask_missing,
    "rows without a visible key are NaN": empty_rows.nan_rows,
    "large negative number instead of minus infinity": empty_rows.shared_rows,
    "mask after softmax": wrong_masks.mask_after_weights,
    "masked scores set to zero": wrong_masks.masked_to_zero,
    "past keys ignored": wrong_masks.past_ignored,
    "past and new keys swapped": wrong_positions.cache_order,
    "heads tiled instead of interleaved": wrong_heads.heads_tiled,
    "heads grouped wrongly": wrong_heads.heads_grouped_wrongly,
    "heads reshaped without transposing": wrong_heads.heads_reshaped,
    "softcap after mask": wrong_normalizers.softcap_after_mask,
    "softcap before scale": wrong_calls.softcap_before_scale,
    "softcap missing": wrong_calls.softcap_missing,
    "bias missing": wrong_calls.bias_missing,
    "bias scaled": wrong_calls.bias_scaled,
    "alibi sign": wrong_positions.alibi_sign,
    "alibi slopes": wrong_positions.alibi_slopes,
    "rotary pairing": wrong_positions.rotary_pairs,
    "rotary base": wrong_positions.rotary_base,
    "positions from zero": wrong_positions.positions_from_zero,
    "position missing": wrong_positions.position_missing,
    "sink missing": wrong_normalizers.sink_missing,
    "sink not shifted by the maximum": wrong_normalizers.sink_not_shifted,
    "base-2 logsumexp": wrong_endings.logsumexp_to_base_two,
    "logsumexp without the maximum": wrong_endings.logsumexp_without_maximum,
    "base-2 softmax": wrong_normalizers.base_two_weights,
    "denominator missing": wrong_normalizers.denominator_missing,
    "softmax over the wrong axis": wrong_endings.softmax_over_the_wrong_axis,
    "maximum not subtracted": wrong_normalizers.maximum_not_subtracted,
    "scores not raw": wrong_calls.scores_not_raw,
    "dropout": wrong_endings.dropout,
    "axes transposed": wrong_endings.transposed,
    "rows in another order": wrong_endings.rows_in_another_order,
}
"""Every mistake by its name, in the order in which they are tried: of two that give the same the first is named."""
