"""The OpenAPI document as tests read it."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text(encoding="utf-8"))


def without_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as a service serves it that asks for no keys: it mentions none."""
    components = {name: part for name, part in document["components"].items() if name != "securitySchemes"}
    paths = {
        path: {
            method: {name: part for name, part in operation.items() if name != "security"}
            for method, operation in methods.items()
        }
        for path, methods in document["paths"].items()
    }
    return document | {"components": components, "paths": paths}


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

MEMORY_LABELS = tuple(label for label in OPERATIONS if "/v1/memories" in label)
"""Operations whose answers depend on the writes before."""

ANSWERING = {label: body for label, body in JSON_BODIES.items() if label not in MEMORY_LABELS}
"""Bodies of operations that answer and keep nothing."""


def path_of(label: str) -> str:
    """The path of an operation, with the examples of its parameters."""
    parameters = OPERATIONS[label].get("parameters", [])
    examples = {one["name"]: one["example"] for one in parameters if one["in"] == "path" and "example" in one}
    path = label.partition(" ")[2]
    return path.format(**examples) if examples else path


def problem_media_type(label: str) -> str:
    """The media type of an operation's errors."""
    return "application/json" if " /v2" in label else "application/problem+json"


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema that may refer to the document's components."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def component(name: str) -> Draft202012Validator:
    """A validator of a component."""
    return validator({"$ref": f"#/components/schemas/{name}"})


def body_validator(path: str) -> Draft202012Validator:
    """A validator of the body of a POST."""
    return validator(JSON_BODIES[f"POST {path}"]["schema"])


def examples_of(content: dict[str, Any]) -> list[Any]:
    """Every example of a media type, with either keyword."""
    single = [content["example"]] if "example" in content else []
    return single + [example["value"] for example in content.get("examples", {}).values()]
