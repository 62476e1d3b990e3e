"""Every representation of requests and answers of /v1; to add one, write its `Codec` and name it here."""

from collections.abc import Mapping

from service.codecs.codec import Codec, Decode, Drawing, Encode
from service.codecs.json.codec import CODEC as JSON_CODEC
from service.codecs.safetensors.codec import CODEC as SAFETENSORS_CODEC
from service.codecs.svg.codec import CODEC as SVG_CODEC

_CODECS = (
    JSON_CODEC,
    SAFETENSORS_CODEC,
    SVG_CODEC,
)

CODECS: Mapping[str, Codec] = {codec.media_type: codec for codec in _CODECS}
"""By media type; the first is that of an answer whose client accepts several as much."""

BY_SUFFIX: Mapping[str, str] = {codec.suffix: name for name, codec in CODECS.items()}
"""Media types by the suffix of files."""

READERS: Mapping[str, Decode] = {name: codec.decode for name, codec in CODECS.items() if codec.decode is not None}
"""How a request is read, by the media types in which it may be sent."""

WRITERS: Mapping[str, Encode] = {name: codec.encode for name, codec in CODECS.items() if codec.encode is not None}
"""How an answer is written, by the media types in which every computing endpoint of /v1 answers."""

DRAWINGS: Mapping[str, Drawing] = {name: codec.drawing for name, codec in CODECS.items() if codec.drawing is not None}
"""How weights are drawn, by the media types in which POST /v1/attention answers as well."""
