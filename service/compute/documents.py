"""Documents of requests and answers, as JSON or safetensors."""

from typing import Any

from attention_core.call import ResolvedCall
from service.codecs import decimals, json
from service.codecs.numbers import Numbers
from service.codecs.registry import CODECS, READERS, WRITERS
from service.compute.contract import Body, Reply
from service.settings import Settings

COPIES = 2
"""A body is decoded beside itself, at most into numbers twice as wide."""

BYTES_PER_NUMBER = 16
"""In JSON a number may be two characters long, and is held as a float64 and once more in the type of the call."""

BYTES_PER_MEMBER = 256
"""A name, its slot in an object, and the header of an array."""


def read_document(body: Body, settings: Settings) -> Any:
    """Decode a request, arrays in place; raises MalformedBody, InvalidRequest or TooLarge."""
    return READERS[body.media_type](body.content, settings)


def max_body_bytes(media_type: str, settings: Settings) -> int:
    """Return the maximum bytes of a body of this media type, after decompression."""
    codec = CODECS.get(media_type)
    return settings.json_limit if codec is not None and codec.all_json else settings.max_body_bytes


def decoding_bytes(body: Body, settings: Settings) -> int:
    """Return an upper bound on the bytes that decoding a body holds beside it."""
    if body.encoding is not None:
        # The decompressed size is known only afterwards: hold the limit, in pieces and then joined.
        return (1 + COPIES) * min(settings.max_body_bytes, len(body.content) * settings.max_decompression_ratio)
    codec = CODECS.get(body.media_type)
    start, end = (0, body.json_end) if codec is None else codec.json_range(body.content)
    structure = json.count_structure(body.content, start, end)
    of_json = BYTES_PER_NUMBER * structure.commas + BYTES_PER_MEMBER * structure.names
    return COPIES * len(body.content) + of_json


def write_document(document: dict[str, Any], wanted: str) -> Reply:
    """Write an answer in the negotiated media type."""
    return Reply(WRITERS[wanted](document), wanted)


def numbers_for(wanted: str, dtype: str, decimals: int | None = None) -> Numbers:
    """Return how numbers are written in a media type."""
    return CODECS[wanted].numbers(dtype, decimals)


def bytes_per_number(call: ResolvedCall, wanted: str) -> int:
    """Return about how many bytes a number of the answer takes; a ranking is JSON in every media type."""
    dtype = call.dtype.name
    return (
        decimals.BYTES_PER_NUMBER[dtype] if "ranking" in call.include else numbers_for(wanted, dtype).bytes_per_number()
    )
