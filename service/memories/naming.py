"""Names and versions of memories."""

import re
import secrets
from typing import NamedTuple

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""The form of a name."""

NAME_IN_WORDS = "a name of 1 to 128 ASCII letters, digits and ._-, the first a letter or digit"
"""The same, for errors."""

VERSION_BYTES = 12
"""Random bytes of a version: after 10⁹ versions of one name, two of them are equal with probability 10⁻¹¹."""

VERSION_LENGTH = 16
"""Characters of a version: URL-safe base64, so that it may stand in an ETag."""


MEMORY_VERSION_FIELD = "Attention-Memory-Version"
"""Header field of an answer: the version of the memory that it was computed from, or that a request has made."""


class MemoryName(NamedTuple):
    """An owner and the name of one of its memories."""

    owner: str
    """Owner of an API key; empty for memories that belong to everyone."""
    name: str
    """One that `NAME` matches."""


FILE_ID = re.compile(rf"[0-9a-f]{{{2 * VERSION_BYTES}}}")
"""The form of the stem of the name of a file."""


def new_version() -> str:
    """Return a version that no memory has had: random, since a counter would start anew with a new directory, and since
    appends that a power loss took away must not share their versions with later ones.
    """
    return secrets.token_urlsafe(VERSION_BYTES)


def new_file_id() -> str:
    """Return the stem of the name of a new file; no part of it comes from a client."""
    return secrets.token_hex(VERSION_BYTES)
