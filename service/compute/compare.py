"""POST /v1/attention/compare: one request and its variants, side by side."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from attention_core import AttentionResult, Cost
from attention_core.call import ResolvedCall, ResultField
from attention_core.differences import compare_results
from service.codecs import json
from service.codecs.merge_patch import merge_patch
from service.codecs.result import result_document
from service.compute.attention import run_call
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Prepared, Reply, Run
from service.compute.documents import bytes_per_number, numbers_for, read_document, write_document
from service.compute.memory_calls import OpenMemory, open_memory
from service.compute.requests import labels_of, resolve_request
from service.errors import InvalidRequest
from service.memories import MemoryAccess
from service.schemas.attention import AttentionRequest
from service.schemas.compare import BASE, CompareRequest
from service.schemas.parse import call_errors, parse, resolves
from service.settings import Settings

COMPARED: tuple[ResultField, ...] = ("scores", "weights", "output")
"""Fields by which every pair of results is compared, included or not."""


@dataclass(frozen=True, slots=True)
class ComparedRequest:
    """The base or a variant, with its call and cost."""

    label: str
    request: AttentionRequest
    call: ResolvedCall
    origin: "Origin"
    cost: Cost
    memory: OpenMemory | None

    def evaluate(self, run: Run) -> AttentionResult:
        """Compute the fields that the request includes, and those by which results are compared."""
        compared = {name for name in COMPARED if name != "output" or self.call.value is not None}
        with self.origin.located(), call_errors():
            return run_call(replace(self.call, include=self.call.include | compared), run, self.cost.operations)

    def document(self, result: AttentionResult, wanted: str) -> Mapping[str, Any]:
        """Return the result as /v1/attention would have written it."""
        asked = {name: array for name, array in result.arrays.items() if name in self.call.include}
        present = {name: array for name, array in result.arrays.items() if name.startswith("present")}
        labels = labels_of(self.request, self.memory).key
        numbers = numbers_for(wanted, result.dtype, self.request.decimals)
        used = None if self.memory is None else self.memory.used
        return result_document(replace(result, arrays=asked | present), numbers, labels, self.request.decimals, used)


def prepare_compare(body: Body, settings: Settings) -> Prepared:
    """Read a request to compare; raises MalformedBody, InvalidRequest or TooLarge."""
    document = read_document(body, settings)
    request = parse(CompareRequest, document)
    base = Origin(0, {}, document["base"])
    requests = [_compared_request(BASE, request.base, base, body.memories, settings)]
    for i, variant in enumerate(request.variants):
        origin = Origin(i, variant.overrides, merge_patch(document["base"], variant.overrides))
        with origin.located():
            merged = parse(AttentionRequest, origin.merged)
        requests.append(_compared_request(variant.label, merged, origin, body.memories, settings))
    costs = [one.cost for one in requests]
    # Results are kept until the last is there, while each needs its scratch in turn; numbers count in the widest type.
    total = Cost(
        sum(cost.operations for cost in costs),
        sum(cost.bytes for cost in costs),
        sum(cost.result_numbers for cost in costs),
    )
    size = max(bytes_per_number(one.call, body.wanted) for one in requests)
    held = require_affordable(total, "float64", settings, size)

    def complete(run: Run) -> Reply:
        """Compute each call and compare every two results."""
        results = []
        for done, one in enumerate(requests, start=1):
            results.append((one, one.evaluate(run._replace(progress=None))))
            if run.progress is not None:
                run.progress(done, len(requests))
        documents = [{"label": one.label, "result": one.document(result, body.wanted)} for one, result in results]
        labelled = [(one.label, result) for one, result in results]
        pairs = [_pair_document(*left, *right) for left, right in combinations(labelled, 2)]
        return write_document({"results": documents, "pairs": pairs}, body.wanted)

    return Prepared(total.operations, held, complete)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a merged request comes from, so that an error points into the overrides or into the base.

    An error about a missing field points into the overrides where they change the object of the field.
    """

    variant: int
    overrides: Mapping[str, Any]
    merged: Mapping[str, Any]

    @contextmanager
    def located(self) -> Iterator[None]:
        """Let errors about the merged request point into the request that was sent."""
        try:
            yield
        except InvalidRequest as error:
            raise error.relocated(self._place) from None

    def _place(self, place: str) -> str:
        if not self.overrides:
            return "/base" + place
        missing = not resolves(place, self.merged) and resolves(place[: place.rfind("/")], self.overrides)
        overridden = missing or resolves(place, self.overrides)
        return (f"/variants/{self.variant}/overrides" if overridden else "/base") + place


def _compared_request(
    label: str, request: AttentionRequest, origin: Origin, memories: MemoryAccess | None, settings: Settings
) -> ComparedRequest:
    with origin.located():
        memory = open_memory(request, memories)
        call = resolve_request(request, memory)
    cost = predict_within(settings, replace(call, include=call.include | {"scores", "weights"}))
    return ComparedRequest(label, request, call, origin, cost, memory)


def _pair_document(a: str, first: AttentionResult, b: str, second: AttentionResult) -> Mapping[str, Any]:
    found = compare_results(first.arrays, second.arrays, COMPARED)
    return {
        "a": a,
        "b": b,
        "max_abs_difference": {name: json.number(number) for name, number in found.max_abs_difference.items()},
        "correlation": json.number(found.correlation),
        "total_variation": {
            "mean": json.number(found.mean_total_variation),
            "max": json.number(found.max_total_variation),
        },
    }
