"""Probes and metrics, which bypass admission and never wait."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.codecs.negotiate import ANYTHING, JSON, METRICS_MEDIA_TYPES, choose, ranges_of
from service.errors import Draining
from service.middleware.header_fields import header_field
from service.routes.state import state_of
from service.specification import metrics_operation, probe_operation
from service.telemetry.metrics import exposition

router = APIRouter(tags=["operations"])


@router.get("/livez", **probe_operation("存活 · Alive", "alive"))
async def get_liveness() -> Response:
    """Say that the process answers."""
    return Response(orjson.dumps({"status": "alive"}), media_type=JSON)


@router.get("/readyz", **probe_operation("就绪 · Ready", "ready", "draining"))
async def get_readiness(request: Request) -> Response:
    """Say whether to send requests here; not while starting or draining."""
    if not state_of(request).ready:
        raise Draining("expected a running service; received a probe while it starts or stops. Ask another replica.")
    return Response(orjson.dumps({"status": "ready"}), media_type=JSON)


@router.get("/metrics", **metrics_operation())
async def get_metrics(request: Request) -> Response:
    """Return everything that is counted, summed over all processes."""
    state_of(request).process_metrics.measure()
    await state_of(request).memory_metrics.measure()
    accept = header_field(request.scope, b"accept") or ANYTHING
    wanted = choose(accept, METRICS_MEDIA_TYPES)
    content, media_type = exposition(state_of(request).metric_store.snapshots(), ranges_of(wanted, accept) or wanted)
    return Response(content, media_type=media_type, headers={"Vary": "Accept"})
