"""The mistakes that people make when they write attention, each as what it would have computed.

A mistake changes the call that is evaluated (another scale, another mask), or what becomes of its result (a logarithm
to another base).
"""

from collections.abc import Iterator

from attention_core.call import AttentionCall, ResolvedCall
from attention_core.checking import wrong_calls, wrong_endings, wrong_masks
from attention_core.checking.attempts import Attempt, Fields, Given, Mistake

MISTAKES: dict[str, Mistake] = {
    "scale missing": wrong_calls.scale_missing,
    "scale doubled": wrong_calls.scale_doubled,
    "causal corner": wrong_masks.causal_corner,
    "causal off by one": wrong_masks.causal_off_by_one,
    "window off by one": wrong_masks.window_off_by_one,
    "heads tiled instead of interleaved": wrong_calls.heads_tiled,
    "softcap after mask": wrong_calls.softcap_after_mask,
    "softcap missing": wrong_calls.softcap_missing,
    "mask inverted": wrong_masks.mask_inverted,
    "mask missing": wrong_masks.mask_missing,
    "bias missing": wrong_calls.bias_missing,
    "base-2 logsumexp": wrong_endings.logsumexp_to_base_two,
    "softmax over the wrong axis": wrong_endings.softmax_over_the_wrong_axis,
    "rows without a visible key are NaN": wrong_endings.empty_rows_nan,
    "rows without a visible key are uniform": wrong_endings.empty_rows_uniform,
    "rows in another order": wrong_endings.rows_in_another_order,
}
"""Every mistake by its name, in the order in which they are tried."""


def attempts(sent: AttentionCall, call: ResolvedCall, candidate: Fields) -> Iterator[Attempt]:
    """Return every way in which this call can be got wrong."""
    given = Given(sent, call, candidate)
    for name, ways in MISTAKES.items():
        for way in ways(given):
            if isinstance(way, ResolvedCall):
                yield Attempt(name, call=way)
            else:
                yield Attempt(name, then=way)
