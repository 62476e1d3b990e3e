"""POST /v1/attention/explain: every number behind one weight."""

from dataclasses import replace

from attention_core import Cost, resolve
from attention_core.call import ResolvedCall
from attention_core.explanation import explain
from attention_core.reference import to_float64_reference
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import read_document, write_document
from service.explanation import NamedPair, explanation_document
from service.schemas.attention import LabelsSchema
from service.schemas.explain import ExplainRequest
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

REQUEST = "/request"
INDICES = ("index", "query_index", "key_index")


def prepare_explain(body: Body, settings: Settings) -> Prepared:
    """Read a request to explain; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(ExplainRequest, read_document(body, settings))
    with call_errors(REQUEST):
        call = resolve(to_float64_reference(request.request.to_call()))
    if request.request.labels is not None:
        check_labels(request.request.labels, queries=call.query_length, keys=call.key_length, within=REQUEST)
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
        labels = request.request.labels or LabelsSchema()
        pair = NamedPair(request.query_index, request.key_index, labels.query, labels.key)
        document = explanation_document(explanation, call, pair, request.language or "en")
        return write_document(document, body.wanted)

    return Prepared(cost.operations, held, complete)


def _cost_of_a_row(call: ResolvedCall, settings: Settings) -> Cost:
    """Return the cost of the row of the weight, at every index of the leading axes."""
    row = replace(
        call, score_shape=(*call.score_shape[:-2], 1, call.key_length), include=frozenset(("scores", "weights"))
    )
    return predict_within(settings, row)
