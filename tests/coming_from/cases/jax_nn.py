"""JAX: jax.nn.dot_product_attention, whose arrays are (B, L, H, D)."""

import inspect

import jax
import numpy as np

from tests.coming_from.inputs import ALLOWED, BIAS, FULL, GROUPED, LENGTHS, Case, swapped

jax.config.update("jax_enable_x64", True)

TOLERANCE = 1e-6
"""The softmax of JAX is computed in float32."""
ARGUMENTS = list(inspect.signature(jax.nn.dot_product_attention).parameters)


def _attended(arrays=FULL, **arguments):
    found = jax.nn.dot_product_attention(**{name: swapped(x) for name, x in arrays.items()}, **arguments)
    return {"output": swapped(found)}


def _case(request, expected):
    return Case(request, expected, tolerance=TOLERANCE)


def plain():
    return _case(FULL, _attended())


def layout():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    return _case(arrays | {"layout": "bshd"}, {"output": jax.nn.dot_product_attention(**arrays)})


def vjp():
    arrays = [swapped(FULL[name]) for name in ("query", "key", "value")]
    output, backward = jax.vjp(jax.nn.dot_product_attention, *arrays)
    gradient = np.cos(np.arange(output.size)).reshape(output.shape)
    found = dict(zip(("query", "key", "value"), map(swapped, backward(gradient)), strict=True))
    return Case(
        {"request": FULL, "output_gradient": swapped(gradient)},
        {f"gradients.{name}": array for name, array in found.items()},
        path="/v1/attention/gradients",
        tolerance=TOLERANCE,
    )


def bias():
    return _case(FULL | {"bias": BIAS}, _attended(bias=BIAS))


def mask():
    return _case(FULL | {"mask": {"allowed": ALLOWED}}, _attended(mask=ALLOWED[None, None]))


def scale():
    return _case(FULL | {"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, _attended(scale=0.3))


def causal():
    return _case(FULL | {"mask": {"causal": True}}, _attended(is_causal=True))


def key_lengths():
    return _case(FULL | {"mask": {"key_lengths": LENGTHS}}, _attended(key_value_seq_lengths=LENGTHS.astype(np.int32)))


def query_lengths():
    lengths = np.array([2, 3], np.int32)
    seen = (np.arange(3) < lengths[:, None])[:, None, :, None]
    found = _attended(query_seq_lengths=lengths)["output"]
    # The rows of padded queries are left undefined there.
    return _case(FULL | {"mask": {"allowed": seen}}, {"output": np.where(seen, found, 0)})


def window():
    return _case(FULL | {"mask": {"window": {"left": 1, "right": 1}}}, _attended(local_window_size=1))


def window_of_two_sides():
    return _case(FULL | {"mask": {"window": {"left": 2, "right": 0}}}, _attended(local_window_size=(2, 0)))


def implementation():
    return _case(FULL, _attended(implementation="xla"))


def residual():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    output, lse = jax.nn.dot_product_attention(**arrays, return_residual=True)
    expected = {"output": swapped(output), "logsumexp": swapped(lse)}
    return _case(FULL | {"include": ["output", "logsumexp"]}, expected)


def grouped():
    return _case(GROUPED, _attended(GROUPED))
