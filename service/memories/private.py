"""The directory of a store is private: what other users put there is neither followed nor used nor removed."""

import logging
import os
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from service.memories.errors import UnsuitableDirectory
from service.memories.files import FILE_MODE, Descriptor

DIRECTORY_MODE = 0o700

FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Bits of a mode that let other users in."""

OF_FILE_SYSTEMS = "lost+found"
"""A directory that ext4 puts into every volume."""

logger = logging.getLogger(__name__)


def make_private(directory: Path, entries: Collection[str], catalogue: str) -> None:
    """Make a directory that no other user may enter, and those above it that are missing.

    One that belongs to another user, as a mounted volume may, is used as it is; a log line says so if that user may
    change the memories.

    :param directory: of a store.
    :param entries: names of what a store has in it.
    :param catalogue: the one of them by which a store is recognised.

    Raises UnsuitableDirectory for one that others may enter and that something else uses, which would be locked out.
    """
    for above in reversed(directory.parents):
        above.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    status = directory.stat()
    if status.st_uid == os.geteuid() and status.st_mode & FOR_OTHERS:
        names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
        others = sorted(names - {*entries, OF_FILE_SYSTEMS})
        if others and catalogue not in names:
            raise UnsuitableDirectory(f"{directory}, which holds {others[0]!r} and has no memories")
    _restrict(directory, DIRECTORY_MODE)
    status = directory.stat()
    if _lets_others_write(status):
        logger.warning(
            "%s: other users may change memories: it belongs to user %d and group %d, with mode %04o. Give it to user "
            "%d, with mode 0700.",
            directory, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), os.geteuid(),
        )  # fmt: skip


def _lets_others_write(status: os.stat_result) -> bool:
    """Return whether users may write to a directory other than this one, root, and members of a group of this one."""
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and status.st_gid not in (os.getegid(), *os.getgroups())


def make_private_directory(path: Path) -> None:
    """Make a directory within that of a store unless it is there.

    Raises UnsuitableDirectory for a link, or one that another user has put there.
    """
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    _require_own(path, stat.S_ISDIR, "a directory")
    _restrict(path, DIRECTORY_MODE)


def make_private_file(path: Path) -> None:
    """Make an empty file unless it is there.

    Raises UnsuitableDirectory for a link, or one that another user has put there.
    """
    # One that is there is not opened: closing it would release the locks that SQLite has on it in this process.
    with suppress(FileExistsError):
        Descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    _require_own(path, stat.S_ISREG, "a file")
    _restrict(path, FILE_MODE)


def _require_own(path: Path, has_kind: Callable[[int], bool], kind: str) -> None:
    """Raise UnsuitableDirectory unless a path is of a kind, and of this user, of root or of who owns its directory."""
    status = path.lstat()
    if not has_kind(status.st_mode):
        raise UnsuitableDirectory(f"{path}, which is not {kind}")
    if status.st_uid not in (0, os.geteuid(), path.parent.stat().st_uid):
        raise UnsuitableDirectory(f"{path}, which belongs to user {status.st_uid}")


def _restrict(path: Path, mode: int) -> None:
    """Give a path of this user a mode, where the file system has modes."""
    status = path.stat()
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
        with suppress(PermissionError):
            path.chmod(mode)
