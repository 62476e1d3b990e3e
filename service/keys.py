"""API keys and their owners: keys are stored as SHA-256, and compared in a time that does not depend on the key.

An entry of the list or of the file is one of

    KEY                 a key of visible ASCII characters, "=" included
    sha256:DIGEST       a key of which only the SHA-256 is known, in 64 hexadecimal digits
    NAME=plain:KEY      the same two with the name of their owner
    NAME=sha256:DIGEST

Only `=plain:` and `=sha256:` end a name: a key that contains "=" or ends in it, as base64 does, is the whole entry.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b, sha256
from hmac import compare_digest
from pathlib import Path
from time import monotonic
from typing import NewType

PREFIX = "sha256:"

KEY = re.compile(r"[!-+\--~]+")
"""Visible ASCII characters; a comma separates keys."""

HASHED = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")

OWNER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""The form of the name of an owner; upper and lower case differ."""

NAMED = re.compile(rf"(.*?)=({PREFIX}|plain:)(.*)", re.DOTALL)
"""Name, scheme and key of an entry with a name."""

UNNAMED_MARK = "_"
"""First character of an owner without a name; no name begins with it."""

OWNER_BYTES = 16
"""Length of the hash that an owner without a name is."""

LOOK_SECONDS = 1.0
"""Shortest time between two looks at the file, so that a removed key is refused after at most this time."""

Owner = NewType("Owner", str)
"""An identifier of those who hold the keys of one name, or one key without a name; shows neither key nor digest."""

EVERYONE = Owner("")
"""The owner of memories that are made while no keys are asked for."""

error_log = logging.getLogger("service.keys")


def hashed(entry: str) -> str:
    """Return an entry with its key hashed: ``sha256:DIGEST`` or ``NAME=sha256:DIGEST``, the digest in lower case.

    Raises ValueError, whose text contains neither the key nor a name that may be part of one.
    """
    named = NAMED.fullmatch(entry)
    if named is None:
        return _checked(entry) if entry.startswith(PREFIX) else _digest_of(entry)
    name, scheme, key = named.groups()
    if not OWNER_NAME.fullmatch(name):
        raise ValueError(
            f"expected a name before ={scheme}, of 1 to 64 ASCII letters, digits and ._-, the first a letter or digit, "
            "without spaces around ="
        )
    return f"{name}={_checked(PREFIX + key) if scheme == PREFIX else _digest_of(key)}"


def _checked(entry: str) -> str:
    if not HASHED.fullmatch(entry.lower()):
        raise ValueError(f"expected 64 hexadecimal digits after {PREFIX}")
    return entry.lower()


def _digest_of(key: str) -> str:
    if key == "=":
        raise ValueError("expected a key; received = alone. Write NAME=sha256:… without spaces around =.")
    if not KEY.fullmatch(key):
        raise ValueError("expected keys of visible ASCII characters, without commas and spaces")
    return PREFIX + sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the entries of a file, hashed: one a line; what follows # at the start of a line or a space is a comment.

    Raises ValueError when the file cannot be read or has no key: without keys the service would be open to all.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a text file that can be read ({getattr(error, 'strerror', None)})") from error
    keys = []
    for number, line in enumerate(lines, 1):
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if entry:
            try:
                keys.append(hashed(entry))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    if not keys:
        raise ValueError("expected at least one key, one a line")
    return tuple(keys)


def owners_by_digest(entries: Iterable[str]) -> Mapping[bytes, Owner]:
    """Return the owner of each key, by the digest of the key.

    :param entries: as `hashed` returns them; the same entry may come several times.

    Raises ValueError when a key has two owners; the text names both.
    """
    names: dict[bytes, str] = {}
    for entry in entries:
        name, _, digits = entry.rpartition(PREFIX)
        digest = bytes.fromhex(digits)
        name = name.removesuffix("=")
        if names.setdefault(digest, name) != name:
            both = " and ".join(f"as {one}" if one else "without a name" for one in (names[digest], name))
            raise ValueError(f"expected each key under one name; received a key {both}. Remove one of the two.")
    return {digest: Owner(name) if name else _unnamed_owner(digest) for digest, name in names.items()}


def _unnamed_owner(digest: bytes) -> Owner:
    """Return the owner of a key without a name: another hash of its digest, so that file names and the keys of a
    database do not show the digest that the operator stores.
    """
    return Owner(UNNAMED_MARK + blake2b(digest, digest_size=OWNER_BYTES, person=b"attention-owner").hexdigest())


class Keyring:
    """The valid keys: a fixed set, and those of a file, which is read again when it has changed.

    :param keys: entries as `hashed` returns them.
    :param file: with more entries; None for none.

    Raises ValueError when the file cannot be used, or a key has two owners.
    """

    def __init__(self, keys: Iterable[str], file: Path | None) -> None:
        self._fixed = tuple(keys)
        self._file = file
        self._seen = file and _state_of(file)
        self._digests: tuple[bytes, ...]
        self._owners: tuple[Owner | None, ...]
        self._set(read_keys(file) if file else ())
        self._look_again = monotonic() + LOOK_SECONDS

    def owner_of(self, presented: bytes) -> Owner | None:
        """Return the owner of a key; None for a key that is not valid.  It is compared with every valid key, each to
        its end.
        """
        if self._file and monotonic() >= self._look_again:
            self._look(self._file)
        digest = sha256(presented).digest()
        # Each digest is there once, so that the sum is the place of the one that is equal; no branch depends on it.
        found = 0
        for place, known in enumerate(self._digests, 1):
            found += place * compare_digest(known, digest)
        return self._owners[found]

    def _set(self, from_file: Iterable[str]) -> None:
        owners = owners_by_digest((*self._fixed, *from_file))
        self._digests, self._owners = tuple(owners), (None, *owners.values())

    def _look(self, file: Path) -> None:
        """Read the file again if it has changed; keep the keys if it cannot be used, and log that once."""
        self._look_again = monotonic() + LOOK_SECONDS
        state = _state_of(file)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._set(read_keys(file))
        except ValueError as error:
            error_log.error("%s: %s. The previous keys stay in force.", file, error)
        else:
            error_log.info("%s: %d keys are in force now", file, len(self._digests))


def _state_of(file: Path) -> tuple[int, int, int] | None:
    """Return modification time, size and inode, one of which changes when a file is written or replaced."""
    try:
        status = os.stat(file)  # noqa: PTH116 - follows the links by which mounted secrets are exchanged
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
