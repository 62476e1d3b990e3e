"""Memories: keys and values that are put once and queried often.

Writes and downloads go through admission as computations do.  Descriptions come from threads beside it, so that they
wait for no computation.
"""

from functools import partial
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from service.admission import Deadline
from service.codecs.negotiate import AS_IT_IS, JSON, choose, choose_encoding, negotiate
from service.compute import Body, Prepare, Reply, encoded, max_body_bytes, prepare_encoded
from service.compute.memories import (
    prepare_append,
    prepare_delete,
    prepare_download,
    prepare_put,
    read_description,
    read_list,
    require_name,
    require_writable_name,
)
from service.errors import MalformedBody
from service.memories import MemoryAccess
from service.middleware.header_fields import header_field, header_fields
from service.routes.memory_access import access_on_path
from service.routes.memory_response import MemoryResponse
from service.routes.raw_route import RawRequest, RawRoute
from service.routes.state import state_of
from service.schemas.memories import DEFAULT_LISTED, MAX_LISTED, QUERY
from service.schemas.query import check_query, read_integer
from service.specification import memory_operation
from service.specification.memories import APPEND, DOWNLOADED, MEMORIES, MEMORY, TENSORS

router = APIRouter(tags=["memories"], route_class=RawRoute)

MAX_IGNORED_BODY_BYTES = 8 * 1024
"""Largest body of a request that needs none."""


@router.get(MEMORIES, **memory_operation("list_memories"))
async def list_memories(request: RawRequest) -> None:
    """List memories by name, `limit` at a time."""
    access, query = access_on_path(request), request.query_params
    check_query([name for name, _ in query.multi_items()], QUERY)
    limit = read_integer("limit", query.get("limit"), default=DEFAULT_LISTED, least=1, most=MAX_LISTED)
    _accept(request, JSON)
    wanted_encoding = choose_encoding(header_field(request.scope, b"accept-encoding"))

    def read() -> Reply:
        return encoded(read_list(access, limit, query.get("after", "")), wanted_encoding)

    await request.respond(MemoryResponse(await run_in_threadpool(read), b"Accept-Encoding"))


@router.get(MEMORY, **memory_operation("get_memory"))
async def get_memory(request: RawRequest) -> None:
    """Describe one memory, without its tensors."""
    access, name = _existing(request)
    _accept(request, JSON)
    await request.respond(MemoryResponse(await run_in_threadpool(read_description, access, name)))


@router.put(MEMORY, **memory_operation("put_memory"))
async def put_memory(request: RawRequest) -> None:
    """Keep keys and values under a name, in the place of those that are there."""
    access, name = access_on_path(request), request.path_params["name"]
    require_writable_name(access, name)
    check_query(list(request.query_params), ())
    _require_whole(request)
    location = f"{request.scope.get('root_path', '')}{MEMORIES}/{quote(name)}"
    await _write(request, access, partial(prepare_put, access, name, location))


@router.delete(MEMORY, **memory_operation("delete_memory"))
async def delete_memory(request: RawRequest) -> None:
    """Remove a memory; requests that are computing from it are answered."""
    access, name = _existing(request)
    await _run(request, partial(prepare_delete, access, name), Body(b"", memories=access), MAX_IGNORED_BODY_BYTES)


@router.post(APPEND, **memory_operation("append_to_memory"))
async def append_to_memory(request: RawRequest) -> None:
    """Add keys behind those of a memory; with If-Match it is safe to send again."""
    access, name = _existing(request)
    await _write(request, access, partial(prepare_append, access, name))


@router.get(TENSORS, **memory_operation("get_memory_tensors"))
async def get_memory_tensors(request: RawRequest) -> None:
    """Download keys, values and labels as a safetensors file, which makes an equal memory when it is put."""
    access, name = _existing(request)
    _accept(request, DOWNLOADED)
    await _run(request, partial(prepare_download, access, name), Body(b"", memories=access), MAX_IGNORED_BODY_BYTES)


async def _write(request: RawRequest, access: MemoryAccess, prepare: Prepare) -> None:
    """Answer a write whose body is JSON or safetensors, perhaps compressed."""
    fields = header_fields(request.scope)
    _, _, media_type, encoding = negotiate(
        (JSON,), fields.get(b"accept"), None, fields.get(b"content-type"), fields.get(b"content-encoding")
    )
    body = Body(b"", media_type, JSON, encoding, AS_IT_IS, memories=access)
    limit = max_body_bytes(media_type, state_of(request).settings)
    await _run(request, partial(prepare_encoded, prepare), body, limit, keeps_content=True)


async def _run(request: RawRequest, prepare: Prepare, body: Body, limit: int, *, keeps_content: bool = False) -> None:
    """Answer a request through admission.

    :param request: to answer.
    :param prepare: reads the body.
    :param body: without its content.
    :param limit: maximum bytes of the content.
    :param keeps_content: whether `prepare` is given the content.
    """
    service = state_of(request)
    deadline = Deadline.from_header(header_field(request.scope, b"request-timeout"), service.settings)
    async with service.admission.admit(request.receive, deadline) as admitted:
        content = await admitted.read(header_fields(request.scope).get(b"content-length"), limit)
        reply = await admitted.run(body._replace(content=content) if keeps_content else body, prepare)
        await request.respond(MemoryResponse(reply))


def _require_whole(request: RawRequest) -> None:
    """Raise MalformedBody for a body that says it is a part of a memory (RFC 9110, section 14.5)."""
    part = header_field(request.scope, b"content-range")
    if part is not None:
        raise MalformedBody(
            f"expected a whole memory; received Content-Range: {part[:80]}. Leave the header out, or append the rest."
        )


def _existing(request: RawRequest) -> tuple[MemoryAccess, str]:
    """Return the memories of a request and the name in its path; raise NotFound for one that no memory can have."""
    access, name = access_on_path(request), request.path_params["name"]
    require_name(access, name)
    check_query(list(request.query_params), ())
    return access, name


def _accept(request: RawRequest, media_type: str) -> None:
    """Raise NotAcceptable unless Accept allows the only media type of an answer."""
    choose(header_field(request.scope, b"accept"), (media_type,))
