"""The operations on memories."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from service.codecs.negotiate import JSON
from service.codecs.registry import CODECS, READERS
from service.codecs.safetensors.codec import CODEC as SAFETENSORS_CODEC
from service.memories import MEMORY_VERSION_FIELD, NAME
from service.problems import COMPUTING_PROBLEMS
from service.schemas.base import Text
from service.schemas.memories import (
    DEFAULT_LISTED,
    MAX_LISTED,
    MemoryAppendRequest,
    MemoryListResponse,
    MemoryRequest,
    MemoryResponse,
)
from service.specification.examples import requests_to
from service.specification.nulls import guarded
from service.specification.operations import (
    COMPRESSED,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    Operation,
    binary,
    json_content,
    operation,
    reference,
    representation,
)

MEMORIES = "/v1/memories"
MEMORY = f"{MEMORIES}/{{name}}"
APPEND = f"{MEMORY}/append"
TENSORS = f"{MEMORY}/tensors"
"""Paths."""

DOWNLOADED = SAFETENSORS_CODEC.media_type
"""Media type of downloads."""

EXAMPLE_NAME = "heroes"

EXAMPLE: dict[str, Any] = {
    "name": EXAMPLE_NAME,
    "version": "Yx0Rk2m8QbV4tLwZ",
    "shape": {"key": [4, 4], "value": [4, 3]},
    "keys": 4,
    "dtype": "float64",
    "layout": "bhsd",
    "bytes": 260,
    "labels": True,
    "created": "2026-11-30T08:00:00.000Z",
    "modified": "2026-11-30T08:00:00.000Z",
    "expires": None,
    "ttl_seconds": None,
    "durability": "strict",
    "note": None,
    "shards": None,
}
"""The description of the memory that the first example of `put_memory` makes."""

NAME_PARAMETER: Operation = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Of the memory: 1 to 128 letters, digits and ._-. 记忆的名称。",
    "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    "example": EXAMPLE_NAME,
}

TAGS = {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'}
"""Schema of a list of entity tags."""

IF_MATCH: Operation = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of which one must be that of the memory, or * for any memory; else 412. "
    "记忆的 ETag 必须是其中之一，* 表示必须存在；否则 412。",
    "schema": TAGS,
}


def _if_none_match(answer: Text) -> Operation:
    return {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": f"Entity tags of which none may be that of the memory, or * for no memory; else {answer.en}. "
        f"记忆的 ETag 不能是其中任何一个，* 表示不能存在；否则 {answer.zh}。",
        "schema": TAGS,
    }


UNLESS_CHANGED = _if_none_match(Text("304", "304"))
UNLESS_THERE = _if_none_match(Text("412", "412"))

PAGE: list[Operation] = [
    {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": f"Descriptions in one answer, default {DEFAULT_LISTED}. 一次返回多少个，默认 {DEFAULT_LISTED}。",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED},
    },
    {
        "name": "after",
        "in": "query",
        "required": False,
        "description": "A name behind which the list begins, such as `next` of the answer before. 从哪个名称之后开始。",
        "schema": {"type": "string"},
    },
]

REQUEST_ID = [one for one in REQUEST_HEADERS if one["name"] == "X-Request-ID"]

ETAG: dict[str, Any] = {
    "ETag": {
        "description": "The version, in double quotes. 版本号，带双引号。",
        "schema": {"type": "string", "pattern": '^"[A-Za-z0-9_-]+"$'},
    }
}
LOCATION: dict[str, Any] = {
    "Location": {"description": "Path of the memory. 记忆的路径。", "schema": {"type": "string"}},
}
WRITTEN_VERSION: dict[str, Any] = {
    MEMORY_VERSION_FIELD: {
        "description": "The version that the request had made before its time was over. 超时之前已写入的版本。",
        "schema": {"type": "string"},
    }
}

READING_PROBLEMS = ("unauthorized", "not-found", "not-acceptable", "memory-damaged", "memories-unavailable")
WRITING_PROBLEMS = (*COMPUTING_PROBLEMS, "not-found")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOperation:
    """One operation on memories.

    :param summary: title.
    :param answer: what the answer is.
    :param content: bodies of an answer, by media type; empty for none.
    :param parameters: of the path, the query and the header.
    :param problems: slugs of what may be answered instead.
    :param request: model of the body; None for none.
    :param status: of the answer.
    :param has_etag: whether the answer has the version as its entity tag.
    """

    summary: Text
    answer: Text
    content: Operation = field(default_factory=dict)
    parameters: tuple[Operation, ...]
    problems: tuple[str, ...]
    request: type[BaseModel] | None = None
    status: int = 200
    has_etag: bool = True


OPERATIONS = {
    "list_memories": MemoryOperation(
        summary=Text("记忆列表", "List memories"),
        answer=Text("各个记忆的说明，以及下一页从哪里开始。", "Descriptions, and where the rest of the list begins."),
        content=json_content(MemoryListResponse, {"memories": [EXAMPLE], "next": None}),
        parameters=(*PAGE, *REQUEST_ID),
        problems=(*READING_PROBLEMS, "invalid-request", "unknown-name"),
        has_etag=False,
    ),
    "get_memory": MemoryOperation(
        summary=Text("查看记忆", "Describe a memory"),
        answer=Text("当前版本的说明。", "The description of its current version."),
        content=json_content(MemoryResponse, EXAMPLE),
        parameters=(NAME_PARAMETER, IF_MATCH, UNLESS_CHANGED, *REQUEST_ID),
        problems=(*READING_PROBLEMS, "precondition-failed"),
    ),
    "put_memory": MemoryOperation(
        summary=Text("保存记忆", "Put a memory"),
        answer=Text("替换之后的说明。", "The description; the memory was replaced."),
        content=json_content(MemoryResponse, EXAMPLE),
        parameters=(NAME_PARAMETER, IF_MATCH, UNLESS_THERE, *REQUEST_HEADERS),
        problems=WRITING_PROBLEMS,
        request=MemoryRequest,
    ),
    "delete_memory": MemoryOperation(
        summary=Text("删除记忆", "Delete a memory"),
        answer=Text("已删除。", "It is gone."),
        parameters=(NAME_PARAMETER, IF_MATCH, UNLESS_THERE, *REQUEST_HEADERS),
        problems=(
            *READING_PROBLEMS,
            *("precondition-failed", "timeout", "too-large", "insufficient-storage", "queue-full"),
            *("draining", "deadline-exceeded"),
        ),
        status=204,
        has_etag=False,
    ),
    "append_to_memory": MemoryOperation(
        summary=Text("追加到记忆", "Append to a memory"),
        answer=Text("新版本的说明。", "The description of the new version."),
        content=json_content(
            MemoryResponse,
            EXAMPLE
            | {"version": "r7CwHq0uJk1NzT5e", "shape": {"key": [5, 4], "value": [5, 3]}, "keys": 5, "bytes": 325},
        ),
        parameters=(NAME_PARAMETER, IF_MATCH, UNLESS_THERE, *REQUEST_HEADERS),
        problems=WRITING_PROBLEMS,
        request=MemoryAppendRequest,
    ),
    "get_memory_tensors": MemoryOperation(
        summary=Text("下载记忆", "Download a memory"),
        answer=Text("safetensors 文件。", "A safetensors file."),
        content={
            DOWNLOADED: {
                "schema": binary(
                    "A safetensors file with the tensors `key` and `value`, and in the metadata `request` the rest of "
                    "the body of a PUT that makes an equal memory. safetensors 文件：张量 key 与 value，元数据 request "
                    "为 PUT 请求体的其余部分；原样上传即得到相同的记忆。"
                )
            }
        },
        parameters=(NAME_PARAMETER, IF_MATCH, UNLESS_CHANGED, *REQUEST_HEADERS),
        problems=(
            *READING_PROBLEMS,
            *("precondition-failed", "timeout", "too-large", "queue-full", "draining", "deadline-exceeded"),
        ),
    ),
}
"""Every operation by its operationId."""


def memory_operation(name: str) -> Operation:
    """Describe an operation on memories, by its operationId."""
    one = OPERATIONS[name]
    extra: dict[str, Any] = {"parameters": list(one.parameters)}
    if one.request is not None:
        bodies = {JSON: {"schema": reference(one.request), "examples": guarded(requests_to(name))}}
        bodies |= {
            media_type: representation(media_type, CODECS[media_type].body)
            for media_type in READERS
            if media_type != JSON
        }
        extra["requestBody"] = {"required": True, "description": COMPRESSED, "content": bodies}
    described = operation(
        f"{one.summary.zh} · {one.summary.en}",
        one.content,
        one.problems,
        description=f"{one.answer.en} {one.answer.zh}",
        **extra,
    )
    responses = described["responses"]
    success = responses.pop(200)
    success["headers"] = RESPONSE_HEADERS | (ETAG if one.has_etag else {})
    if not one.content:
        del success["content"]
    responses[one.status] = success
    if name == "put_memory":
        made = "The description of a new memory. 新记忆的说明。"
        responses[201] = success | {"description": made, "headers": success["headers"] | LOCATION}
    if UNLESS_CHANGED in one.parameters:
        unchanged = "The client has this version. 客户端已有这个版本。"
        responses[304] = {"description": unchanged, "headers": RESPONSE_HEADERS | ETAG}
    if "precondition-failed" in one.problems:
        responses[412]["headers"] = responses[412]["headers"] | ETAG
    if one.request is not None:
        responses[504]["headers"] = responses[504]["headers"] | WRITTEN_VERSION
    return described | {"name": name, "status_code": one.status}
