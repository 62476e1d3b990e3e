"""Tables of the fields of requests and results, which their Pydantic models describe in both languages."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from attention_core.call import RESULT_FIELDS
from attention_core.descriptions import Text
from attention_core.dtypes import DTYPES
from development.tables import DEFAULT, MEANING, NONE, Language, listed, see, sentences, table
from service.schemas.attention import AttentionRequest
from service.schemas.field_descriptions import FieldDescription
from service.schemas.results import AttentionResponse, DiagnosticsResponse

SHAPE = Text("形状", "Shape")
REQUIRED = Text("必填", "required")

MORE_ABOUT: Mapping[str, str] = {
    "score_model": "reference/score-models",
    "normalizer": "reference/normalizers",
    "mask": "reference/masks",
    "position": "reference/positions",
    "positions": "reference/positions",
    "heads": "reference/heads",
    "past_key": "tutorials/decoding-with-a-cache",
    "score_modifier": "reference/formulas",
    "layout": "reference/heads",
    "memory": "how-to/memories",
    "append": "how-to/memories",
    "diagnostics": "reference/ranking-and-diagnostics",
    "ranking": "reference/ranking-and-diagnostics",
}
"""The page that says more about a field."""


def described(model: type[BaseModel], name: str) -> FieldDescription:
    """Return the description of a field; raise TypeError for one in a single language."""
    description = model.model_fields[name].description
    if isinstance(description, FieldDescription):
        return description
    raise TypeError(f"{name}: expected a FieldDescription; received {description!r}. Describe it in both languages.")


def request_fields(language: Language) -> list[str]:
    """Return the lines of the table of what a request may hold."""
    rows = (
        (f"`{name}`", _default(name, language), _meaning([name], language)) for name in AttentionRequest.model_fields
    )
    return table(language, (Text("字段", "Field"), DEFAULT, MEANING), rows)


def _default(name: str, language: Language) -> str:
    if AttentionRequest.model_fields[name].is_required():
        return getattr(REQUIRED, language)
    if name in AttentionRequest.alternatives:
        other = AttentionRequest.alternatives[name]
        return {"en": f"required without `{other}`", "zh": f"没有 `{other}` 时必填"}[language]
    return getattr(described(AttentionRequest, name).default or NONE, language)


def _meaning(names: Iterable[str], language: Language) -> str:
    """Return what fields mean, and the page that says more about them."""
    model = AttentionRequest if set(names) <= set(AttentionRequest.model_fields) else AttentionResponse
    texts = [getattr(described(model, name).about, language) for name in names]
    links = [see(MORE_ABOUT[name], language) for name in names if name in MORE_ABOUT]
    return sentences((*texts, *links), language)


def result_fields(language: Language) -> list[str]:
    """Return the lines of the table of what `include` may name."""
    rows = []
    for field in RESULT_FIELDS:
        names = [name for name in AttentionResponse.model_fields if name == field or name.startswith(f"{field}_")]
        shapes = [shape for name in names for shape in [described(AttentionResponse, name).shape] if shape]
        rows.append(
            (f"`{field}`", listed(names, language), ", ".join(shapes) or "—", _meaning(names, language)),
        )
    titles = (Text("include 中的名称", "Include"), Text("响应中的字段", "In the answer"), SHAPE, MEANING)
    return table(language, titles, rows)


def diagnostics(language: Language) -> list[str]:
    """Return the lines of the table of diagnostics."""
    descriptions = {name: described(DiagnosticsResponse, name) for name in DiagnosticsResponse.model_fields}
    rows = ((f"`{name}`", one.shape, getattr(one.about, language)) for name, one in descriptions.items())
    return table(language, (Text("诊断", "Diagnostic"), SHAPE, MEANING), rows)


def number_types(language: Language) -> list[str]:
    """Return the lines of the table of number types."""
    rows = ((f"`{name}`", f"`{dtype.compute.name}`", f"`{dtype.max_finite:.5g}`") for name, dtype in DTYPES.items())
    titles = (Text("类型", "Dtype"), Text("计算时使用", "Computes in"), Text("最大的数", "Largest number"))
    return table(language, titles, rows)
