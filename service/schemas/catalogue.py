"""The catalogue of score models and normalizers, told by the schemas themselves."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.schemas.base import Described
from service.schemas.normalizers import NORMALIZER_SCHEMAS
from service.schemas.score_models import SCORE_MODEL_SCHEMAS


class InTwoLanguages(BaseModel):
    """One text in Chinese and English."""

    zh: str
    en: str


class Formula(BaseModel):
    """One formula, for typesetting and for plain text."""

    latex: str
    plain: str


class CatalogueEntry(BaseModel):
    """What a person and a program should know about a score model or normalizer."""

    name: str
    title: InTwoLanguages
    description: InTwoLanguages
    formula: Formula
    parameters: dict[str, JsonValue] = Field(description="JSON Schema of the parameters.")
    reference: str
    example: dict[str, JsonValue] = Field(description="As it stands in a request.")


class ScoreModels(BaseModel):
    """Every score model."""

    score_models: list[CatalogueEntry]


class Normalizers(BaseModel):
    """Every normalizer."""

    normalizers: list[CatalogueEntry]


class ExampleTitle(BaseModel):
    """A worked example in the list of all."""

    id: str
    title: InTwoLanguages


class Examples(BaseModel):
    """Every worked example."""

    examples: list[ExampleTitle]


class ExampleResponse(ExampleTitle):
    """One worked example: post `request` to /v1/attention and compare with `expected`."""

    model_config = ConfigDict(extra="forbid")

    story: InTwoLanguages
    request: dict[str, JsonValue]
    expected: dict[str, JsonValue] = Field(description="Some of the response's fields.")
    tolerance: float = Field(description="Largest absolute difference to the expected numbers, which may be rounded.")


def describe_score_models() -> dict[str, Any]:
    """Return the body of GET /v1/score-models."""
    return {"score_models": _entries(SCORE_MODEL_SCHEMAS)}


def describe_normalizers() -> dict[str, Any]:
    """Return the body of GET /v1/normalizers."""
    return {"normalizers": _entries(NORMALIZER_SCHEMAS)}


def _entries(members: Iterable[type[Described]]) -> list[dict[str, Any]]:
    return [
        {
            "name": member.model_fields["name"].default,
            "title": member.about.title.as_dict(),
            "description": member.about.description.as_dict(),
            "formula": {"latex": member.about.latex, "plain": member.about.plain},
            "parameters": _parameters(member),
            "reference": member.about.reference,
            "example": dict(member.about.example),
        }
        for member in members
    ]


def _parameters(member: type[Described]) -> dict[str, Any]:
    schema = member.model_json_schema()
    properties = {name: field for name, field in schema["properties"].items() if name != "name"}
    required = [name for name in schema["required"] if name != "name"]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
