"""PyTorch: torch.nn.MultiheadAttention; the case projects query, key and value by the module's own weights."""

import inspect

import numpy as np
import torch

from tests.coming_from.inputs import ALLOWED, BIAS, HQ, KEPT, LK, LQ, B, Case, drawn, hidden

ARGUMENTS = {
    *inspect.signature(torch.nn.MultiheadAttention.__init__).parameters,
    *inspect.signature(torch.nn.MultiheadAttention.forward).parameters,
} - {"self"}
WIDTH = 8
INPUTS = {"query": drawn(B, LQ, WIDTH), "key": drawn(B, LK, WIDTH), "value": drawn(B, LK, WIDTH)}


def _module(**options):
    """Return a module whose output is not projected, in evaluation."""
    torch.manual_seed(0)
    options = {"bias": True, "batch_first": True} | options
    module = torch.nn.MultiheadAttention(WIDTH, HQ, dtype=torch.float64, **options).eval()
    with torch.no_grad():
        module.out_proj.weight.copy_(torch.eye(WIDTH))
        if module.in_proj_bias is not None:
            module.in_proj_bias.uniform_(-1, 1)
    return module


def _request(module, inputs=INPUTS, **fields):
    """Return the request about projected inputs: query, key and value with their heads side by side."""
    if module.in_proj_weight is not None:
        weights = module.in_proj_weight.detach().numpy().reshape(3, WIDTH, WIDTH)
    else:
        weights = [getattr(module, f"{name}_proj_weight").detach().numpy() for name in "qkv"]
    biases = [0, 0, 0] if module.in_proj_bias is None else module.in_proj_bias.detach().numpy().reshape(3, WIDTH)
    projected = {
        name: inputs[name] @ weight.T + bias for name, weight, bias in zip(inputs, weights, biases, strict=True)
    }
    return projected | {"heads": {"query": HQ, "key_value": HQ}} | fields


def _attended(module, inputs=INPUTS, **arguments):
    """Return output and weights of each head."""
    given = {name: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for name, x in (inputs | arguments).items()}
    with torch.no_grad():
        output, weights = module(**{"average_attn_weights": False} | given)
    return {"output": output, "weights": weights}


def heads():
    module = _module()
    return Case(_request(module), _attended(module))


def dropout():
    module = _module(dropout=0.5)
    return Case(_request(module), _attended(module))


def no_bias():
    module = _module(bias=False)
    return Case(_request(module), _attended(module))


def bias_as_key():
    module = _module(add_bias_kv=True)
    request = _request(module)
    for name in ("key", "value"):
        learned = getattr(module, f"bias_{name[0]}").detach().numpy()
        request[name] = np.concatenate([request[name], np.broadcast_to(learned, (B, 1, WIDTH))], axis=1)
    return Case(request, _attended(module))


def zero_key():
    module = _module(add_zero_attn=True)
    found = _attended(module)
    request = _request(module, normalizer={"name": "softmax", "sink": 0})
    return Case(request, {"output": found["output"], "weights": found["weights"][..., :-1]})


def other_widths():
    module = _module(kdim=6, vdim=5)
    inputs = {"query": INPUTS["query"], "key": drawn(B, LK, 6), "value": drawn(B, LK, 5)}
    return Case(_request(module, inputs), _attended(module, inputs))


def length_first():
    module = _module(batch_first=False)
    found = _attended(module, {name: np.swapaxes(x, 0, 1) for name, x in INPUTS.items()})
    return Case(_request(module), {"output": found["output"].transpose(0, 1)})


def number_type():
    module = _module(device="cpu")
    return Case(_request(module, dtype="float64"), _attended(module))


def padding():
    module = _module()
    request = _request(module, mask={"allowed": KEPT[:, None, None, :]})
    return Case(request, _attended(module, key_padding_mask=~KEPT))


def weights():
    module = _module()
    return Case(_request(module, include=["weights"]), {"weights": _attended(module, need_weights=True)["weights"]})


def mean_weights():
    module = _module()
    found = _attended(module, need_weights=True, average_attn_weights=True)
    return Case(_request(module, include=["mean_weights"]), {"mean_weights": found["weights"]})


def key_padding():
    module = _module()
    return Case(_request(module, mask={"key_allowed": KEPT}), _attended(module, key_padding_mask=~KEPT))


def boolean_mask():
    module = _module()
    return Case(_request(module, mask={"allowed": ALLOWED}), _attended(module, attn_mask=~ALLOWED))


def mask_of_each_head():
    module = _module()
    masks = drawn(B, HQ, LQ, LK) > -0.5
    masks[..., 0] = True
    found = _attended(module, attn_mask=~masks.reshape(B * HQ, LQ, LK))
    return Case(_request(module, mask={"allowed": masks}), found)


def float_mask():
    module = _module()
    mask = BIAS[0, 0] + hidden(ALLOWED)
    return Case(_request(module, bias=mask), _attended(module, attn_mask=mask))


def causal():
    module = _module()
    mask = np.triu(np.ones((LQ, LK), dtype=bool), 1)
    return Case(_request(module, mask={"causal": True}), _attended(module, attn_mask=mask, is_causal=True))
