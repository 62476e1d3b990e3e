"""POST /v1/attention/merge: attention over parts of the keys becomes attention over all of them."""

from collections.abc import Sequence

from attention_core import Cost, Partial, merge
from attention_core.dtypes import DTYPES, DType
from attention_core.partials import LogBase, change_log_base
from service.compute.budget import require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import numbers_for, read_document, write_document
from service.schemas.merge import MergeRequest
from service.schemas.parse import call_errors, parse
from service.settings import Settings

PER_OUTPUT, PER_LOGSUMEXP = 2, 4
"""Operations for each number that is merged."""

HELD_PER_RESULT, HELD_PER_LOGSUMEXP = 4, 2
"""Numbers held for each number of the result, and for each logsumexp that is merged."""


def prepare_merge(body: Body, settings: Settings) -> Prepared:
    """Read partial results; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(MergeRequest, read_document(body, settings))
    dtype = DTYPES[request.dtype or "float64"]
    log_base = request.log_base or "e"
    partials = [one.to_core(log_base) for one in request.partials]
    cost = _predict(partials)
    numbers = numbers_for(body.wanted, dtype.name)
    held = require_affordable(cost, dtype.name, settings, numbers.bytes_per_number())
    _require_in_range(partials, dtype, log_base)
    held += sum(one.widened_bytes for one in request.partials)

    def combine() -> Partial:
        return merge(partials, log_base=log_base, layout=request.layout)

    def complete(run: Run) -> Reply:
        """Merge; raises InvalidRequest when the shapes do not fit."""
        with call_errors():
            merged = run.measured(Work("none", "merge", cost.operations), combine)
        document = {
            "output": numbers.of_dtype(dtype.store(merged.output)),
            "logsumexp": numbers.of_compute_type(merged.logsumexp.astype(dtype.compute, copy=False)),
        }
        if request.log_base is not None:
            document["log_base"] = log_base
        return write_document(document, body.wanted)

    return Prepared(cost.operations, held, complete)


def _predict(partials: Sequence[Partial]) -> Cost:
    outputs = sum(one.output.size for one in partials)
    logarithms = sum(one.logsumexp.size for one in partials)
    result = partials[0].output.size + partials[0].logsumexp.size
    held = HELD_PER_RESULT * result + HELD_PER_LOGSUMEXP * logarithms
    operations = PER_OUTPUT * outputs + PER_LOGSUMEXP * logarithms
    return Cost(operations, held * partials[0].output.itemsize, result)


def _require_in_range(partials: Sequence[Partial], dtype: DType, log_base: LogBase) -> None:
    """Raise InvalidRequest for a finite number that the result could not hold."""
    with call_errors():
        for index, one in enumerate(partials):
            dtype.load(one.output, ("partials", index, "output"))
            place = ("partials", index, "logsumexp")
            DTYPES[dtype.compute.name].load(change_log_base(one.logsumexp, one.log_base, log_base, place), place)
