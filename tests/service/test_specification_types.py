"""The OpenAPI document as code generators read it: every schema has a name, a type and a right set of required members.

tests/clients runs the generators themselves, in the soak.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.examples import load_examples
from tests.service.specification import COMPONENTS, DOCUMENT, JSON_BODIES, OPERATIONS, RESPONSES

IDENTIFIER = r"[A-Z][A-Za-z0-9]*"
LONGEST_NAME = 24

TAKEN = {
    *("Any", "BaseModel", "ConfigDict", "Enum", "Field", "File", "Literal", "Response", "RootModel", "Unset"),
    *("Awaited", "Exclude", "Extract", "Omit", "Partial", "Pick", "Readonly", "Record", "Required"),
    *("Array", "Blob", "Client", "Config", "Date", "Error", "Headers", "Map", "Number", "Options", "Request", "Set"),
}
"""Names that generated Python and TypeScript import or take from the language."""


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document, the JSON Schemas inside examples too."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def types(schema: dict[str, Any]) -> list[Any]:
    """The types that a schema names; a property may be called type, too."""
    named = schema.get("type", [])
    return named if isinstance(named, list) else [named]


OBJECTS = list(schemas(DOCUMENT))
UNIONS = ("anyOf", "oneOf")
ABSENT = {"title": "none", "type": "null"}
WITH_PROPERTIES = [one for one in OBJECTS if isinstance(one.get("properties"), dict)]


def test_packages_can_be_named_after_the_title() -> None:
    assert re.fullmatch("[a-z]+(-[a-z]+)*", DOCUMENT["info"]["title"])
    assert "注意力" in DOCUMENT["info"]["description"]


def test_arrays_say_what_they_hold_at_every_depth() -> None:
    arrays = [one for one in OBJECTS if "array" in types(one)]
    assert len(arrays) > 100
    assert [one for one in arrays if "items" not in one] == []


def test_choices_say_what_type_they_are() -> None:
    choices = [one for one in OBJECTS if isinstance(one.get("enum"), list)]
    assert len(choices) >= 10
    assert [one for one in choices if "type" not in one] == []


def test_optional_members_have_no_default() -> None:
    """Generators require a member that has a default, in requests too."""
    members = [schema for one in WITH_PROPERTIES for schema in one["properties"].values()]
    assert len(members) > 200
    assert [schema for schema in members if "default" in schema] == []


BRANCHES = [
    branch
    for one in schemas(COMPONENTS)
    for union in UNIONS
    if isinstance(one.get(union), list)
    for branch in one[union]
]


def test_components_and_members_of_unions_alone_have_titles() -> None:
    assert {name: schema.get("title", name) for name, schema in COMPONENTS.items()} == {
        name: name for name in COMPONENTS
    }
    titled = [one for schema in COMPONENTS.values() for one in schemas(schema) if isinstance(one.get("title"), str)]
    members = [*map(id, COMPONENTS.values()), *map(id, BRANCHES)]
    assert [one["title"] for one in titled if id(one) not in members] == []


def test_members_of_unions_say_what_they_are_and_differ_from_one_another() -> None:
    """Else Swagger UI calls them by their number."""
    assert len(BRANCHES) > 300
    plain = [one for one in BRANCHES if not one.keys() & {"$ref", "enum", "oneOf"} and one["type"] != "object"]
    assert [branch for branch in plain if not branch.get("title")] == []
    # Generators name classes after these titles.
    assert [branch for branch in BRANCHES if branch.get("title") and branch not in plain] == []
    for one in schemas(COMPONENTS):
        members = one.get("anyOf", [])
        assert len({str(branch.get("title", branch)) for branch in members}) == len(members)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_called_as_a_class_can_be(name: str) -> None:
    assert re.fullmatch(IDENTIFIER, name)
    assert len(name) <= LONGEST_NAME
    assert name not in TAKEN
    in_snake_case = re.sub("(?<!^)([A-Z])", r"_\1", name).lower()
    assert in_snake_case not in COMPONENTS[name].get("properties", {}), "a generated class takes its member for itself"


def test_operations_are_called_as_functions_can_be() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert {"attend", "estimate", "explain", "compare", "check", "merge", "infer"} <= set(names)
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+){0,2}", name)] == []


def test_references_stand_bare() -> None:
    """A generator makes another class of a reference inside `allOf`."""
    assert [one for one in OBJECTS if len(one.get("allOf", [])) == 1] == []


def reachable(node: Any) -> set[str]:
    """The names of the components that a part of the document refers to, directly or by others."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for one in schemas(waiting.pop()):
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(COMPONENTS[name])
    return found


RESPONSES_ONLY = sorted(reachable(RESPONSES) - reachable(JSON_BODIES))


def test_optional_members_of_responses_are_absent_and_never_null() -> None:
    optional = {
        (name, member): schema
        for name in RESPONSES_ONLY
        for member, schema in COMPONENTS[name].get("properties", {}).items()
        if member not in COMPONENTS[name].get("required", ())
    }
    assert {name for name, _ in optional} >= {"AttentionResponse", "ProblemDocument", "InferenceResponse"}
    assert [place for place, schema in optional.items() if ABSENT in schema.get("anyOf", [])] == []


async def test_an_answer_without_anything_included_has_the_required_members(client: httpx.AsyncClient) -> None:
    request = load_examples()["honor-of-kings"].request | {"include": []}
    answer = (await client.post("/v1/attention", json=request)).json()
    assert set(COMPONENTS["AttentionResponse"]["required"]) == answer.keys()


async def test_null_stands_for_every_member_that_a_request_may_leave_out(client: httpx.AsyncClient) -> None:
    schema = COMPONENTS["AttentionRequest"]
    optional = schema["properties"].keys() - set(schema["required"])
    for member in optional:
        assert ABSENT in schema["properties"][member]["anyOf"], member
    request = load_examples()["honor-of-kings"].request
    plain = {name: request[name] for name in ("query", "key", "value")}
    with_null = dict.fromkeys(optional) | plain
    answers = [(await client.post("/v1/attention", json=body)).json() for body in (plain, with_null)]
    assert answers[0] == answers[1]
