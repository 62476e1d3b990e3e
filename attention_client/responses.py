"""Responses of the service: the result, the document or the problem that each holds."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_client.errors import Problem, UnreadableAnswer, Violation
from attention_client.names import OUTPUTS
from attention_client.tensors import unframe
from attention_wire.datatypes import BY_DTYPE
from attention_wire.open_inference import HEADER

FloatArray = NDArray[np.floating[Any]]

REQUEST_ID = "x-request-id"
MEMORY_VERSION = "attention-memory-version"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it was received; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionResult:
    """The arrays that were included, and how they were computed.

    :param arrays: by name; ``result.weights`` reads ``arrays["weights"]``.  bfloat16 is held in float32.
    :param score_model: name of the score model.
    :param dtype: number type of the call: float64, float32, float16 or bfloat16.
    :param request_id: identifies the request in the log of the service.
    :param notes: remarks of the service, such as one about a row without a visible key.
    :param memory_version: the version of the memory that was read, after an append the new one; None without a memory.
    """

    arrays: Mapping[str, FloatArray]
    score_model: str
    dtype: str
    request_id: str | None
    notes: tuple[str, ...] = ()
    memory_version: str | None = None

    def _included(self, name: str) -> FloatArray:
        if name not in self.arrays:
            field = "present" if name.startswith("present") else name
            raise AttributeError(f"{name} was not included; add {field} to include")
        return self.arrays[name]

    def _repr_html_(self) -> str:
        """Return the result as HTML, which Jupyter shows: the heat map of its weights, its arrays and its notes."""
        from attention_heat_map.notebook import result_html

        return result_html(self.arrays, title=f"{self.score_model} · {self.dtype}", notes=self.notes)

    @property
    def scores(self) -> FloatArray:
        """Raw scores a(q, k), (…, Lq, Lk)."""
        return self._included("scores")

    @property
    def capped_scores(self) -> FloatArray:
        """Scores after the soft cap, (…, Lq, Lk)."""
        return self._included("capped_scores")

    @property
    def modified(self) -> FloatArray:
        """Capped scores after bias, ALiBi and score modifier, before the mask, (…, Lq, Lk)."""
        return self._included("modified")

    @property
    def logits(self) -> FloatArray:
        """Capped scores after bias, score modifier and mask, −∞ where a key is not visible, (…, Lq, Lk)."""
        return self._included("logits")

    @property
    def weights(self) -> FloatArray:
        """Normalized logits, (…, Lq, Lk)."""
        return self._included("weights")

    @property
    def mean_weights(self) -> FloatArray:
        """Weights averaged over the query heads, (B, Lq, Lk)."""
        return self._included("mean_weights")

    @property
    def output(self) -> FloatArray:
        """Weights · value, (…, Lq, Dv), or packed (B, Lq, Hq·Dv)."""
        return self._included("output")

    @property
    def logsumexp(self) -> FloatArray:
        """Natural logarithm of the softmax denominator, (…, Lq); float32 for the half types."""
        return self._included("logsumexp")

    @property
    def present_key(self) -> FloatArray:
        """Past and new keys, to be sent as the next past: (…, Lk, Dk)."""
        return self._included("present_key")

    @property
    def present_value(self) -> FloatArray:
        """Past and new values: (…, Lk, Dv)."""
        return self._included("present_value")


def read_inference(reply: Reply, dtype: str) -> AttentionResult:
    """Return the result of an inference whose outputs are raw tensors; raises UnreadableAnswer."""
    document, arrays = unframe(reply.content, reply.headers.get(HEADER.lower()))
    return AttentionResult(
        arrays=arrays,
        score_model=str(document.get("model_name")),
        dtype=dtype,
        request_id=reply.headers.get(REQUEST_ID),
        notes=_notes(_parameter(document, "notes")),
        memory_version=_parameter(document, "memory_version"),
    )


def read_attention(reply: Reply, dtype: str) -> AttentionResult:
    """Return the result of POST /v1/attention, which is JSON; raises UnreadableAnswer."""
    document = read_json(reply)
    dtypes = {"logsumexp": compute_type(dtype)}
    included = [name for name in chain(*OUTPUTS.values()) if name in document]
    try:
        return AttentionResult(
            arrays={name: array_of(document[name], dtypes.get(name, dtype)) for name in included},
            score_model=str(document["score_model"]["name"]),
            dtype=dtype,
            request_id=reply.headers.get(REQUEST_ID),
            notes=tuple(map(str, document["notes"])),
            memory_version=document["memory"]["version"] if "memory" in document else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"expected a result of /v1/attention; received something else: {error!r}") from None


def compute_type(dtype: str) -> str:
    """Return the number type in which logsumexp and gradients of parameters are returned."""
    return "float64" if dtype == "float64" else "float32"


def array_of(nested: Any, dtype: str) -> FloatArray:
    """Return nested lists, or a number, as an array: null is −∞, and NaN and Infinity are strings."""
    numbers = np.array(nested, dtype=np.float64)
    if np.isnan(numbers).any():
        # NumPy reads null as NaN.
        leaves = np.array(nested, dtype=object).reshape(-1)
        numbers = np.array([-np.inf if leaf is None else float(leaf) for leaf in leaves]).reshape(numbers.shape)
    return BY_DTYPE[dtype].round(numbers)


def _parameter(document: Mapping[str, Any], name: str) -> str | None:
    """Return a parameter of an inference; None without it."""
    parameters = document.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _notes(text: Any) -> tuple[str, ...]:
    """Return the notes of an inference, which are a JSON list in a string; None is none."""
    try:
        notes = json.loads("[]" if text is None else text)
    except (TypeError, ValueError):
        raise UnreadableAnswer(f"expected notes as a JSON list; received {str(text)[:80]!r}.") from None
    return tuple(map(str, notes)) if isinstance(notes, list) else ()


def read_json(reply: Reply) -> dict[str, Any]:
    """Return a JSON object; raises UnreadableAnswer."""
    return parse_object(reply.content, "an answer")


def parse_object(content: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in some bytes; raises UnreadableAnswer, which calls the bytes by `name`."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise UnreadableAnswer(f"expected JSON as {name}; received something else: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswer(f"expected a JSON object as {name}; received {type(document).__name__}.")
    return document


def read_list(reply: Reply, name: str) -> list[dict[str, Any]]:
    """Return the list that is a member of a JSON object; raises UnreadableAnswer."""
    found = read_json(reply).get(name)
    if not isinstance(found, list):
        raise UnreadableAnswer(f"expected a list of {name}; received none.")
    return found


def read_problem(reply: Reply, translate: Callable[[Violation], Violation]) -> Problem:
    """Return what an error response says; one without JSON comes from a proxy and has no slug.

    :param translate: returns a violation of the request as one of the arguments.
    """
    request_id = reply.headers.get(REQUEST_ID)
    try:
        document = read_json(reply)
    except UnreadableAnswer:
        text = reply.content[:200].decode("utf-8", "replace").strip()
        return Problem(status=reply.status, slug=None, detail=text or "no explanation", request_id=request_id)
    kind = str(document.get("type", ""))
    detail = str(document.get("detail") or document.get("error") or document.get("title") or "no explanation")
    return Problem(
        status=reply.status,
        slug=kind.rpartition("/problems/")[2] if "/problems/" in kind else None,
        detail=translate(Violation("", detail)).detail,
        errors=tuple(
            translate(Violation(str(one.get("pointer", "")), str(one.get("detail", ""))))
            for one in document.get("errors") or ()
        ),
        request_id=document.get("instance") or request_id,
        memory_version=reply.headers.get(MEMORY_VERSION) or read_entity_tag(reply.headers.get("etag")),
    )


def read_entity_tag(text: str | None) -> str | None:
    """Return the version in an ETag; None for no ETag."""
    return None if text is None else text.removeprefix("W/").strip('"')


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that Retry-After asks to wait, from a number or a date; None without either."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((until.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)
