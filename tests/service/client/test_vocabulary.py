"""The client has the words of the service, none missing and none besides, and both clients have the same."""

import inspect
from typing import get_args

import pytest

from attention_core.call import FIELDS
from service.client import AsyncAttentionClient, AttentionClient, Heads, Mask, Options, Window, arguments, framing
from service.codecs.datatypes import BY_DTYPE, DATATYPES
from service.codecs.open_inference.vocabulary import OTHERS, OUTPUTS, SCALARS, VECTORS
from service.schemas.attention import AttentionRequest, DTypeName, HeadsSchema
from service.schemas.masks import MaskSchema, WindowSchema

JSON_ONLY = {"labels", "top_k", "decimals"}


def test_arguments_are_the_fields_of_a_request() -> None:
    assert {"query", "key", "value", *Options.__annotations__} == set(AttentionRequest.model_fields) - JSON_ONLY
    assert set(Mask.__annotations__) == set(MaskSchema.model_fields)
    assert set(Window.__annotations__) == set(WindowSchema.model_fields)
    assert set(Heads.__annotations__) == set(HeadsSchema.model_fields)
    assert set(arguments.OUTPUTS) == set(FIELDS) - {"diagnostics", "ranking"}
    assert {name for names in arguments.OUTPUTS.values() for name in names} == set(OUTPUTS)
    assert get_args(arguments.DType) == get_args(DTypeName)


def test_tensors_and_parameters_are_those_of_the_protocol() -> None:
    others = {one.path: name for name, one in OTHERS.items()}
    vectors = {path: name for path, name in others.items() if name in ("past_key", "past_value")}
    assert set(arguments.VECTORS) == {*VECTORS, *vectors.values()}
    assert {path: name for path, name in others.items() if path not in vectors} == arguments.INPUTS
    assert {path: name for name, path in SCALARS.items()} == arguments.PARAMETERS
    assert {name: one.wire.itemsize for name, one in DATATYPES.items()} == {
        name: dtype.itemsize for name, dtype in framing.WIRE.items()
    }
    assert {dtype: one.name for dtype, one in BY_DTYPE.items()} == framing.FLOATS


def methods(client: type) -> dict[str, list[inspect.Parameter]]:
    public = inspect.getmembers(client, inspect.isfunction)
    return {
        name: list(inspect.signature(method).parameters.values())
        for name, method in public
        if name[0] != "_" and name not in ("close", "aclose")
    }


def test_both_clients_take_the_same() -> None:
    assert methods(AttentionClient) == methods(AsyncAttentionClient)
    made = [list(inspect.signature(client).parameters) for client in (AttentionClient, AsyncAttentionClient)]
    assert made[0] == made[1]


@pytest.mark.parametrize("name", methods(AttentionClient))
def test_every_method_of_one_awaits_in_the_other(name: str) -> None:
    if name != "with_options":
        assert not inspect.iscoroutinefunction(getattr(AttentionClient, name))
        assert inspect.iscoroutinefunction(getattr(AsyncAttentionClient, name))
