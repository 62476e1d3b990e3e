"""The OpenAPI document: fresh, valid, complete in both languages, as strict and as lenient as the service."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from attention_core import kernel_name
from service import routes
from service.codecs.negotiate import ENCODINGS
from service.examples import load_examples
from service.problems import PROBLEMS
from service.schemas.base import Described
from service.schemas.models import NORMALIZER_SCHEMAS, SCORE_MODEL_SCHEMAS
from service.specification import ENDPOINTS
from service.specification.examples import requests_to
from service.specification.routes import ROUTES
from tests.compare import assert_same
from tests.sampling import draws
from tests.service.safetensors.stored import BOTH, SAFETENSORS, loaded, saved
from tests.service.specification import (
    ANSWERING,
    COMPONENTS,
    DOCUMENT,
    JSON_BODIES,
    MEMORY_LABELS,
    OPERATIONS,
    RESPONSES,
    component,
    examples_of,
    path_of,
    problem_media_type,
    validator,
    without_keys,
)
from tests.service.strategies import Request, attention_requests

CHECKS = requests_to("check")

REQUEST_EXAMPLES = {
    f"{label}: {name}": (label, example)
    for label, body in JSON_BODIES.items()
    for name, example in body["examples"].items()
}
PLAIN_GETS = [label for label in OPERATIONS if label.startswith("GET") and "{" not in path_of(label)]
PLAIN_GETS = [label for label in PLAIN_GETS if label not in MEMORY_LABELS]

DRAWN = settings(max_examples=draws(80))


def members(base: type[Described]) -> Iterator[type[Described]]:
    """Every member of a discriminated union."""
    for schema in base.__subclasses__():
        yield from [schema] if "core" in vars(schema) else members(schema)


def is_in_both_languages(text: str) -> bool:
    """Whether a text has words in English and in Chinese."""
    return bool(re.search("[A-Za-z]{2,}", text)) and is_chinese(text)


def is_chinese(text: str) -> bool:
    """Whether a text has any Chinese."""
    return bool(re.search("[\u4e00-\u9fff]", text))


MEMBERS = {schema.__name__: schema for schema in members(Described)}
ATTENTION_REQUEST = component("AttentionRequest")
SVG = "image/svg+xml"
OCTETS = "application/octet-stream"
COUNTS = {"GET /v2/models/stats", "GET /v2/models/{model}/stats"}
"""Answers that depend on the requests before."""


def test_the_file_is_what_the_command_prints(project: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "openapi"]
    printed = subprocess.run(command, cwd=project, capture_output=True, check=True, timeout=60).stdout
    assert printed == (project / "openapi" / "openapi.json").read_bytes(), "stale: run make openapi"


async def test_the_service_serves_it(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    assert served.pop("servers") == [{"url": "/"}]
    assert served == without_keys(DOCUMENT)


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


def test_every_route_is_described_once() -> None:
    modules = [import_module(f"service.routes.{module.name}") for module in iter_modules(routes.__path__)]
    served = [route for module in modules if hasattr(module, "router") for route in module.router.routes]
    calls = [f"{method} {route.path}" for route in served for method in route.methods]
    without_aliases = [call for call in calls if "/versions/" not in call and not call.endswith("/v2/")]
    assert sorted([*ROUTES, *(f"POST {endpoint.path}" for endpoint in ENDPOINTS)]) == sorted(without_aliases)


def test_the_header_fields_of_a_problem_are_documented() -> None:
    for status, names in ((401, ["WWW-Authenticate"]), (429, ["Retry-After"]), (503, ["Retry-After"])):
        documented = DOCUMENT["paths"]["/v1/attention"]["post"]["responses"][str(status)]["headers"]
        assert list(documented) == ["X-Request-ID", *names]
        assert all(is_in_both_languages(field["description"]) for field in documented.values())


@pytest.mark.parametrize("label", RESPONSES)
def test_every_documented_answer_has_examples_of_its_schema(label: str) -> None:
    status = int(label.rpartition(" ")[2])
    bodies = RESPONSES[label].get("content", {})
    assert bodies or status in (204, 304)
    for media_type, content in bodies.items():
        if media_type in (SVG, OCTETS, SAFETENSORS):
            assert content["schema"]["type"] == "string", "no JSON example can show a picture or raw tensors"
            assert is_in_both_languages(content["schema"]["description"])
            continue
        examples = examples_of(content)
        assert examples
        for example in examples:
            validator(content["schema"]).validate(example)
        if status >= 400:
            assert media_type == problem_media_type(label)
            assert [example["status"] for example in examples] == [status] * len(examples)
            slugs = [example["type"].removeprefix("/problems/") for example in examples]
            assert [PROBLEMS[slug].status for slug in slugs] == [status] * len(slugs)


METRICS = "GET /metrics"

PUT, APPEND = "PUT /v1/memories/{name}", "POST /v1/memories/{name}/append"


@pytest.mark.parametrize("label", PLAIN_GETS)
async def test_what_a_get_answers_is_as_documented(client: httpx.AsyncClient, label: str) -> None:
    response = await client.get(path_of(label))
    assert response.status_code == 200
    media_type = response.headers["content-type"].partition(";")[0]
    content = OPERATIONS[label]["responses"]["200"]["content"][media_type]
    if label == METRICS:
        assert set(content["example"].splitlines()[:2]) <= set(response.text.splitlines())
        return
    validator(content["schema"]).validate(response.json())
    # What counts, and the kernel of the machine, differ from one server to another.
    expected = content["example"] | ({"kernel": kernel_name()} if label == "GET /" else {})
    assert label in COUNTS or response.json() == expected


async def test_memories_are_answered_as_documented(client: httpx.AsyncClient) -> None:
    """Each operation in its turn, on the memory of the first example; only versions and times are others."""

    async def ask(label: str, *statuses: int, body: Any = None, **fields: str) -> Any:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        method = label.partition(" ")[0]
        response = await client.request(method, path_of(label), json=body, headers=headers)
        assert response.status_code in statuses, response.text
        documented = OPERATIONS[label]["responses"][str(response.status_code)]
        assert {"ETag", "Location"} & set(documented["headers"]) == {
            name for name in ("ETag", "Location") if name in response.headers
        }
        if "content" not in documented:
            assert response.content == b""
            return None
        content = documented["content"][response.headers["content-type"]]
        if response.headers["content-type"] == "application/json":
            validator(content["schema"]).validate(response.json())
            return alike(response.json(), content["example"]), alike(content["example"], content["example"])
        return None

    def alike(found: Any, documented: Any) -> Any:
        """Return the members that are the same in every run."""
        assert found.keys() == documented.keys()
        return {name: value for name, value in found.items() if name not in ("version", "created", "modified")}

    first = {label: next(iter(JSON_BODIES[label]["examples"].values()))["value"] for label in (PUT, APPEND)}
    for listed in (await client.get("/v1/memories", params={"limit": 1000})).json()["memories"]:
        await client.delete(f"/v1/memories/{listed['name']}")
    for label, statuses, body in (
        (PUT, (201,), first[PUT]),
        (PUT, (200,), first[PUT]),
        ("GET /v1/memories/{name}", (200,), None),
        (APPEND, (200,), first[APPEND]),
    ):
        found, documented = await ask(label, *statuses, body=body)
        assert found == documented
    page, documented = await ask("GET /v1/memories", 200)
    assert len(page["memories"]) == len(documented["memories"])
    await ask("GET /v1/memories/{name}/tensors", 200)
    for label in ("GET /v1/memories/{name}", "GET /v1/memories/{name}/tensors"):
        await ask(label, 304, If_None_Match="*")
    await ask("DELETE /v1/memories/{name}", 204)


@pytest.mark.parametrize("label", ANSWERING)
async def test_the_documented_answer_is_that_to_the_first_example(client: httpx.AsyncClient, label: str) -> None:
    request = next(iter(JSON_BODIES[label]["examples"].values()))["value"]
    response = await client.post(path_of(label), json=request)
    documented = OPERATIONS[label]["responses"]["200"]["content"]["application/json"]["example"]
    assert_same(response.json(), documented, 1e-6)


async def test_a_picture_is_answered_as_documented(client: httpx.AsyncClient) -> None:
    label = "POST /v1/attention"
    for example in JSON_BODIES[label]["examples"].values():
        response = await client.post("/v1/attention", json=example["value"], headers={"Accept": SVG})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == SVG
        assert SVG in OPERATIONS[label]["responses"]["200"]["content"]
        assert ET.fromstring(response.text).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("label", [label for label in ANSWERING if "/v1/" in label])
async def test_tensors_are_read_and_answered_as_documented(client: httpx.AsyncClient, label: str) -> None:
    operation = OPERATIONS[label]
    body = operation["requestBody"]
    for encoding in ENCODINGS:
        assert encoding in body["description"]
    assert is_in_both_languages(body["description"])
    assert is_in_both_languages(body["content"][SAFETENSORS]["schema"]["description"])
    success = operation["responses"]["200"]
    assert success["headers"]["Content-Encoding"]["schema"]["enum"] == list(ENCODINGS)
    assert SAFETENSORS in success["content"]
    request = next(iter(JSON_BODIES[label]["examples"].values()))["value"]
    answer = await client.post(path_of(label), content=saved({}, request), headers=BOTH)
    assert loaded(answer)[0].keys() <= success["content"]["application/json"]["example"].keys()


@pytest.mark.parametrize("label", JSON_BODIES)
def test_every_body_has_five_examples_in_both_languages(label: str) -> None:
    examples = JSON_BODIES[label]["examples"]
    assert len(examples) >= (1 if label == APPEND else 5)
    for example in examples.values():
        assert is_in_both_languages(example["summary"])
        assert is_in_both_languages(example["description"])
        assert "externalValue" not in example


@pytest.mark.parametrize("name", REQUEST_EXAMPLES)
async def test_every_request_example_is_answered_as_documented(client: httpx.AsyncClient, name: str) -> None:
    label, example = REQUEST_EXAMPLES[name]
    method, path = label.split()[0], path_of(label)
    validator(JSON_BODIES[label]["schema"]).validate(example["value"])
    if label == APPEND:
        await client.put(path_of(PUT), json=next(iter(JSON_BODIES[PUT]["examples"].values()))["value"])
    if label == PUT:
        await client.delete(path)
    response = await client.request(method, path, json=example["value"])
    status = 201 if label == PUT else 200
    assert response.status_code == status, response.text
    content = OPERATIONS[label]["responses"][str(status)]["content"][response.headers["content-type"]]
    validator(content["schema"]).validate(response.json())


def test_every_worked_example_is_an_example_of_the_specification() -> None:
    described = {name: example["value"] for name, example in JSON_BODIES["POST /v1/attention"]["examples"].items()}
    written = {name: example["value"] for name, example in requests_to("attend").items()}
    assert described == {name: example.request for name, example in load_examples().items()} | written


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
    schema, about = COMPONENTS[name], MEMBERS[name].core.description
    assert is_chinese(about.summary.zh)
    assert not is_chinese(about.summary.en)
    for text in (about.title, about.summary):
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


@DRAWN
@given(request=attention_requests())
def test_the_schema_accepts_every_valid_request(request: Request) -> None:
    ATTENTION_REQUEST.validate(request)


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("right", "not-a-number")])
async def test_an_example_of_check_named_after_a_mistake_is_recognised(client: httpx.AsyncClient, name: str) -> None:
    answer = (await client.post("/v1/attention/check", json=CHECKS[name]["value"])).json()
    assert not answer["passed"]
    assert answer["likely_cause"].replace(" ", "-") == name


async def test_the_other_examples_of_check_are_what_they_say(client: httpx.AsyncClient) -> None:
    right, not_a_number = [
        (await client.post("/v1/attention/check", json=CHECKS[name]["value"])).json()
        for name in ("right", "not-a-number")
    ]
    assert right["passed"]
    assert (not_a_number["passed"], not_a_number["likely_cause"]) == (False, None)
    assert re.search(r"1 NaN.*\[0, 0\]", not_a_number["advice"]["en"])


@settings(DRAWN, max_examples=draws(50))
@given(request=attention_requests())
async def test_answers_are_as_documented(client: httpx.AsyncClient, request: Request) -> None:
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    component("AttentionResponse").validate(response.json())


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
