"""POST /v1/attention/check: a candidate is compared with the reference."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from attention_core.checking import Check, CheckResult
from attention_core.differences import FieldDifference
from service.codecs import json
from service.codecs.decimals import shortest
from service.compute.budget import require_affordable
from service.compute.contract import Body, Prepared, Reply, Run, Work
from service.compute.documents import read_document, write_document
from service.compute.memory_calls import REFERENCE_BYTES, open_memory, with_version
from service.compute.requests import call_of, check_all_labels
from service.explanation import advice_on
from service.schemas.check import CheckRequest
from service.schemas.parse import call_errors, parse
from service.settings import Settings

REQUEST = ("request",)
"""Where the attention request is."""


def prepare_check(body: Body, settings: Settings) -> Prepared:
    """Read a request to check; raises MalformedBody, InvalidRequest or TooLarge."""
    request = parse(CheckRequest, read_document(body, settings))
    memory = open_memory(request.request, body.memories, REQUEST)
    if memory is not None:
        memory.reserve(REFERENCE_BYTES)
    with call_errors("/request", beside=("candidate",), from_memory=memory is not None):
        check = Check.of(
            call_of(request.request, memory), request.candidate.arrays(), rtol=request.rtol, atol=request.atol
        )
    sizes = {"queries": check.resolved.query_length, "keys": check.resolved.key_length}
    check_all_labels(request.request, memory, within="/request", **sizes)
    cost = check.predict()
    held = require_affordable(cost, check.comparison.dtype.name, settings)

    def complete(run: Run) -> Reply:
        """Compare the candidate with the reference, and search for the mistake that explains it."""
        with call_errors("/request"):
            work = Work(check.resolved.score_model.name, "reference", cost.operations)
            result = run.measured(work, lambda: check.run(run.should_stop, run.progress))
        return with_version(write_document(check_document(result), body.wanted), memory)

    return Prepared(cost.operations, held, complete)


def check_document(result: CheckResult) -> dict[str, Any]:
    """Return the response."""
    return {
        "passed": result.passed,
        "rtol": result.tolerance.relative,
        "atol": result.tolerance.absolute,
        "fields": {name: _field_document(field, result.dtype, name) for name, field in result.fields.items()},
        "likely_cause": result.likely_cause,
        "advice": advice_on(result).as_dict(),
    }


def _field_document(field: FieldDifference, dtype: str, name: str) -> Mapping[str, Any]:
    received = field.received
    if received is not None and name != "logsumexp":
        received = float(shortest(np.asarray(received), dtype))
    numbers = {
        "max_abs_error": field.max_abs_error,
        "max_rel_error": field.max_rel_error,
        "correlation": field.correlation,
        "max_ulps": field.max_ulps,
    }
    return {
        "passed": field.passed,
        **{name: json.number(number) for name, number in numbers.items()},
        "worst_index": None if field.worst_index is None else list(field.worst_index),
        "expected": json.number(field.expected),
        "received": json.number(received),
    }
