"""JSON Schemas that code generators turn into usable types: named components, no titles and no defaults beside them.

A generator names a type after its component or its `title`, and requires a member that has a `default`. So only
components have titles, and optional members have no default in the schema: their descriptions name it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

COMPONENTS_AT = "#/components/schemas/"


def component_reference(name: str) -> JsonSchemaValue:
    """Return a reference to a component of the OpenAPI document."""
    return {"$ref": f"{COMPONENTS_AT}{name}"}


def component_name(model: type[BaseModel]) -> str:
    """Return the name of a model's component: its title, where it has one."""
    return model.model_config.get("title") or model.__name__


def reference_within(name: str) -> JsonSchemaValue:
    """Return a reference for a field, inside `allOf`: Pydantic looks for the components of bare ones."""
    return {"allOf": [component_reference(name)]}


def as_component(name: str, description: str, schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema that `gather_components` moves to the components.

    `allOf` keeps the description of the type apart from that of a field.
    """
    return {"allOf": [{**schema, "title": name, "description": description}]}


def inline_components(schema: Any) -> Any:
    """Return a schema that stands alone, with what `as_component` marks in its place."""
    if isinstance(schema, list):
        return [inline_components(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    match {keyword: inline_components(part) for keyword, part in schema.items()}:
        case {"allOf": [dict(component)], **beside}:
            return component | beside
        case parts:
            return parts


@dataclass(frozen=True, slots=True)
class Component:
    """Names a type in the OpenAPI document; used as ``Annotated[T, Component(name, description)]``."""

    name: str
    description: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Mark the schema of the type as that of a component."""
        return as_component(self.name, self.description, handler(schema))


class SchemaWriter(GenerateJsonSchema):
    """Writes JSON Schema for code generators; the mode `validation` is for requests, `serialization` for responses."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave out the titles that Pydantic makes of the names of fields."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Describe an optional member without its default.

        In a request null means absent, so that both are allowed. A response leaves out what does not apply: its
        optional members are absent, never null.
        """
        inner = schema["schema"]
        absent = self.mode == "serialization" and schema.get("default", ...) is None
        return self.generate_inner(inner["schema"] if absent and inner["type"] == "nullable" else inner)


def gather_components(schemas: Mapping[str, JsonSchemaValue]) -> dict[str, JsonSchemaValue]:
    """Return components by their titles, with the named schemas inside them as components of their own.

    References follow the new names, and stand bare. Raise ValueError when two different schemas have one name.
    """
    titles = {f"{COMPONENTS_AT}{key}": f"{COMPONENTS_AT}{schema.get('title', key)}" for key, schema in schemas.items()}
    gathered: dict[str, JsonSchemaValue] = {}

    def add(name: str, schema: JsonSchemaValue) -> None:
        if gathered.setdefault(name, schema) != schema:
            raise ValueError(f"two different components are called {name}")

    def with_references(node: Any) -> Any:
        if isinstance(node, str):
            return titles.get(node, node)
        if isinstance(node, list):
            return [with_references(part) for part in node]
        if not isinstance(node, dict):
            return node
        match {keyword: with_references(part) for keyword, part in node.items()}:
            case {"allOf": [{"title": str(name)} as component], **beside}:
                add(name, component)
                return component_reference(name) | beside
            case {"allOf": [{"$ref": str()} as reference], **beside}:
                return reference | beside
            case parts:
                return parts

    for key, schema in schemas.items():
        add(schema.get("title", key), with_references(schema))
    return dict(sorted(gathered.items()))
