"""Names of the fields of /v1/attention in an inference request, for error messages."""

from collections.abc import Collection, Iterable

from attention_core.hints import Kind, advise, as_json, split
from attention_core.hints.translation import read_value
from attention_wire.datatypes import BY_DTYPE
from service.codecs import json
from service.codecs.open_inference.vocabulary import MODELS, OPTIONS, OUTPUTS, SCALARS
from service.errors import FieldPath
from service.schemas.attention import JSON_ONLY, VECTORS, AttentionRequest
from service.schemas.places import own_names

NOT_OPTIONS = {
    **dict.fromkeys(VECTORS, "an input"),
    "include": "outputs",
    **dict.fromkeys(JSON_ONLY, "POST /v1/attention"),
}
"""Fields of /v1/attention that are not options, and where an inference request states them."""

NAMED_VALUES = "parameters"
"""The object for the parameters of a formula in a score model, a score modifier or a mask."""

INPUTS: dict[FieldPath, str] = {one.path: name for inputs in MODELS.values() for name, one in inputs.items()}
PARAMETERS: dict[FieldPath, str] = {path: name for name, path in SCALARS.items()}


def write_place(place: str, value: str | None) -> str:
    """Write a place, and the value to put there if there is one: ``the parameter causal: true``."""
    steps, name = split(place)
    match steps:
        case ("score_model",):
            return f"the model {name}" if name else "the model, which the path names"
        case ("include",):
            return _output(value)
        case ("dtype",):
            return f"the datatype {BY_DTYPE[value].name}" if value else "the datatype of query"
        case ("normalizer",):
            return f'the parameter normalizer: "{name}"' if name else "the parameter normalizer"
        case (first, *_) if NOT_OPTIONS.get(first, "").startswith("POST"):
            return f"{as_json(place, value)} in {NOT_OPTIONS[first]}"
    text = _tensor_or_scalar(steps, value)
    if text is None:
        return f"{_in_options(place, steps, value)} in the parameter {OPTIONS}"
    match steps[0]:
        case "score_model":
            return f"{text} of the model {name}"
        case "normalizer" if name:
            return f'{text} beside normalizer: "{name}"'
        case "position" if name:
            return f"{text} of the position {name}"
    return text


def _in_options(place: str, steps: FieldPath, value: str | None) -> str:
    """Return a place in the options as JSON."""
    if steps[1:] == (NAMED_VALUES,):
        # Beside the parameters of the protocol, "parameters of a formula" would be read as some of those.
        return f'"{steps[0]}": {{"{NAMED_VALUES}": {{…}}}}'
    return as_json(place, value)


def _output(value: str | None) -> str:
    """Return the outputs of a field of the result; fields without one are answered by /v1/attention alone."""
    if value is None:
        return "the outputs"
    names = [name for name, output in OUTPUTS.items() if output.field == value]
    return f"the output {' and '.join(names)}" if names else f"{as_json('include', value)} in POST /v1/attention"


def _tensor_or_scalar(steps: FieldPath, value: str | None) -> str | None:
    """Return the input, the parameter or both that a place is, or those of everything in it; None if it is neither."""
    inputs, parameters = ([name for path, name in all_.items() if path == steps] for all_ in (INPUTS, PARAMETERS))
    if value is not None and parameters:
        return f"the parameter {parameters[0]}: {json.encode(read_value('', value)).decode()}"
    if inputs or parameters:
        kinds = ["input"] * len(inputs) + ["parameter"] * len(parameters)
        return f"the {' or '.join(kinds)} {(inputs or parameters)[0]}"
    inside = [name for path, name in (INPUTS | PARAMETERS).items() if path[: len(steps)] == steps]
    return f"the {_kinds(inside)} {', '.join(inside)}" if inside and steps[0] != "position" else None


def _kinds(names: Iterable[str]) -> str:
    kinds = {"parameters" if name in PARAMETERS.values() else "inputs" for name in names}
    return " and ".join(sorted(kinds))


def advise_place(received: str, known: Collection[str], kind: Kind) -> str:
    """Return what to send instead of an unknown name; empty when there is no advice."""
    return advise(received, known, kind=kind, write=write_place, own=own_names(AttentionRequest))
