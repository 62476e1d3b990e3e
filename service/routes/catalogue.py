"""The catalogue: score models, normalizers, worked examples."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from service.codecs.negotiate import JSON
from service.examples import find_example, list_examples, load_examples
from service.schemas.catalogue import (
    ExampleResponse,
    Examples,
    Normalizers,
    ScoreModels,
    describe_normalizers,
    describe_score_models,
)
from service.schemas.expressions import QUERY, describe_formula, describe_language, read_kind
from service.schemas.query import check_query
from service.specification import catalogue_operation, expressions_operation

router = APIRouter(tags=["catalogue"])

EXAMPLES = load_examples()

ExampleId = Annotated[
    str,
    Path(
        description="Of the worked example. 例题的编号。",
        openapi_examples={
            name: {"summary": f"{name}: {example.title['zh']} · {example.title['en']}", "value": name}
            for name, example in EXAMPLES.items()
        },
    ),
]
"""The part of a path that names a worked example; Swagger UI offers them all, and the first of them at first."""


@router.get("/v1/score-models", **catalogue_operation("打分函数 · Score models", ScoreModels, describe_score_models()))
async def get_score_models() -> Response:
    """List every score model with titles, formula, parameters, source and an example."""
    return _json(describe_score_models())


@router.get("/v1/normalizers", **catalogue_operation("归一化方法 · Normalizers", Normalizers, describe_normalizers()))
async def get_normalizers() -> Response:
    """List every normalizer with titles, formula, parameters, source and an example."""
    return _json(describe_normalizers())


@router.get("/v1/expressions", **expressions_operation())
async def get_expressions(request: Request) -> Response:
    """List the language of formulas; with `formula` check one, typeset it and say what it needs."""
    check_query([name for name, _ in request.query_params.multi_items()], QUERY)
    formula, kind = request.query_params.get("formula"), read_kind(request.query_params.get("kind"))
    return _json(describe_language() if formula is None else describe_formula(formula, kind))


@router.get("/v1/examples", **catalogue_operation("例题列表 · Worked examples", Examples, list_examples(EXAMPLES)))
async def get_examples() -> Response:
    """List the worked examples."""
    return _json(list_examples(EXAMPLES))


@router.get(
    "/v1/examples/{id}",
    **catalogue_operation(
        "一道例题 · One worked example", ExampleResponse, EXAMPLES["honor-of-kings"].as_dict(), "not-found"
    ),
)
async def get_example(id: ExampleId) -> Response:  # noqa: A002 - the name in the path
    """Return one worked example: its story, a request to post as it is, and the numbers to expect."""
    return _json(find_example(EXAMPLES, id).as_dict())


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)
