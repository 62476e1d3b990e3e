"""POST /v1/attention/explain: every number behind one weight."""

from dataclasses import dataclass, replace

from attention_core import Cost, resolve
from attention_core.call import ResolvedCall
from attention_core.explanation import explain
from attention_core.reference import in_float64
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Reply, Run, Work
from service.compute.documents import read_document, write_document
from service.explanation import NamedPair, explanation_document
from service.schemas.attention import LabelsSchema
from service.schemas.explain import ExplainRequest
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

REQUEST = "/request"
INDICES = ("index", "query_index", "key_index")


@dataclass(frozen=True, slots=True)
class PreparedExplanation:
    """One weight, ready to be explained."""

    call: ResolvedCall
    operations: int
    bytes: int
    request: ExplainRequest
    wanted: str

    def complete(self, run: Run) -> Reply:
        """Take the weight apart and write every number and sentence."""
        request = self.request
        index = request.index if request.index is not None else [0] * (len(self.call.scores) - 2)
        with call_errors(REQUEST, beside=INDICES):
            explanation = run.measured(
                Work(self.call.score_model.name, "reference", self.operations),
                lambda: explain(self.call, tuple(index), request.query_index, request.key_index),
            )
        labels = request.request.labels or LabelsSchema()
        pair = NamedPair(request.query_index, request.key_index, labels.query, labels.key)
        document = explanation_document(explanation, self.call, pair, request.language or "en")
        return write_document(document, self.wanted)


def prepare_explain(body: Body, settings: Settings) -> PreparedExplanation:
    """Read a request to explain; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(ExplainRequest, read_document(body, settings))
    with call_errors(REQUEST):
        call = resolve(in_float64(request.request.to_call()))
    if request.request.labels is not None:
        check_labels(request.request.labels, queries=call.query_length, keys=call.key_length, within=REQUEST)
    cost = _cost_of_a_row(call, settings)
    held = require_affordable(cost, call.dtype.name, settings)
    return PreparedExplanation(call, cost.operations, held, request, body.wanted)


def _cost_of_a_row(call: ResolvedCall, settings: Settings) -> Cost:
    """Return the cost of the row that the weight stands in, at every index of the leading axes."""
    row = replace(call, scores=(*call.scores[:-2], 1, call.key_length), include=frozenset(("scores", "weights")))
    return predict_within(settings, row)
