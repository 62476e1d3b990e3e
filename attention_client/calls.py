"""Every endpoint that the client calls, as a request and the function that reads the response."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import ArrayLike

from attention_client import safetensors
from attention_client.arguments import Document, check_include
from attention_client.errors import InvalidArgument, Violation
from attention_client.events import EVENT_STREAM
from attention_client.gradients import AttentionGradients, gradients_document, read_gradients
from attention_client.inference import Inference
from attention_client.names import VECTORS
from attention_client.partials import LogBase, Mergeable, MergedResult, build_merge_document, read_merged
from attention_client.progress import OnProgress
from attention_client.responses import AttentionResult, Reply, read_attention, read_inference, read_json, read_list
from attention_client.tensors import as_array, frame
from attention_client.wording import translate
from attention_wire.documents import plain

T = TypeVar("T")

JSON = "application/json"

VERSION = re.compile(r"[!#-~]+")
"""Versions that an entity tag can hold (RFC 9110, section 8.8.3)."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its response is read.

    :param read: returns the result of a response that says success; raises UnreadableAnswer.
    :param translate: returns a violation of the request as one of the arguments.
    :param on_progress: called with each progress event, if the request asks for events.
    :param writes: whether it changes a memory.
    :param is_conditional: whether a precondition refuses it once it has been done, so that it is safe to send again.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    may_be_compressed: bool = False
    translate: Callable[[Violation], Violation] = lambda violation: violation
    on_progress: OnProgress | None = None
    writes: bool = False
    is_conditional: bool = False


def attend(document: Document, on_progress: OnProgress | None = None) -> Call[AttentionResult]:
    """Return an inference with raw tensors in both directions; with progress, a request that is answered with events.

    :param document: the arguments.
    :param on_progress: called with each progress event; None for none.
    """
    # JSON cannot express the shape of an empty array, and an empty call takes no time.
    if on_progress is not None and all(document[name].size for name in VECTORS if name in document):
        return _attend_with_progress(document, on_progress)
    document, condition = split_precondition(document)
    inference = Inference(document)
    head: Document = {"parameters": {"binary_data_output": True, **inference.parameters}}
    if inference.options:
        head["parameters"]["options"] = json.dumps(inference.options)
    if inference.outputs:
        head["outputs"] = [{"name": output} for output in inference.outputs]
    content, headers = frame(head, inference.inputs)
    dtype = document["dtype"]
    return Call(
        "POST",
        f"/v2/models/{quote(inference.model, safe='')}/infer",
        lambda reply: read_inference(reply, dtype),
        content,
        {"Content-Type": "application/octet-stream", **headers, **condition},
        may_be_compressed=True,
        translate=partial(translate, locate=inference.locate),
        writes=bool(document.get("append")),
        is_conditional=bool(condition),
    )


def split_precondition(document: Document) -> tuple[Document, dict[str, str]]:
    """Return a document and the header fields that belong to it.

    The version of a memory that is appended to becomes the header field If-Match: where another version is there, the
    service then refuses with that version instead of saying that the one that was asked for is gone.
    """
    memory = document.get("memory")
    if not (document.get("append") and memory and "version" in memory):
        return document, {}
    version = memory["version"]
    return {**document, "memory": {"name": memory["name"]}}, preconditions("/memory/version", if_match=version)


def preconditions(place: str = "", *, if_match: str | None = None, if_none_match: str | None = None) -> dict[str, str]:
    """Return the header fields If-Match and If-None-Match of versions; ``*`` is any version.

    :param place: JSON Pointer to the argument; default that of its own name.

    Raises InvalidArgument for a version that no memory can have.
    """
    fields = {}
    for name, version in (("if_match", if_match), ("if_none_match", if_none_match)):
        if version is not None:
            if not isinstance(version, str) or not VERSION.fullmatch(version):
                raise InvalidArgument(
                    place or f"/{name}",
                    f"expected the version of a memory, as its description has it; received {str(version)[:80]!r}.",
                )
            fields[name.replace("_", "-").title()] = version if version == "*" else f'"{version}"'
    return fields


def _attend_with_progress(document: Document, on_progress: OnProgress) -> Call[AttentionResult]:
    """Return a request that is answered with events: raw tensors to the service, JSON back."""
    check_include(document.get("include"))
    document, condition = split_precondition(document)
    dtype = document["dtype"]
    return Call(
        "POST",
        "/v1/attention",
        lambda reply: read_attention(reply, dtype),
        safetensors.write(document),
        {"Content-Type": safetensors.MEDIA_TYPE, "Accept": EVENT_STREAM, **condition},
        on_progress=on_progress,
        writes=bool(document.get("append")),
        is_conditional=bool(condition),
    )


def gradients(
    document: Document, output_gradient: ArrayLike | None, include: Sequence[str] | None, on_progress: OnProgress | None
) -> Call[AttentionGradients]:
    """Return a request for gradients: raw tensors in both directions, JSON back where it is answered with events."""
    body, dtype = gradients_document(document, output_gradient, include), document["dtype"]
    # JSON cannot express the shape of an empty array, and an empty call takes no time.
    if not all(document[name].size for name in VECTORS if name in document):
        on_progress = None
    accept = safetensors.MEDIA_TYPE if on_progress is None else EVENT_STREAM
    return Call(
        "POST",
        "/v1/attention/gradients",
        lambda reply: read_gradients(reply, dtype),
        safetensors.write(body),
        {"Content-Type": safetensors.MEDIA_TYPE, "Accept": accept},
        may_be_compressed=on_progress is None,
        translate=_leave_request,
        on_progress=on_progress,
    )


def estimate_gradients(
    document: Document, output_gradient: ArrayLike | None, include: Sequence[str] | None
) -> Call[Document]:
    """Return a request for the cost of gradients."""
    call = _post("/v1/attention/gradients/estimate", gradients_document(document, output_gradient, include))
    return replace(call, translate=_leave_request)


def _leave_request(violation: Violation) -> Violation:
    """Return a violation of a document that holds the arguments as `request` as one of the arguments."""
    return replace(violation, pointer=violation.pointer.removeprefix("/request"))


def estimate(document: Document) -> Call[Document]:
    """Return a request for the cost of a call."""
    return _post("/v1/attention/estimate", document)


def explain(document: Document, pair: Document) -> Call[Document]:
    """Return a request for the explanation of the weight of a query and a key."""
    return replace(_post("/v1/attention/explain", {"request": document, **pair}), translate=_leave_request)


def check(
    document: Document,
    candidate: Mapping[str, ArrayLike],
    rtol: float | None,
    atol: float | None,
    on_progress: OnProgress | None,
) -> Call[Document]:
    """Return a request for a check of arrays that were computed elsewhere."""
    arrays = {name: as_array(array, f"/candidate/{name}") for name, array in candidate.items()}
    body = {"request": document, "candidate": arrays, "rtol": rtol, "atol": atol}
    call = replace(_post("/v1/attention/check", body), translate=_leave_request)
    if on_progress is None:
        return call
    return replace(call, headers={**call.headers, "Accept": EVENT_STREAM}, on_progress=on_progress)


def merge(
    partials: Sequence[Mergeable], dtype: str | None, log_base: LogBase | None, layout: str | None
) -> Call[MergedResult]:
    """Return a request to merge attention over parts of the keys, with raw tensors in both directions."""
    document = build_merge_document(partials, dtype, log_base, layout)
    return Call(
        "POST",
        "/v1/attention/merge",
        lambda reply: read_merged(reply, document["dtype"]),
        safetensors.write(document),
        {"Content-Type": safetensors.MEDIA_TYPE, "Accept": safetensors.MEDIA_TYPE},
        may_be_compressed=True,
    )


def _get_list(name: str, path: str) -> Call[list[Document]]:
    return Call("GET", path, lambda reply: read_list(reply, name))


def expressions(formula: str | None, kind: str | None) -> Call[Document]:
    """Return a request for the language of formulas, or for what one formula says."""
    given = {name: value for name, value in (("formula", formula), ("kind", kind)) if value is not None}
    query = f"?{urlencode(given, quote_via=quote)}" if given else ""
    return Call("GET", f"/v1/expressions{query}", read_json)


SCORE_MODELS = _get_list("score_models", "/v1/score-models")
NORMALIZERS = _get_list("normalizers", "/v1/normalizers")
EXAMPLES = _get_list("examples", "/v1/examples")


def example(identifier: str) -> Call[Document]:
    """Return a request for one worked example."""
    return Call("GET", f"/v1/examples/{quote(identifier, safe='')}", read_json)


def _post(path: str, body: Document) -> Call[Document]:
    return Call("POST", path, read_json, json.dumps(_to_json(body)).encode(), {"Content-Type": JSON})


def _to_json(value: Any) -> Any:
    """Return a value with nested lists for arrays, as /v1 reads them: null is −∞, NaN and Infinity are strings."""
    if isinstance(value, Mapping):
        return {name: _to_json(member) for name, member in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    return plain(value)
