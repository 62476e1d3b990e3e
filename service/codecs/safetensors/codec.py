"""The safetensors format as a representation."""

from typing import Any

from service.codecs.codec import Codec
from service.codecs.numbers import Binary
from service.codecs.safetensors.document import read
from service.codecs.safetensors.framing import header_range
from service.codecs.safetensors.writing import write
from service.schemas.base import Text
from service.settings import Settings


def _decode(body: bytes, settings: Settings) -> Any:
    return read(body, header_limit=settings.json_limit, max_depth=settings.max_json_depth)


CODEC = Codec(
    media_type="application/vnd.safetensors",
    suffix=".safetensors",
    title=Text("safetensors", "safetensors"),
    body=Text(
        "safetensors 文件：张量以其在 JSON 中的路径命名，元数据 request 为其余的 JSON；query 的存储类型即 dtype。",
        "A safetensors file. Tensors are named by where they stand in the JSON body, such as `query`, `mask.allowed`, "
        "`score_model.query_weight`, `partials.0.output` or `base.query`; the metadata `request` hold the JSON body "
        "without them. The stored type of query is the dtype; minus infinity, NaN and axes of no length are possible.",
    ),
    answer=Text(
        "safetensors 文件：数组为张量，元数据 response 为其余的 JSON；top_key 为 -1 表示没有。",
        "A safetensors file: the arrays of the answer as tensors, such as `output`, `diagnostics.entropy` or "
        "`results.0.result.weights`, and in the metadata `response` the JSON answer without them. A top key of -1 is "
        "none.",
    ),
    decode=_decode,
    encode=write,
    # Raw numbers are as computed, whatever decimals a request asks for.
    numbers=lambda dtype, _: Binary(dtype),
    json_range=header_range,
    is_binary=True,
)
