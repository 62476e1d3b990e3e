"""Builds the document of /v1/attention from an inference request, and maps errors about it back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attention_core.formulas import PARAMETERS
from attention_core.hints import fill_places
from attention_wire.documents import expand_name, pointer
from service.codecs import json
from service.codecs.merge_patch import renames
from service.codecs.open_inference.places import NOT_OPTIONS, advise_place, write_place
from service.codecs.open_inference.tensors import Received
from service.codecs.open_inference.vocabulary import (
    FOREIGN,
    FOREIGN_PREFIX,
    MODELS,
    NAMED_TENSORS,
    OPTIONS,
    OUTPUTS,
    SCALARS,
    Input,
    find_input,
)
from service.errors import DuplicateName, FieldPath, InvalidRequest, MalformedBody, Violation, steps_of
from service.schemas.advice import advice_on_parameter, is_parameter
from service.schemas.formulas import PER_HEAD
from service.schemas.tensors import describe

IN_OPTIONS = f"/parameters/{OPTIONS}"

ADVICE_ON_NAMED = (
    f"An input of its name, such as W, is a parameter of the formula too; W.{PER_HEAD} has an entry for each head."
)


class Builder:
    """Sets options, then scalars, then tensors in a document, and records which of them set each field."""

    def __init__(self, model: str, parameters: Mapping[str, Any], max_depth: int) -> None:
        self._options = _options(parameters.get(OPTIONS), max_depth)
        self.document: dict[str, Any] = _copied(self._options)
        self._scalars: dict[FieldPath, str] = {}
        self._tensors: dict[FieldPath, Received] = {}
        self._choose_model(model)
        _require_known(parameters)
        for name, path in SCALARS.items():
            if parameters.get(name) is not None:
                self._scalars[path] = name
                self._put(path, parameters[name])

    def _choose_model(self, model: str) -> None:
        chosen = _object(self.document.get("score_model"))
        if chosen is not None and renames(chosen, model):
            raise InvalidRequest.at(
                IN_OPTIONS,
                f"expected the score model {model}, which the path names; received {describe(chosen['name'])}. "
                "Change the path, or leave it out of the options.",
            )
        self.document["score_model"] = {**(chosen or {}), "name": model}

    def _put(self, path: FieldPath, value: Any) -> None:
        """Set a field, creating the objects that lead to it."""
        *parents, last = path
        inside = self.document
        for step in parents:
            found = _object(inside.get(step))
            if found is None and inside.get(step) is not None:
                return  # the options hold no object there, which the schema refuses
            inside[step] = {} if found is None or (last == "name" and renames(found, value)) else found
            inside = inside[step]
        inside[last] = value

    def add(self, name: str, path: FieldPath, tensor: Received, *, or_number: bool) -> None:
        """Set a tensor; with `or_number` a tensor of one number is set as the number."""
        if path in self._scalars:
            raise InvalidRequest.at(
                f"/inputs/{tensor.position}/name",
                f"expected {name} once; received it as an input and as a parameter. Leave one of them out.",
            )
        self._tensors[path] = tensor
        alone = or_number and tensor.array.ndim < 2 and tensor.array.size == 1
        self._put(path, tensor.array.item() if alone else tensor.array)

    def finish(self, dtype: str, outputs: list[str]) -> dict[str, Any]:
        """Return the document."""
        document = self.document
        given = document.get("dtype")
        if given is not None and not (isinstance(given, str) and given == dtype):
            raise InvalidRequest.at(
                IN_OPTIONS,
                f"expected the dtype {dtype}, which is the datatype of query; received {describe(given)}. "
                "Leave dtype out of the options.",
            )
        document["dtype"] = dtype
        for field, name in (("normalizer", "softmax"), ("position", "alibi")):
            if isinstance(document.get(field), dict):
                document[field].setdefault("name", name)
        if outputs:
            document["include"] = list(dict.fromkeys(OUTPUTS[name].field for name in outputs))
        return document

    def located(self, error: InvalidRequest, outputs: list[str]) -> InvalidRequest:
        """Return an error about the document as one about the request."""
        return InvalidRequest([self._located(one, outputs) for one in error.violations])

    def _located(self, violation: Violation, outputs: list[str]) -> Violation:
        steps = tuple(steps_of(violation.pointer))
        for length in range(len(steps), 0, -1):
            path = steps[:length]
            if path in self._tensors:
                index = tuple(int(step) for step in steps[length:])
                about_shape = violation.kind == "shape-mismatch"
                return replace(violation, pointer=self._tensors[path].pointer(index, about_shape=about_shape))
            if path in self._scalars:
                return replace(violation, pointer=f"/parameters/{self._scalars[path]}")
        for path, name in self._scalars.items():
            # The fault of an object, of which a parameter is a member.
            if steps[0] not in self._options and path[: len(steps)] == steps:
                return replace(violation, pointer=f"/parameters/{name}")
        if steps[:1] == ("include",):
            field = self.document["include"][int(steps[1])]
            position = next(i for i, name in enumerate(outputs) if OUTPUTS[name].field == field)
            return replace(violation, pointer=f"/outputs/{position}")
        if steps and steps[0] in self._options:
            detail = f"{violation.detail} The place in options is {violation.pointer}."
            return replace(violation, pointer=IN_OPTIONS, detail=detail)
        return replace(violation, pointer="/parameters" if steps in SCALARS.values() else "/inputs")


def require_input(name: str, position: int, model: str) -> Input:
    """Return the input of this name; raise InvalidRequest unless the model has one."""
    found = find_input(model, name)
    if found is None:
        also = ADVICE_ON_NAMED if model in NAMED_TENSORS else ""
        raise _unknown(f"/inputs/{position}/name", "an input", name, MODELS[model], also)
    return found


def require_output(name: str, position: int) -> None:
    """Raise InvalidRequest unless there is an output of this name."""
    if name not in OUTPUTS:
        raise _unknown(f"/outputs/{position}/name", "an output", name, OUTPUTS)


def _require_known(parameters: Mapping[str, Any]) -> None:
    known = [*SCALARS, OPTIONS]
    for name in parameters:
        if name in known or name in FOREIGN or name.startswith(FOREIGN_PREFIX):
            continue
        place = pointer(("parameters", name))
        if is_parameter(name, parameters.get("formula")):
            advice = advice_on_parameter(name, fill_places(PARAMETERS["score_model"], write_place))
            detail = f"expected only known parameters; received '{name[:40]}'. {advice}"
            raise InvalidRequest.at(place, f"{detail} {ADVICE_ON_NAMED}", "unknown-name")
        raise _unknown(place, "a parameter", name, known)


def _options(text: Any, max_depth: int) -> dict[str, Any]:
    """Return the options; arrays in them may have been spelled out."""
    if text is None:
        return {}
    if not isinstance(text, str):
        raise InvalidRequest.at(
            IN_OPTIONS, f"expected JSON as one string; received {describe(text)}. Write the options into a string."
        )
    try:
        options = json.decode(text.encode(), max_depth)
    except DuplicateName as error:
        raise DuplicateName(error.path, within=f"the JSON of {IN_OPTIONS}") from None
    except MalformedBody as error:
        raise InvalidRequest.at(IN_OPTIONS, str(error)) from None
    if not isinstance(options, dict):
        raise InvalidRequest.at(IN_OPTIONS, f"expected a JSON object; received {describe(options)}. Send an object.")
    for name in options:
        if name in NOT_OPTIONS:
            raise InvalidRequest.at(
                IN_OPTIONS,
                f"expected options beside the tensors; received '{name}'. Use {NOT_OPTIONS[name]} for it.",
                "unknown-name",
            )
    return options


def _object(value: Any) -> dict[str, Any] | None:
    """Return an object, or the one that a bare name stands for; None for anything else."""
    expanded = expand_name(value)
    return expanded if isinstance(expanded, dict) else None


def _copied(value: Any) -> Any:
    return {name: _copied(member) for name, member in value.items()} if isinstance(value, dict) else value


def _unknown(
    place: str, kind: str, received: str, known: Mapping[str, Any] | list[str], also: str = ""
) -> InvalidRequest:
    """Return the error about a name that is not known; `also` stands behind the advice on it."""
    advice = advise_place(received, known, "include" if kind == "an output" else "field") or "Use one of these names."
    detail = f"expected {kind}, one of {', '.join(known)}; received '{received[:40]}'. {advice} {also}"
    return InvalidRequest.at(place, detail.rstrip(), "unknown-name")
