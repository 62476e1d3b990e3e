"""Wrong requests are refused with a documented problem that points to the place, wherever the request stands."""

import json
import re
from typing import Any

import httpx
import pytest

from service.problems import PROBLEMS
from tests.sampling import every
from tests.service.specification import ANSWERING, OPERATIONS, body_validator, component, examples_of, validator
from tests.service.strategies import Request
from tests.service.wrong_merges import PART, WRONG_MERGES
from tests.service.wrong_merges import PATH as MERGE
from tests.service.wrong_options import CACHE, PACKED, WRONG_OPTIONS
from tests.service.wrong_questions import (
    HEADED,
    QUESTIONS,
    WITHOUT_EFFECT,
    WRONG_QUESTIONS,
    Question,
    compared,
    overrides_of,
)
from tests.service.wrong_requests import ADDITIVE, BASE, WRONG_REQUESTS, WrongRequest, with_

WRONG_ATTENTION = [*WRONG_REQUESTS, *WRONG_OPTIONS]
ALL_WRONG = [*WRONG_ATTENTION, *WRONG_QUESTIONS, *WRONG_MERGES]
PROBLEM = component("ProblemDocument")
INFERENCE = "POST /v2/models/{model}/infer"

MISSPELT = {
    "unknown field": "query",
    "unknown field of the mask": "allowed",
    "unknown normalizer parameter": "temperature",
    "unknown side of the window": "left",
    "field of explain misspelt": "language",
    "field of compare misspelt": "variants",
    "field of a variant misspelt": "overrides",
    "a field misspelt, overridden": "query",
    "a field of the mask misspelt, overridden": "causal",
    "an unknown name, overridden": "softmax",
    "field of check misspelt": "rtol",
    "candidate misspelt": "weights",
    "field of gradients misspelt": "output_gradient",
    "field of merge misspelt": "partials",
    "field of a partial misspelt": "logsumexp",
}
"""Wrong requests by id, and the name that was meant."""


def test_every_body_has_a_question_or_partials() -> None:
    """But the inference, which says the same in other words."""
    paths = (MERGE, *(question.path for question in QUESTIONS.values()))
    assert {f"POST {path}" for path in paths} == set(ANSWERING) - {INFERENCE}


WIDE: Request = {"query": [[[1]]] * 50_000, "key": [[1]] * 1000, "value": [[1]] * 1000}
"""Even one query of each of its leading entries has more scores than may be returned, or held."""

LOGSUMEXP_OF_WIDE = {"candidate": {"logsumexp": [[0]] * 50_000}}

REFUSALS: dict[int, tuple[dict[str, str], Request]] = {
    400: ({"Request-Timeout": "soon"}, BASE),
    406: ({"Accept": "text/csv"}, BASE),
    413: ({}, WIDE),
    415: ({"Content-Encoding": "compress"}, BASE),
    422: ({}, {}),
}
"""What provokes the refusals of a POST that need neither load nor time."""


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("status", REFUSALS)
async def test_every_refusal_is_documented(client: httpx.AsyncClient, status: int, question: Question) -> None:
    headers, request = REFUSALS[status]
    asked = question.asked(request) | (LOGSUMEXP_OF_WIDE if request is WIDE and question.path.endswith("check") else {})
    response = await client.post(question.path, json=asked, headers=headers)
    if status == 413 and question.path.endswith("estimate"):
        assert response.json()["allowed"] is False
        return
    _assert_documented(response, status, question.path)


@pytest.mark.parametrize("status", REFUSALS)
async def test_every_refusal_of_a_merge_is_documented(client: httpx.AsyncClient, status: int) -> None:
    asked = {413: {"partials": [{"output": [[0] * 3_500_000], "logsumexp": [0]}]}, 422: {}}
    response = await client.post(MERGE, json=asked.get(status, {"partials": [PART]}), headers=REFUSALS[status][0])
    _assert_documented(response, status, MERGE)


def _assert_documented(response: httpx.Response, status: int, path: str) -> None:
    """Fail unless the answer is a problem of this status that the specification knows of."""
    assert response.status_code == status, response.text
    content = OPERATIONS[f"POST {path}"]["responses"][str(status)]["content"][response.headers["content-type"]]
    validator(content["schema"]).validate(response.json())
    assert response.json()["type"] in [example["type"] for example in examples_of(content)]
    assert status != 413 or re.search(r"at most \d+ .*; received .* \d+", response.json()["detail"])


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_what_the_wrong_requests_spoil_is_right(client: httpx.AsyncClient, question: Question) -> None:
    right = [BASE, with_(score_model=ADDITIVE), BASE | CACHE, PACKED, HEADED]
    # The one candidate that check is sent fits the scores of BASE alone.
    for request in right[:2] if question.path.endswith("check") else right:
        asked = question.asked(request)
        body_validator(question.path).validate(asked)
        response = await client.post(question.path, json=asked)
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("wrong", ALL_WRONG, ids=lambda wrong: wrong.id)
def test_the_schema_refuses_what_a_schema_can_refuse(wrong: WrongRequest) -> None:
    assert body_validator(wrong.path).is_valid(wrong.request) is not wrong.refused_by_schema


@pytest.mark.parametrize("wrong", ALL_WRONG, ids=lambda wrong: wrong.id)
async def test_the_service_refuses_what_is_wrong_and_says_where(client: httpx.AsyncClient, wrong: WrongRequest) -> None:
    await _assert_refused(client, wrong.path, wrong.request, wrong.slug, wrong.pointer)


@pytest.mark.parametrize("wrong", every(5, WRONG_ATTENTION), ids=lambda wrong: wrong.id)
async def test_what_is_wrong_inside_a_larger_request_is_pointed_to_there(
    client: httpx.AsyncClient, wrong: WrongRequest
) -> None:
    for name, question in QUESTIONS.items():
        asked = question.asked(wrong.request)
        if question.place and wrong.id not in WITHOUT_EFFECT.get(name, ()):
            await _assert_refused(client, question.path, asked, wrong.slug, question.place + wrong.pointer)
    if isinstance(wrong.request, dict) and wrong.id not in WITHOUT_EFFECT["overrides"]:
        asked, place = compared(BASE, {}, overrides_of(wrong.request)), f"/variants/1/overrides{wrong.pointer}"
        await _assert_refused(client, QUESTIONS["compare"].path, asked, wrong.slug, place)


async def _assert_refused(client: httpx.AsyncClient, path: str, request: Any, slug: str, pointer: str) -> None:
    """Fail unless the answer is the problem, of which the first error is at this place."""
    response = await client.post(path, content=json.dumps(request))
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    PROBLEM.validate(problem)
    assert problem["type"] == f"/problems/{slug}"
    assert problem["title"] == PROBLEMS[slug].title.en
    assert problem["status"] == 422
    assert problem["instance"] == response.headers["x-request-id"]
    assert problem["errors"][0]["pointer"] == pointer
    assert problem["detail"] == problem["errors"][0]["detail"]
    for error in problem["errors"]:
        assert re.fullmatch(r"expected .+; received .+\. .+", error["detail"], re.DOTALL), error["detail"]


@pytest.mark.parametrize("wrong", [wrong for wrong in ALL_WRONG if wrong.id in MISSPELT], ids=lambda wrong: wrong.id)
async def test_a_misspelt_field_is_recognised(client: httpx.AsyncClient, wrong: WrongRequest) -> None:
    problem = (await client.post(wrong.path, json=wrong.request)).json()
    assert f"Did you mean '{MISSPELT[wrong.id]}'?" in problem["detail"]


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/v1/attention", "query and key"),
        ("/v1/attention/explain", "request and query_index and key_index"),
        ("/v1/attention/compare", "base and variants"),
        ("/v1/attention/check", "request and candidate"),
        ("/v1/attention/gradients", "request and output_gradient"),
        ("/v1/attention/merge", "partials"),
    ],
)
async def test_who_sends_no_object_is_told_what_it_must_hold(client: httpx.AsyncClient, path: str, needed: str) -> None:
    response = await client.post(path, json=[1])
    assert response.status_code == 422
    assert response.json()["detail"].endswith(f"Send an object with {needed}.")
