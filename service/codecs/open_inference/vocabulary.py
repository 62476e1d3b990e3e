"""Names of the inputs, parameters and outputs of a model, and the field of /v1/attention that each of them sets.

All of them are made from the fields of the request and of the answer of /v1/attention.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from attention_core import SCORE_MODELS
from attention_core.call import RESULT_FIELDS, ResultField
from attention_wire.datatypes import DATATYPES
from service.errors import FieldPath
from service.schemas.attention import AttentionRequest
from service.schemas.fields import RequestField, request_fields
from service.schemas.formulas import PER_HEAD
from service.schemas.results import AttentionResponse
from service.schemas.tensors import Element

T = TypeVar("T")

Content = Literal["vectors", "numbers", "integers", "booleans"]
"""What a tensor holds; vectors share one datatype, which is that of the whole call."""

FLOATS = tuple(name for name, one in DATATYPES.items() if one.kind == "float")

ACCEPTED: dict[Content, tuple[str, ...]] = {
    "vectors": FLOATS,
    "numbers": FLOATS,
    "integers": ("INT64", "INT32"),
    "booleans": ("BOOL",),
}
"""Datatypes by what a tensor holds."""

CONTENTS: dict[Element, Content] = {
    "number": "numbers",
    "extended": "numbers",
    "integer": "integers",
    "boolean": "booleans",
}
"""What a tensor holds by the elements that it has in JSON, unless it is one of the vectors."""


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that a model takes; `rank` is that of its usual form, and one number stands for itself if it may."""

    path: FieldPath
    content: Content
    rank: int
    optional: bool
    or_number: bool


INPUT_ORDER = (
    *("query", "key", "value", "allowed", "bias", "key_lengths", "query_segments", "key_segments", "offset"),
    *("past_key", "past_value", "sink", "alibi_slopes"),
    *("prefix_lengths", "key_allowed", "query_positions", "key_positions"),
)
OUTPUT_ORDER = ("output", "weights", "scores")
"""The orders in which metadata list inputs and outputs, and answers have them; those that are not named here follow."""


def _ordered(named: dict[str, T], order: tuple[str, ...]) -> dict[str, T]:
    return dict(sorted(named.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _inputs(fields: list[RequestField]) -> dict[str, Input]:
    """Return those fields that are tensors, by name."""
    return {
        one.flat_name: Input(
            one.path,
            "vectors" if one.tensor.shares_dtype else CONTENTS[one.tensor.element],
            one.tensor.shown_rank,
            optional=not one.required,
            or_number=one.tensor.takes_number,
        )
        for one in fields
        if one.tensor is not None
    }


FIELDS = [one for one in request_fields(AttentionRequest) if one.flat_name]
"""Fields that have a name in the protocol."""

COMMON_INPUTS = _ordered(_inputs([one for one in FIELDS if one.path[0] != "score_model"]), INPUT_ORDER)
"""Inputs of every model."""

SCALARS: dict[str, FieldPath] = {
    "normalizer": ("normalizer", "name"),
    # A position is chosen by the tensor that it alone has, or in the options.
    **{one.flat_name: one.path for one in FIELDS if one.is_scalar and one.path[0] != "position"},
    "layout": ("layout",),
}
"""Parameters, in the order in which they are put: a normalizer before what belongs to it."""

OPTIONS = "options"

FOREIGN = frozenset(("priority", "timeout", "binary_data_output", "content_type", "headers"))
"""Parameters that clients send for purposes of their own, beside those that begin with FOREIGN_PREFIX."""

FOREIGN_PREFIX = "sequence_"


def _inputs_of(model: str) -> dict[str, Input]:
    """Return the inputs of a model; the parameters of its own that are tensors stand behind query, key and value."""
    own = _inputs([one for one in FIELDS if one.path[0] == "score_model" and one.member == model])
    common = list(COMMON_INPUTS.items())
    return dict([*common[:3], *own.items(), *common[3:]])


NAMED_TENSORS: dict[str, FieldPath] = {
    one.member: one.path for one in FIELDS if one.member is not None and one.has_named_tensors
}
"""Models that take tensors of any other name, and the object that holds them: the parameters of a formula."""


def find_input(model: str, name: str) -> Input | None:
    """Return an input of a model, None if it has none of this name.

    A parameter of a formula may have one entry for each query head: ``slope.per_head``.
    """
    found = MODELS[model].get(name)
    if found is not None or model not in NAMED_TENSORS:
        return found
    parameter, _, per_head = name.partition(".")
    if not parameter.isidentifier() or per_head not in ("", PER_HEAD):
        return None
    path = (*NAMED_TENSORS[model], *filter(None, (parameter, per_head)))
    return Input(path, "numbers", 1, optional=True, or_number=False)


MODELS: dict[str, dict[str, Input]] = {name: _inputs_of(name) for name in SCORE_MODELS}
"""Every model and its inputs: a score model, its own tensor parameters among them."""


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor that a model returns: the field of `include` that asks for it, and the rank of its usual form."""

    field: ResultField
    rank: int


def _outputs() -> Iterator[tuple[str, Output]]:
    """Yield the arrays of an answer; the field present has two."""
    for one in request_fields(AttentionResponse):
        if one.tensor is not None and len(one.path) == 1:
            [name] = one.path
            field = next(field for field in RESULT_FIELDS if name == field or name.startswith(f"{field}_"))
            yield name, Output(field, one.tensor.shown_rank)


OUTPUTS = _ordered(dict(_outputs()), OUTPUT_ORDER)
"""Outputs in the order in which they are answered."""
