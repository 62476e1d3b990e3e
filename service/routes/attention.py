"""The endpoints that compute: a route for each record of `service.specification.ENDPOINTS`."""

import asyncio
from functools import partial

from fastapi import APIRouter

from service.admission import Deadline, ProgressChannel
from service.codecs.negotiate import AS_IT_IS, EVENT_STREAM, JSON, negotiate
from service.compute import Body, max_body_bytes, prepare_encoded
from service.middleware.header_fields import header_field, header_fields
from service.routes.event_stream import EventStreamResponse, wait_until_started
from service.routes.memory_access import access_of
from service.routes.raw_route import RawRequest, RawRoute, ReplyResponse
from service.routes.state import state_of
from service.specification import ENDPOINTS, Endpoint, computing_operation

router = APIRouter(tags=["attention"], route_class=RawRoute)


async def compute(endpoint: Endpoint, request: RawRequest) -> None:
    """Answer one request to an endpoint; headers that forbid an answer are refused before the body is read."""
    scope, service = request.scope, state_of(request)
    limits, fields = service.settings, header_fields(scope)
    deadline = Deadline.from_header(header_field(scope, b"request-timeout"), limits)
    wanted, wanted_encoding, media_type, encoding = negotiate(
        endpoint.offered,
        fields.get(b"accept"),
        fields.get(b"accept-encoding"),
        fields.get(b"content-type"),
        fields.get(b"content-encoding"),
    )
    prepare = partial(prepare_encoded, endpoint.prepare)
    async with service.admission.admit(request.receive, deadline) as admitted:
        content = await admitted.read(fields.get(b"content-length"), max_body_bytes(media_type, limits))
        if wanted != EVENT_STREAM:
            body = Body(content, media_type, wanted, encoding, wanted_encoding, memories=access_of(request))
            await request.respond(ReplyResponse(await admitted.run(body, prepare)))
            return
        progress = ProgressChannel()
        body = Body(content, media_type, JSON, encoding, AS_IT_IS, memories=access_of(request))
        answering = asyncio.ensure_future(admitted.run(body, prepare, progress))
        await wait_until_started(answering, progress)
        await request.respond(EventStreamResponse(request, answering, progress))


for _endpoint in ENDPOINTS:
    router.add_api_route(
        _endpoint.path, partial(compute, _endpoint), methods=["POST"], **computing_operation(_endpoint)
    )
