"""What the inputs, parameters and outputs of a model are called, and where the document of /v1/attention keeps each."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic.fields import FieldInfo

from attention_core.call import Field
from service.schemas.score_models import SCORE_MODEL_SCHEMAS, ScoreModelSchema
from service.schemas.tensors import Tensor

Path = tuple[str, ...]

Content = Literal["vectors", "numbers", "integers", "booleans"]
"""What a tensor holds; vectors share one datatype, which is that of the whole call."""


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that a model takes; `rank` is that of its usual form, and one number stands for itself if it may."""

    path: Path
    content: Content
    rank: int
    optional: bool = True
    or_number: bool = False


VECTORS: dict[str, Input] = {
    "query": Input(("query",), "vectors", 4, optional=False),
    "key": Input(("key",), "vectors", 4, optional=False),
    "value": Input(("value",), "vectors", 4),
}

OTHERS: dict[str, Input] = {
    "allowed": Input(("mask", "allowed"), "booleans", 2),
    "bias": Input(("bias",), "numbers", 2),
    "key_lengths": Input(("mask", "key_lengths"), "integers", 1),
    "query_segments": Input(("mask", "query_segments"), "integers", 1),
    "key_segments": Input(("mask", "key_segments"), "integers", 1),
    "offset": Input(("mask", "offset"), "integers", 1, or_number=True),
    "past_key": Input(("past_key",), "vectors", 4),
    "past_value": Input(("past_value",), "vectors", 4),
    "sink": Input(("normalizer", "sink"), "numbers", 1, or_number=True),
    "alibi_slopes": Input(("position", "slopes"), "numbers", 1, or_number=True),
}

SCALARS: dict[str, Path] = {
    "causal": ("mask", "causal"),
    "offset": ("mask", "offset"),
    "window_left": ("mask", "window", "left"),
    "window_right": ("mask", "window", "right"),
    "softcap": ("softcap",),
    "scale": ("score_model", "scale"),
    "bandwidth": ("score_model", "bandwidth"),
    "normalizer": ("normalizer", "name"),
    "temperature": ("normalizer", "temperature"),
    "sink": ("normalizer", "sink"),
    "alpha": ("normalizer", "alpha"),
    "query_heads": ("heads", "query"),
    "key_value_heads": ("heads", "key_value"),
}
"""Parameters, in the order in which they are put: a normalizer before what belongs to it."""

OPTIONS = "options"

FOREIGN = frozenset(("priority", "timeout", "binary_data_output", "content_type", "headers"))
"""Parameters that clients send for purposes of their own, beside those that begin with FOREIGN_PREFIX."""

FOREIGN_PREFIX = "sequence_"

OUTPUTS: dict[str, Field] = {
    "output": "output",
    "weights": "weights",
    "scores": "scores",
    "capped_scores": "capped_scores",
    "logits": "logits",
    "logsumexp": "logsumexp",
    "present_key": "present",
    "present_value": "present",
}
"""Outputs in the order in which they are answered, and what includes each."""

OUTPUT_RANKS = {"logsumexp": 3}
"""Of all others it is 4."""


def _tensor_in(annotation: Any) -> Tensor | None:
    """Return the tensor inside an annotation such as ``VectorPerHead | None``."""
    if isinstance(annotation, Tensor):
        return annotation
    return next((found for part in get_args(annotation) if (found := _tensor_in(part)) is not None), None)


def _parameter(name: str, field: FieldInfo) -> Input:
    tensor = next(found for part in (*field.metadata, field.annotation) if (found := _tensor_in(part)) is not None)
    return Input(
        ("score_model", name),
        "numbers",
        max(1, tensor.min_rank),
        optional=not field.is_required(),
        or_number=tensor.min_rank == 0,
    )


def _inputs_of(schema: type[ScoreModelSchema]) -> dict[str, Input]:
    parameters = {name: _parameter(name, field) for name, field in schema.model_fields.items() if name != "name"}
    return VECTORS | parameters | OTHERS


MODELS: dict[str, dict[str, Input]] = {
    schema.model_fields["name"].default: _inputs_of(schema) for schema in SCORE_MODEL_SCHEMAS
}
"""Every model and its inputs: a score model, its own tensor parameters among them."""
