"""Read the header fields If-Match and If-None-Match (RFC 9110, section 13.1)."""

import re

from service.errors import MalformedBody
from service.memories.store import ALWAYS, Precondition

ENTITY_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')
"""An entity tag (RFC 9110, section 8.8.3), weak with W/ in front."""

BLANKS = " \t"

PLACE_OF_A_TAG = "\0"
"""Stands for a tag while the rest of a list is checked; no header field holds it."""


def entity_tag(version: str) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def read_precondition(if_match: bytes | None, if_none_match: bytes | None) -> Precondition:
    """Return what two header fields ask for; None for one that is absent.

    If-Match compares strongly, so that a weak tag never matches, and If-None-Match weakly.

    Raises MalformedBody.
    """
    if if_match is None and if_none_match is None:
        return ALWAYS
    wanted = None if if_match is None else _read_tags("If-Match", if_match)
    unwanted = None if if_none_match is None else _read_tags("If-None-Match", if_none_match)
    return Precondition(
        absent=if_none_match is not None and unwanted is None,
        versions=None if wanted is None else tuple(tag for weak, tag in wanted if not weak),
        present=if_match is not None and wanted is None,
        excluded=tuple(tag for _, tag in unwanted or ()),
    )


def _read_tags(name: str, field: bytes) -> list[tuple[str, str]] | None:
    """Return the tags of a list, each with W/ or an empty text in front; None for `*`.

    :param name: of the header field, for the error.
    :param field: its value.
    """
    text = field.decode("latin-1")
    if text.strip(BLANKS) == "*":
        return None
    tags: list[tuple[str, str]] = ENTITY_TAG.findall(text)
    rest = ENTITY_TAG.sub(PLACE_OF_A_TAG, text).split(",")
    if not tags or not {part.strip(BLANKS) for part in rest} <= {"", PLACE_OF_A_TAG}:
        raise MalformedBody(
            f"expected {name}: * alone, or entity tags in double quotes with commas between them; received "
            f"{text[:80]!r}. Send the ETag of an answer as it is."
        )
    return tags
