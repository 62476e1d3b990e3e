"""Keras: Attention, AdditiveAttention, MultiHeadAttention and GroupQueryAttention, on PyTorch.

The cases project query, key and value by the layer's own weights; the output is not projected.
"""

import inspect
import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

from tests.coming_from.inputs import ALLOWED, HKV, HQ, KEPT, LK, LQ, SINGLE, B, Case, D, drawn

keras.config.set_floatx("float64")

LAYERS = ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention")
ARGUMENTS = {
    name
    for layer in LAYERS
    for function in (getattr(keras.layers, layer).__init__, getattr(keras.layers, layer).call)
    for name in inspect.signature(function).parameters
} - {"self", "kwargs"}
TOLERANCE = 1e-6
"""Some of Keras computes in float32."""
WIDTH = HQ * D
INPUTS = {"query": drawn(B, LQ, WIDTH), "key": drawn(B, LK, WIDTH), "value": drawn(B, LK, WIDTH)}


def _arrays(found):
    return keras.ops.convert_to_numpy(found)


def _simple(layer, request, **arguments):
    """Return the case of a layer without heads, whose list of inputs is query, value, key."""
    inputs = [SINGLE["query"], SINGLE["value"], SINGLE["key"]]
    output, weights = layer(inputs, return_attention_scores=True, **arguments)
    return Case(SINGLE | request, {"output": _arrays(output), "weights": _arrays(weights)}, tolerance=TOLERANCE)


def _dot(**request):
    return {"score_model": "dot_product"} | request


def dot():
    return _simple(keras.layers.Attention(), _dot())


def inputs_in_order():
    return _simple(keras.layers.Attention(), _dot())


def learned_scale():
    layer = keras.layers.Attention(use_scale=True)
    layer.build([SINGLE["query"].shape, SINGLE["value"].shape, SINGLE["key"].shape])
    layer.scale.assign(0.3)
    return _simple(layer, {"score_model": {"name": "scaled_dot_product", "scale": 0.3}})


def concat():
    layer = keras.layers.Attention(score_mode="concat")
    layer.build([SINGLE["query"].shape, SINGLE["value"].shape, SINGLE["key"].shape])
    layer.concat_score_weight.assign(0.7)
    identity = np.eye(D)
    model = {"query_weight": identity, "key_weight": identity, "score_vector": np.full(D, 0.7)}
    return _simple(layer, {"score_model": {"name": "additive"} | model})


def additive():
    layer = keras.layers.AdditiveAttention()
    layer.build([SINGLE["query"].shape, SINGLE["value"].shape, SINGLE["key"].shape])
    scale = drawn(D)
    layer.scale.assign(scale)
    model = {"query_weight": np.eye(D), "key_weight": np.eye(D), "score_vector": scale}
    return _simple(layer, {"score_model": {"name": "additive"} | model})


def dropout():
    return _simple(keras.layers.Attention(dropout=0.5, seed=1), _dot(), training=False)


def mask_of_values():
    return _simple(keras.layers.Attention(), _dot(mask={"allowed": KEPT[:, None, :]}), mask=[None, KEPT])


def mask_of_queries():
    seen = np.array([[True, False, True], [True, True, False]])
    inputs = [SINGLE["query"], SINGLE["value"], SINGLE["key"]]
    output = keras.layers.Attention()(inputs, mask=[seen, None])
    return Case(SINGLE | _dot(mask={"allowed": seen[:, :, None]}), {"output": _arrays(output)}, tolerance=TOLERANCE)


def causal():
    return _simple(keras.layers.Attention(), _dot(mask={"causal": True}), use_causal_mask=True)


def scores_returned():
    return _simple(keras.layers.Attention(), _dot(include=["weights", "output"]))


def _multihead(layer, request=None, *, weights=True, **arguments):
    """Return the case of a layer with heads; the first call makes its weights."""
    given = {name: INPUTS[name] for name in ("query", "value", "key")}
    layer(**given)
    dense = layer._output_dense
    size = layer._value_dense.kernel.shape[-1]
    dense.kernel.assign(np.eye(HQ * size).reshape(dense.kernel.shape))
    if dense.bias is not None:
        dense.bias.assign(np.zeros(WIDTH if size == D else HQ * size))
    found = layer(**given, return_attention_scores=weights, **arguments)
    projected = {}
    for name, array in INPUTS.items():
        own = getattr(layer, f"_{name}_dense")
        kernel = _arrays(own.kernel)
        bias = 0 if own.bias is None else _arrays(own.bias)
        projected[name] = (np.einsum("ble,ehd->blhd", array, kernel) + bias).swapaxes(1, 2)
    output, *rest = found if weights else (found,)
    separate = _arrays(output).reshape(B, LQ, HQ, size).swapaxes(1, 2)
    expected = {"output": separate} | ({"weights": _arrays(rest[0])} if rest else {})
    return Case(projected | (request or {}), expected, tolerance=TOLERANCE)


def _many(**options):
    return keras.layers.MultiHeadAttention(HQ, D, output_shape=WIDTH, **options)


def _grouped(**options):
    return keras.layers.GroupQueryAttention(D, HQ, HKV, **options)


def heads():
    return _multihead(_many())


def other_size_of_values():
    return _multihead(keras.layers.MultiHeadAttention(HQ, D, value_dim=3, output_shape=HQ * 3))


def no_bias():
    return _multihead(_many(use_bias=False, bias_initializer="ones"))


def initialized():
    return _multihead(_many(kernel_initializer="he_normal", bias_initializer="ones"))


def axis_of_length():
    return _multihead(_many(attention_axes=1))


def sliding_window():
    # Keras counts the query itself: 2 are the query and its neighbour on either side.
    return _multihead(_many(sliding_window=2), {"mask": {"window": {"left": 1, "right": 1}}})


def kernel():
    return _multihead(_many(flash_attention=False), weights=False)


def no_gate():
    return _multihead(_many(use_gate=False))


def multihead_masks():
    return _multihead(_many(), {"mask": {"allowed": KEPT[:, None, None, :]}}, value_mask=KEPT)


def padding():
    return _multihead(_many(), {"mask": {"key_allowed": KEPT}}, value_mask=KEPT, key_mask=KEPT)


def mask_of_keys():
    return _multihead(_many(), {"mask": {"allowed": KEPT[:, None, None, :]}}, key_mask=KEPT)


def mask_of_pairs():
    return _multihead(_many(), {"mask": {"allowed": ALLOWED}}, attention_mask=np.broadcast_to(ALLOWED, (B, LQ, LK)))


def multihead_causal():
    return _multihead(_many(), {"mask": {"causal": True}}, use_causal_mask=True)


def grouped():
    return _multihead(_grouped())


def grouped_mask():
    return _multihead(_grouped(), {"mask": {"allowed": ALLOWED}}, attention_mask=np.broadcast_to(ALLOWED, (B, LQ, LK)))
