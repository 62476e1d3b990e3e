"""One attention request: its result as JSON or as a picture, or only its cost."""

from dataclasses import dataclass, replace
from typing import Any

from attention_core import AttentionResult, evaluate, resolve
from attention_core.call import Field, ResolvedCall
from service.codecs import json
from service.codecs.negotiate import JSON, SVG
from service.codecs.result import result_document
from service.codecs.shown import NEEDED, Shown, show
from service.codecs.svg import heat_map, require_drawable
from service.compute.budget import exceeded, predict_within, require_affordable, result_bytes
from service.compute.contract import Body, Prepared, Reply, Run
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

UNLABELLED = LabelsSchema()


@dataclass(frozen=True, slots=True)
class PreparedAttention:
    """One attention call, ready to run, and how its result is to be written."""

    call: ResolvedCall
    operations: int
    bytes: int
    labels: LabelsSchema
    decimals: int | None

    def complete(self, run: Run) -> Reply:
        """Attend and write the result as JSON."""
        with call_errors():
            result = run_call(self.call, run)
        return Reply(json.encode(result_document(result, self.labels.key, self.decimals)), JSON)


@dataclass(frozen=True, slots=True)
class PreparedView:
    """One attention call whose weights a person is going to look at."""

    call: ResolvedCall
    operations: int
    bytes: int
    labels: LabelsSchema

    def show(self, run: Run) -> Shown:
        """Attend and return what is looked at."""
        with call_errors():
            result = run_call(self.call, run)
        return show(result, self.labels.query, self.labels.key)

    def complete(self, run: Run) -> Reply:
        """Attend and draw the weights as a heat map."""
        shown = self.show(run)
        picture = heat_map(
            shown.weights,
            shown.visible,
            query_labels=shown.query_labels,
            key_labels=shown.key_labels,
            title=shown.title,
            subtitle=shown.subtitle,
            notes=shown.notes,
        )
        return Reply(picture, SVG)


@dataclass(frozen=True, slots=True)
class PreparedEstimate:
    """The cost of an attention call, ready to be told."""

    document: dict[str, Any]
    operations: int = 0
    bytes: int = 0

    def complete(self, run: Run) -> Reply:
        """Write the estimate; nothing is computed."""
        return Reply(json.encode(self.document), JSON)


def prepare_attention(body: Body, settings: Settings) -> Prepared:
    """Read an attention request.

    Raises MalformedBody, InvalidRequest, or TooLarge when its cost exceeds the budget.
    """
    request, call = read_attention(body, settings)
    if body.wanted == SVG:
        require_drawable(call.scores)
        return _view(request, call, settings, frozenset())
    cost = predict_within(settings, call)
    held = require_affordable(cost, call.dtype.name, settings)
    return PreparedAttention(call, cost.operations, held, request.labels or UNLABELLED, request.decimals)


def prepare_view(body: Body, settings: Settings, beside: frozenset[Field]) -> PreparedView:
    """Read an attention request of which the weights are shown, and those fields `beside` that it includes.

    Raises MalformedBody, InvalidRequest or TooLarge.
    """
    return _view(*read_attention(body, settings), settings, beside)


def _view(request: AttentionRequest, call: ResolvedCall, settings: Settings, beside: frozenset[Field]) -> PreparedView:
    call = replace(call, include=NEEDED | (call.include & beside))
    cost = predict_within(settings, call)
    held = require_affordable(cost, call.dtype.name, settings)
    return PreparedView(call, cost.operations, held, request.labels or UNLABELLED)


def prepare_estimate(body: Body, settings: Settings) -> PreparedEstimate:
    """Read an attention request and predict its cost; raises MalformedBody or InvalidRequest."""
    _, call = read_attention(body, settings)
    cost, dtype = predict_within(settings, call), call.dtype.name
    return PreparedEstimate(
        {
            "operations": cost.operations,
            "bytes": cost.bytes,
            "result_bytes": result_bytes(cost, dtype),
            "path": cost.path,
            "allowed": not exceeded(cost, dtype, settings),
            "limits": {
                "max_operations": settings.max_operations,
                "max_result_bytes": settings.max_result_bytes,
                "bytes_in_flight": settings.bytes_in_flight,
            },
        }
    )


def read_attention(body: Body, settings: Settings) -> tuple[AttentionRequest, ResolvedCall]:
    """Decode, validate and resolve an attention request; raises MalformedBody or InvalidRequest."""
    request = parse(AttentionRequest, json.decode(body.content, settings.max_json_depth))
    return request, resolve_request(request)


def resolve_request(request: AttentionRequest) -> ResolvedCall:
    """Resolve an attention request; raises InvalidRequest."""
    with call_errors():
        call = resolve(request.to_call())
    if request.labels is not None:
        check_labels(request.labels, queries=call.query_length, keys=call.key_length)
    return call


def run_call(call: ResolvedCall, run: Run) -> AttentionResult:
    """Attend as a run says."""
    return evaluate(call, workers=run.workers, should_stop=run.should_stop, progress=run.progress)
