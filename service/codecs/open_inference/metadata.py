"""Metadata and configuration of a model."""

from typing import Any

from service.codecs.open_inference.vocabulary import MODELS, OUTPUTS, Content

VERSION = "1"
PLATFORM = "attention-service"

DATATYPES_SHOWN: dict[Content, str] = {"vectors": "FP32", "numbers": "FP32", "integers": "INT64", "booleans": "BOOL"}
"""The datatype that the metadata show, one of those that are accepted."""

VARIABLE = -1


def metadata(model: str) -> dict[str, Any]:
    """Return the metadata; the datatype of the outputs is that of the inputs, whichever is sent."""
    inputs = [
        {"name": name, "datatype": DATATYPES_SHOWN[one.content], "shape": [VARIABLE] * one.rank}
        for name, one in MODELS[model].items()
    ]
    outputs = [{"name": name, "datatype": "FP32", "shape": shape} for name, shape in _output_shapes().items()]
    return {"name": model, "versions": [VERSION], "platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def configuration(model: str) -> dict[str, Any]:
    """Return the configuration, which has the same tensors and says which of them are optional."""
    inputs = [
        {"name": name, "data_type": f"TYPE_{DATATYPES_SHOWN[one.content]}", "dims": [VARIABLE] * one.rank}
        | ({"optional": True} if one.optional else {})
        for name, one in MODELS[model].items()
    ]
    outputs = [{"name": name, "data_type": "TYPE_FP32", "dims": shape} for name, shape in _output_shapes().items()]
    return {"name": model, "platform": PLATFORM, "max_batch_size": 0, "input": inputs, "output": outputs}


def _output_shapes() -> dict[str, list[int]]:
    return {name: [VARIABLE] * output.rank for name, output in OUTPUTS.items()}
