"""FlashInfer: single_prefill_with_kv_cache and merge_states, after their documentation; logsumexp has base 2."""

import numpy as np

from tests.coming_from.documented import attended, distances, turned_by_rotary
from tests.coming_from.inputs import ALLOWED, FULL, GROUPED, LK, LQ, Case, swapped

ARGUMENTS = [
    *("q", "k", "v", "custom_mask", "packed_custom_mask", "causal", "kv_layout", "pos_encoding_mode"),
    *("use_fp16_qk_reduction", "sm_scale", "window_left", "logits_soft_cap", "rope_scale", "rope_theta", "backend"),
    *("return_lse", "v_a", "s_a", "v_b", "s_b", "s"),
]
LOWER_RIGHT = distances(LQ, LK, LK - LQ)
"""FlashInfer aligns the last query with the last key."""
ENDS = {"offset": "bottom_right"}


def _case(request, arrays=FULL, **meaning):
    return Case(arrays | request, {"output": attended(arrays, **meaning).output})


def plain():
    return _case({}, GROUPED)


def custom_mask():
    return _case({"mask": {"allowed": ALLOWED}}, visible=ALLOWED)


def packed_mask():
    bits = np.packbits(ALLOWED, bitorder="little")
    visible = np.unpackbits(bits, count=ALLOWED.size, bitorder="little").reshape(ALLOWED.shape).astype(bool)
    return _case({"mask": {"allowed": visible}}, visible=ALLOWED)


def causal():
    return _case({"mask": {"causal": True} | ENDS}, visible=LOWER_RIGHT <= 0)


def layout():
    heads_first = {name: x.swapaxes(1, 2).swapaxes(1, 2) for name, x in FULL.items()}
    return _case(heads_first)


def heads_last():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    return Case(arrays | {"layout": "bshd"}, {"output": swapped(attended(FULL).output)})


def rope_scale():
    turned = {
        "query": turned_by_rotary(FULL["query"], (np.arange(LQ) + LK - LQ) / 4, base=500.0),
        "key": turned_by_rotary(FULL["key"], np.arange(LK) / 4, base=500.0),
        "value": FULL["value"],
    }
    position = {"name": "rotary", "base": 500.0, "scaling": {"kind": "linear", "factor": 4.0}}
    return Case(FULL | {"position": position, "mask": ENDS}, {"output": attended(turned).output})


def no_position():
    return _case({"position": None})


def precision():
    return _case({})


def scale():
    return _case({"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, scale=0.3)


def window_left():
    visible = (LOWER_RIGHT <= 0) & (LOWER_RIGHT >= -1)
    return _case({"mask": {"causal": True, "window": {"left": 1, "right": None}} | ENDS}, visible=visible)


def soft_cap():
    return _case({"softcap": 1.5}, soft_cap=1.5)


def kernel():
    return _case({})


def logsumexp():
    """Ours is natural: FlashInfer's times ln 2."""
    found = attended(FULL)
    in_base_2 = found.logsumexp / np.log(2)
    expected = {"output": found.output, "logsumexp": in_base_2 * np.log(2)}
    return Case(FULL | {"include": ["output", "logsumexp"]}, expected)


def merged_states():
    states = [
        attended({"query": FULL["query"], "key": FULL["key"][:, :, keys], "value": FULL["value"][:, :, keys]})
        for keys in (slice(0, 1), slice(1, 3), slice(3, 5))
    ]
    partials = [{"output": one.output, "logsumexp": one.logsumexp / np.log(2)} for one in states]
    whole = attended(FULL)
    expected = {"output": whole.output, "logsumexp": whole.logsumexp / np.log(2)}
    return Case({"partials": partials, "log_base": 2}, expected, path="/v1/attention/merge")
