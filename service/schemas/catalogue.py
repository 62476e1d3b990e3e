"""The catalogue of score models and normalizers, made from their schemas."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field, JsonValue

from attention_core.descriptions import Description
from service.schemas.base import Described
from service.schemas.components import SchemaWriter, inline_components
from service.schemas.models import NORMALIZER_SCHEMAS, SCORE_MODEL_SCHEMAS


class InTwoLanguages(BaseModel):
    """One text in Chinese and English. 中英文文本。"""

    zh: str = Field(description="In Chinese. 中文。")
    en: str = Field(description="In English. 英文。")


class Formula(BaseModel):
    """One formula, for typesetting and for plain text. 公式。"""

    latex: str = Field(description="LaTeX, for typesetting. 用于排版的 LaTeX。")
    plain: str = Field(description="Plain text. 纯文本。")


class CatalogueEntry(BaseModel):
    """What a person and a program should know about a score model or normalizer. 目录条目。"""

    name: str = Field(description="As it is called in a request. 请求中使用的名称。")
    title: InTwoLanguages = Field(description="What people call it. 标题。")
    description: InTwoLanguages = Field(description="What it does. 说明。")
    formula: Formula = Field(description="Its definition. 公式。")
    parameters: dict[str, JsonValue] = Field(description="JSON Schema of the parameters. 参数的 JSON Schema。")
    reference: str = Field(description="Where it comes from. 出处。")
    example: dict[str, JsonValue] = Field(description="As it is written in a request. 请求中的写法。")


class ScoreModels(BaseModel, title="ScoreModelCatalogue"):
    """Every score model. 全部打分函数。"""

    score_models: list[CatalogueEntry] = Field(description="The default first. 默认的在最前。")


class Normalizers(BaseModel, title="NormalizerCatalogue"):
    """Every normalizer. 全部归一化方法。"""

    normalizers: list[CatalogueEntry] = Field(description="The default first. 默认的在最前。")


class ExampleTitle(BaseModel):
    """A worked example in the list of all. 例题条目。"""

    id: str = Field(description="As it is written in /v1/examples/{id}. 路径中的编号。")
    title: InTwoLanguages = Field(description="What it shows. 标题。")


class Examples(BaseModel, title="ExampleCatalogue"):
    """Every worked example. 全部例题。"""

    examples: list[ExampleTitle] = Field(description="In the order of a first reading. 按由浅入深的顺序。")


class AxisNames(BaseModel, extra="forbid"):
    """What the rows and columns of an example are called, in one language. 各行各列的名称。"""

    query: list[str] = Field([], description="One for each query. 查询的名称。")
    key: list[str] = Field([], description="One for each key and its value. 键的名称。")
    feature: list[str] = Field([], description="One for each feature of queries and keys. 特征的名称。")
    value: list[str] = Field([], description="One for each feature of the values. 值的各分量的名称。")


class NamesInTwoLanguages(BaseModel, extra="forbid"):
    """The names of an example in Chinese and English. 中英文名称。"""

    zh: AxisNames = Field(description="In Chinese. 中文。")
    en: AxisNames = Field(description="In English. 英文。")


class ExampleResponse(ExampleTitle, extra="forbid", title="Example"):
    """One worked example: post `request` to /v1/attention and compare with `expected`. 一道例题。"""

    story: InTwoLanguages = Field(description="What happens, and what to look at. 情景与看点。")
    request: dict[str, JsonValue] = Field(description="A request, to post as it is. 可直接发送的请求。")
    expected: dict[str, JsonValue] = Field(description="Some of the response's fields. 响应中的部分字段。")
    tolerance: float = Field(
        description="Largest absolute difference to the expected numbers, which may be rounded. 允许的绝对误差。"
    )
    names: NamesInTwoLanguages | None = Field(
        None, description="Names for people, where the rows and columns have any. 名称，没有则省略。"
    )


def describe_score_models() -> dict[str, Any]:
    """Return the body of GET /v1/score-models."""
    return {"score_models": _entries(SCORE_MODEL_SCHEMAS)}


def describe_normalizers() -> dict[str, Any]:
    """Return the body of GET /v1/normalizers."""
    return {"normalizers": _entries(NORMALIZER_SCHEMAS)}


def _entries(members: Iterable[type[Described]]) -> list[dict[str, Any]]:
    return [_entry(member, member.core.description) for member in members]


def _entry(member: type[Described], about: Description) -> dict[str, Any]:
    return {
        "name": member.core.name,
        "title": about.title.as_dict(),
        "description": about.summary.as_dict(),
        "formula": {"latex": about.latex, "plain": about.plain},
        "parameters": _parameters(member),
        "reference": about.source,
        "example": {"name": member.core.name, **about.example},
    }


def _parameters(member: type[Described]) -> dict[str, Any]:
    schema = member.model_json_schema(schema_generator=SchemaWriter)
    properties = {name: inline_components(field) for name, field in schema["properties"].items() if name != "name"}
    required = [name for name in schema["required"] if name != "name"]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
