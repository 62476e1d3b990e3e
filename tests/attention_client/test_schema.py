"""The client has every argument, name and problem of the service, and both clients have the same methods."""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pytest

from attention_client import (
    AsyncAttentionClient,
    AsyncDecodingSession,
    AsyncMemories,
    AttentionClient,
    AttentionResult,
    DecodingSession,
    Heads,
    Mask,
    Memories,
    Options,
    Window,
    errors,
    names,
    schema,
)
from attention_core.call import RESULT_FIELDS
from attention_wire.datatypes import BY_DTYPE, DATATYPES
from development import client_schema
from service.codecs.open_inference.vocabulary import COMMON_INPUTS, OUTPUTS, SCALARS
from service.problems import PROBLEMS
from service.schemas.attention import AttentionRequest, DTypeName, HeadsSchema
from service.schemas.masks import MaskSchema, WindowSchema

JSON_ONLY = {"labels", "top_k", "decimals"}


@pytest.fixture
def document() -> Any:
    return json.loads(client_schema.DOCUMENT.read_text(encoding="utf-8"))


def test_the_generated_modules_are_fresh(document: Any) -> None:
    for name, code in client_schema.generate(document).items():
        assert (client_schema.CLIENT / name).read_text(encoding="utf-8") == code, "run make openapi"


def test_a_new_score_model_field_and_problem_reach_the_client(document: Any) -> None:
    schemas = document["components"]["schemas"]
    schemas["Hamming"] = {
        "description": "Hamming. Counts equal features. 汉明。",
        "properties": {
            "name": {"const": "hamming", "type": "string"},
            "width": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Bits; null means 8. 位数。"},
            "formula": {"type": "string"},
            "names": {"type": "array", "items": {"type": "string"}},
            "parameters": {"type": "object", "additionalProperties": {"type": "number"}},
        },
        "required": ["name"],
    }
    choice = next(part for part in schemas["ScoreModel"]["anyOf"] if "discriminator" in part)
    choice["discriminator"]["mapping"]["hamming"] = "#/components/schemas/Hamming"
    schemas["AttentionRequest"]["properties"]["depth"] = {"type": "integer", "description": "Levels. 层数。"}
    answers = document["paths"]["/v1/attention"]["post"]["responses"]
    [content] = answers["413"]["content"].values()
    content["examples"]["too-deep"] = {"value": {"type": "/problems/too-deep", "status": 413}}
    module: dict[str, Any] = {}
    generated = client_schema.generate(document)
    exec(generated["schema.py"], module)
    named = json.loads(generated["names.json"])
    width, formula, labels, parameters = list(module["Hamming"].__annotations__.values())[1:]
    assert [width, formula, labels, parameters] == [int | None, str, Sequence[str], Mapping[str, Any]]
    assert module["Hamming"].__required_keys__ == {"name"}
    assert module["Hamming"] in get_args(module["ScoreModel"])
    added = set(named["places"]) - set(names.PLACES)
    own = {f"score_model.hamming.{name}" for name in ("width", "formula", "names", "parameters")}
    assert added == {"score_model.hamming", *own, "depth"}
    assert module["Options"].__annotations__["depth"] is int
    assert named["problems"]["too-deep"] == 413
    assert '"""Bits; None means 8."""' in generated["schema.py"]


def test_descriptions_are_english_and_speak_of_python(document: Any) -> None:
    text = (client_schema.CLIENT / "schema.py").read_text(encoding="utf-8")
    assert not client_schema.CHINESE.search(text)
    assert not re.search(r"\b(null|nested lists|true|false)\b", text)
    described = json.dumps(document, ensure_ascii=False)
    assert [pattern for pattern, _ in client_schema.REWORDED if not re.search(pattern, described)] == []


def test_arguments_are_the_fields_of_a_request() -> None:
    assert {"query", "key", "value", *Options.__annotations__} == set(AttentionRequest.model_fields) - JSON_ONLY
    assert set(Mask.__annotations__) == set(MaskSchema.model_fields)
    assert set(Window.__annotations__) == set(WindowSchema.model_fields)
    assert set(Heads.__annotations__) == set(HeadsSchema.model_fields)
    assert set(get_args(schema.Field)) == set(names.OUTPUTS) == set(RESULT_FIELDS) - {"diagnostics", "ranking"}
    assert {name for names in names.OUTPUTS.values() for name in names} == set(OUTPUTS)
    assert get_args(schema.DType) == get_args(DTypeName)
    assert set(get_args(schema.DType)) == set(BY_DTYPE)


def test_every_output_is_a_property_of_a_result() -> None:
    properties = {name for name, member in vars(AttentionResult).items() if isinstance(member, property)}
    assert properties == set(OUTPUTS)


def test_tensors_and_parameters_are_those_of_the_protocol() -> None:
    assert names.VECTORS == ("query", "key", "value", "past_key", "past_value")
    assert names.UNIONS == ("score_model", "normalizer", "position")
    assert {one.path: name for name, one in COMMON_INPUTS.items() if name not in names.VECTORS} == names.INPUTS
    assert {name: path for path, name in names.PARAMETERS.items()} == SCALARS
    integers = {one.path for one in COMMON_INPUTS.values() if one.content == "integers"}
    assert integers == names.INTEGERS
    assert names.ANY_RANK == {("bias",): "iuf", ("mask", "allowed"): "b"}
    assert {one.name for one in BY_DTYPE.values()} <= set(DATATYPES)


def test_every_problem_of_the_document_is_one_of_the_service() -> None:
    assert {slug: int(PROBLEMS[slug].status) for slug in names.PROBLEMS} == names.PROBLEMS
    assert set(errors.BY_SLUG) <= set(names.PROBLEMS)


def test_every_argument_is_described() -> None:
    text = (client_schema.CLIENT / "schema.py").read_text(encoding="utf-8")
    [options] = re.findall(r"^class Options\(.*", text, re.DOTALL | re.MULTILINE)
    described = dict(re.findall(r'^    (\w+): [^\n]+\n    """(.+?)"""', options, re.DOTALL | re.MULTILINE))
    assert described.keys() == Options.__annotations__.keys()
    assert min(map(len, described.values())) > 10


PAIRS = ((AttentionClient, AsyncAttentionClient), (Memories, AsyncMemories), (DecodingSession, AsyncDecodingSession))
"""Classes without asyncio and with it."""


def methods(client: type) -> dict[str, list[inspect.Parameter]]:
    public = inspect.getmembers(client, inspect.isfunction)
    return {
        name: list(inspect.signature(method).parameters.values())
        for name, method in public
        if name[0] != "_" and name not in ("close", "aclose")
    }


@pytest.mark.parametrize(("plain", "awaited"), PAIRS)
def test_both_clients_have_the_same_signatures(plain: type, awaited: type) -> None:
    assert methods(plain) == methods(awaited)
    options = [list(inspect.signature(client).parameters) for client in (plain, awaited)]
    assert options[0] == options[1]


@pytest.mark.parametrize(
    ("plain", "awaited", "name"), [(plain, awaited, name) for plain, awaited in PAIRS for name in methods(plain)]
)
def test_every_method_is_a_coroutine_of_the_asyncio_client_alone(plain: type, awaited: type, name: str) -> None:
    if name not in ("with_options", "decoding"):
        assert not inspect.iscoroutinefunction(getattr(plain, name))
        assert inspect.iscoroutinefunction(getattr(awaited, name))


@pytest.mark.parametrize("client", [plain for plain, _ in PAIRS])
def test_every_parameter_of_a_method_is_described(client: type) -> None:
    for name, parameters in methods(client).items():
        described = inspect.getdoc(getattr(client, name)) or ""
        listed = {word for line in re.findall(r":param ([^:]+):", described) for word in line.split(", ")}
        assert {one.name for one in parameters} - {"self"} == listed, name
