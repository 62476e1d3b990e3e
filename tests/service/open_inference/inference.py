"""The Open Inference Protocol as a client writes and reads it, sharing nothing with the service's codec."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import httpx
import ml_dtypes
import numpy as np

HEADER = "Inference-Header-Content-Length"

NUMPY = {"FP64": np.float64, "FP32": np.float32, "FP16": np.float16, "BF16": ml_dtypes.bfloat16, "BOOL": np.bool_,
         "INT32": np.int32, "INT64": np.int64}  # fmt: skip
DATATYPES = {"float64": "FP64", "float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}

NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}

FIELDS = {"output": ["output"], "weights": ["weights"], "scores": ["scores"], "capped_scores": ["capped_scores"],
          "modified": ["modified"], "logits": ["logits"], "mean_weights": ["mean_weights"],
          "logsumexp": ["logsumexp"], "present": ["present_key", "present_value"],
          "diagnostics": [], "ranking": []}  # fmt: skip
"""What /v1/attention includes by name, and the outputs that are the same."""


@dataclass
class Tensor:
    """A tensor as a client has it."""

    name: str
    datatype: str
    array: np.ndarray

    def as_json(self, *, nested: bool = False) -> dict[str, Any]:
        """In the JSON."""
        data = self.array if nested else self.array.ravel()
        return self._head() | {"data": _spelled(data.tolist())}

    def as_binary(self) -> tuple[dict[str, Any], bytes]:
        """What the JSON says, and the bytes behind it."""
        raw = self.array.astype(NUMPY[self.datatype]).tobytes()
        return self._head() | {"parameters": {"binary_data_size": len(raw)}}, raw

    def _head(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.array.shape), "datatype": self.datatype}


def _spelled(nested: Any) -> Any:
    """Numbers that are none as the strings of the protocol."""
    if isinstance(nested, list):
        return [_spelled(item) for item in nested]
    names = {str(number): name for name, number in NOT_FINITE.items()}
    return names.get(str(nested), nested)


def frame(document: dict[str, Any], *raw: bytes) -> tuple[bytes, dict[str, str]]:
    """A body with raw tensors, and its header."""
    head = json.dumps(document).encode()
    return head + b"".join(raw), {HEADER: str(len(head))}


def body_of(tensors: list[Tensor], binary: set[str], **members: Any) -> tuple[bytes, dict[str, str]]:
    """A body in which some of the tensors are raw."""
    inputs, raw = [], []
    for position, tensor in enumerate(tensors):
        if tensor.name in binary:
            head, content = tensor.as_binary()
            raw.append(content)
        else:
            head = tensor.as_json(nested=position % 2 == 0)
        inputs.append(head)
    return frame({"inputs": inputs, **members}, *raw)


def outputs_of(response: httpx.Response) -> dict[str, np.ndarray]:
    """The tensors of an answer, each of its datatype; everything that the protocol says of the answer is asserted."""
    assert response.status_code == 200, response.text
    length = response.headers.get(HEADER)
    head, raw = (response.content, b"") if length is None else (response.content[: int(length)],
                                                                response.content[int(length) :])  # fmt: skip
    document = json.loads(head, parse_constant=_refuse)
    arrays, offset = {}, 0
    for output in document["outputs"]:
        datatype, shape = output["datatype"], output["shape"]
        if "parameters" in output:
            assert "data" not in output
            size = output["parameters"]["binary_data_size"]
            arrays[output["name"]] = np.frombuffer(raw[offset : offset + size], NUMPY[datatype]).reshape(shape)
            offset += size
        else:
            numbers = [NOT_FINITE[item] if isinstance(item, str) else item for item in output["data"]]
            arrays[output["name"]] = np.array(numbers, np.float64).astype(NUMPY[datatype]).reshape(shape)
    assert offset == len(raw)
    binary = any("parameters" in output for output in document["outputs"])
    assert (length is not None) == binary
    assert response.headers["content-type"] == ("application/octet-stream" if binary else "application/json")
    return arrays


def _refuse(constant: str) -> float:
    raise AssertionError(f"bare {constant} in an answer")


def float32(*numbers: float) -> bytes:
    """Little-endian."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


VECTORS = ("query", "key", "value", "past_key", "past_value")
SAID_OTHERWISE = (*VECTORS, "dtype", "include", "labels", "top_k", "decimals")
MASK_TENSORS = {"allowed": "BOOL", "key_lengths": "INT32", "query_segments": "INT64", "key_segments": "INT32",
                "key_allowed": "BOOL"}  # fmt: skip


def as_inference(request: dict[str, Any], *, through_options: bool) -> tuple[str, list[Tensor], dict[str, Any]]:
    """The model, tensors and parameters of an attention request; beside the vectors all of it as options, or as little.

    What has to do with JSON alone (labels, decimals, diagnostics, ranking) is left out.
    """
    datatype = DATATYPES[request.get("dtype") or "float64"]
    tensors = [_vector(name, datatype, request[name]) for name in VECTORS if request.get(name) is not None]
    rest = {name: value for name, value in request.items() if value is not None and name not in SAID_OTHERWISE}
    score_model = _object(rest.get("score_model", "scaled_dot_product"))
    if through_options:
        return score_model["name"], tensors, {"options": json.dumps(rest)} if rest else {}
    rest.pop("score_model", None)
    parameters: dict[str, Any] = {}
    for name, value in score_model.items():
        if name == "parameters" and value is not None:
            _spread_named(value, tensors, rest)
        elif name != "name" and value is not None:
            _place(name, value, tensors, parameters)
    _spread_normalizer(_object(rest.pop("normalizer", None)), tensors, parameters, rest)
    options = _spread_mask(rest.pop("mask", {}), tensors, parameters)
    if options:
        rest["mask"] = options
    if "bias" in rest:
        tensors.append(Tensor("bias", "FP64", np.array(_extended(rest.pop("bias")), np.float64)))
    for name, count in (rest.pop("heads", None) or {}).items():
        parameters[f"{name}_heads"] = count
    parameters |= {name: rest.pop(name) for name in ("softcap", "layout") if name in rest}
    tensors += [
        Tensor(f"{side}_positions", "INT64", np.array(numbers, np.int64))
        for side, numbers in (rest.pop("positions", None) or {}).items()
        if numbers is not None
    ]
    position = _object(rest.get("position"))
    if position.get("name") == "alibi" and position.get("slopes") is not None:
        del rest["position"]
        tensors.append(Tensor("alibi_slopes", "FP64", np.atleast_1d(np.array(position["slopes"], np.float64))))
    return score_model["name"], tensors, parameters | ({"options": json.dumps(rest)} if rest else {})


def _vector(name: str, datatype: str, nested: Any) -> Tensor:
    return Tensor(name, datatype, np.array(nested, np.float64).astype(NUMPY[datatype]))


def _place(name: str, value: Any, tensors: list[Tensor], parameters: dict[str, Any]) -> None:
    if isinstance(value, list):
        tensors.append(Tensor(name, "FP64", np.array(value, np.float64)))
    else:
        parameters[name] = value


def _spread_named(named: dict[str, Any], tensors: list[Tensor], rest: dict[str, Any]) -> None:
    """Parameters of a formula: tensors by their names, with per_head behind those for each head, numbers as options."""
    numbers = {}
    for name, value in named.items():
        if isinstance(value, dict):
            tensors.append(Tensor(f"{name}.per_head", "FP64", np.array(value["per_head"], np.float64)))
        elif isinstance(value, list):
            tensors.append(Tensor(name, "FP64", np.array(value, np.float64)))
        else:
            numbers[name] = value
    if numbers:
        rest["score_model"] = {"parameters": numbers}


def _spread_normalizer(
    normalizer: dict[str, Any], tensors: list[Tensor], parameters: dict[str, Any], rest: dict[str, Any]
) -> None:
    if "bias" in normalizer:
        rest["normalizer"] = normalizer
        return
    for name, value in normalizer.items():
        if value is not None:
            _place({"name": "normalizer"}.get(name, name), value, tensors, parameters)


def _spread_mask(mask: dict[str, Any], tensors: list[Tensor], parameters: dict[str, Any]) -> dict[str, Any]:
    """Add the tensors and parameters of a mask; return what has no name of its own: a formula and its parameters."""
    options = {}
    for name, value in mask.items():
        if value is None:
            continue
        if name in ("formula", "parameters"):
            options[name] = value
        elif name == "window":
            parameters |= {f"window_{side}": size for side, size in value.items() if size is not None}
        elif isinstance(value, list) or name == "allowed":
            datatype = MASK_TENSORS.get(name, "INT64")
            tensors.append(Tensor(name, datatype, np.array(value, NUMPY[datatype])))
        else:
            parameters[name] = value
    return options


def _object(model: Any) -> dict[str, Any]:
    return {"name": model} if isinstance(model, str) else dict(model or {})


def _extended(nested: Any) -> Any:
    return [_extended(item) for item in nested] if isinstance(nested, list) else -np.inf if nested is None else nested
