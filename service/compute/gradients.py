"""POST /v1/attention/gradients: gradients of a loss with respect to everything that the output depends on."""

from dataclasses import replace
from typing import Any, NamedTuple

from attention_core import (
    AttentionGradients,
    Cost,
    GradientCall,
    evaluate_gradients,
    predict_gradients,
    resolve_gradients,
)
from attention_core.call import GRADIENT_FIELDS
from attention_core.gradients import PARAMETER_FIELDS
from service.codecs.numbers import Numbers
from service.compute.attention import estimate_document
from service.compute.budget import require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import numbers_for, read_document, write_document
from service.compute.memory_calls import OpenMemory, open_memory, with_version
from service.compute.requests import call_of, check_all_labels
from service.schemas.gradients import GradientsRequest
from service.schemas.parse import call_errors, parse
from service.settings import Settings

REQUEST = "/request"
BESIDE = ("output_gradient", "include")
"""Members beside the attention request."""

LESS_MEMORY = "Split the leading axes over several requests; gradients of what they share add up."
"""What to change where gradients need too much memory."""

MEASURED_PATH = "gradients"
"""The path of these computations in the metrics."""


class GradientsInput(NamedTuple):
    """A valid request for gradients, its call, and the memory that keys and values come from, if any."""

    request: GradientsRequest
    call: GradientCall
    memory: OpenMemory | None


def prepare_gradients(body: Body, settings: Settings) -> Prepared:
    """Read a request for gradients; raises MalformedBody, InvalidRequest or TooLarge."""
    (request, call, memory), cost = _read(body, settings)
    numbers = numbers_for(body.wanted, call.resolved.dtype.name, request.request.decimals)
    held = require_affordable(cost, call.resolved.dtype.name, settings, numbers.bytes_per_number(), LESS_MEMORY)

    def complete(run: Run) -> Reply:
        """Compute the output and the gradients, and write those that were included."""
        with call_errors(REQUEST):
            found = run.measured(
                Work(call.resolved.score_model.name, MEASURED_PATH, cost.operations),
                lambda: evaluate_gradients(
                    call, workers=run.workers, should_stop=run.should_stop, progress=run.progress
                ),
            )
        return with_version(write_document(gradients_document(call, found, numbers), body.wanted), memory)

    return Prepared(cost.operations, held, complete)


def prepare_gradients_estimate(body: Body, settings: Settings) -> Prepared:
    """Read a request for gradients and predict its cost; raises MalformedBody or InvalidRequest."""
    (_, call, _), cost = _read(body, settings)
    dtype = call.resolved.dtype.name
    document = estimate_document(cost, dtype, numbers_for(body.wanted, dtype).bytes_per_number(), settings)
    return Prepared(0, 0, lambda _: write_document(document, body.wanted))


def _read(body: Body, settings: Settings) -> tuple[GradientsInput, Cost]:
    """Decode, validate and resolve a request for gradients, and predict its cost."""
    request = parse(GradientsRequest, read_document(body, settings))
    attention = request.request
    memory = open_memory(attention, body.memories, ("request",))
    with call_errors(REQUEST, beside=BESIDE, from_memory=memory is not None):
        call = resolve_gradients(call_of(attention, memory), request.output_gradient, request.include)
    if memory is not None and request.include is None:
        # The client has not sent them.
        call = replace(call, include=call.include - {"key", "value"})
    sizes = {"queries": call.resolved.query_length, "keys": call.resolved.key_length}
    check_all_labels(attention, memory, within=REQUEST, **sizes)
    return GradientsInput(request, call, memory), predict_gradients(call, threads=settings.compute_threads)


def gradients_document(call: GradientCall, found: AttentionGradients, numbers: Numbers) -> dict[str, Any]:
    """Return the response, members in the order of the contract."""
    document: dict[str, Any] = {}
    if "output" in call.include:
        document["output"] = numbers.of_dtype(found.output)
    gradients: dict[str, Any] = {}
    for name in GRADIENT_FIELDS:
        if name not in call.include or name == "output":
            continue
        value = getattr(found, name)
        if name in PARAMETER_FIELDS:
            gradients[name] = {one: numbers.of_compute_type(array) for one, array in value.items()}
        else:
            gradients[name] = (numbers.of_compute_type if name == "bias" else numbers.of_dtype)(value)
    return {**document, "gradients": gradients, "dtype": found.dtype, "notes": list(found.notes)}
