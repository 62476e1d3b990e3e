"""One attention request: its result as JSON or as a picture, or only its cost."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from attention_core import AttentionResult, evaluate
from attention_core.call import Field, ResolvedCall
from attention_core.cost import choose_path
from service.codecs.negotiate import JSON, SVG
from service.codecs.result import result_document
from service.codecs.shown import NEEDED, Shown, show
from service.codecs.svg import heat_map, require_drawable
from service.compute.budget import exceeded, predict_within, require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import bytes_per_number, numbers_for, read_document, write_document
from service.compute.plans import plan_of
from service.compute.requests import UNLABELLED, read_attention, resolve_document
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors
from service.settings import Settings


class PreparedAttention(NamedTuple):
    """One attention call, ready to run, and how its result is to be written."""

    call: ResolvedCall
    operations: int
    bytes: int
    labels: LabelsSchema
    decimals: int | None
    wanted: str

    def complete(self, run: Run) -> Reply:
        """Attend and write the result."""
        with call_errors():
            result = run_call(self.call, run, self.operations)
        numbers = numbers_for(self.wanted, result.dtype, self.decimals)
        return write_document(result_document(result, numbers, self.labels.key, self.decimals), self.wanted)


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
            result = run_call(self.call, run, self.operations)
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
    wanted: str
    operations: int = 0
    bytes: int = 0

    def complete(self, run: Run) -> Reply:
        """Write the estimate; nothing is computed."""
        return write_document(self.document, self.wanted)


def prepare_attention(body: Body, settings: Settings) -> Prepared:
    """Read an attention request.

    Raises MalformedBody, InvalidRequest, or TooLarge when its cost exceeds the budget.
    """
    document = read_document(body, settings)
    planned = plan_of(document, settings.compute_threads) if body.media_type == JSON and body.wanted != SVG else None
    if planned is not None:
        plan, call = planned
        request, cost = plan.request, plan.cost
    else:
        request, call = resolve_document(document)
        if body.wanted == SVG:
            require_drawable(call.scores)
            return _view(request, call, settings, frozenset())
        cost = predict_within(settings, call)
    held = require_affordable(cost, call.dtype.name, settings, bytes_per_number(call, body.wanted))
    return PreparedAttention(call, cost.operations, held, request.labels or UNLABELLED, request.decimals, body.wanted)


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
    cost, size = predict_within(settings, call), bytes_per_number(call, body.wanted)
    return PreparedEstimate(
        {
            "operations": cost.operations,
            "bytes": cost.bytes,
            "result_bytes": cost.result_numbers * size,
            "path": cost.path,
            "allowed": not exceeded(cost, call.dtype.name, settings, size),
            "limits": {
                "max_operations": settings.max_operations,
                "max_result_bytes": settings.max_result_bytes,
                "bytes_in_flight": settings.bytes_in_flight,
            },
        },
        body.wanted,
    )


def run_call(call: ResolvedCall, run: Run, operations: int) -> AttentionResult:
    """Attend as a run says."""
    return run.measured(
        Work(call.score_model.name, choose_path(call), operations),
        lambda: evaluate(call, workers=run.workers, should_stop=run.should_stop, progress=run.progress),
    )
