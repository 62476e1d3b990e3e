"""The bytes of an inference request become the document of /v1/attention, and errors find their way back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.codecs.open_inference.document import Builder, require_input, require_output
from service.codecs.open_inference.framing import Limits, decode_head
from service.codecs.open_inference.tensors import Received, read_inputs
from service.codecs.open_inference.vocabulary import MODELS
from service.errors import InvalidRequest, MalformedBody, Violation
from service.schemas import open_inference as schemas
from service.schemas.parse import parse

VECTOR_DATATYPES = ("FP64", "FP32", "FP16", "BF16")

ACCEPTED = {
    "vectors": VECTOR_DATATYPES,
    "numbers": (*VECTOR_DATATYPES, "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    "integers": ("INT32", "INT64", "INT8", "INT16", "UINT8", "UINT16", "UINT32", "UINT64"),
    "booleans": ("BOOL",),
}
"""Datatypes by what a tensor holds."""


UNSUPPORTED = frozenset(("classification", "shared_memory_region"))
"""Parameters of an output that ask for something else than its numbers in the answer."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What was asked for: the document to validate, the outputs that were named, and which of them as raw bytes."""

    id: str | None
    inputs: list[str]
    document: dict[str, Any]
    outputs: list[str]
    binary: Mapping[str, bool]
    binary_by_default: bool
    origin: Builder

    @contextmanager
    def located(self) -> Iterator[None]:
        """Let errors about the document point into the request that was sent."""
        try:
            yield
        except InvalidRequest as error:
            raise self.origin.located(error, self.outputs) from None

    def is_binary(self, output: str) -> bool:
        """Whether an output is answered as raw bytes."""
        return self.binary.get(output, self.binary_by_default)


def read_request(model: str, head: bytes, raw: memoryview, limits: Limits) -> InferenceRequest:
    """Read a request to a model from its JSON and its raw tensors; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(schemas.InferenceRequest, decode_head(head, limits))
    parameters = request.parameters or {}
    builder = Builder(model, parameters, limits.depth)
    names = [tensor.name for tensor in request.inputs]
    _require_distinct(names, "inputs")
    for position, name in enumerate(names):
        require_input(name, position, model)
    received = dict(zip(names, read_inputs(request.inputs, raw), strict=True))
    dtype = _shared_dtype(received, model)
    for name, tensor in received.items():
        one = MODELS[model][name]
        builder.add(name, one.path, tensor, or_number=one.or_number)
    outputs = [output.name for output in request.outputs or ()]
    _require_distinct(outputs, "outputs")
    for position, name in enumerate(outputs):
        require_output(name, position)
    return InferenceRequest(
        id=request.id,
        inputs=names,
        document=builder.finish(dtype, outputs),
        outputs=outputs,
        binary=_binary_choices(request.outputs or ()),
        binary_by_default=_flag(parameters, "binary_data_output", "parameters") or False,
        origin=builder,
    )


def _require_distinct(names: list[str], where: str) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise MalformedBody(
                f"{where}[{position}].name: expected each name once; received {name[:40]!r} twice. Remove one."
            )


def _shared_dtype(received: Mapping[str, Received], model: str) -> str:
    """Return the dtype of the vectors; raises MalformedBody for a datatype that an input cannot have."""
    shared: Received | None = None
    for name, tensor in received.items():
        content = MODELS[model][name].content
        place, datatype = f"inputs[{tensor.position}].datatype", tensor.datatype.name
        if datatype not in ACCEPTED[content]:
            raise MalformedBody(
                f"{place}: expected one of {', '.join(ACCEPTED[content])} for {name}; received {datatype}. "
                "Convert the tensor."
            )
        if content == "vectors":
            if shared is not None and shared.datatype != tensor.datatype:
                raise MalformedBody(
                    f"{place}: expected {shared.datatype.name}, the datatype of the vectors before it; received "
                    f"{datatype} for {name}. query, key, value and past share one datatype."
                )
            shared = tensor
    return (shared and shared.datatype.dtype) or "float64"


def _binary_choices(outputs: list[schemas.WantedOutput] | tuple[()]) -> dict[str, bool]:
    """Return for which outputs the request says itself whether they are raw bytes."""
    choices = {}
    for position, output in enumerate(outputs):
        for name in UNSUPPORTED & set(output.parameters or ()):
            detail = f"expected an output that is returned as it is; received {name}. Leave it out."
            raise InvalidRequest([Violation(f"/outputs/{position}/parameters/{name}", detail, "invalid-request")])
        choice = _flag(output.parameters, "binary_data", f"outputs[{position}].parameters")
        if choice is not None:
            choices[output.name] = choice
    return choices


def _flag(parameters: Mapping[str, Any] | None, name: str, place: str) -> bool | None:
    flag = (parameters or {}).get(name)
    if flag is not None and not isinstance(flag, bool):
        raise MalformedBody(f"{place}.{name}: expected true or false; received {flag!r}. Send a boolean.")
    return flag
