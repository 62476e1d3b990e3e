"""xFormers: memory_efficient_attention, after its documentation; its arrays are (B, M, H, K)."""

import numpy as np

from tests.coming_from.documented import attended, distances
from tests.coming_from.inputs import BIAS, FULL, LENGTHS, LK, LQ, Case, swapped

ARGUMENTS = ["query", "key", "value", "attn_bias", "p", "scale", "op", "output_dtype"]
LOWER_RIGHT = LK - LQ


def _case(request, **meaning):
    return Case(FULL | request, {"output": attended(FULL, **meaning).output})


def layout():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    return Case(arrays | {"layout": "bshd"}, {"output": swapped(attended(FULL).output)})


def plain():
    return _case({})


def tensor_bias():
    return _case({"bias": BIAS}, bias=BIAS)


def lower_triangular():
    return _case({"mask": {"causal": True}}, visible=distances(LQ, LK) <= 0)


def lower_triangular_from_bottom_right():
    visible = distances(LQ, LK, LOWER_RIGHT) <= 0
    return _case({"mask": {"causal": True, "offset": "bottom_right"}}, visible=visible)


def local_attention():
    visible = (distances(LQ, LK, LOWER_RIGHT) <= 0) & (distances(LQ, LK, LOWER_RIGHT) > -2)
    return _case({"mask": {"window": {"left": 1, "right": 0}, "offset": "bottom_right"}}, visible=visible)


def block_diagonal():
    query, key = np.array([0, 0, 1]), np.array([0, 0, 0, 1, 1])
    return _case({"mask": {"query_segments": query, "key_segments": key}}, visible=query[:, None] == key)


def padded_keys():
    visible = (np.arange(LK) < LENGTHS[:, None])[:, None, None, :]
    return _case({"mask": {"key_lengths": LENGTHS}}, visible=visible)


def dropout():
    return _case({})


def scale():
    return _case({"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, scale=0.3)


def operator():
    return _case({})


def output_type():
    return Case(FULL | {"dtype": "float32"}, {"output": attended(FULL).output}, tolerance=1e-5)
