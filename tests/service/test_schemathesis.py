"""What schemathesis makes of the specification, sent to a real server: no defect, no undocumented answer."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.server import Server
from tests.service.drawn_questions import (
    check_requests,
    compare_requests,
    explain_requests,
    inference_requests,
    merge_requests,
)
from tests.service.strategies import attention_requests

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi" / "openapi.json")
SCHEMA.config.generation.update(max_examples=3, deterministic=True)
# A header that nobody knows is no mistake; with it schemathesis takes the text of a numeric header for one.
SCHEMA.config.generation.update(allow_extra_parameters=False)

# Schemathesis asks for one for each media type; what it draws as a file is bytes already.
schemathesis.serializer.alias("application/vnd.safetensors", "application/octet-stream")

MODEL = "scaled_dot_product"
INFERENCE = "POST /v2/models/{model}/infer"

BODIES = {
    "POST /v1/attention": attention_requests(),
    "POST /v1/attention/estimate": attention_requests(),
    "POST /v1/attention/explain": explain_requests(),
    "POST /v1/attention/compare": compare_requests(),
    "POST /v1/attention/check": check_requests(),
    "POST /v1/attention/merge": merge_requests(),
    INFERENCE: inference_requests(MODEL),
}
"""Bodies whose shapes fit, which no JSON Schema can draw, for every operation that takes one."""

LARGE_BODIES = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
"""What hypothesis warns of when it draws requests with so many optional tensors; they are wanted nevertheless."""

MOST_FUZZED = {"POST /v1/attention": 25}
FUZZED_OTHERWISE = 8
"""How many requests of each kind; the others hold a request of the first and add little that is theirs."""

FUZZED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=LARGE_BODIES,
)

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")


@SCHEMA.parametrize()
@settings(suppress_health_check=LARGE_BODIES)
def test_every_operation(case: Case, server: Server) -> None:
    """Documented examples, boundary values, wrong methods and media types, and what the schema allows and forbids."""
    send(case, server)


def test_every_body_can_be_drawn_with_shapes_that_fit() -> None:
    assert set(BODIES) == {operation.label for operation in _operations() if operation.body}


@pytest.mark.parametrize("label", BODIES)
def test_bodies_that_fit_are_answered(label: str, server: Server, report_figure: Callable[[str], None]) -> None:
    fitting = st.builds(
        _operation(label).Case,
        body=BODIES[label],
        path_parameters=st.just({"model": MODEL} if label == INFERENCE else {}),
        headers=st.just({}) | HEADERS,
        media_type=st.just("application/json"),
    )
    statuses = fuzz(fitting, label, server)
    report_figure(f"{label}: {statuses.total()} requests that fit: {dict(statuses)}")
    assert set(statuses) == {200}


@pytest.mark.parametrize("label", BODIES)
def test_bodies_that_the_schema_allows_or_forbids(
    label: str, server: Server, report_figure: Callable[[str], None]
) -> None:
    operation = _operation(label)
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    statuses = fuzz(st.one_of(operation.as_strategy(generation_mode=mode) for mode in modes), label, server)
    report_figure(f"{label}: {statuses.total()} requests of the schema: {dict(sorted(statuses.items()))}")
    # Which refusal depends on what is drawn; that wrong bodies are refused at all does not.
    assert statuses[400] + statuses[422] > 0


def fuzz(cases: st.SearchStrategy[Case], label: str, server: Server) -> Counter[int]:
    """Send many of these requests; count the statuses of the answers."""
    statuses: Counter[int] = Counter()
    most = MOST_FUZZED.get(label, FUZZED_OTHERWISE)

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
        "Request-Timeout": st.sampled_from(("20", "7.5", "1e9")),
        "X-Request-ID": st.sampled_from(("a", "b.1_-")),
    },
)


def send(case: Case, server: Server) -> Response:
    """Send one request and judge the answer; a schema cannot promise that the shapes it allows fit."""
    return case.call_and_validate(
        base_url=server.url,
        additional_checks=[is_no_defect, request_id_is_returned],
        excluded_checks=[not_a_server_error, *([positive_data_acceptance] if case.operation.body else [])],
    )


def is_no_defect(context: CheckContext, response: Response, case: Case) -> None:
    """No 5xx, but for the 504 that a caller asks for who leaves no time."""
    asked_for = response.status_code == 504 and 0 < float((case.headers or {})["Request-Timeout"]) < 1
    assert response.status_code < 500 or asked_for


def request_id_is_returned(context: CheckContext, response: Response, case: Case) -> None:
    """Every answer carries an id, the caller's where it is well-formed."""
    [returned] = response.headers["x-request-id"]
    sent = str((case.headers or {}).get("X-Request-ID", ""))
    assert WELL_FORMED.fullmatch(returned)
    assert returned == sent or not WELL_FORMED.fullmatch(sent)


def _operation(label: str) -> APIOperation:
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    return operation


def _operations() -> list[APIOperation]:
    return [result.ok() for result in SCHEMA.get_all_operations()]
