"""POST /v1/attention and what else computes."""

import asyncio
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.admission import Deadline, Follower, Visit
from service.codecs.negotiate import (
    AS_IT_IS,
    EVENT_STREAM,
    JSON,
    SAFETENSORS,
    SVG,
    body_encoding,
    body_media_type,
    choose,
    choose_encoding,
)
from service.compute import (
    Body,
    Prepare,
    prepare_attention,
    prepare_check,
    prepare_compare,
    prepare_encoded,
    prepare_estimate,
    prepare_explain,
    prepare_merge,
)
from service.routes.direct import Answer, Direct
from service.routes.state import state_of
from service.routes.stream import Stream, begun
from service.specification import (
    attention_operation,
    check_operation,
    compare_operation,
    estimate_operation,
    explain_operation,
    merge_operation,
)

router = APIRouter(tags=["attention"], route_class=Direct)


@router.post("/v1/attention", **attention_operation())
async def attention(request: Request) -> Response:
    """Score every key for every query, normalise the scores to weights, mix the values. 打分、归一化、加权求和。"""
    return await answer(request, prepare_attention, JSON, SAFETENSORS, SVG, EVENT_STREAM)


@router.post("/v1/attention/estimate", **estimate_operation())
async def estimate(request: Request) -> Response:
    """Predict what an attention request would cost, without computing it. 估算开销，不做计算。"""
    return await answer(request, prepare_estimate)


@router.post("/v1/attention/explain", **explain_operation())
async def explain(request: Request) -> Response:
    """Show every number behind one weight, from the terms of its score to its share of the output. 解释一个权重。"""
    return await answer(request, prepare_explain)


@router.post("/v1/attention/compare", **compare_operation())
async def compare(request: Request) -> Response:
    """Run one request and its variants, and say how far apart their results are. 比较一个请求的若干变体。"""
    return await answer(request, prepare_compare, JSON, SAFETENSORS, EVENT_STREAM)


@router.post("/v1/attention/check", **check_operation())
async def check(request: Request) -> Response:
    """Hold what you computed against the float64 reference, and name the mistake that explains it. 核对您的结果。"""
    return await answer(request, prepare_check, JSON, SAFETENSORS, EVENT_STREAM)


@router.post("/v1/attention/merge", **merge_operation())
async def merge(request: Request) -> Response:
    """Put together what the same queries found in different parts of the keys, exactly but for rounding. 合并。"""
    return await answer(request, prepare_merge)


async def answer(request: Request, prepare: Prepare, *offered: str) -> Response:
    """Take one computing request through the gate; what its headers forbid is refused before the body is read."""
    # Of a header that comes twice the first counts.
    headers = {name: value.decode("latin-1") for name, value in reversed(request.scope["headers"])}
    service = state_of(request)
    deadline = Deadline.of(headers.get(b"request-timeout"), service.settings)
    wanted = choose(headers.get(b"accept"), offered or (JSON, SAFETENSORS))
    wanted_encoding = choose_encoding(headers.get(b"accept-encoding"))
    media_type = body_media_type(headers.get(b"content-type"))
    encoding = body_encoding(headers.get(b"content-encoding"))
    limits = service.settings
    visit = service.gate.visit(request.receive, deadline)
    try:
        content = await visit.read(
            headers.get(b"content-length"), limits.json_limit if media_type == JSON else limits.max_body_bytes
        )
        if wanted == EVENT_STREAM:
            return await _stream(request, Body(content, media_type, JSON, encoding, AS_IT_IS), prepare, visit)
        body = Body(content, media_type, wanted, encoding, wanted_encoding)
        reply = await visit.run(body, partial(prepare_encoded, prepare))
    except BaseException:
        visit.leave()
        raise
    return Answer(reply, visit.leave)


async def _stream(request: Request, body: Body, prepare: Prepare, visit: Visit) -> Response:
    """Answer with a stream of events, as soon as it is known that there is something to wait for."""
    follower = Follower()
    answering = asyncio.ensure_future(visit.run(body, partial(prepare_encoded, prepare), follower))
    await begun(answering, follower)
    return Stream(request, answering, follower, visit.leave)
