"""JSON as a representation."""

from typing import Any

from service.codecs.codec import Codec
from service.codecs.json.decode import decode
from service.codecs.json.encode import encode
from service.schemas.base import Text
from service.settings import Settings


def _decode(body: bytes, settings: Settings) -> Any:
    # The length of a body that is JSON alone was bounded when it was received.
    return decode(body, settings.max_json_depth)


CODEC = Codec(
    media_type="application/json",
    suffix=".json",
    title=Text("JSON", "JSON"),
    decode=_decode,
    encode=encode,
    all_json=True,
)
