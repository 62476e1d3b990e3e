"""POST /v1/attention/explain: every number behind one weight."""

from dataclasses import replace

from attention_core import Cost, resolve
from attention_core.call import ResolvedCall
from attention_core.explanation import explain
from attention_core.reference import to_float64_reference
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import read_document, write_document
from service.compute.memory_calls import REFERENCE_BYTES, open_memory, with_version
from service.compute.requests import call_of, check_all_labels, labels_of
from service.explanation import NamedPair, explanation_document
from service.schemas.explain import ExplainRequest
from service.schemas.parse import call_errors, parse
from service.settings import Settings

REQUEST = "/request"
INDICES = ("index", "query_index", "key_index")


def prepare_explain(body: Body, settings: Settings) -> Prepared:
    """Read a request to explain; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(ExplainRequest, read_document(body, settings))
    memory = open_memory(request.request, body.memories, ("request",))
    if memory is not None:
        memory.reserve(REFERENCE_BYTES)
    with call_errors(REQUEST, from_memory=memory is not None):
        call = resolve(to_float64_reference(call_of(request.request, memory)))
    check_all_labels(request.request, memory, queries=call.query_length, keys=call.key_length, within=REQUEST)
    cost = _cost_of_a_row(call, settings)
    held = require_affordable(cost, call.dtype.name, settings)
    index = tuple(request.index if request.index is not None else [0] * (len(call.score_shape) - 2))

    def complete(run: Run) -> Reply:
        """Take the weight apart and write every number and sentence."""
        with call_errors(REQUEST, beside=INDICES):
            explanation = run.measured(
                Work(call.score_model.name, "reference", cost.operations),
                lambda: explain(call, index, request.query_index, request.key_index),
            )
        labels = labels_of(request.request, memory)
        pair = NamedPair(request.query_index, request.key_index, labels.query, labels.key)
        document = explanation_document(explanation, call, pair, request.language or "en")
        return with_version(write_document(document, body.wanted), memory)

    return Prepared(cost.operations, held, complete)


def _cost_of_a_row(call: ResolvedCall, settings: Settings) -> Cost:
    """Return the cost of the row of the weight, at every index of the leading axes."""
    row = replace(
        call, score_shape=(*call.score_shape[:-2], 1, call.key_length), include=frozenset(("scores", "weights"))
    )
    return predict_within(settings, row)
