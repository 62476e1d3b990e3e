"""Room on the file system for removing a memory: on a full disk even the transaction that makes room needs some."""

import os
from contextlib import suppress
from pathlib import Path

from service.memories.files import FULL, Descriptor

RESERVED_BYTES = 2**18
"""More than the pages that a removal adds to the write-ahead log of the catalogue."""


class Reserve:
    """A file that is given up when a removal finds no room, and written anew afterwards.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fill()

    def fill(self) -> None:
        """Write the file unless it is whole; on a full disk as much as there is room for."""
        with suppress(FileNotFoundError):
            if self._path.lstat().st_size >= RESERVED_BYTES:
                return
        self.release()
        try:
            descriptor = Descriptor(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            left = RESERVED_BYTES
            while left:
                left -= os.write(descriptor.number, bytes(left))
        except FileExistsError:
            pass  # Another process is writing it.
        except OSError as error:
            if error.errno not in FULL:
                raise

    def release(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
