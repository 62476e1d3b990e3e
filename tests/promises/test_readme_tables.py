"""The tables of the documentation say what the code says: names, formulas, shapes, defaults, decided cases."""

import json
import re
from dataclasses import fields
from typing import Any

import httpx
import pytest

from attention_core import MASKS, NORMALIZERS, POSITIONS, SCORE_MODELS
from attention_core.checking import CANDIDATES, MISTAKES
from attention_core.execution_path import MIN_TILED_PAIRS
from attention_heat_map.heat_map import MAX_PANELS
from service.codecs.open_inference.vocabulary import ACCEPTED, COMMON_INPUTS, OUTPUTS, SCALARS
from service.codecs.svg.drawing import MAX_CELLS, MAX_SIDE
from service.cores import usable_cores
from service.explanation.texts import ADVICE
from service.problems import PROBLEMS
from service.schemas.check import CheckRequest
from service.schemas.compare import MAX_VARIANTS, CompareRequest, VariantSchema
from service.schemas.explain import ExplainRequest
from service.schemas.masks import MaskSchema, WindowSchema
from service.schemas.merge import MergeRequest, PartialSchema
from service.schemas.models import NORMALIZER_SCHEMAS, POSITION_SCHEMAS, SCORE_MODEL_SCHEMAS
from service.settings import SERVE_OPTIONS, Settings, described
from tests.promises.readme import LANGUAGES, assert_same, codes, page_of, section_about, table


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("title", "registry", "schemas"),
    [
        ("Score model", SCORE_MODELS, SCORE_MODEL_SCHEMAS),
        ("Normalizer", NORMALIZERS, NORMALIZER_SCHEMAS),
        ("Position", POSITIONS, POSITION_SCHEMAS),
    ],
    ids=["score models", "normalizers", "positions"],
)
def test_models_are_named_with_their_formulas_and_parameters(
    language: str, title: str, registry: dict[str, Any], schemas: tuple[Any, ...]
) -> None:
    rows = table(language, title)
    assert [codes(row[0])[0] for row in rows] == list(registry)
    for (_, formula, parameters, remark), schema in zip(rows, schemas, strict=True):
        assert formula == schema.core.description.plain
        assert codes(parameters) == [name for name in schema.model_fields if name != "name"]
        assert remark


@pytest.mark.parametrize("language", LANGUAGES)
def test_masks_are_named_with_their_members_and_classes(language: str) -> None:
    rows = table(language, "Mask")
    assert [codes(row[0])[0] for row in rows] == list(MASKS)
    assert sorted(name for row in rows for name in codes(row[1])) == sorted(set(MaskSchema.model_fields) - {"offset"})
    assert all(name in row[2] for row in rows if row[0] == "`window`" for name in WindowSchema.model_fields)
    for row, mask in zip(rows, MASKS.values(), strict=True):
        arguments = ", ".join(field.name for field in fields(mask) if not field.kw_only)
        assert codes(row[3]) == [f"{mask.__name__}({arguments})"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_settings_are_those_of_the_service(language: str) -> None:
    rows = table(language, "Environment variable")
    assert [codes(row[0])[0] for row in rows] == [f"ATTENTION_{name.upper()}" for name in Settings.model_fields]
    for (_, default, meaning), (name, setting) in zip(rows, Settings.model_fields.items(), strict=True):
        assert default == shown_default(language, name, setting.default)
        assert meaning == getattr(described(name), language)
        assert language == "en" or re.search("[\u4e00-\u9fff]", meaning)
    flags = {codes(row[0])[0]: codes(row[0])[1:] for row in rows if len(codes(row[0])) > 1}
    assert flags == {f"ATTENTION_{name.upper()}": [f"--{name.replace('_', '-')}"] for name in SERVE_OPTIONS}


def shown_default(language: str, name: str, default: Any) -> str:
    if name == "compute_threads":
        assert Settings.model_fields[name].default_factory() == usable_cores()
        return {"en": "all cores it may use", "zh": "全部可用的核心"}[language]
    if name == "memories_directory":
        return {"en": "the platform's state directory", "zh": "平台的状态目录"}[language]
    if default in ((), None):
        return {"en": "none", "zh": "无"}[language]
    if default == "":
        return {"en": "empty", "zh": "空"}[language]
    return f"`{default}` ({default >> 20} MiB)" if "bytes" in name.split("_") else f"`{default}`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_slugs_are_those_of_the_service(language: str) -> None:
    shown = {codes(slug)[0]: int(status) for slug, status, _ in table(language, "Slug")}
    assert shown == {slug: int(problem.status) for slug, problem in PROBLEMS.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_inputs_and_parameters_of_v2_are_those_of_the_codec(language: str) -> None:
    shown = {codes(name)[0]: codes(path)[0] for name, path, _ in table(language, "Input")}
    assert shown == {name: ".".join(one.path) for name, one in COMMON_INPUTS.items()}
    for name, _, datatypes in table(language, "Input"):
        assert tuple(codes(datatypes)) == ACCEPTED[COMMON_INPUTS[codes(name)[0]].content]
    scalars = table(language, "Parameter of `/v2`")
    assert {codes(name)[0]: codes(path)[0] for name, path in scalars} == {
        name: ".".join(path) for name, path in SCALARS.items()
    }
    section = section_about(language, "/v2/models/scaled_dot_product/infer")
    assert set(OUTPUTS) <= set(codes(section.prose))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mistakes_are_those_that_are_tried_with_the_advice_that_is_given(language: str) -> None:
    shown = [(codes(cause)[0], advice) for cause, advice in table(language, "Likely cause")]
    assert shown == [(name, getattr(ADVICE[name], language)) for name in MISTAKES]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/attention/explain", [*ExplainRequest.model_fields]),
        ("/v1/attention/compare", [*CompareRequest.model_fields, *VariantSchema.model_fields]),
        ("/v1/attention/check", [*CheckRequest.model_fields, *CANDIDATES]),
        ("/v1/attention/merge", [*MergeRequest.model_fields, *PartialSchema.model_fields]),
    ],
)
def test_every_field_of_the_other_requests_is_shown_or_explained(language: str, path: str, names: list[str]) -> None:
    section = section_about(language, path)
    shown = re.findall(r'"(\w+)":', section.snippets[0][1])
    assert set(names) <= {*shown, *codes(section.prose)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_largest_numbers_are_those_of_the_service(language: str) -> None:
    variants = section_about(language, "/v1/attention/compare")
    picture, *_ = page_of(language, "docs/how-to/picture")
    assert str(MAX_VARIANTS) in re.findall(r"\d+", variants.prose)
    assert {*map(str, (MAX_PANELS, MAX_SIDE, MAX_CELLS))} <= set(re.findall(r"\d+", picture.prose))
    tiled, *_ = page_of(language, "docs/how-to/long-sequences")
    assert str(MIN_TILED_PAIRS) in re.findall(r"\d+", tiled.prose)


@pytest.mark.parametrize("row", table("en", "Case"), ids=lambda row: row[0])
async def test_edge_cases_are_decided_as_the_table_says(client: httpx.AsyncClient, row: list[str]) -> None:
    [prose] = [section.prose for section in page_of("en", "docs/explanation/edge-cases")]
    request = json.loads(codes(prose)[0]) | json.loads(codes(row[1])[0])
    response = await client.post("/v1/attention", json=request)
    answer, *pointers = codes(row[2])
    if answer.isdigit():
        assert response.status_code == int(answer), response.text
        assert not pointers or response.json()["errors"][0]["pointer"] == pointers[0]
    else:
        assert response.status_code == 200, response.text
        shown = json.loads(answer)
        assert_same({name: member for name, member in response.json().items() if name in shown}, shown)
