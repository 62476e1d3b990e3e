"""The document of a request and of an answer, in whichever representation it comes and is wanted."""

from typing import Any

from attention_core.call import ResolvedCall
from service.codecs import json, safetensors
from service.codecs.decimals import BYTES_PER_NUMBER
from service.codecs.negotiate import JSON, SAFETENSORS
from service.codecs.numbers import Binary, Decimal, Numbers
from service.compute.contract import Body, Reply
from service.settings import Settings


def read_document(body: Body, settings: Settings) -> Any:
    """Decode a request, arrays in place; raises MalformedBody, InvalidRequest or TooLarge."""
    if body.media_type == SAFETENSORS:
        return safetensors.read(body.content, header_limit=settings.json_limit, max_depth=settings.max_json_depth)
    return json.decode(body.content, settings.max_json_depth)


def write_document(document: dict[str, Any], wanted: str) -> Reply:
    """Write an answer as its client wants it."""
    if wanted == SAFETENSORS:
        return Reply(safetensors.write(document), SAFETENSORS)
    return Reply(json.encode(document), JSON)


def numbers_for(wanted: str, dtype: str, decimals: int | None = None) -> Numbers:
    """Return how numbers leave in the representation that is wanted."""
    return Binary(dtype) if wanted == SAFETENSORS else Decimal(dtype, decimals)


def bytes_per_number(call: ResolvedCall, wanted: str) -> int:
    """Return about how many bytes a number of the answer takes: as many as in JSON unless all of it is binary."""
    dtype = call.dtype.name
    return BYTES_PER_NUMBER[dtype] if "ranking" in call.include else numbers_for(wanted, dtype).bytes_per_number()
