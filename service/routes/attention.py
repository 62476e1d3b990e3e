"""POST /v1/attention and what else computes."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.admission import Deadline, read_body
from service.codecs.negotiate import JSON, body_media_type, choose
from service.compute import Body, Prepare, prepare_attention, prepare_estimate
from service.routes.state import state_of
from service.specification import attention_operation, estimate_operation

router = APIRouter(tags=["attention"])


@router.post("/v1/attention", **attention_operation())
async def attention(request: Request) -> Response:
    """Score every key for every query, normalise the scores to weights, mix the values. 打分、归一化、加权求和。"""
    return await answer(request, prepare_attention)


@router.post("/v1/attention/estimate", **estimate_operation())
async def estimate(request: Request) -> Response:
    """Predict what an attention request would cost, without computing it. 估算开销，不做计算。"""
    return await answer(request, prepare_estimate)


async def answer(request: Request, prepare: Prepare) -> Response:
    """Take one computing request through the gate; what its headers forbid is refused before the body is read."""
    deadline = Deadline.of(request.headers.get("request-timeout"), state_of(request).settings)
    choose(request.headers.get("accept"), (JSON,))
    service = state_of(request)
    headers = request.headers
    media_type = body_media_type(headers.get("content-type"), headers.get("content-encoding"))
    limit = min(service.settings.max_body_bytes, service.settings.max_json_bytes)
    content = await read_body(request.receive, headers, limit, service.settings.body_timeout_seconds)
    reply = await service.gate.run(Body(content, media_type), prepare, deadline)
    return Response(reply.content, media_type=reply.media_type)
