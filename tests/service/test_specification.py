"""The OpenAPI document: fresh, valid, complete in both languages, as strict and as lenient as the service."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.examples import load_examples
from service.problems import PROBLEMS
from service.schemas.base import Described
from service.schemas.normalizers import NORMALIZER_SCHEMAS
from service.schemas.score_models import SCORE_MODEL_SCHEMAS
from tests.service.strategies import Request, attention_requests
from tests.service.wrong_options import CACHE, PACKED, WRONG_OPTIONS
from tests.service.wrong_requests import ADDITIVE, BASE, WRONG_REQUESTS, WrongRequest, with_

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text(encoding="utf-8"))
COMPONENTS = DOCUMENT["components"]["schemas"]

OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
RESPONSES = {
    f"{label} {status}": response
    for label, operation in OPERATIONS.items()
    for status, response in operation["responses"].items()
}
JSON_BODIES = {
    label: operation["requestBody"]["content"]["application/json"]
    for label, operation in OPERATIONS.items()
    if "requestBody" in operation
}
REQUEST_EXAMPLES = {
    f"{label}: {name}": (label, example)
    for label, body in JSON_BODIES.items()
    for name, example in body["examples"].items()
}
ALL_WRONG = [*WRONG_REQUESTS, *WRONG_OPTIONS]
PLAIN_GETS = [label for label in OPERATIONS if label.startswith("GET") and "{" not in label]

DRAWN = settings(max_examples=200, derandomize=True, database=None, deadline=None)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema that may refer to the document's components."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def component(name: str) -> Draft202012Validator:
    """A validator of a component."""
    return validator({"$ref": f"#/components/schemas/{name}"})


def members(base: type[Described]) -> Iterator[type[Described]]:
    """Every member of a discriminated union."""
    for schema in base.__subclasses__():
        yield from [schema] if "about" in vars(schema) else members(schema)


def is_in_both_languages(text: str) -> bool:
    """Whether a text has words in English and in Chinese."""
    return bool(re.search("[A-Za-z]{2,}", text)) and is_chinese(text)


def is_chinese(text: str) -> bool:
    """Whether a text has any Chinese."""
    return bool(re.search("[\u4e00-\u9fff]", text))


MEMBERS = {schema.__name__: schema for schema in members(Described)}
ATTENTION_REQUEST = component("AttentionRequest")
PROBLEM = component("ProblemDocument")


def test_the_file_is_what_the_command_prints(project: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "openapi"]
    printed = subprocess.run(command, cwd=project, capture_output=True, check=True, timeout=60).stdout
    assert printed == (project / "openapi" / "openapi.json").read_bytes(), "stale: run make openapi"


async def test_the_service_serves_it(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    assert served.pop("servers") == [{"url": "/"}]
    assert served == DOCUMENT


def test_it_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_a_valid_schema(name: str) -> None:
    Draft202012Validator.check_schema(COMPONENTS[name])


def test_every_reference_leads_to_a_component() -> None:
    referred = set(_references(DOCUMENT))
    assert len(referred) >= len(MEMBERS)
    assert referred <= {f"#/components/schemas/{name}" for name in COMPONENTS}


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_is_described_in_both_languages(label: str) -> None:
    operation = OPERATIONS[label]
    assert is_in_both_languages(operation["description"])
    for parameter in operation.get("parameters", []):
        assert parameter["in"] == "path" or is_in_both_languages(parameter["description"])
    for response in operation["responses"].values():
        assert is_in_both_languages(response["description"])
        assert "X-Request-ID" in response["headers"]


@pytest.mark.parametrize("label", RESPONSES)
def test_every_documented_answer_has_examples_of_its_schema(label: str) -> None:
    status = int(label.rpartition(" ")[2])
    for media_type, content in RESPONSES[label]["content"].items():
        examples = _examples(content)
        assert examples
        for example in examples:
            validator(content["schema"]).validate(example)
        if status >= 400:
            assert media_type == "application/problem+json"
            assert [example["status"] for example in examples] == [status] * len(examples)
            slugs = [example["type"].removeprefix("/problems/") for example in examples]
            assert [PROBLEMS[slug].status for slug in slugs] == [status] * len(slugs)


@pytest.mark.parametrize("label", PLAIN_GETS)
async def test_what_a_get_answers_is_as_documented(client: httpx.AsyncClient, label: str) -> None:
    response = await client.get(label.removeprefix("GET "))
    assert response.status_code == 200
    content = OPERATIONS[label]["responses"]["200"]["content"][response.headers["content-type"]]
    validator(content["schema"]).validate(response.json())
    assert _without_nulls(response.json()) == content["example"], "FastAPI leaves null out of the examples"


REFUSALS: dict[int, tuple[dict[str, str], Request]] = {
    400: ({"Request-Timeout": "soon"}, BASE),
    406: ({"Accept": "text/csv"}, BASE),
    413: ({}, {"query": [[0]] * 4000, "key": [[0]] * 4000}),
    415: ({"Content-Encoding": "compress"}, BASE),
    422: ({}, {}),
}
"""What provokes the refusals of POST /v1/attention that need neither load nor time."""


@pytest.mark.parametrize("status", REFUSALS)
async def test_every_refusal_is_documented(client: httpx.AsyncClient, status: int) -> None:
    headers, request = REFUSALS[status]
    response = await client.post("/v1/attention", json=request, headers=headers)
    assert response.status_code == status, response.text
    content = OPERATIONS["POST /v1/attention"]["responses"][str(status)]["content"][response.headers["content-type"]]
    validator(content["schema"]).validate(response.json())
    assert response.json()["type"] in [example["type"] for example in _examples(content)]


@pytest.mark.parametrize("label", JSON_BODIES)
def test_every_body_has_five_examples_in_both_languages(label: str) -> None:
    examples = JSON_BODIES[label]["examples"]
    assert len(examples) >= 5
    for example in examples.values():
        assert is_in_both_languages(example["summary"])
        assert is_in_both_languages(example["description"])
        assert "externalValue" not in example


@pytest.mark.parametrize("name", REQUEST_EXAMPLES)
async def test_every_request_example_is_answered_as_documented(client: httpx.AsyncClient, name: str) -> None:
    label, example = REQUEST_EXAMPLES[name]
    method, path = label.split()
    validator(JSON_BODIES[label]["schema"]).validate(example["value"])
    response = await client.request(method, path, json=example["value"])
    assert response.status_code == 200, response.text
    content = OPERATIONS[label]["responses"]["200"]["content"][response.headers["content-type"]]
    validator(content["schema"]).validate(response.json())


def test_every_worked_example_is_an_example_of_the_specification() -> None:
    described = {name: example["value"] for name, example in JSON_BODIES["POST /v1/attention"]["examples"].items()}
    assert described == {name: example.request for name, example in load_examples().items()}


def test_the_unions_are_told_apart_by_name() -> None:
    unions = list(_discriminators(DOCUMENT))
    assert {union["propertyName"] for union in unions} == {"name"}
    assert {*SCORE_MODEL_SCHEMAS, *NORMALIZER_SCHEMAS} <= set(MEMBERS.values())
    mapped = {name: reference for union in unions for name, reference in union["mapping"].items()}
    assert mapped == {
        schema.model_fields["name"].default: f"#/components/schemas/{name}" for name, schema in MEMBERS.items()
    }


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_of_a_union_explains_itself(name: str) -> None:
    schema, about = COMPONENTS[name], MEMBERS[name].about
    assert is_chinese(about.description.zh)
    assert not is_chinese(about.description.en)
    for text in (about.title, about.description):
        assert text.en in schema["description"]
        assert text.zh in schema["description"]
    assert f"Formula: `{about.plain}`" in schema["description"]
    assert schema["examples"]
    for example in schema["examples"]:
        component(name).validate(example)
        assert example["name"] == schema["properties"]["name"]["const"]
    for other in set(MEMBERS) - {name}:
        assert not component(other).is_valid(schema["examples"][0])


@pytest.mark.parametrize("name", sorted(set(COMPONENTS) - {"JsonValue"}))
def test_every_component_and_field_is_described_in_both_languages(name: str) -> None:
    assert is_in_both_languages(COMPONENTS[name]["description"])
    fields = {
        field: schema for field, schema in COMPONENTS[name].get("properties", {}).items() if "const" not in schema
    }
    assert [field for field, schema in fields.items() if not is_in_both_languages(schema.get("description", ""))] == []


@pytest.mark.parametrize("request_", [BASE, with_(score_model=ADDITIVE), BASE | CACHE, PACKED])
async def test_what_the_wrong_requests_spoil_is_right(client: httpx.AsyncClient, request_: Request) -> None:
    ATTENTION_REQUEST.validate(request_)
    response = await client.post("/v1/attention", json=request_)
    assert response.status_code == 200, response.text


@DRAWN
@given(request=attention_requests())
def test_the_schema_accepts_every_valid_request(request: Request) -> None:
    ATTENTION_REQUEST.validate(request)


@settings(DRAWN, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=attention_requests())
async def test_answers_are_as_documented(client: httpx.AsyncClient, request: Request) -> None:
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    component("AttentionResponse").validate(response.json())


@pytest.mark.parametrize("wrong", ALL_WRONG, ids=lambda wrong: wrong.id)
def test_the_schema_refuses_what_a_schema_can_refuse(wrong: WrongRequest) -> None:
    assert ATTENTION_REQUEST.is_valid(wrong.request) is not wrong.refused_by_schema


@pytest.mark.parametrize("wrong", ALL_WRONG, ids=lambda wrong: wrong.id)
async def test_the_service_refuses_what_is_wrong_and_says_where(client: httpx.AsyncClient, wrong: WrongRequest) -> None:
    response = await client.post("/v1/attention", content=json.dumps(wrong.request))
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    PROBLEM.validate(problem)
    assert problem["type"] == f"/problems/{wrong.slug}"
    assert problem["title"] == PROBLEMS[wrong.slug].title.en
    assert problem["status"] == 422
    assert problem["instance"] == response.headers["x-request-id"]
    assert problem["errors"][0]["pointer"] == wrong.pointer
    assert problem["detail"] == problem["errors"][0]["detail"]
    for error in problem["errors"]:
        assert re.fullmatch(r"expected .+; received .+\. .+", error["detail"]), error["detail"]


def _references(node: Any) -> Iterator[str]:
    """Every `$ref` of the document, those of discriminators included."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        if isinstance(node.get("mapping"), dict):
            yield from node["mapping"].values()
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _discriminators(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict):
            yield node["discriminator"]
        for value in node.values():
            yield from _discriminators(value)
    elif isinstance(node, list):
        for item in node:
            yield from _discriminators(item)


def _without_nulls(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_nulls(value) for name, value in node.items() if value is not None}
    return [_without_nulls(item) for item in node] if isinstance(node, list) else node


def _examples(content: dict[str, Any]) -> list[Any]:
    """Every example of a media type, with either keyword."""
    single = [content["example"]] if "example" in content else []
    return single + [example["value"] for example in content.get("examples", {}).values()]
