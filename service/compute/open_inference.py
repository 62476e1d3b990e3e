"""POST /v2/models/{model}/infer: the journey of /v1/attention with another codec at both ends."""

from dataclasses import dataclass
from time import perf_counter_ns

from attention_core.call import ResolvedCall
from service.codecs.negotiate import JSON, OCTETS, WantedEncoding
from service.codecs.open_inference import InferenceRequest, bytes_per_number, write_response
from service.codecs.open_inference.framing import HEADER, Limits, split
from service.compute.attention import run_call
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Reply, Run
from service.compute.encodings import decoded, encoded
from service.compute.inference_plans import inference_plan_of
from service.compute.requests import read_inference
from service.compute.statistics import Stopwatch
from service.schemas.parse import call_errors
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class InferenceOrder:
    """What path and headers say of a request: the model, and where its JSON ends.

    A plain body stands behind `lead` bytes that are none of it.
    """

    model: str
    header_length: str | None = None
    lead: int = 0


@dataclass(frozen=True, slots=True)
class PreparedInference:
    """One attention call, ready to run, and how its result is to be written."""

    call: ResolvedCall
    operations: int
    bytes: int
    request: InferenceRequest
    order: InferenceOrder
    watch: Stopwatch
    wanted: WantedEncoding

    def complete(self, run: Run) -> Reply:
        """Attend and write the outputs, compressed where that is asked for and pays."""
        self.watch.started = perf_counter_ns()
        with self.request.located(), call_errors():
            result = run_call(self.call, run, self.operations)
        self.watch.computed = perf_counter_ns()
        content, json_length = write_response(self.order.model, self.request, result)
        headers = {} if json_length is None else {HEADER: str(json_length)}
        reply = encoded(Reply(content, JSON if json_length is None else OCTETS, headers), self.wanted)
        self.watch.written = perf_counter_ns()
        return reply


def prepare_infer(order: InferenceOrder, watch: Stopwatch, body: Body, settings: Settings) -> PreparedInference:
    """Read an inference request; raises MalformedBody, InvalidRequest or TooLarge."""
    watch.taken = perf_counter_ns()
    head, raw = split(decoded(body, settings), order.header_length, order.lead)
    limits = Limits(settings.max_json_bytes, settings.max_json_depth)
    plan = inference_plan_of(order.model, head, raw, limits, settings.compute_threads)
    if plan is not None:
        request, call, cost = plan.request, plan.call_of(raw), plan.cost
    else:
        request, call = read_inference(order.model, head, raw, limits)
        cost = predict_within(settings, call)
    dtype = call.dtype.name
    held = require_affordable(cost, dtype, settings, bytes_per_number(request, dtype))
    watch.prepared = perf_counter_ns()
    return PreparedInference(call, cost.operations, held, request, order, watch, body.wanted_encoding)
