"""PyTorch: torch.nn.attention.flex_attention."""

import inspect
import math

import torch
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

from tests.coming_from.inputs import ALLOWED, BIAS, FULL, GROUPED, HQ, LK, LQ, B, Case

ARGUMENTS = list(inspect.signature(flex_attention).parameters)
SLOPES = [2.0 ** (-8 * h / HQ) for h in range(1, HQ + 1)]


def _attended(arrays=FULL, **arguments):
    return flex_attention(**{name: torch.from_numpy(x) for name, x in arrays.items()}, **arguments)


def _block_mask(mask_mod):
    return create_block_mask(mask_mod, B, HQ, LQ, LK, device="cpu")


def plain():
    return Case(FULL, {"output": _attended()})


def score_modifier():
    slopes = torch.tensor(SLOPES)
    found = _attended(score_mod=lambda score, b, h, i, j: score * (1 + b) + slopes[h] * (j - i))
    formula = "score * (1 + b) + slopes[h] * (j - p)"
    return Case(FULL | {"score_modifier": {"formula": formula, "parameters": {"slopes": SLOPES}}}, {"output": found})


def alibi():
    slopes = torch.tensor(SLOPES)
    found = _attended(score_mod=lambda score, b, h, i, j: score - slopes[h] * (i - j).abs())
    return Case(FULL | {"position": "alibi"}, {"output": found})


def soft_cap():
    found = _attended(score_mod=lambda score, b, h, i, j: 1.5 * torch.tanh(score / 1.5))
    return Case(FULL | {"softcap": 1.5}, {"output": found})


def bias_table():
    table = torch.from_numpy(BIAS[0])
    found = _attended(score_mod=lambda score, b, h, i, j: score + table[h, i, j])
    return Case(FULL | {"bias": BIAS}, {"output": found})


def mask_by_formula():
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: (j <= i) | (j == 4 - h)))
    return Case(FULL | {"mask": {"formula": "j <= p or j == 4 - h"}}, {"output": found})


def mask_by_table():
    table = torch.from_numpy(ALLOWED)
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: table[i, j]))
    return Case(FULL | {"mask": {"allowed": ALLOWED}}, {"output": found})


def causal():
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: i >= j))
    return Case(FULL | {"mask": {"causal": True}}, {"output": found})


def sliding_window():
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: (i >= j) & (i - j <= 1)))
    return Case(FULL | {"mask": {"window": {"left": 1, "right": 0}}}, {"output": found})


def documents():
    query, key = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 0, 1, 1])
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: query[i] == key[j]))
    return Case(FULL | {"mask": {"query_segments": query, "key_segments": key}}, {"output": found})


def prefix():
    lengths = torch.tensor([2, 4])
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: (i >= j) | (j < lengths[b])))
    return Case(FULL | {"mask": {"causal": True, "prefix_lengths": lengths}}, {"output": found})


def positions():
    query, key = torch.tensor([[7, 2, 4], [1, 0, 3]]), torch.tensor([1, 2, 0, 9, 3])
    found = _attended(block_mask=_block_mask(lambda b, h, i, j: query[b, i] >= key[j]))
    return Case(FULL | {"positions": {"query": query, "key": key}, "mask": {"causal": True}}, {"output": found})


def scale():
    request = FULL | {"score_model": {"name": "scaled_dot_product", "scale": 0.3}}
    return Case(request, {"output": _attended(scale=0.3)})


def grouped():
    return Case(GROUPED, {"output": _attended(GROUPED, enable_gqa=True)})


def logsumexp():
    output, lse = _attended(return_lse=True)
    return Case(FULL | {"include": ["output", "logsumexp"]}, {"output": output, "logsumexp": lse})


def auxiliary():
    output, found = _attended(return_aux=AuxRequest(lse=True))
    return Case(FULL | {"include": ["output", "logsumexp"]}, {"output": output, "logsumexp": found.lse})


def kernel_options():
    return Case(FULL, {"output": _attended(kernel_options={"BLOCK_M": 16})})


def partials():
    halves = [
        flex_attention(*(torch.from_numpy(FULL[name][:, :, keys if name != "query" else slice(None)]) for name in FULL),
                       return_lse=True)
        for keys in (slice(0, 2), slice(2, 5))
    ]  # fmt: skip
    output, lse = _attended(return_lse=True)
    # FlashInfer and the kernels of FlexAttention compute in base 2.
    request = {
        "partials": [
            {"output": halves[0][0], "logsumexp": halves[0][1]},
            {"output": halves[1][0], "logsumexp": halves[1][1] / math.log(2), "log_base": 2},
        ]
    }
    return Case(request, {"output": output, "logsumexp": lse}, path="/v1/attention/merge")
