"""POST /v2/models/{model}/infer: /v1/attention with the codec of the Open Inference Protocol."""

from dataclasses import dataclass
from time import perf_counter_ns

from attention_wire.open_inference import HEADER
from service.codecs.negotiate import JSON, OCTETS
from service.codecs.open_inference import bytes_per_number, write_response
from service.codecs.open_inference.framing import Limits, decode_head, split
from service.codecs.open_inference.places import write_place
from service.compute.attention import run_call
from service.compute.budget import predict_within, require_affordable, require_within
from service.compute.call_cache import CALLS
from service.compute.contract import Body, Prepared, Reply, Run
from service.compute.encodings import decoded, encoded
from service.compute.requests import read_inference, resolve_call
from service.compute.statistics import Stopwatch
from service.schemas.parse import call_errors
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class InferenceOrder:
    """The model that the path names, and where the JSON of the body ends."""

    model: str
    header_length: str | None = None
    """The text of the header field with the length of the JSON; None without it."""
    lead: int = 0
    """Bytes of padding in front of a body that is not compressed, which align its raw tensors."""


def prepare_infer(order: InferenceOrder, watch: Stopwatch, body: Body, settings: Settings) -> Prepared:
    """Read an inference request; raises MalformedBody, InvalidRequest or TooLarge."""
    watch.taken = perf_counter_ns()
    head, raw = split(decoded(body, settings), order.header_length, order.lead)
    limits = Limits(settings.max_json_bytes, settings.max_json_depth)
    cached = CALLS.find_inference(order.model, head, raw, limits, settings.compute_threads)
    if cached is None and not raw:
        document = decode_head(head, limits)
        cached = CALLS.find_json_inference(order.model, document, limits, settings.compute_threads)
    memory = None
    if cached is not None:
        request, call, cost = cached
    else:
        known = CALLS.find_memory_inference(order.model, head, raw, limits)
        if known is None:
            sent = decode_head(head, limits) if raw else document
            request, read = read_inference(order.model, sent, raw, limits.depth, body.memories)
            cost = predict_within(settings, read.call)
        else:
            request = known.inference
            with request.located():
                read, cost = known.resolve(raw, body.memories, settings.compute_threads)
        call, memory = read.call, read.memory
    dtype = call.dtype.name
    size = bytes_per_number(request, dtype)
    held = require_affordable(cost, dtype, settings, size)
    watch.prepared = perf_counter_ns()

    def complete(run: Run) -> Reply:
        """Compute and write the outputs, compressed if the client accepts it and that makes them smaller."""
        watch.started = perf_counter_ns()
        with request.located(), call_errors(write=write_place):
            used = call
            if memory is not None:
                used = memory.call_to_run(
                    call,
                    lambda one: require_within(settings, resolve_call(one, memory, write_place), size),
                    run.should_stop,
                )
            result = run_call(used, run, cost.operations, memory)
        watch.computed = perf_counter_ns()
        content, json_length = write_response(order.model, request, result, None if memory is None else memory.used)
        headers = {} if json_length is None else {HEADER: str(json_length)}
        if memory is not None:
            headers |= memory.headers
        reply = encoded(Reply(content, JSON if json_length is None else OCTETS, headers), body.wanted_encoding)
        watch.written = perf_counter_ns()
        return reply

    return Prepared(cost.operations, held, complete, waits=memory is not None and memory.waits(settings))
