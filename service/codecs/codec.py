"""How a representation of requests and answers is described: its names, its two directions, and what it carries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.codecs.numbers import Decimal, Numbers
from service.codecs.shown import Shown
from service.schemas.base import Text
from service.settings import Settings

Decode = Callable[[bytes, Settings], Any]
"""Returns the document with arrays that a body spells out; raises MalformedBody, InvalidRequest or TooLarge."""

Encode = Callable[[dict[str, Any]], bytes]
"""Returns the body that spells out a document with arrays."""

NO_TEXT = Text("", "")


def _whole(body: bytes) -> tuple[int, int]:
    """Return where a body begins and ends."""
    return 0, len(body)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How weights become a picture.

    :param draw: returns the picture of weights with their labels.
    :param require_drawable: raises TooLarge when weights of this shape, (…, Lq, Lk), are too many to draw.
    """

    draw: Callable[[Shown], bytes]
    require_drawable: Callable[[Sequence[int]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One representation.

    Everything that lists representations is made from these: negotiation, the OpenAPI document, the labels of metrics,
    advice in problems, the tables of the documentation.

    :param media_type: in Content-Type and Accept.
    :param suffix: of files, with its dot.
    :param title: what people call it.
    :param answer: what an answer in it holds, for the OpenAPI document; that of JSON has a schema instead.
    :param body: the same for a request; needed where there is a `decode`, but for JSON.
    :param decode: read a request; None where requests cannot be sent in it.
    :param encode: write any answer; None where it has none but pictures.
    :param drawing: draw the weights of an attention call instead; offered by endpoints that compute weights alone.
    :param numbers: how numbers leave, by dtype and decimals.
    :param json_range: where JSON begins and ends in a body, in bytes, to bound the memory that decoding takes.
    :param all_json: whether a body is JSON alone, to which the limit of JSON applies.
    :param is_binary: whether it is bytes instead of text, for the OpenAPI document.
    """

    media_type: str
    suffix: str
    title: Text
    answer: Text = NO_TEXT
    body: Text = NO_TEXT
    decode: Decode | None = None
    encode: Encode | None = None
    drawing: Drawing | None = None
    numbers: Callable[[str, int | None], Numbers] = Decimal
    json_range: Callable[[bytes], tuple[int, int]] = _whole
    all_json: bool = False
    is_binary: bool = False
