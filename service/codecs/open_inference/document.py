"""The document of /v1/attention that a request stands for, and the way back from a place in it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attention_core.errors import did_you_mean
from service.codecs import json
from service.codecs.open_inference.tensors import Received
from service.codecs.open_inference.vocabulary import (
    FOREIGN,
    FOREIGN_PREFIX,
    MODELS,
    OPTIONS,
    OUTPUTS,
    SCALARS,
    Path,
)
from service.errors import InvalidRequest, Kind, MalformedBody, Violation
from service.schemas.tensors import describe

NOT_OPTIONS = {
    "query": "an input",
    "key": "an input",
    "value": "an input",
    "past_key": "an input",
    "past_value": "an input",
    "include": "outputs",
    "labels": "POST /v1/attention",
    "top_k": "POST /v1/attention",
    "decimals": "POST /v1/attention",
}
"""Fields of /v1/attention that are no options, and what says the same here."""

IN_OPTIONS = f"/parameters/{OPTIONS}"


class Builder:
    """Puts options, then scalars, then tensors in their places; remembers who wrote what."""

    def __init__(self, model: str, parameters: Mapping[str, Any], max_depth: int) -> None:
        self._options = _options(parameters.get(OPTIONS), max_depth)
        self.document: dict[str, Any] = _copied(self._options)
        self._scalars: dict[Path, str] = {}
        self._tensors: dict[Path, Received] = {}
        self._choose_model(model)
        _require_known(parameters)
        for name, path in SCALARS.items():
            if parameters.get(name) is not None:
                self._scalars[path] = name
                self._put(path, parameters[name])

    def _choose_model(self, model: str) -> None:
        chosen = _object(self.document.get("score_model"))
        if chosen is not None and _renames(chosen, model):
            raise _refused(
                IN_OPTIONS,
                f"expected the score model {model}, which the path names; received {describe(chosen['name'])}. "
                "Change the path, or leave it out of the options.",
            )
        self.document["score_model"] = {**(chosen or {}), "name": model}

    def _put(self, path: Path, value: Any) -> None:
        """Put a value in its place, making what is missing on the way."""
        *parents, last = path
        inside = self.document
        for step in parents:
            found = _object(inside.get(step))
            if found is None and inside.get(step) is not None:
                return  # the options hold something else there, which the schema is going to refuse
            inside[step] = {} if found is None or (last == "name" and _renames(found, value)) else found
            inside = inside[step]
        inside[last] = value

    def add(self, name: str, path: Path, tensor: Received, *, or_number: bool) -> None:
        """Put a tensor in its place; a tensor of one number is that number where a number will do."""
        if path in self._scalars:
            raise _refused(
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
            raise _refused(
                IN_OPTIONS,
                f"expected the dtype {dtype}, which is the datatype of query; received {describe(given)}. "
                "Leave dtype out of the options.",
            )
        document["dtype"] = dtype
        for field, name in (("normalizer", "softmax"), ("position", "alibi")):
            if isinstance(document.get(field), dict):
                document[field].setdefault("name", name)
        if outputs:
            document["include"] = list(dict.fromkeys(OUTPUTS[name] for name in outputs))
        return document

    def located(self, error: InvalidRequest, outputs: list[str]) -> InvalidRequest:
        """Return an error about the document as one about the request."""
        return InvalidRequest([self._located(one, outputs) for one in error.violations])

    def _located(self, violation: Violation, outputs: list[str]) -> Violation:
        steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in violation.pointer.split("/")[1:])
        for length in range(len(steps), 0, -1):
            path = steps[:length]
            if path in self._tensors:
                index = tuple(int(step) for step in steps[length:])
                about_shape = violation.kind == "shape-mismatch"
                return replace(violation, pointer=self._tensors[path].pointer(index, about_shape=about_shape))
            if path in self._scalars:
                return replace(violation, pointer=f"/parameters/{self._scalars[path]}")
        if steps[:1] == ("include",):
            field = self.document["include"][int(steps[1])]
            position = next(i for i, name in enumerate(outputs) if OUTPUTS[name] == field)
            return replace(violation, pointer=f"/outputs/{position}")
        if steps and steps[0] in self._options:
            detail = f"{violation.detail} The place in options is {violation.pointer}."
            return replace(violation, pointer=IN_OPTIONS, detail=detail)
        return replace(violation, pointer="/parameters" if steps in SCALARS.values() else "/inputs")


def require_input(name: str, position: int, model: str) -> None:
    """Raise InvalidRequest unless the model has an input of this name."""
    if name not in MODELS[model]:
        raise _unknown(f"/inputs/{position}/name", "an input", name, MODELS[model])


def require_output(name: str, position: int) -> None:
    """Raise InvalidRequest unless there is an output of this name."""
    if name not in OUTPUTS:
        raise _unknown(f"/outputs/{position}/name", "an output", name, OUTPUTS)


def _require_known(parameters: Mapping[str, Any]) -> None:
    known = [*SCALARS, OPTIONS]
    for name in parameters:
        if name not in known and name not in FOREIGN and not name.startswith(FOREIGN_PREFIX):
            step = name.replace("~", "~0").replace("/", "~1")
            raise _unknown(f"/parameters/{step}", "a parameter", name, known)


def _options(text: Any, max_depth: int) -> dict[str, Any]:
    """Return the options; arrays in them may have been spelled out."""
    if text is None:
        return {}
    if not isinstance(text, str):
        raise _refused(
            IN_OPTIONS, f"expected JSON as one string; received {describe(text)}. Write the options into a string."
        )
    try:
        options = json.decode(text.encode(), max_depth)
    except MalformedBody as error:
        raise _refused(IN_OPTIONS, str(error)) from None
    if not isinstance(options, dict):
        raise _refused(IN_OPTIONS, f"expected a JSON object; received {describe(options)}. Send an object.")
    for name in options:
        if name in NOT_OPTIONS:
            raise _refused(
                IN_OPTIONS,
                f"expected options beside the tensors; received '{name}'. Use {NOT_OPTIONS[name]} for it.",
                "unknown-name",
            )
    return options


def _object(value: Any) -> dict[str, Any] | None:
    """Return an object itself, or the object that a bare name stands for."""
    if isinstance(value, str):
        return {"name": value}
    return value if isinstance(value, dict) else None


def _renames(found: Mapping[str, Any], name: Any) -> bool:
    """Whether an object is called otherwise; its members then mean nothing to what has this name."""
    return "name" in found and not (isinstance(found["name"], str) and isinstance(name, str) and found["name"] == name)


def _copied(value: Any) -> Any:
    return {name: _copied(member) for name, member in value.items()} if isinstance(value, dict) else value


def _unknown(pointer: str, kind: str, received: str, known: Mapping[str, Any] | list[str]) -> InvalidRequest:
    advice = did_you_mean(received, known) or "Use one of these names."
    detail = f"expected {kind}, one of {', '.join(known)}; received '{received[:40]}'. {advice}"
    return _refused(pointer, detail, "unknown-name")


def _refused(pointer: str, detail: str, kind: Kind = "invalid-request") -> InvalidRequest:
    return InvalidRequest([Violation(pointer, detail, kind)])
