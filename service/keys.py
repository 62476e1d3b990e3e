"""API keys: stored as SHA-256, and compared in a time that does not depend on the key."""

import logging
import os
import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from time import monotonic

PREFIX = "sha256:"

KEY = re.compile(r"[!-+\--~]+")
"""Visible ASCII characters; a comma separates keys."""

HASHED = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")

LOOK_SECONDS = 1.0
"""Shortest time between two looks at the file, so that a removed key is refused after at most this time."""

error_log = logging.getLogger("service.keys")


def hashed(entry: str) -> str:
    """Return ``sha256:`` and the hexadecimal digest of a key; an entry of that form is returned in lower case.

    Raises ValueError, whose text does not contain the key.
    """
    if entry.startswith(PREFIX):
        if not HASHED.fullmatch(entry.lower()):
            raise ValueError(f"expected 64 hexadecimal digits after {PREFIX}")
        return entry.lower()
    if not KEY.fullmatch(entry):
        raise ValueError("expected keys of visible ASCII characters, without commas and spaces")
    return PREFIX + sha256(entry.encode()).hexdigest()


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of a file, hashed: one a line; what follows # at the start of a line or a space is a comment.

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


class Keyring:
    """The valid keys: a fixed set, and those of a file, which is read again when it has changed."""

    def __init__(self, keys: Iterable[str], file: Path | None) -> None:
        self._fixed = _digests(keys)
        self._file = file
        self._seen = file and _state_of(file)
        self._digests = self._fixed + (_digests(read_keys(file)) if file else ())
        self._look_again = monotonic() + LOOK_SECONDS

    def accepts(self, presented: bytes) -> bool:
        """Return whether a key is valid; it is compared with every valid key, each to its end."""
        if self._file and monotonic() >= self._look_again:
            self._look(self._file)
        digest = sha256(presented).digest()
        found = False
        for known in self._digests:
            found |= compare_digest(known, digest)
        return found

    def _look(self, file: Path) -> None:
        """Read the file again if it has changed; keep the keys if it cannot be read, and log that once."""
        self._look_again = monotonic() + LOOK_SECONDS
        state = _state_of(file)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._digests = self._fixed + _digests(read_keys(file))
        except ValueError as error:
            error_log.error("%s: %s. The previous keys stay in force.", file, error)
        else:
            error_log.info("%s: %d keys are in force now", file, len(self._digests))


def _digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(key.removeprefix(PREFIX)) for key in keys)


def _state_of(file: Path) -> tuple[int, int, int] | None:
    """Return modification time, size and inode, one of which changes when a file is written or replaced."""
    try:
        status = os.stat(file)  # noqa: PTH116 - follows the links by which mounted secrets are exchanged
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
