"""FlexAttention's published examples, at a length of more than one block of 128.

https://pytorch.org/blog/flexattention/ and the masks and modifiers of https://github.com/meta-pytorch/attention-gym
"""

import numpy as np
import torch
from torch.nn.attention.flex_attention import and_masks, create_block_mask, flex_attention, or_masks

from tests.coming_from.inputs import Case, drawn

ARGUMENTS = []
BATCH, HEADS, LENGTH, FEATURES = 2, 4, 160, 8
ARRAYS = {"query": 2 * drawn(BATCH, HEADS, LENGTH, FEATURES)}
ARRAYS |= {"key": ARRAYS["query"][:, ::-1, ::-1].copy(), "value": drawn(BATCH, HEADS, FEATURES, LENGTH).swapaxes(2, 3)}
WINDOW, DILATION, WIDTH = 24, 4, 16
PREFIX = np.array([40, 130])
DOCUMENTS = np.repeat(np.arange(4), (30, 70, 5, 55))


def _attended(score_mod=None, mask_mod=None):
    given = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in ARRAYS.items()}
    block_mask = None if mask_mod is None else create_block_mask(mask_mod, BATCH, HEADS, LENGTH, LENGTH, device="cpu")
    output, lse = flex_attention(**given, score_mod=score_mod, block_mask=block_mask, return_lse=True)
    return {"output": output, "logsumexp": lse}


def _case(field, formula, parameters, found):
    written = {"formula": formula} | ({"parameters": parameters} if parameters else {})
    return Case(ARRAYS | {field: written, "include": ["output", "logsumexp"]}, found)


def _mask(formula, mask_mod, **parameters):
    return _case("mask", formula, parameters, _attended(mask_mod=mask_mod))


def _modifier(formula, score_mod, **parameters):
    return _case("score_modifier", formula, parameters, _attended(score_mod=score_mod))


def _causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def causal():
    return _mask("j <= p", _causal)


def causal_as_modifier():
    return _modifier(
        "where(j <= p, score, -inf)",
        lambda score, b, h, q_idx, kv_idx: torch.where(q_idx >= kv_idx, score, -float("inf")),
    )


def sliding_window():
    near = and_masks(_causal, lambda b, h, q_idx, kv_idx: q_idx - kv_idx <= WINDOW)
    return _mask("j <= p and p - j <= window", near, window=WINDOW)


def prefix_lm():
    lengths = torch.from_numpy(PREFIX)
    mask = or_masks(_causal, lambda b, h, q_idx, kv_idx: kv_idx < lengths[b])
    return _mask("j < prefix[b] or j <= p", mask, prefix=PREFIX)


def documents():
    document = torch.from_numpy(DOCUMENTS)
    mask = and_masks(_causal, lambda b, h, q_idx, kv_idx: document[q_idx] == document[kv_idx])
    return _mask("doc[i] == doc[j] and j <= p", mask, doc=DOCUMENTS)


def alibi():
    def score_mod(score, b, h, q_idx, kv_idx):
        return score + torch.exp2(-((h + 1) * 8.0 / HEADS)) * (kv_idx - q_idx)

    slopes = 2.0 ** (-8 * np.arange(1, HEADS + 1) / HEADS)
    return _modifier("score + slope[h] * (j - p)", score_mod, slope=slopes)


def soft_cap():
    return _modifier(
        "cap * tanh(score / cap)", lambda score, b, h, q_idx, kv_idx: 2.0 * torch.tanh(score / 2.0), cap=2.0
    )


def relative_position():
    return _modifier("score + (p - j)", lambda score, b, h, q_idx, kv_idx: score + (q_idx - kv_idx))


def relative_bias():
    table = drawn(HEADS, 2 * LENGTH)
    weights = torch.from_numpy(table)
    return _modifier(
        "score + table[h, p - j + Lk]",
        lambda score, b, h, q_idx, kv_idx: score + weights[h, q_idx - kv_idx + LENGTH],
        table=table,
    )


def dilated():
    def mask_mod(b, h, q_idx, kv_idx):
        return ((q_idx - kv_idx).abs() <= WINDOW) & ((q_idx - kv_idx) % DILATION == 0)

    return _mask("abs(p - j) <= window and (p - j) % 4 == 0", mask_mod, window=WINDOW)


def dilated_and_global():
    def mask_mod(b, h, q_idx, kv_idx):
        return (kv_idx < 4) | (((q_idx - kv_idx) % DILATION == 0) & (q_idx >= kv_idx))

    return _mask("j < 4 or ((p - j) % 4 == 0 and j <= p)", mask_mod)


def neighborhood():
    def mask_mod(b, h, q_idx, kv_idx):
        rows, columns = q_idx // WIDTH - kv_idx // WIDTH, q_idx % WIDTH - kv_idx % WIDTH
        return (rows.abs() <= 2) & (columns.abs() <= 3)

    return _mask("abs(i // 16 - j // 16) <= 2 and abs(i % 16 - j % 16) <= 3", mask_mod)


def checkerboard():
    return _modifier(
        "where(abs(j - p) % 2 == 1, score * 0.5, score)",
        lambda score, b, h, q_idx, kv_idx: torch.where(torch.abs(kv_idx - q_idx) % 2 == 1, score * 0.5, score),
    )
