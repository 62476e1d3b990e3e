"""A field that is declared in a model has its path, its name in other protocols and its tensor from there."""

from typing import Annotated

from pydantic import Field

from service.schemas.attention import JSON_ONLY, UNIONS, VECTORS
from service.schemas.base import StrictModel
from service.schemas.fields import FlatName, JsonOnly, request_fields
from service.schemas.models import AnyNormalizer
from service.schemas.tensors import PerBatchRow, Vectors


class Inner(StrictModel):
    strength: Annotated[float, Field(gt=0), FlatName("inner_strength")] = 1.0
    rows: PerBatchRow | None = None


class Request(StrictModel):
    query: Vectors
    inner: Inner | None = None
    normalizer: AnyNormalizer | None = None
    shown: Annotated[int | None, JsonOnly()] = None


def test_every_field_is_found_with_what_its_declaration_says() -> None:
    found = {one.path: one for one in request_fields(Request)}
    assert [path for path in found if path[0] != "normalizer"] == [("query",), ("inner", "strength"), ("inner", "rows")]
    query, strength, rows = found["query",], found["inner", "strength"], found["inner", "rows"]
    assert (query.flat_name, query.required, query.is_scalar) == ("query", True, False)
    assert (strength.flat_name, strength.required, strength.is_scalar) == ("inner_strength", False, True)
    assert (rows.flat_name, rows.is_scalar, rows.tensor is not None and rows.tensor.shown_rank) == ("rows", False, 1)
    assert strength.tensor is None
    assert query.tensor is not None
    assert query.tensor.shown_rank == 4


def test_parameters_of_a_union_name_their_member() -> None:
    sink = next(one for one in request_fields(Request) if one.path == ("normalizer", "sink"))
    assert (sink.member, sink.is_scalar, sink.tensor is not None) == ("softmax", True, True)
    assert not any(one.path[-1] == "name" for one in request_fields(Request))


def test_the_marks_of_an_attention_request_are_those_of_the_contract() -> None:
    assert VECTORS == ("query", "key", "value", "past_key", "past_value")
    assert UNIONS == ("score_model", "normalizer", "position")
    assert JSON_ONLY == ("labels", "top_k", "decimals")
