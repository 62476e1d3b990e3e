"""ONNX: Attention of opsets 23 to 25, computed by ONNX Runtime in float32."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from tests.coming_from.inputs import ALLOWED, BIAS, FULL, GROUPED, HKV, HQ, LENGTHS, B, Case, D, drawn, hidden

OPSET = 25
_SCHEMA = onnx.defs.get_schema("Attention", OPSET)
ARGUMENTS = {
    *(one.name for one in _SCHEMA.inputs),
    *_SCHEMA.attributes,
    *(one.name for one in _SCHEMA.outputs),
}
INPUTS = [one.name for one in _SCHEMA.inputs]
OUTPUTS = [one.name for one in _SCHEMA.outputs]


def _attended(arrays=FULL, outputs=("Y",), opset=OPSET, **given):
    """Return the outputs of a model with one node; an argument that is no array is an attribute."""
    inputs = {name[0].upper(): x.astype(np.float32) for name, x in arrays.items()}
    for name in INPUTS:
        if name in given:
            array = np.asarray(given.pop(name))
            inputs[name] = array.astype(np.float32) if array.dtype == np.float64 else array
    names = [name if name in inputs else "" for name in INPUTS[: 1 + max(map(INPUTS.index, inputs))]]
    last = 1 + max(map(OUTPUTS.index, outputs))
    node = helper.make_node("Attention", names, [name if name in outputs else "" for name in OUTPUTS[:last]], **given)
    graph = helper.make_graph(
        [node],
        "attention",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for n, x in inputs.items()
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(outputs), inputs)


def _case(request, found, arrays=FULL):
    expected = found if isinstance(found, dict) else {"output": found[0]}
    return Case(arrays | request, expected, tolerance=1e-5)


def plain():
    return _case({}, _attended())


def packed():
    arrays = {name: x.swapaxes(1, 2).reshape(B, -1, x.shape[1] * D) for name, x in GROUPED.items()}
    found = _attended(arrays, q_num_heads=HQ, kv_num_heads=HKV)
    return _case({"heads": {"query": HQ, "key_value": HKV}}, found, arrays)


def grouped():
    return _case({}, _attended(GROUPED), GROUPED)


def boolean_mask():
    return _case({"mask": {"allowed": ALLOWED}}, _attended(attn_mask=ALLOWED))


def float_mask():
    mask = BIAS + hidden(ALLOWED)
    return _case({"bias": mask}, _attended(attn_mask=mask))


def past():
    cache = {"past_key": drawn(B, HQ, 2, D), "past_value": drawn(B, HQ, 3, D)[:, :, :2]}
    names = {"Y": "output", "present_key": "present_key", "present_value": "present_value"}
    found = _attended(outputs=tuple(names), **cache)
    return _case(cache | {"include": ["output", "present"]}, dict(zip(names.values(), found, strict=True)))


def causal():
    return _case({"mask": {"causal": True}}, _attended(is_causal=1))


def causal_behind_a_past():
    cache = {"past_key": drawn(B, HQ, 2, D), "past_value": drawn(B, HQ, 3, D)[:, :, :2]}
    found = _attended(outputs=("Y", "present_key", "present_value"), is_causal=1, **cache)
    return _case(cache | {"mask": {"causal": True}}, found[:1])


def lengths():
    return _case({"mask": {"key_lengths": LENGTHS}}, _attended(nonpad_kv_seqlen=LENGTHS))


def scale():
    return _case({"score_model": {"name": "scaled_dot_product", "scale": 0.3}}, _attended(scale=0.3))


def soft_cap():
    return _case({"softcap": 1.5, "bias": BIAS}, _attended(softcap=1.5, attn_mask=BIAS))


def precision():
    return _case({"dtype": "float32"}, _attended(softmax_precision=int(onnx.TensorProto.FLOAT)))


def window():
    request = {"mask": {"window": {"left": 1, "right": 0}}}
    return _case(request, _attended(left_window_size=1, right_window_size=0))


def _stage(mode, name):
    """Return the case of a value of qk_matmul_output_mode, with a soft cap and a mask that tell the stages apart."""
    found = _attended(
        outputs=("Y", "qk_matmul_output"), opset=24, qk_matmul_output_mode=mode, softcap=1.5, attn_mask=BIAS
    )
    expected = {"output": found[0], name: found[1]}
    return _case({"softcap": 1.5, "bias": BIAS, "include": ["output", name]}, expected)


def raw_scores():
    return _stage(0, "scores")


def masked_scores():
    return _stage(2, "logits")


def capped_scores():
    return _stage(1, "capped_scores")


def weights():
    return _stage(3, "weights")
