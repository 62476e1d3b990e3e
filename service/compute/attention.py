"""One attention request: its result as JSON or as a picture, or only its cost."""

from dataclasses import dataclass, replace
from typing import Any

from attention_core import AttentionResult, Cost, evaluate
from attention_core.attend import EvaluateWithKernel
from attention_core.call import ResolvedCall, ResultField
from attention_core.execution_path import choose_path
from attention_core.native import evaluate_with_kernel
from service.cluster import LargeCall, SpreadCall
from service.codecs.codec import Drawing
from service.codecs.negotiate import JSON
from service.codecs.registry import DRAWINGS
from service.codecs.result import result_document
from service.codecs.shown import Shown, needed_fields, show, shown_shape
from service.compute.budget import exceeded, predict_within, require_affordable, require_within
from service.compute.call_cache import CALLS
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import bytes_per_number, numbers_for, read_document, write_document
from service.compute.memory_calls import OpenMemory, with_version
from service.compute.requests import ReadRequest, labels_of, read_attention, resolve_call, resolve_document
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class PreparedView:
    """One attention call whose weights become a picture or a table."""

    request: AttentionRequest
    call: ResolvedCall
    operations: int
    bytes: int
    labels: LabelsSchema
    not_shown: tuple[ResultField, ...] = ()
    """Fields that the request names in `include` and that are not shown, in its order."""
    memory: OpenMemory | None = None

    def show(self, run: Run) -> Shown:
        """Compute, and return the weights with their labels and title."""
        call, labels = self.call, self.labels
        if self.memory is not None and self.memory.appends:
            used = self.memory.call_to_run(call, lambda one: resolve_call(one, self.memory), run.should_stop)
            call = replace(used, include=call.include, layout="bhsd")
            labels = labels_of(self.request, self.memory)
        with call_errors():
            result = run_call(call, run, self.operations, self.memory)
        return show(result, labels.query, labels.key)


def prepare_attention(body: Body, settings: Settings) -> Prepared:
    """Read an attention request.

    Raises MalformedBody, InvalidRequest, or TooLarge when its cost exceeds the budget.
    """
    document = read_document(body, settings)
    drawing = DRAWINGS.get(body.wanted)
    cached = CALLS.find(document, settings.compute_threads) if body.media_type == JSON and drawing is None else None
    if cached is not None:
        request, call, cost = cached
        memory = None
    else:
        read = resolve_document(document, body.memories)
        request, call, memory = read
        if drawing is not None:
            drawing.require_drawable(shown_shape(call))
            return _drawing(drawing, _view(read, settings, frozenset()), body.wanted, settings)
        cost = predict_within(settings, call)
    size = bytes_per_number(call, body.wanted)
    held = require_affordable(cost, call.dtype.name, settings, size)

    def complete(run: Run) -> Reply:
        """Compute and write the result."""
        used = call
        if memory is not None:
            used = memory.call_to_run(
                call, lambda one: require_within(settings, resolve_call(one, memory), size), run.should_stop
            )
        with call_errors():
            result = run_call(used, run, cost.operations, memory)
        numbers = numbers_for(body.wanted, result.dtype, request.decimals)
        if memory is None:
            labels = None if request.labels is None else request.labels.key
            return write_document(result_document(result, numbers, labels, request.decimals), body.wanted)
        document = result_document(result, numbers, memory.labels, request.decimals, memory.used)
        return with_version(write_document(document, body.wanted), memory)

    return Prepared(cost.operations, held, complete, waits=memory is not None and memory.waits(settings))


def _drawing(drawing: Drawing, view: PreparedView, wanted: str, settings: Settings) -> Prepared:
    """Return a request whose weights become a picture."""
    memory = view.memory

    def complete(run: Run) -> Reply:
        """Compute and draw."""
        return with_version(Reply(drawing.draw(view.show(run)), wanted), memory)

    return Prepared(view.operations, view.bytes, complete, waits=memory is not None and memory.waits(settings))


def prepare_view(body: Body, settings: Settings, beside: frozenset[ResultField]) -> PreparedView:
    """Read an attention request whose weights are shown.

    :param beside: further fields of the result that are shown if the request includes them.

    Raises MalformedBody, InvalidRequest or TooLarge.
    """
    return _view(read_attention(body, settings), settings, beside)


def _view(read: ReadRequest, settings: Settings, beside: frozenset[ResultField]) -> PreparedView:
    request, call, memory = read
    # Rows of the output stand beside those of the weights, whatever the layout.
    needed = needed_fields(call)
    not_shown = tuple(name for name in request.include or () if name not in (needed - {"logits"}) | beside)
    call = replace(call, include=needed | (call.include & beside), layout="bhsd")
    cost = predict_within(settings, call)
    held = require_affordable(cost, call.dtype.name, settings)
    return PreparedView(request, call, cost.operations, held, read.labels, not_shown, memory)


def prepare_estimate(body: Body, settings: Settings) -> Prepared:
    """Read an attention request and predict its cost; raises MalformedBody or InvalidRequest."""
    call = read_attention(body, settings).call
    cost, size = predict_within(settings, call), bytes_per_number(call, body.wanted)
    document = estimate_document(cost, call.dtype.name, size, settings)
    return Prepared(0, 0, lambda _: write_document(document, body.wanted))


def estimate_document(cost: Cost, dtype: str, size: int, settings: Settings) -> dict[str, Any]:
    """Return the response of an estimate.

    :param dtype: of the call.
    :param size: bytes that a number of the answer takes.
    """
    return {
        "operations": cost.operations,
        "bytes": cost.bytes,
        "result_bytes": cost.result_numbers * size,
        "path": cost.path,
        "allowed": not exceeded(cost, dtype, settings, size),
        "limits": {
            "max_operations": settings.max_operations,
            "max_result_bytes": settings.max_result_bytes,
            "bytes_in_flight": settings.bytes_in_flight,
        },
    }


def run_call(call: ResolvedCall, run: Run, operations: int, memory: OpenMemory | None = None) -> AttentionResult:
    """Compute a call with the threads, the stop check and the progress callback of a run, or on its cluster.

    :param call: the call.
    :param run: how it is computed.
    :param operations: predicted.
    :param memory: that has all of its keys and values; None for none.
    """
    elsewhere: EvaluateWithKernel | None = None
    if run.cluster is not None and operations >= run.cluster.min_operations:
        elsewhere = LargeCall(run.cluster, operations)
    spread = None if run.cluster is None or memory is None else memory.spread
    if run.cluster is not None and spread is not None:
        elsewhere = SpreadCall(run.cluster, spread, call, elsewhere or evaluate_with_kernel)
    return run.measured(
        Work(call.score_model.name, choose_path(call), operations),
        lambda: evaluate(
            call,
            workers=run.workers,
            should_stop=run.should_stop,
            progress=run.progress,
            evaluate_kernel=elsewhere,
        ),
    )
