"""Each thing that can be asked of the service, as one request and the way to read its answer: no socket, no clock."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar, Unpack
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike

from service.client.answers import AttentionResult, Reply, read_json, read_list, read_result, read_spelt_result
from service.client.arguments import VECTORS, Document, Options, Placed, document, require_arrays
from service.client.framing import as_array, frame
from service.client.intake import EVENT_STREAM
from service.client.progress import OnProgress
from service.client.stored import SAFETENSORS, store

T = TypeVar("T")

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how to read its answer; `located` leads pointers of the service back to the arguments."""

    method: str
    path: str
    read: Callable[[Reply], T]
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    may_be_compressed: bool = False
    located: Callable[[str], str] = str
    progress: OnProgress | None = None


def attend(
    query: ArrayLike, key: ArrayLike, value: ArrayLike | None, **options: Unpack[Options]
) -> Call[AttentionResult]:
    """Return an inference whose tensors are raw bytes both ways."""
    whole = document(query, key, value, **options)
    placed = Placed(whole)
    parameters: Document = {"binary_data_output": True, **placed.parameters}
    if placed.options:
        parameters["options"] = json.dumps(placed.options)
    named = {"outputs": [{"name": output} for output in placed.outputs]} if placed.outputs else {}
    content, headers = frame({"parameters": parameters, **named}, placed.tensors)
    dtype = whole["dtype"]
    return Call(
        "POST",
        f"/v2/models/{quote(placed.model, safe='')}/infer",
        lambda reply: read_result(reply, dtype),
        content,
        {"Content-Type": "application/octet-stream", **headers},
        may_be_compressed=True,
        located=placed.located,
    )


def watch(
    progress: OnProgress, query: ArrayLike, key: ArrayLike, value: ArrayLike | None, **options: Unpack[Options]
) -> Call[AttentionResult]:
    """Return a request that is answered with events: tensors as raw bytes to the service, and back as JSON."""
    whole = document(query, key, value, **options)
    if not all(whole[name].size for name in VECTORS if name in whole):
        # There is nothing to wait for, and JSON cannot tell the shape of an empty array.
        return attend(query, key, value, **options)
    require_arrays(whole.get("include"))
    dtype = whole["dtype"]
    return Call(
        "POST",
        "/v1/attention",
        lambda reply: read_spelt_result(reply, dtype),
        store(whole),
        {"Content-Type": SAFETENSORS, "Accept": EVENT_STREAM},
        progress=progress,
    )


def estimate(query: ArrayLike, key: ArrayLike, value: ArrayLike | None, **options: Unpack[Options]) -> Call[Document]:
    """Return a question about the cost."""
    return _posted("/v1/attention/estimate", _spelt(document(query, key, value, **options)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a key to be explained."""

    query_index: int
    key_index: int
    index: tuple[int, ...] | None
    language: Literal["en", "zh"]


def explain(
    pair: Pair, query: ArrayLike, key: ArrayLike, value: ArrayLike | None, **options: Unpack[Options]
) -> Call[Document]:
    """Return a question about one weight."""
    request = _spelt(document(query, key, value, **options))
    return _posted("/v1/attention/explain", {"request": request, **asdict(pair)})


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody computed, and how exact it must be."""

    candidate: Mapping[str, ArrayLike]
    rtol: float | None
    atol: float | None


def check(
    claim: Claim,
    progress: OnProgress | None,
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike | None,
    **options: Unpack[Options],
) -> Call[Document]:
    """Return a question about somebody else's result."""
    request = _spelt(document(query, key, value, **options))
    candidate = {name: _spelt(as_array(array, f"/candidate/{name}")) for name, array in claim.candidate.items()}
    tolerances = {"rtol": claim.rtol, "atol": claim.atol}
    call = _posted("/v1/attention/check", {"request": request, "candidate": candidate, **tolerances})
    if progress is None:
        return call
    return replace(call, headers={**call.headers, "Accept": EVENT_STREAM}, progress=progress)


def _listed(name: str, path: str) -> Call[list[Document]]:
    return Call("GET", path, lambda reply: read_list(reply, name))


SCORE_MODELS = _listed("score_models", "/v1/score-models")
NORMALIZERS = _listed("normalizers", "/v1/normalizers")
EXAMPLES = _listed("examples", "/v1/examples")


def example(identifier: str) -> Call[Document]:
    """Return a question for one worked example."""
    return Call("GET", f"/v1/examples/{quote(identifier, safe='')}", read_json)


def _posted(path: str, body: Document) -> Call[Document]:
    return Call("POST", path, read_json, json.dumps(body).encode(), {"Content-Type": JSON})


def _spelt(value: Any) -> Any:
    """Spell arrays out as /v1 reads them: null for −∞, and strings for what else is no number."""
    if isinstance(value, Mapping):
        return {name: _spelt(member) for name, member in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "biu":
        return value.tolist()
    numbers = value.astype(np.float64)
    if np.isfinite(numbers).all():
        return numbers.tolist()
    spelt = numbers.astype(object)
    spelt[np.isnan(numbers)] = "NaN"
    spelt[np.isposinf(numbers)] = "Infinity"
    spelt[np.isneginf(numbers)] = None
    return spelt.tolist()
