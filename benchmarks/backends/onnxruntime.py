"""ONNX Runtime on the CPU: of the operators that do the work, the one that is fastest here.

`Attention` is the standard's (opset 23), `MultiHeadAttention` and `GroupQueryAttention` are ONNX Runtime's own.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.backends.loop import Array, Arrays, Prepared, seconds, serve
from benchmarks.work import Work

OWN = "com.microsoft"
"""Domain of the operators that the standard does not have."""

OPSETS = [helper.make_opsetid("", 23), helper.make_opsetid(OWN, 1)]
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
TRIALS = 3


@dataclass(frozen=True)
class Operator:
    """An operator with what it takes; an input without a name is left out."""

    name: str
    inputs: Arrays
    attributes: dict[str, Any]
    domain: str = ""
    names: tuple[str, ...] = ("query", "key", "value")
    outputs: tuple[str, ...] = ("output",)
    read: Callable[[Array], Array] = field(default=lambda output: output)


def prepare(work: Work, arrays: Arrays) -> Prepared:
    """Bind a session of each operator, and keep the fastest."""
    sessions = [bind(operator) for operator in operators(work, arrays)]
    for one in sessions:
        one.run()
    return min(sessions, key=lambda one: min(seconds(one, 1) for _ in range(TRIALS)))


def operators(work: Work, arrays: Arrays) -> list[Operator]:
    """Return the operators that do the work."""
    batch, heads, length, _ = work.query
    key_heads, keys = work.key_shape[1:3]
    found = [Operator("Attention", arrays, {"is_causal": int(work.causal)})]
    packed = {name: np.ascontiguousarray(one.swapaxes(1, 2)) for name, one in arrays.items()}
    packed = {name: one.reshape(*one.shape[:2], -1) for name, one in packed.items()}

    def unpack(output: Array) -> Array:
        return output.reshape(batch, length, heads, -1).swapaxes(1, 2)

    if heads == key_heads:
        attributes = {"num_heads": heads, "unidirectional": int(work.causal)}
        found.append(Operator("MultiHeadAttention", packed, attributes, OWN, read=unpack))
    # One query after a past is another work for this operator: it appends.
    if work.causal and length == keys:
        counts = {"last_keys": np.full(batch, keys - 1, np.int32), "n_keys": np.array(keys, np.int32)}
        names = ("query", "key", "value", "", "", *counts)
        attributes = {"num_heads": heads, "kv_num_heads": key_heads}
        outputs = ("output", "keys", "values")
        found.append(Operator("GroupQueryAttention", packed | counts, attributes, OWN, names, outputs, unpack))
    return found


def bind(operator: Operator) -> Prepared:
    """Make a session that runs one operator."""
    node = helper.make_node(
        operator.name, operator.names, operator.outputs, domain=operator.domain, **operator.attributes
    )
    described = [
        helper.make_tensor_value_info(name, TYPES[one.dtype], one.shape) for name, one in operator.inputs.items()
    ]
    answered = [helper.make_tensor_value_info(operator.outputs[0], TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph([node], "attention", described, answered), opset_imports=OPSETS, ir_version=10
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(sys.argv[1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Prepared(
        lambda: session.run(list(operator.outputs[:1]), operator.inputs), lambda result: [operator.read(result[0])]
    )


if __name__ == "__main__":
    serve(prepare)
