"""PyTorch: torch.nn.functional.scaled_dot_product_attention."""

import re

import numpy as np
import torch
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from tests.coming_from.inputs import ALLOWED, BIAS, FULL, GROUPED, LK, LQ, Case, hidden

ARGUMENTS = re.findall(r"(\w+)(?:=[^,)]+)?[,)]", scaled_dot_product_attention.__doc__.split("->")[0].split("(", 1)[1])


def _attended(arrays=FULL, **arguments):
    given = {name: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for name, x in (arrays | arguments).items()}
    return {"output": scaled_dot_product_attention(**given)}


def plain():
    return Case(FULL, _attended())


def boolean_mask():
    return Case(FULL | {"mask": {"allowed": ALLOWED}}, _attended(attn_mask=ALLOWED))


def float_mask():
    mask = BIAS + hidden(ALLOWED)
    return Case(FULL | {"bias": mask}, _attended(attn_mask=mask))


def row_that_sees_nothing():
    allowed = ALLOWED.copy()
    allowed[1] = False
    return Case(FULL | {"mask": {"allowed": allowed}}, _attended(attn_mask=allowed))


def dropout():
    return Case(FULL, _attended(dropout_p=0.0))


def causal():
    return Case(FULL | {"mask": {"causal": True}}, _attended(is_causal=True))


def causal_at_the_lower_right():
    request = FULL | {"mask": {"causal": True, "offset": "bottom_right"}}
    return Case(request, _attended(attn_mask=causal_lower_right(LQ, LK)))


def scale():
    return Case(FULL | {"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, _attended(scale=0.3))


def backward():
    arrays = {name: torch.from_numpy(x).requires_grad_() for name, x in FULL.items()}
    output = scaled_dot_product_attention(**arrays)
    gradient = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
    output.backward(gradient)
    expected = {f"gradients.{name}": array.grad for name, array in arrays.items()}
    request = {"request": FULL, "output_gradient": gradient}
    return Case(request, expected | {"output": output.detach()}, path="/v1/attention/gradients")


def grouped():
    return Case(GROUPED, _attended(GROUPED, enable_gqa=True))
