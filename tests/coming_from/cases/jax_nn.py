"""JAX: jax.nn.dot_product_attention, whose arrays are (B, L, H, D)."""

import inspect

import jax
import numpy as np

from tests.coming_from.inputs import ALLOWED, BIAS, FULL, GROUPED, LENGTHS, Case, swapped

jax.config.update("jax_enable_x64", True)

ARGUMENTS = list(inspect.signature(jax.nn.dot_product_attention).parameters)


def _attended(arrays=FULL, **arguments):
    found = jax.nn.dot_product_attention(**{name: swapped(x) for name, x in arrays.items()}, **arguments)
    return {"output": swapped(found)}


def plain():
    return Case(FULL, _attended())


def bias():
    return Case(FULL | {"bias": BIAS}, _attended(bias=BIAS))


def mask():
    return Case(FULL | {"mask": {"allowed": ALLOWED}}, _attended(mask=ALLOWED[None, None]))


def scale():
    return Case(FULL | {"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, _attended(scale=0.3))


def causal():
    return Case(FULL | {"mask": {"causal": True}}, _attended(is_causal=True))


def key_lengths():
    return Case(FULL | {"mask": {"key_lengths": LENGTHS}}, _attended(key_value_seq_lengths=LENGTHS.astype(np.int32)))


def query_lengths():
    lengths = np.array([2, 3], np.int32)
    seen = (np.arange(3) < lengths[:, None])[:, None, :, None]
    found = _attended(query_seq_lengths=lengths)["output"]
    # The rows of padded queries are left undefined there.
    return Case(FULL | {"mask": {"allowed": seen}}, {"output": np.where(seen, found, 0)})


def window():
    return Case(FULL | {"mask": {"window": {"left": 1, "right": 1}}}, _attended(local_window_size=1))


def window_of_two_sides():
    return Case(FULL | {"mask": {"window": {"left": 2, "right": 0}}}, _attended(local_window_size=(2, 0)))


def implementation():
    return Case(FULL, _attended(implementation="xla"))


def residual():
    arrays = {name: swapped(x) for name, x in FULL.items()}
    output, lse = jax.nn.dot_product_attention(**arrays, return_residual=True)
    expected = {"output": swapped(output), "logsumexp": swapped(lse)}
    return Case(FULL | {"include": ["output", "logsumexp"]}, expected)


def grouped():
    return Case(GROUPED, _attended(GROUPED))
