"""Gradients of a loss: the request for them, and the result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from attention_client import safetensors
from attention_client.arguments import Document
from attention_client.errors import InvalidArgument, UnreadableAnswer
from attention_client.responses import REQUEST_ID, FloatArray, Reply, array_of, compute_type, read_json
from attention_client.tensors import as_array

GRADIENTS = "gradients"
"""Member of the response that holds them."""

VECTORS = ("query", "key", "value", "past_key", "past_value")
"""Gradients in the number type of the call."""

PARAMETERS = ("score_model", "score_modifier", "normalizer")
"""Objects with a gradient for each parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionGradients:
    """The output, and the gradients of a loss; None, or empty, for fields that were not included or not sent.

    :param output: weights · value, (…, Lq, Dv), or packed (B, Lq, Hq·Dv).
    :param query: gradient of the queries, in their shape; as each gradient, summed over axes that were broadcast.
    :param key: gradient of the keys.
    :param value: gradient of the values.
    :param past_key: gradient of the cached keys.
    :param past_value: gradient of the cached values.
    :param bias: gradient of the bias; as those of parameters in float64, or in float32 for the other number types.
    :param score_model: gradients of the score model's parameters, by name.
    :param score_modifier: gradients of the score modifier's parameters, by name; empty without one.
    :param normalizer: gradients of the normalizer's parameters, by name: temperature, sink or bias.
    :param dtype: number type of the call: float64, float32, float16 or bfloat16.
    :param request_id: identifies the request in the log of the service.
    :param notes: remarks of the service, such as one about a row without a visible key.
    """

    output: FloatArray | None = None
    query: FloatArray | None = None
    key: FloatArray | None = None
    value: FloatArray | None = None
    past_key: FloatArray | None = None
    past_value: FloatArray | None = None
    bias: FloatArray | None = None
    score_model: Mapping[str, FloatArray]
    score_modifier: Mapping[str, FloatArray]
    normalizer: Mapping[str, FloatArray]
    dtype: str
    request_id: str | None
    notes: tuple[str, ...] = ()


def gradients_document(
    document: Document, output_gradient: ArrayLike | None, include: Sequence[str] | None
) -> Document:
    """Return the document of POST /v1/attention/gradients.

    :param document: that of POST /v1/attention.
    :param output_gradient: see `AttentionClient.gradients`.
    :param include: see `AttentionClient.gradients`.

    Raises InvalidArgument.
    """
    if output_gradient is None:
        raise InvalidArgument("/output_gradient", "expected an array in the shape of the output; received none.")
    chosen = {} if include is None else {"include": list(include)}
    return {"request": document, "output_gradient": as_array(output_gradient, "/output_gradient"), **chosen}


def read_gradients(reply: Reply, dtype: str) -> AttentionGradients:
    """Return the result of a response in safetensors, or in JSON; raises UnreadableAnswer."""
    if reply.headers.get("content-type", "").startswith(safetensors.MEDIA_TYPE):
        document, arrays = safetensors.read(reply.content)
    else:
        document = read_json(reply)
        try:
            arrays = dict(_arrays_of(document, dtype))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableAnswer(f"expected gradients; received something else: {error!r}") from None
    inside = {name: array for name, array in arrays.items() if name.startswith(f"{GRADIENTS}.")}
    by_name = {name.removeprefix(f"{GRADIENTS}."): array for name, array in inside.items()}
    parameters: dict[str, dict[str, FloatArray]] = {of: {} for of in PARAMETERS}
    for name in [name for name in by_name if "." in name]:
        of, _, parameter = name.partition(".")
        parameters.setdefault(of, {})[parameter] = by_name.pop(name)
    return AttentionGradients(
        output=arrays.get("output"),
        **{name: by_name.get(name) for name in (*VECTORS, "bias")},
        score_model=parameters["score_model"],
        score_modifier=parameters["score_modifier"],
        normalizer=parameters["normalizer"],
        dtype=dtype,
        request_id=reply.headers.get(REQUEST_ID),
        notes=tuple(map(str, document.get("notes", ()))),
    )


def _arrays_of(document: Mapping[str, Any], dtype: str) -> Iterator[tuple[str, FloatArray]]:
    """Yield the arrays of a JSON response by their dotted names, as a safetensors file has them."""
    if "output" in document:
        yield "output", array_of(document["output"], dtype)
    for name, member in document[GRADIENTS].items():
        if isinstance(member, Mapping):
            for parameter, value in member.items():
                yield f"{GRADIENTS}.{name}.{parameter}", array_of(value, compute_type(dtype))
        else:
            yield f"{GRADIENTS}.{name}", array_of(member, dtype if name in VECTORS else compute_type(dtype))
