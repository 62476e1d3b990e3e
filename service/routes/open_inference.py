"""The Open Inference Protocol V2 of Triton, KServe and MLServer: every score model is a model.

A path may name the version of a model, which is always 1.
"""

from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from attention_wire.open_inference import HEADER
from service.admission import AdmittedRequest, Deadline
from service.codecs.negotiate import JSON, OCTETS, body_encoding
from service.codecs.open_inference import MODELS, VERSION, advise_place, configuration, metadata
from service.codecs.open_inference.encodings import ENCODINGS, wanted_encoding
from service.codecs.open_inference.framing import json_end, lead_of
from service.compute import Body, InferenceOrder, Reply, Stopwatch, prepare_infer
from service.errors import Disconnected, NotFound
from service.middleware.header_fields import header_field, header_fields
from service.problems import respond
from service.routes.memory_access import access_of
from service.routes.raw_route import RawRequest, RawRoute, ReplyResponse
from service.routes.state import state_of
from service.specification import inference_operation, inference_reading

router = APIRouter(tags=["open inference"])

HEADER_FIELD = HEADER.lower().encode()

EXTENSIONS = ("binary_tensor_data", "statistics", "model_configuration")


@router.get("/v2", **inference_reading("server"))
@router.get("/v2/", include_in_schema=False)
async def get_server_metadata() -> Response:
    """Say what this server is and which extensions of the protocol it knows."""
    return _json({"name": "attention-service", "version": version_of("attention-service"), "extensions": EXTENSIONS})


@router.get("/v2/health/live", **inference_reading("health"))
async def get_server_live(request: Request) -> Response:
    """Say that the process answers."""
    return _json({"live": True, "ready": state_of(request).ready})


@router.get("/v2/health/ready", **inference_reading("health", "draining"))
async def get_server_ready(request: Request) -> Response:
    """Say whether to send requests here; not while starting or draining."""
    if not state_of(request).ready:
        return _not_ready(request, {"live": True, "ready": False})
    return _json({"live": True, "ready": True})


@router.get("/v2/models/stats", **inference_reading("all_statistics"))
async def get_all_statistics(request: Request) -> Response:
    """Count the inferences of every model since the service started."""
    return _json(state_of(request).statistics.document(*MODELS))


@router.get("/v2/models/{model}", **inference_reading("model", "not-found"))
@router.get("/v2/models/{model}/versions/{version}", include_in_schema=False)
async def get_model_metadata(request: Request) -> Response:
    """Name the inputs and outputs of a model; its configuration says which are optional."""
    return _json(metadata(_model_of(request)))


@router.get("/v2/models/{model}/ready", **inference_reading("model_ready", "not-found", "draining"))
@router.get("/v2/models/{model}/versions/{version}/ready", include_in_schema=False)
async def get_model_ready(request: Request) -> Response:
    """Say whether a model takes requests: every one does while the service does."""
    name = _model_of(request)
    if not state_of(request).ready:
        return _not_ready(request, {"ready": False})
    return _json({"name": name, "ready": True})


@router.get("/v2/models/{model}/config", **inference_reading("configuration", "not-found"))
@router.get("/v2/models/{model}/versions/{version}/config", include_in_schema=False)
async def get_model_configuration(request: Request) -> Response:
    """Return the configuration of a model: its tensors, and which of them may be left out."""
    return _json(configuration(_model_of(request)))


@router.get("/v2/models/{model}/stats", **inference_reading("statistics", "not-found"))
@router.get("/v2/models/{model}/versions/{version}/stats", include_in_schema=False)
async def get_model_statistics(request: Request) -> Response:
    """Count the inferences of one model since the service started."""
    return _json(state_of(request).statistics.document(_model_of(request)))


@router.post("/v2/repository/index", **inference_reading("repository"))
async def list_models(request: Request) -> Response:
    """List every model with its state; the body may be empty."""
    state, reason = ("READY", "") if state_of(request).ready else ("UNAVAILABLE", "the service is starting or stopping")
    return _json([{"name": name, "version": VERSION, "state": state, "reason": reason} for name in MODELS])


async def infer(request: RawRequest) -> None:
    """Attend with one score model; tensors as JSON or as raw bytes behind it."""
    watch, state = Stopwatch(), state_of(request)
    model = _model_of(request)
    deadline = Deadline.from_header(header_field(request.scope, b"request-timeout"), state.settings)
    async with state.admission.admit(request.receive, deadline) as admitted:
        try:
            reply = await _infer(request, model, watch, admitted)
        except Disconnected:
            raise
        except Exception:
            state.statistics.record(model, watch, succeeded=False)
            raise
        state.statistics.record(model, watch, succeeded=True)
        await request.respond(ReplyResponse(reply, vary=b"Accept-Encoding"))


async def _infer(request: RawRequest, model: str, watch: Stopwatch, admitted: AdmittedRequest) -> Reply:
    """Return the answer to one inference.

    Ignore Content-Type and Accept: clients send none, or the defaults of their HTTP library.
    """
    scope = request.scope
    encoding = body_encoding(header_field(scope, b"content-encoding"), ENCODINGS)
    length = header_field(scope, HEADER_FIELD)
    lead = lead_of(length) if encoding is None else 0
    order = InferenceOrder(model, length, lead)
    limit = state_of(request).settings.max_body_bytes
    content = await admitted.read(header_fields(scope).get(b"content-length"), limit, bytes(lead))
    watch.read()
    wanted = wanted_encoding(header_field(scope, b"accept-encoding"))
    body = Body(content, OCTETS, JSON, encoding, wanted, json_end(length, lead), access_of(request))
    return await admitted.run(body, partial(prepare_infer, order, watch))


INFER, INFER_VERSION = "/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"
router.add_api_route(INFER, infer, methods=["POST"], route_class_override=RawRoute, **inference_operation())
router.add_api_route(INFER_VERSION, infer, methods=["POST"], route_class_override=RawRoute, include_in_schema=False)


def _model_of(request: Request) -> str:
    """Return the model that the path names; raises NotFound when there is none, or not in this version."""
    model, version = request.path_params["model"], request.path_params.get("version", VERSION)
    if model not in MODELS:
        advice = advise_place(model, MODELS, "score_model") or "Choose one of these."
        raise NotFound(f"expected a model, one of {', '.join(MODELS)}; received {model[:80]!r}. {advice}")
    if version != VERSION:
        raise NotFound(f"expected version {VERSION} of {model}; received {version[:80]!r}. There is no other.")
    return str(model)


def _not_ready(request: Request, members: dict[str, Any]) -> Response:
    """Answer a probe with its members beside those of a problem document."""
    detail = "expected a running service; received a probe while it starts or stops. Ask another replica."
    return respond(request, "draining", detail, members=members)


def _json(document: Any) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)
