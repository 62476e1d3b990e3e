"""A document becomes a request, or a list of what is wrong with it: where, expected, received, what to change."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attention_core import CallError, ShapeMismatch, UnknownName
from attention_core.errors import did_you_mean
from service.errors import InvalidRequest, Kind, Violation
from service.schemas.attention import LabelsSchema
from service.schemas.base import OneOf
from service.schemas.tensors import describe

Model = TypeVar("Model", bound=BaseModel)

MOST = 20
"""So many violations are reported at once."""

MOVED: dict[str | int, tuple[str, ...]] = {"offset": ("mask", "offset")}
"""Arguments of the core that a request keeps elsewhere."""


def parse(model: type[Model], document: Any) -> Model:
    """Validate a decoded document; raise InvalidRequest with a JSON Pointer for each thing that is wrong."""
    if not isinstance(document, dict):
        raise InvalidRequest(
            [
                Violation(
                    "",
                    f"expected a JSON object; received {describe(document)}. Send an object with {_required(model)}.",
                    "invalid-request",
                )
            ]
        )
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # A misspelt field is the likelier reason for a missing one, so it is named first.
        details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing")[:MOST]
        raise InvalidRequest([_violation(model, document, detail) for detail in details]) from None


class call_errors:  # noqa: N801 - a context manager, and a quicker one than contextlib makes of a generator
    """Translate what the core finds wrong into InvalidRequest.

    `within` is where the attention request stands in a larger one, `beside` what stands next to it there.
    """

    __slots__ = ("_beside", "_within")

    def __init__(self, within: str = "", beside: tuple[str, ...] = ()) -> None:
        self._within = within
        self._beside = beside

    def __enter__(self) -> None:
        """Nothing is to be prepared."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raise InvalidRequest in the place of a CallError."""
        if isinstance(error, CallError):
            raise _from_call_error(error).within("" if error.path[0] in self._beside else self._within) from None


def _required(model: type[BaseModel]) -> str:
    return " and ".join(name for name, field in model.model_fields.items() if field.is_required())


def _from_call_error(error: CallError) -> InvalidRequest:
    """The paths of the core are those of the request but for the few that moved."""
    path = (*MOVED.get(error.path[0], error.path[:1]), *error.path[1:])
    kind: Kind = "invalid-request"
    if isinstance(error, ShapeMismatch):
        kind = "shape-mismatch"
    elif isinstance(error, UnknownName):
        kind = "unknown-name"
    return InvalidRequest([Violation(pointer(path), error.detail, kind)])


def check_labels(labels: LabelsSchema, *, queries: int, keys: int, within: str = "") -> None:
    """Raise InvalidRequest unless there is one label for each query and each key; `within` is where the request is."""
    for given, count, name in ((labels.query, queries, "query"), (labels.key, keys, "key")):
        if given is not None and len(given) != count:
            detail = f"expected {count} labels, one for each {name}; received {len(given)}. Name each once."
            raise InvalidRequest([Violation(within + pointer(("labels", name)), detail, "shape-mismatch")])


def pointer(path: tuple[str | int, ...]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def resolves(place: str, document: Any) -> bool:
    """Return whether a JSON Pointer leads into a document; whoever wrote a list wrote all that is in it."""
    for step in place.split("/")[1:]:
        if not isinstance(document, Mapping):
            return True
        name = step.replace("~1", "/").replace("~0", "~")
        if name not in document:
            return False
        document = document[name]
    return True


def _violation(model: type[BaseModel], document: Any, error: ErrorDetails) -> Violation:
    path = (*_document_path(document, error["loc"]), *error.get("ctx", {}).get("index", ()))
    kind: Kind = "invalid-request"
    if error["type"] in ("unknown_name", "extra_forbidden", "literal_error"):
        kind = "unknown-name"
    elif error["type"] == "tensor_rank":
        kind = "shape-mismatch"
    return Violation(pointer(path), _detail(model, error), kind)


def _document_path(document: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop from Pydantic's location what is not in the document: the tags of discriminated unions."""
    path: list[int | str] = []
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(document, dict) and (step in document or last):
            document = document.get(step) if isinstance(step, str) else None
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        elif not (last and isinstance(step, int)):
            continue
        path.append(step)
    return tuple(path)


def _detail(model: type[BaseModel], error: ErrorDetails) -> str:
    """Say what was expected, what came and what to change, whichever validator found it."""
    received = describe(error["input"])
    match error["type"]:
        case "missing":
            return f"expected the field {error['loc'][-1]}, which is required; received nothing. Add it."
        case "extra_forbidden":
            return _unknown_field(model, error)
        case "union_tag_not_found":
            return f'expected an object with a name; received {received}. Add "name".'
        case "literal_error":
            expected = error["ctx"]["expected"]
            known = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
            suggestion = did_you_mean(error["input"], known) if isinstance(error["input"], str) else ""
            return f"expected one of {', '.join(known)}; received {received}. {suggestion or 'Use one of these.'}"
        case kind if kind in PLAIN:
            expected, advice = PLAIN[kind]
            return f"expected {expected.format(**error.get('ctx', {}))}; received {received}. {advice}"
        case _:
            return error["msg"]


PLAIN = {
    "float_type": ("a number", "Send a JSON number, without quotes."),
    "int_type": ("an integer", "Send a JSON number without a fraction."),
    "int_from_float": ("an integer", "Send a JSON number without a fraction."),
    "bool_type": ("true or false", "Send a JSON boolean, without quotes."),
    "string_type": ("a string", "Send a JSON string."),
    "list_type": ("a list", "Wrap it in brackets."),
    "dict_type": ("an object", "Send a JSON object."),
    "model_type": ("an object", "Send a JSON object."),
    "model_attributes_type": ("an object or a name", "Send a JSON object, or the bare name as a string."),
    "greater_than_equal": ("a number of at least {ge:g}", "Choose a larger one."),
    "less_than_equal": ("a number of at most {le:g}", "Choose a smaller one."),
    "greater_than": ("a number greater than {gt:g}", "Choose a larger one."),
    "finite_number": ("a finite number", "Send a number that float64 can hold."),
    "too_short": ("a list of at least {min_length}", "Add to it."),
    "too_long": ("a list of at most {max_length}", "Send several requests."),
    "string_too_short": ("at least {min_length} characters", "Write a longer one."),
    "string_too_long": ("at most {max_length} characters", "Shorten it."),
}
"""Expected and advice for the plain validators of Pydantic."""


def _unknown_field(model: type[BaseModel], error: ErrorDetails) -> str:
    *parents, name = error["loc"]
    known = sorted(_fields_at(model, tuple(parents)))
    advice = did_you_mean(str(name), known) or f"Known fields are {', '.join(known)}."
    return f"expected only known fields; received '{str(name)[:40]}'. {advice}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """Return the field names of the model that Pydantic's location leads to; a union's tag follows its field."""
    candidates = {"": model}
    for step in location:
        if step in candidates:
            candidates = {"": candidates[str(step)]}
        elif "" in candidates and step in candidates[""].model_fields:
            members = _models_in(candidates[""].model_fields[str(step)].annotation)
            tags = [member.model_fields["name"].default for member in members] if len(members) > 1 else [""]
            candidates = dict(zip(tags, members, strict=True))
    return {name for member in candidates.values() for name in member.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models inside an annotation such as ``A | None`` or one with OneOf."""
    arguments = get_args(annotation)
    for argument in arguments:
        if isinstance(argument, OneOf):
            return list(argument.members)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in arguments for model in _models_in(argument)]
