"""FlashAttention 2: flash_attn_func and flash_attn_with_kvcache, after their documentation; arrays are (B, L, H, D)."""

import numpy as np

from tests.coming_from.documented import attended, distances, turned_by_rotary
from tests.coming_from.inputs import FULL, GROUPED, HQ, LENGTHS, LK, LQ, B, Case, D, drawn, swapped

ARGUMENTS = [
    *("q", "k", "v", "dropout_p", "softmax_scale", "causal", "window_size", "softcap", "alibi_slopes"),
    *("deterministic", "return_attn_probs", "k_cache", "v_cache", "cache_seqlens", "rotary_cos", "rotary_sin"),
    *("rotary_interleaved", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k"),
]
LOWER_RIGHT = distances(LQ, LK, LK - LQ)
"""FlashAttention aligns the last query with the last key."""
SLOPES = np.array([0.5, 0.25, 0.125, 0.0625])


def _case(request, arrays=FULL, **meaning):
    return Case(arrays | request, {"output": attended(arrays, **meaning).output})


def layout():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    return Case(arrays | {"layout": "bshd"}, {"output": swapped(attended(FULL).output)})


def plain():
    return _case({})


def grouped():
    return _case({}, GROUPED)


def dropout():
    return _case({})


def scale():
    return _case({"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, scale=0.3)


def causal():
    return _case({"mask": {"causal": True, "offset": "bottom_right"}}, visible=LOWER_RIGHT <= 0)


def window():
    visible = (LOWER_RIGHT >= -1) & (LOWER_RIGHT <= 0)
    return _case({"mask": {"window": {"left": 1, "right": 0}, "offset": "bottom_right"}}, visible=visible)


def soft_cap():
    return _case({"softcap": 1.5}, soft_cap=1.5)


def alibi():
    request = {"position": {"name": "alibi", "slopes": SLOPES}, "mask": {"offset": "bottom_right"}}
    return _case(request, bias=-SLOPES[:, None, None] * np.abs(LOWER_RIGHT))


def deterministic():
    return _case({})


def logsumexp():
    found = attended(FULL)
    request = {"include": ["weights", "logsumexp"]}
    return Case(FULL | request, {"weights": found.weights, "logsumexp": found.logsumexp})


def cache():
    past = {"past_key": drawn(B, HQ, 2, D), "past_value": drawn(B, HQ, 3, D)[:, :, :2]}
    joined = {name: np.concatenate([past[f"past_{name}"], FULL[name]], axis=2) for name in ("key", "value")}
    output = attended(FULL | joined).output
    return Case(FULL | past, {"output": output})


def cache_lengths():
    visible = (np.arange(LK) < LENGTHS[:, None])[:, None, None, :]
    return _case({"mask": {"key_lengths": LENGTHS}}, visible=visible)


def _rotary(interleaved):
    turned = {
        "query": turned_by_rotary(FULL["query"], np.arange(LQ), interleaved=interleaved),
        "key": turned_by_rotary(FULL["key"], np.arange(LK), interleaved=interleaved),
        "value": FULL["value"],
    }
    position = {"name": "rotary", "interleaved": interleaved}
    return Case(FULL | {"position": position}, {"output": attended(turned).output})


def rotary():
    return _rotary(interleaved=False)


def rotary_interleaved():
    return _rotary(interleaved=True)


def rotary_dims():
    turned = FULL.copy()
    for name, length in (("query", LQ), ("key", LK)):
        first = turned_by_rotary(FULL[name][..., :2], np.arange(length))
        turned[name] = np.concatenate([first, FULL[name][..., 2:]], axis=-1)
    return Case(FULL | {"position": {"name": "rotary", "dims": 2}}, {"output": attended(turned).output})


def packed_sequences():
    query, key = np.array([0, 0, 1]), np.array([0, 0, 0, 1, 1])
    return _case({"mask": {"query_segments": query, "key_segments": key}}, visible=query[:, None] == key)


def longest_sequence():
    return packed_sequences()
