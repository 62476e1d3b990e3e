"""What the service can do, for programs and people: score models, normalizers, worked examples."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.codecs.negotiate import JSON
from service.errors import NotFound
from service.examples import list_examples, load_examples
from service.routes.state import state_of
from service.schemas.catalogue import (
    ExampleResponse,
    Examples,
    Normalizers,
    ScoreModels,
    describe_normalizers,
    describe_score_models,
)
from service.specification import catalogue_operation

router = APIRouter(tags=["catalogue"])


@router.get("/v1/score-models", **catalogue_operation("打分函数 · Score models", ScoreModels, describe_score_models()))
async def score_models() -> Response:
    """List every score model with titles, formula, parameters, source and an example. 打分函数目录。"""
    return _json(describe_score_models())


@router.get("/v1/normalizers", **catalogue_operation("归一化方法 · Normalizers", Normalizers, describe_normalizers()))
async def normalizers() -> Response:
    """List every normalizer likewise. 归一化方法目录。"""
    return _json(describe_normalizers())


@router.get(
    "/v1/examples", **catalogue_operation("例题列表 · Worked examples", Examples, list_examples(load_examples()))
)
async def examples(request: Request) -> Response:
    """List the worked examples. 例题列表。"""
    return _json(list_examples(state_of(request).examples))


@router.get(
    "/v1/examples/{id}",
    **catalogue_operation(
        "一道例题 · One worked example", ExampleResponse, load_examples()["honor-of-kings"].as_dict(), "not-found"
    ),
)
async def example(request: Request, id: str) -> Response:  # noqa: A002 - the name in the path
    """One worked example: its story, a request to post as it is, and the numbers to expect. 一道例题。"""
    known = state_of(request).examples
    if id not in known:
        raise NotFound(f"expected one of {', '.join(known)}; received {id[:80]!r}. Choose one of these.")
    return _json(known[id].as_dict())


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)
