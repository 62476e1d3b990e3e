"""Validate documents: each fault has a place, the expected value, the received one and what to change."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attention_core import CallError, ShapeMismatch, UnknownName
from attention_core.hints import Write, as_json, fill_places
from attention_wire.documents import pointer
from service.errors import InvalidRequest, Kind, Violation, steps_of
from service.schemas.advice import advice_on_choice, advice_on_field, advice_on_value
from service.schemas.attention import LabelsSchema
from service.schemas.tensors import describe

Model = TypeVar("Model", bound=BaseModel)

MAX_VIOLATIONS = 20
"""Violations that one answer reports."""

MOVED: dict[str | int, tuple[str, ...]] = {"offset": ("mask", "offset")}
"""Arguments of the core that a request keeps elsewhere."""


def parse(model: type[Model], document: Any, write: Write = as_json) -> Model:
    """Validate a decoded document; raise InvalidRequest with a JSON Pointer for each fault.

    :param write: how the request spells places, for hints; another protocol spells them otherwise.
    """
    if not isinstance(document, dict):
        alternatives = getattr(model, "alternatives", {})
        required = " and ".join(
            name for name, field in model.model_fields.items() if field.is_required() or name in alternatives
        )
        raise InvalidRequest.at(
            "", f"expected a JSON object; received {describe(document)}. Send an object with {required}."
        )
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # A misspelt field is the likelier reason for a missing one, so it is named first.
        details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing")[
            :MAX_VIOLATIONS
        ]
        raise InvalidRequest([_violation(model, document, detail, write) for detail in details]) from None


class call_errors:  # noqa: N801 - a context manager, and a quicker one than contextlib makes of a generator
    """Translate CallError of the core into InvalidRequest.

    :param within: JSON Pointer to the attention request in a larger one.
    :param beside: arguments of the larger request, whose errors have no such prefix.
    :param write: returns a place as the request spells it.
    :param from_memory: whether key and value come from a memory, to whose name their errors point.
    """

    __slots__ = ("_beside", "_from_memory", "_within", "_write")

    def __init__(
        self, within: str = "", beside: tuple[str, ...] = (), write: Write = as_json, *, from_memory: bool = False
    ) -> None:
        self._within = within
        self._beside = beside
        self._write = write
        self._from_memory = from_memory

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raise InvalidRequest instead of a CallError."""
        if isinstance(error, CallError):
            if self._from_memory and error.path[0] in ("key", "value"):
                if error.path[0] == "value" and "no value" in error.received:
                    error.advice = "Name a memory that has values."
                error.path = ("memory",)
            raise _from_call_error(error, self._write).within(
                "" if error.path[0] in self._beside else self._within
            ) from None


def _from_call_error(error: CallError, write: Write) -> InvalidRequest:
    """The paths of the core are those of the request but for the few that moved."""
    path = (*MOVED.get(error.path[0], error.path[:1]), *error.path[1:])
    kind: Kind = "invalid-request"
    if isinstance(error, ShapeMismatch):
        kind = "shape-mismatch"
    elif isinstance(error, UnknownName):
        kind = "unknown-name"
    return InvalidRequest.at(path, error.write_detail(write), kind)


def check_labels(labels: LabelsSchema, *, queries: int, keys: int, within: str = "") -> None:
    """Raise InvalidRequest unless there is one label for each query and each key; `within` is where the request is."""
    for given, count, name in ((labels.query, queries, "query"), (labels.key, keys, "key")):
        if given is not None and len(given) != count:
            detail = f"expected {count} labels, one for each {name}; received {len(given)}. Name each once."
            raise InvalidRequest.at(f"{within}/labels/{name}", detail, "shape-mismatch")


def resolves(place: str, document: Any) -> bool:
    """Return whether a JSON Pointer leads into a document; one that enters a list does."""
    for name in steps_of(place):
        if not isinstance(document, Mapping):
            return True
        if name not in document:
            return False
        document = document[name]
    return True


def _violation(model: type[BaseModel], document: Any, error: ErrorDetails, write: Write) -> Violation:
    path = (*_document_path(document, error["loc"]), *error.get("ctx", {}).get("index", ()))
    kind: Kind = "invalid-request"
    if error["type"] in ("unknown_name", "extra_forbidden", "literal_error"):
        kind = "unknown-name"
    elif error["type"] == "tensor_rank":
        kind = "shape-mismatch"
    return Violation(pointer(path), _detail(model, document, error, write), kind)


def _document_path(document: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop the tags of discriminated unions from Pydantic's location: the document does not have them."""
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


def _holder(document: Any, path: tuple[int | str, ...]) -> Any:
    """Return the object in a document that has, or should have, the value at a path."""
    for step in path[:-1]:
        document = document[step]
    return document


def _detail(model: type[BaseModel], document: Any, error: ErrorDetails, write: Write) -> str:
    """Return the expected value, the received one and what to change, for any validator."""
    received = describe(error["input"])
    match error["type"]:
        case "missing" | "missing_alternative":
            location = (*error["loc"], *error.get("ctx", {}).get("index", ()))
            return f"expected {_field('the field ', location, write)}, which is required; received nothing. Add it."
        case "extra_forbidden":
            holder = _holder(document, _document_path(document, error["loc"]))
            advice = advice_on_field(model, error["loc"], write, holder)
            return f"expected only known fields; received {_field('', error['loc'], write)}. {advice}"
        case "union_tag_not_found":
            name = ': "expression"' if "formula" in error["input"] else ""
            return f'expected an object with a name; received {received} without. Add "name"{name}.'
        case "unknown_name":
            context = error["ctx"]
            advice = advice_on_choice(context["received"], context["known"], error["loc"], write)
            return f"expected {context['expected']}; received '{context['received'][:40]}'. {advice}"
        case "literal_error":
            expected = error["ctx"]["expected"]
            known = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
            advice = advice_on_choice(error["input"], known, error["loc"], write)
            return f"expected one of {', '.join(known)}; received {received}. {advice}"
        case kind if kind in PLAIN:
            expected, advice = PLAIN[kind]
            advice = advice_on_value(error["loc"], kind, error["input"], write) or advice
            return f"expected {expected.format(**error.get('ctx', {}))}; received {received}. {advice}"
        case kind:
            advice = advice_on_value(error["loc"], kind, error["input"], write)
            # Validators of the service write their own advice, with places in braces, at the end of the message.
            own = error.get("ctx", {}).get("advice", "")
            return f"{error['msg'].removesuffix(own)}{fill_places(own, write)} {advice}".rstrip()


def _field(article: str, location: tuple[int | str, ...], write: Write) -> str:
    """Return a field as its request calls it: JSON by its name, another protocol by what `write` makes of its place."""
    if write is as_json:
        return f"{article}'{str(location[-1])[:40]}'"
    return write(".".join(str(step)[:40] for step in location), None)


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
