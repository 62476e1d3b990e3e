"""Probes and metrics: they never queue and never touch the gate."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.codecs.negotiate import JSON
from service.errors import Draining
from service.routes.state import state_of
from service.specification import metrics_operation, probe_operation
from service.telemetry.metrics import exposition

router = APIRouter(tags=["operations"])


@router.get("/livez", **probe_operation("存活 · Alive", "alive"))
async def livez() -> Response:
    """Whether the process answers at all; restart it when not. 存活探针。"""
    return Response(orjson.dumps({"status": "alive"}), media_type=JSON)


@router.get("/readyz", **probe_operation("就绪 · Ready", "ready", "draining"))
async def readyz(request: Request) -> Response:
    """Whether to send requests here; not while starting or draining. 就绪探针。"""
    if not state_of(request).ready:
        raise Draining("expected a running service; received a probe while it starts or stops. Ask another replica.")
    return Response(orjson.dumps({"status": "ready"}), media_type=JSON)


@router.get("/metrics", **metrics_operation())
async def metrics(request: Request) -> Response:
    """Everything that is counted, summed over all processes, for Prometheus. 指标。"""
    content, media_type = exposition(state_of(request).ledger.pages(), request.headers.get("accept", ""))
    return Response(content, media_type=media_type, headers={"Vary": "Accept"})
