"""What schemathesis makes of the specification, sent to a real server: no defect, no undocumented answer."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode

from tests.sampling import sample
from tests.server import Server
from tests.service.drawn_questions import (
    check_requests,
    compare_requests,
    explain_requests,
    gradients_requests,
    inference_requests,
    merge_requests,
)
from tests.service.fuzzed_operations import LARGE_BODIES, PATHS, SCHEMA, send
from tests.service.strategies import attention_requests

MODEL = "scaled_dot_product"
INFERENCE = "POST /v2/models/{model}/infer"
PUT, APPEND = "PUT /v1/memories/{name}", "POST /v1/memories/{name}/append"

MEMORY = "schemathesis"

PARAMETERS = {INFERENCE: {"model": MODEL}, PUT: {"name": MEMORY}, APPEND: {"name": MEMORY}}
"""Parameters of paths."""

FITTING = {
    "POST /v1/attention": attention_requests(),
    "POST /v1/attention/estimate": attention_requests(),
    "POST /v1/attention/explain": explain_requests(),
    "POST /v1/attention/compare": compare_requests(),
    "POST /v1/attention/check": check_requests(),
    "POST /v1/attention/gradients": gradients_requests(),
    "POST /v1/attention/gradients/estimate": gradients_requests(),
    "POST /v1/attention/merge": merge_requests(),
    INFERENCE: inference_requests(MODEL),
}
"""Bodies whose shapes fit, which no JSON Schema can draw."""


def documented_bodies(label: str) -> st.SearchStrategy[Any]:
    """Return the examples of an operation's JSON body; raises KeyError where it takes none."""
    method, path = label.split(" ")
    content = PATHS[path][method.lower()]["requestBody"]["content"]["application/json"]
    return st.sampled_from([example["value"] for example in content["examples"].values()])


BODIES = {
    f"{method.upper()} {path}": FITTING.get(f"{method.upper()} {path}", documented_bodies(f"{method.upper()} {path}"))
    for path, operations in PATHS.items()
    for method, operation in operations.items()
    if "requestBody" in operation
}
"""Bodies of every operation that takes one: drawn where there is a strategy, else the documented ones."""

FIRST_MEMORY = next(
    iter(PATHS["/v1/memories/{name}"]["put"]["requestBody"]["content"]["application/json"]["examples"].values())
)["value"]
"""The memory to which the documented keys can be appended."""

MAX_FUZZED = {"POST /v1/attention": 25}
FUZZED_OTHERWISE = 8
"""How many requests of each kind; the others hold a request of the first and add little that is theirs."""

FUZZED = settings(suppress_health_check=LARGE_BODIES)


def test_every_body_can_be_drawn_with_shapes_that_fit() -> None:
    assert set(BODIES) == {operation.label for operation in _operations() if operation.body}
    assert set(FITTING) <= set(BODIES)


@pytest.mark.parametrize("label", BODIES)
def test_bodies_that_fit_are_answered(label: str, server: Server, report_figure: Callable[[str], None]) -> None:
    fitting = st.builds(
        _operation(label).Case,
        body=BODIES[label],
        path_parameters=st.just(PARAMETERS.get(label, {})),
        headers=st.just({}) | HEADERS,
        media_type=st.just("application/json"),
    )
    if label == APPEND:
        httpx.put(f"{server.url}/v1/memories/{MEMORY}", json=FIRST_MEMORY).raise_for_status()
    statuses = fuzz(fitting, label, server)
    report_figure(f"{label}: {statuses.total()} requests that fit: {dict(statuses)}")
    assert set(statuses) <= {200, 201}


@pytest.mark.parametrize("label", sample(BODIES, "POST /v1/attention/estimate", INFERENCE))
def test_bodies_that_the_schema_allows_or_forbids(
    label: str, server: Server, report_figure: Callable[[str], None]
) -> None:
    operation = _operation(label)
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    statuses = fuzz(st.one_of(operation.as_strategy(generation_mode=mode) for mode in modes), label, server)
    report_figure(f"{label}: {statuses.total()} requests of the schema: {dict(sorted(statuses.items()))}")
    # The drawn examples decide which refusal comes; wrong bodies are refused with any of them.
    assert statuses[400] + statuses[422] > 0


def fuzz(cases: st.SearchStrategy[Case], label: str, server: Server) -> Counter[int]:
    """Send many of these requests; count the statuses of the answers."""
    statuses: Counter[int] = Counter()
    most = MAX_FUZZED.get(label, FUZZED_OTHERWISE)

    @settings(FUZZED, max_examples=most)
    @given(cases)
    def sent(case: Case) -> None:
        statuses[send(case, server).status_code] += 1

    sent()
    assert statuses.total() >= most
    return statuses


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Request-Timeout": st.sampled_from(("20", "7.5", "1000000000")),
        "X-Request-ID": st.sampled_from(("a", "b.1_-")),
    },
)


def _operation(label: str) -> APIOperation:
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    return operation


def _operations() -> list[APIOperation]:
    return [result.ok() for result in SCHEMA.get_all_operations()]
