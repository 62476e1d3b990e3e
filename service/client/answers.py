"""What came back: a result, a document, or the error that it stands for."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.client.errors import Problem, UnreadableAnswer, Violation
from service.client.framing import HEADER, held, unframe

FloatArray = NDArray[np.floating[Any]]

REQUEST_ID = "x-request-id"

ARRAYS = (
    *("scores", "capped_scores", "logits", "weights", "output", "logsumexp"),
    *("present_key", "present_value"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionResult:
    """What was asked for; a field that was not asked for is not in `arrays`.

    ``result.weights`` and so on read from `arrays`.  A bfloat16 is held in a float32 array.  `score_model` is the name
    of the one that was used; `notes` are about rows that need a word, such as one without a visible key; `request_id`
    finds the request in the log of the service.
    """

    arrays: Mapping[str, FloatArray]
    score_model: str
    dtype: str
    request_id: str | None
    notes: tuple[str, ...] = ()

    def _asked(self, name: str) -> FloatArray:
        if name not in self.arrays:
            field = "present" if name.startswith("present") else name
            raise AttributeError(f"{name} was not asked for; add {field} to include")
        return self.arrays[name]

    @property
    def scores(self) -> FloatArray:
        """Raw scores a(q, k), (…, Lq, Lk)."""
        return self._asked("scores")

    @property
    def capped_scores(self) -> FloatArray:
        """Scores after the soft cap, (…, Lq, Lk)."""
        return self._asked("capped_scores")

    @property
    def logits(self) -> FloatArray:
        """Capped scores after bias and mask, −∞ where a key is not visible, (…, Lq, Lk)."""
        return self._asked("logits")

    @property
    def weights(self) -> FloatArray:
        """Normalised logits, (…, Lq, Lk)."""
        return self._asked("weights")

    @property
    def output(self) -> FloatArray:
        """Weights · value, (…, Lq, Dv), or packed (B, Lq, Hq·Dv)."""
        return self._asked("output")

    @property
    def logsumexp(self) -> FloatArray:
        """Natural logarithm of the softmax denominator, (…, Lq); float32 for the half types."""
        return self._asked("logsumexp")

    @property
    def present_key(self) -> FloatArray:
        """Past and new keys, to be sent as the next past: (…, Lk, Dk)."""
        return self._asked("present_key")

    @property
    def present_value(self) -> FloatArray:
        """Past and new values: (…, Lk, Dv)."""
        return self._asked("present_value")


def read_result(reply: Reply, dtype: str) -> AttentionResult:
    """Return the result of an inference; raises UnreadableAnswer."""
    head, arrays = unframe(reply.content, reply.headers.get(HEADER.lower()))
    return AttentionResult(
        arrays=arrays,
        score_model=str(head.get("model_name")),
        dtype=dtype,
        request_id=reply.headers.get(REQUEST_ID),
        notes=_notes(head.get("parameters")),
    )


def read_spelt_result(reply: Reply, dtype: str) -> AttentionResult:
    """Return the result of /v1/attention, spelt out as JSON; raises UnreadableAnswer."""
    document = read_json(reply)
    # A logsumexp stays in the type that was computed in.
    own = {"logsumexp": "float64" if dtype == "float64" else "float32"}
    try:
        return AttentionResult(
            arrays={name: _unspelt(document[name], own.get(name, dtype)) for name in ARRAYS if name in document},
            score_model=str(document["score_model"]["name"]),
            dtype=dtype,
            request_id=reply.headers.get(REQUEST_ID),
            notes=tuple(map(str, document["notes"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"expected a result of /v1/attention; received something else: {error!r}") from None


def _unspelt(nested: Any, dtype: str) -> FloatArray:
    """Return nested lists as an array of a number type: null is −∞, NaN and Infinity are words."""
    numbers = np.array(nested, dtype=np.float64)
    if np.isnan(numbers).any():
        # NumPy takes null for NaN.
        leaves = np.array(nested, dtype=object).reshape(-1)
        spelt = [-np.inf if leaf is None else float(leaf) for leaf in leaves]
        numbers = np.array(spelt).reshape(numbers.shape)
    return held(numbers, dtype)


def _notes(parameters: Any) -> tuple[str, ...]:
    """Return what the service has to say about some rows, which it writes as a JSON list in one string."""
    text = parameters.get("notes", "[]") if isinstance(parameters, dict) else "[]"
    try:
        notes = json.loads(text)
    except (TypeError, ValueError):
        raise UnreadableAnswer(f"expected notes as a JSON list; received {str(text)[:80]!r}.") from None
    return tuple(map(str, notes)) if isinstance(notes, list) else ()


def read_json(reply: Reply) -> dict[str, Any]:
    """Return a JSON object; raises UnreadableAnswer."""
    try:
        document = json.loads(reply.content)
    except ValueError as error:
        raise UnreadableAnswer(f"expected JSON; received something else: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswer(f"expected a JSON object; received {type(document).__name__}.")
    return document


def read_list(reply: Reply, name: str) -> list[dict[str, Any]]:
    """Return the list in a JSON object; raises UnreadableAnswer."""
    found = read_json(reply).get(name)
    if not isinstance(found, list):
        raise UnreadableAnswer(f"expected a list of {name}; received none.")
    return found


def read_problem(reply: Reply, located: Callable[[str], str]) -> Problem:
    """Return what an error says of itself, whoever sent it: a proxy may have answered with a page."""
    request_id = reply.headers.get(REQUEST_ID)
    try:
        document = read_json(reply)
    except UnreadableAnswer:
        text = reply.content[:200].decode("utf-8", "replace").strip()
        return Problem(status=reply.status, slug=None, detail=text or "no explanation", request_id=request_id)
    kind = str(document.get("type", ""))
    return Problem(
        status=reply.status,
        slug=kind.rpartition("/problems/")[2] if "/problems/" in kind else None,
        detail=str(document.get("detail") or document.get("error") or document.get("title") or "no explanation"),
        errors=tuple(
            Violation(located(str(one.get("pointer", ""))), str(one.get("detail", "")))
            for one in document.get("errors") or ()
        ),
        request_id=document.get("instance") or request_id,
    )


def retry_after(reply: Reply) -> float | None:
    """Return for how many seconds the service asks to be left alone: a number, or a date; None when it says neither."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((until.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)
