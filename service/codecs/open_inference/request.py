"""Decodes an inference request into the document of /v1/attention, and points errors at the request that was sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.codecs.open_inference.document import Builder, require_input, require_output
from service.codecs.open_inference.tensors import Received, read_inputs
from service.codecs.open_inference.vocabulary import ACCEPTED
from service.errors import InvalidRequest, MalformedBody
from service.schemas import open_inference as schemas
from service.schemas.parse import parse

ADDED = "Convert it, true = may see, or send numbers to be added to the scores as the input bias."
"""What to do with a mask of numbers."""

UNSUPPORTED = frozenset(("classification", "shared_memory_region"))
"""Parameters of an output that ask for something else than its numbers in the answer."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A decoded request: the document to validate, the outputs that it names, and which of them as raw bytes."""

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
        """Return whether an output is answered as raw bytes."""
        return self.binary.get(output, self.binary_by_default)


def read_request(model: str, document: Any, raw: memoryview, max_depth: int) -> InferenceRequest:
    """Read a request to a model; raises MalformedBody, InvalidRequest or TooLarge.

    :param model: its name in the path.
    :param document: the JSON of the request, decoded.
    :param raw: its raw tensors.
    :param max_depth: levels of nesting in the options.
    """
    request = parse(schemas.InferenceRequest, document)
    parameters = request.parameters or {}
    builder = Builder(model, parameters, max_depth)
    names = [tensor.name for tensor in request.inputs]
    _require_distinct(names, "inputs")
    for position, name in enumerate(names):
        require_input(name, position, model)
    received = dict(zip(names, read_inputs(request.inputs, raw), strict=True))
    dtype = _shared_dtype(received, model)
    for name, tensor in received.items():
        one = require_input(name, tensor.position, model)
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
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            raise MalformedBody(
                f"{where}[{position}].name: expected each name once; received {name[:40]!r} twice. Remove one."
            )
        seen.add(name)


def _shared_dtype(received: Mapping[str, Received], model: str) -> str:
    """Return the dtype of the vectors; raises MalformedBody for a datatype that an input cannot have."""
    shared: Received | None = None
    for name, tensor in received.items():
        content = require_input(name, tensor.position, model).content
        place, datatype = f"inputs[{tensor.position}].datatype", tensor.datatype.name
        if datatype not in ACCEPTED[content]:
            advice = ADDED if content == "booleans" else "Convert the tensor."
            raise MalformedBody(
                f"{place}: expected one of {', '.join(ACCEPTED[content])} for {name}; received {datatype}. {advice}"
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
            raise InvalidRequest.at(f"/outputs/{position}/parameters/{name}", detail)
        choice = _flag(output.parameters, "binary_data", f"outputs[{position}].parameters")
        if choice is not None:
            choices[output.name] = choice
    return choices


def _flag(parameters: Mapping[str, Any] | None, name: str, place: str) -> bool | None:
    flag = (parameters or {}).get(name)
    if flag is not None and not isinstance(flag, bool):
        raise MalformedBody(f"{place}.{name}: expected true or false; received {flag!r}. Send a boolean.")
    return flag
