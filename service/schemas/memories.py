"""Requests and responses of /v1/memories."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from service.memories import MemoryDescription
from service.schemas.attention import DType, Layout, Names
from service.schemas.base import StrictModel
from service.schemas.components import Component
from service.schemas.tensors import Vectors

QUERY = ("limit", "after")
"""Names in the query of GET /v1/memories."""

DEFAULT_LISTED, MAX_LISTED = 100, 1000
"""Descriptions in one answer of GET /v1/memories."""

MAX_NOTE_CHARACTERS = 1000

MAX_SHARDS = 256
"""Processes that may hold the keys of one memory."""

MAX_TTL_SECONDS = 100 * 366 * 24 * 60 * 60
"""A hundred years: dates beyond the year 9999 have no form."""

Durability = Annotated[
    Literal["strict", "relaxed"],
    Component("Durability", "When an append is acknowledged. 追加何时得到确认。"),
]


class MemoryLabelsSchema(StrictModel, title="MemoryLabels"):
    """Names for people. 名称。"""

    key: Names | None = Field(None, description="One for each key. 每个键一个名称。")


class MemoryRequest(StrictModel):
    """Keys and values to keep, in the shapes in which an attention request takes them.

    要保存的键与值，形状与注意力请求中的相同。
    """

    key: Vectors = Field(description="Keys, (…, Lk, Dk). 键。")
    value: Vectors | None = Field(
        None, description="Values, (…, Lk, Dv), one per key; without them there is no output. 值，可省略。"
    )
    dtype: DType | None = Field(
        None, description="How numbers are stored, rounded to it; default float64. 数值的存储类型，默认为 float64。"
    )
    layout: Layout | None = Field(
        None,
        description="Order of the axes at rank 4: bhsd, the default, or bshd, (B, L, H, D). "
        "四维张量各轴的顺序，默认为 bhsd。",
    )
    labels: MemoryLabelsSchema | None = Field(
        None, description="Names of the keys, used in ranking and pictures. 键的名称，用于排名与图。"
    )
    ttl_seconds: Annotated[float, Field(gt=0, le=MAX_TTL_SECONDS, allow_inf_nan=False)] | None = Field(
        None,
        description="Seconds since the last read or write after which the memory is gone; null, the default, is for "
        "ever. 最后一次读写之后保留的秒数；默认为永久。",
    )
    durability: Durability | None = Field(
        None,
        description="An append is acknowledged once it is on the disk, strict, the default; or relaxed: found after "
        "the process is killed, and on the disk within 100 ms. 追加写入磁盘之后才确认（strict，默认），"
        "或先确认、100 毫秒内写入磁盘（relaxed）。",
    )
    note: Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS)] | None = Field(
        None, description="Any text of at most 1000 characters. 备注，至多 1000 个字符。"
    )
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] | None = Field(
        None,
        description="Processes of the Ray cluster that hold a range of the keys each; 1 for none, null, the default, "
        "for as many as there are nodes if the memory is large. Results are the same. Without a cluster the service "
        "computes everything itself. 由 Ray 集群中的多少个进程分别保存一段键；1 为不分片，默认按大小决定；"
        "没有集群时由本服务计算，结果相同。",
    )


class MemoryAppendRequest(StrictModel):
    """Keys behind those of a memory: shapes as there but for the number of keys. 追加的键：除键数外形状相同。"""

    key: Vectors = Field(description="Keys, (…, L, Dk). 键。")
    value: Vectors | None = Field(
        None, description="Values, one per key, exactly if the memory has values. 值；记忆有值时必须给出。"
    )
    dtype: DType | None = Field(
        None,
        description="That of the memory, for a check; numbers of JSON are rounded to it in any case. "
        "与记忆相同的数值类型，只用于核对。",
    )
    labels: MemoryLabelsSchema | None = Field(
        None, description="Names of these keys, exactly if the memory has labels. 名称；记忆有名称时必须给出。"
    )


class MemoryShape(BaseModel, extra="forbid"):
    """Shapes of the tensors. 张量的形状。"""

    key: list[int] = Field(description="Of the keys. 键的形状。")
    value: list[int] | None = Field(description="Of the values; null for none. 值的形状；没有值时为 null。")


class MemoryResponse(BaseModel, extra="forbid", title="MemoryDescription"):
    """One version of a memory without its tensors. 一个版本的记忆，不含张量。"""

    name: str = Field(description="As in the path. 名称。")
    version: str = Field(description="Opaque, never used twice for a name; also the ETag, in quotes. 版本号。")
    shape: MemoryShape = Field(description="Of keys and values. 键与值的形状。")
    keys: int = Field(description="Number of keys, Lk. 键数。")
    dtype: DType = Field(description="How numbers are stored. 数值的存储类型。")
    layout: Layout = Field(description="Order of the axes at rank 4. 四维张量各轴的顺序。")
    bytes: int = Field(description="Of tensors and labels as they are stored. 占用的字节数。")
    labels: bool = Field(description="Whether the keys have labels. 键是否有名称。")
    created: str = Field(description="When the memory was put, RFC 3339, UTC. 创建时间。")
    modified: str = Field(description="When this version was made, RFC 3339, UTC. 本版本的时间。")
    expires: str | None = Field(
        description="When it is gone unless it is used before, RFC 3339, UTC; null for never. 过期时间。"
    )
    ttl_seconds: float | None = Field(description="As it was put; null for ever. 保留的秒数；null 为永久。")
    durability: Durability = Field(description="As it was put. 追加的持久性。")
    note: str | None = Field(description="As it was put; null for none. 备注。")
    shards: int | None = Field(description="As it was put; null for a number by its size. 分片数；null 为按大小决定。")


class MemoryListResponse(BaseModel, extra="forbid", title="MemoryList"):
    """Memories in the order of their names. 按名称排序的记忆。"""

    memories: list[MemoryResponse] = Field(description="Their descriptions. 各个记忆。")
    next: str | None = Field(
        description="What to send as `after` for the rest of the list; null at its end. 下一页的 after；到末尾为 null。"
    )


def describe_memory(described: MemoryDescription) -> dict[str, Any]:
    """Return the document of a description, members in the order of `MemoryResponse`."""
    options = described.options
    value_shape = described.value_shape
    return {
        "name": described.name,
        "version": described.version,
        "shape": {"key": list(described.key_shape), "value": None if value_shape is None else list(value_shape)},
        "keys": described.keys,
        "dtype": options.dtype,
        "layout": options.layout,
        "bytes": described.bytes,
        "labels": described.labels,
        "created": _timestamp(described.created),
        "modified": _timestamp(described.modified),
        "expires": None if described.expires is None else _timestamp(described.expires),
        "ttl_seconds": options.ttl_seconds,
        "durability": options.durability,
        "note": options.note,
        "shards": options.shards,
    }


def _timestamp(seconds: float) -> str:
    """Return seconds since 1970 as RFC 3339 has them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
