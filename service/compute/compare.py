"""POST /v1/attention/compare: one request and its variants, side by side."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from attention_core import AttentionResult, Cost
from attention_core.call import Field, ResolvedCall
from attention_core.differences import compare
from service.codecs import json
from service.codecs.merge_patch import merge_patch
from service.codecs.result import result_document
from service.compute.attention import run_call
from service.compute.budget import predict_within, require_affordable
from service.compute.contract import Body, Reply, Run
from service.compute.documents import bytes_per_number, numbers_for, read_document, write_document
from service.compute.requests import resolve_request
from service.errors import InvalidRequest
from service.schemas.attention import AttentionRequest
from service.schemas.compare import BASE, CompareRequest
from service.schemas.parse import call_errors, parse, resolves
from service.settings import Settings

COMPARED: tuple[Field, ...] = ("scores", "weights", "output")
"""What every pair of results is compared by, whether it was included or not."""


@dataclass(frozen=True, slots=True)
class Contender:
    """The base or a variant: its call, and how to write its result and find its errors."""

    label: str
    request: AttentionRequest
    call: ResolvedCall
    origin: "Origin"
    cost: Cost

    def evaluate(self, run: Run) -> AttentionResult:
        """Attend, with what results are compared by beside what was asked for."""
        compared = {name for name in COMPARED if name != "output" or self.call.value is not None}
        with self.origin.located(), call_errors():
            return run_call(replace(self.call, include=self.call.include | compared), run, self.cost.operations)

    def document(self, result: AttentionResult, wanted: str) -> Mapping[str, Any]:
        """Return the result as /v1/attention would have written it."""
        asked = {name: array for name, array in result.arrays.items() if name in self.call.include}
        present = {name: array for name, array in result.arrays.items() if name.startswith("present")}
        labels = None if self.request.labels is None else self.request.labels.key
        numbers = numbers_for(wanted, result.dtype, self.request.decimals)
        return result_document(replace(result, arrays=asked | present), numbers, labels, self.request.decimals)


@dataclass(frozen=True, slots=True)
class PreparedComparison:
    """The base and its variants, ready to run."""

    contenders: list[Contender]
    operations: int
    bytes: int
    wanted: str

    def complete(self, run: Run) -> Reply:
        """Attend with each and compare every two."""
        results = []
        for done, contender in enumerate(self.contenders, start=1):
            results.append(contender.evaluate(run._replace(progress=None)))
            if run.progress is not None:
                run.progress(done, len(self.contenders))
        labelled = [(contender.label, result) for contender, result in zip(self.contenders, results, strict=True)]
        documents = [
            {"label": contender.label, "result": contender.document(result, self.wanted)}
            for contender, result in zip(self.contenders, results, strict=True)
        ]
        pairs = [_pair_document(*left, *right) for left, right in combinations(labelled, 2)]
        return write_document({"results": documents, "pairs": pairs}, self.wanted)


def prepare_compare(body: Body, settings: Settings) -> PreparedComparison:
    """Read a request to compare; raises MalformedBody, InvalidRequest or TooLarge."""
    document = read_document(body, settings)
    request = parse(CompareRequest, document)
    contenders = [_contender(BASE, request.base, Origin(0, {}, document["base"]), settings)]
    for i, variant in enumerate(request.variants):
        origin = Origin(i, variant.overrides, merge_patch(document["base"], variant.overrides))
        with origin.located():
            merged = parse(AttentionRequest, origin.merged)
        contenders.append(_contender(variant.label, merged, origin, settings))
    costs = [one.cost for one in contenders]
    # Results are kept until the last is there, while each needs its scratch in turn; numbers count in the widest type.
    total = Cost(
        sum(cost.operations for cost in costs),
        sum(cost.bytes for cost in costs),
        sum(cost.result_numbers for cost in costs),
    )
    size = max(bytes_per_number(one.call, body.wanted) for one in contenders)
    held = require_affordable(total, "float64", settings, size)
    return PreparedComparison(contenders, total.operations, held, body.wanted)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a merged request comes from, so that an error points into the overrides or into the base.

    What is missing altogether is missing from the overrides where they change the object that it belongs to.
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


def _contender(label: str, request: AttentionRequest, origin: Origin, settings: Settings) -> Contender:
    with origin.located():
        call = resolve_request(request)
    cost = predict_within(settings, replace(call, include=call.include | {"scores", "weights"}))
    return Contender(label, request, call, origin, cost)


def _pair_document(a: str, first: AttentionResult, b: str, second: AttentionResult) -> Mapping[str, Any]:
    found = compare(first.arrays, second.arrays, COMPARED)
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
