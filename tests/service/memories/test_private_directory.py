"""The directory of a store is its own: private under every umask, and nothing that others put there is used or lost."""

import os
import sqlite3
import stat
from dataclasses import replace
from types import SimpleNamespace

import pytest

from service.memories import MemoryName, background, private
from service.memories.errors import MemoryDamaged, UnsuitableDirectory
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors


@pytest.fixture
def kind():
    """Directories are those of embedded stores."""
    return "embedded"


NAME, OTHER = MemoryName("", "dragon"), MemoryName("team-a", "other")

CONTENT = b"of something else"

FILE_ID = "0123456789abcdef01234567"

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def fill(store):
    """Make a file of every kind."""
    store.put(NAME, tensors([1]), replace(OPTIONS, ttl_seconds=60))
    store.append(NAME, tensors([2]))


@pytest.fixture
def outside(tmp_path):
    """A directory with a file that no store has to do with."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / f"{FILE_ID}.log").write_bytes(CONTENT)
    yield path
    assert [(one.name, one.read_bytes()) for one in path.iterdir()] == [(f"{FILE_ID}.log", CONTENT)]


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(private.logger, "warning", lambda text, *arguments: lines.append(text % arguments))
    return lines


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_everything_is_private_whatever_the_umask(tmp_path, open_store, directory, monkeypatch, umask):
    before = os.umask(umask)
    try:
        fill(open_store())
        fill(open_store())
    finally:
        os.umask(before)
    modes = {path.relative_to(directory).as_posix(): mode_of(path) for path in (directory, *directory.rglob("*"))}
    assert {name for name in modes if "/" not in name} == {
        ".", "catalogue.sqlite3", "catalogue.sqlite3-shm", "catalogue.sqlite3-wal", "locks", "logs", "reserve",
        "segments", "uses"
    }  # fmt: skip
    assert {modes[name] for name in (".", "logs", "segments", "uses")} == {0o700}
    files = {name: mode for name, mode in modes.items() if mode != 0o700}
    assert {mode for name, mode in files.items() if name.endswith(".safetensors")} == {0o400}
    assert {mode for name, mode in files.items() if not name.endswith(".safetensors")} == {0o600}


def test_directories_above_it_are_private_where_they_are_made(tmp_path):
    before = os.umask(0)
    try:
        private.make_private(tmp_path / "state" / "service" / "memories", (), "catalogue")
    finally:
        os.umask(before)
    assert {mode_of(tmp_path / "state"), mode_of(tmp_path / "state/service")} == {0o700}


def test_a_store_that_was_opened_to_others_is_closed_again(open_store, directory, warnings):
    store = open_store()
    fill(store)
    store.close()
    for path in (directory, directory / "segments", directory / "logs"):
        path.chmod(0o777)
    for name in ("locks", "catalogue.sqlite3"):
        (directory / name).chmod(0o666)
    assert numbers_of(open_store().snapshot(NAME)) == [1, 2]
    assert {mode_of(path) for path in (directory, directory / "segments", directory / "logs")} == {0o700}
    assert {mode_of(directory / name) for name in ("locks", "catalogue.sqlite3")} == {0o600}
    assert not warnings


@pytest.mark.parametrize("entry", ["index.html", "logs.txt", "catalogue"])
def test_a_directory_of_something_else_is_not_closed_to_others(open_store, directory, entry):
    directory.mkdir()
    (directory / entry).write_bytes(CONTENT)
    directory.chmod(0o755)
    with pytest.raises(UnsuitableDirectory, match=entry):
        open_store()
    assert mode_of(directory) == 0o755
    assert [path.name for path in directory.iterdir()] == [entry]
    # No user is locked out of one that is private already.
    directory.chmod(0o700)
    fill(open_store())
    assert (directory / entry).read_bytes() == CONTENT


@pytest.mark.parametrize("entry", ["lost+found", ".snapshot", "locks"])
def test_a_new_volume_may_hold_what_a_file_system_or_another_worker_puts_there(open_store, directory, entry):
    directory.mkdir()
    directory.chmod(0o755)
    (directory / entry).touch()
    fill(open_store())
    assert mode_of(directory) == 0o700


def test_the_directory_may_be_a_link(tmp_path, open_store, directory):
    (tmp_path / "volume").mkdir()
    directory.symlink_to(tmp_path / "volume")
    fill(open_store())
    assert mode_of(tmp_path / "volume") == 0o700
    assert (tmp_path / "volume/catalogue.sqlite3").is_file()


@pytest.mark.parametrize("name", ["locks", "catalogue.sqlite3", "segments", "logs", "uses"])
@pytest.mark.parametrize("target", ["", FILE_ID + ".log", "missing"])
def test_a_link_in_the_place_of_an_entry_is_refused_and_not_followed(open_store, directory, outside, name, target):
    directory.mkdir()
    (directory / name).symlink_to(outside / target)
    with pytest.raises((UnsuitableDirectory, FileExistsError), match=name):
        open_store()


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
@pytest.mark.parametrize("target", [FILE_ID + ".log", "missing"])
def test_a_link_in_the_place_of_a_file_of_the_database_is_not_followed(open_store, directory, outside, suffix, target):
    first = open_store()
    fill(first)
    first.close()
    link = directory / f"catalogue.sqlite3{suffix}"
    link.unlink(missing_ok=True)
    link.symlink_to(outside / target)
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        fill(open_store())


@pytest.mark.parametrize("name", ["segments", "locks", "catalogue.sqlite3"])
def test_an_entry_of_another_kind_is_refused(open_store, directory, name):
    directory.mkdir()
    os.mkfifo(directory / name)
    with pytest.raises((UnsuitableDirectory, FileExistsError), match=name):
        open_store()


def replace_by_link(path, outside):
    path.unlink()
    path.symlink_to(outside / f"{FILE_ID}.log")


def replace_by_pipe(path, _):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [replace_by_link, replace_by_pipe])
@pytest.mark.parametrize("kind", ["segments", "logs"])
def test_another_kind_of_file_in_the_place_of_a_part_is_damage(open_store, directory, outside, change, kind):
    first = open_store()
    fill(first)
    first.put(OTHER, tensors([7]), OPTIONS)
    part = next(path for path in (directory / kind).iterdir() if kind == "logs" or path.stat().st_size > 0)
    before = {name: numbers_of(first.snapshot(name)) for name in (NAME, OTHER)}
    first.close()
    change(part, outside)
    store = open_store()
    damaged = []
    for name, numbers in before.items():
        try:
            assert numbers_of(store.snapshot(name)) == numbers
        except MemoryDamaged as error:
            damaged.append(error.name)
    assert len(damaged) == 1
    store.compact()
    store.sweep()
    # It can be replaced.
    store.put(damaged[0], tensors([5]), OPTIONS)
    assert numbers_of(store.snapshot(damaged[0])) == [5]


def test_a_sweep_removes_files_of_its_own_form_alone(open_store, directory, outside):
    store = open_store()
    fill(store)
    foreign = ["logs/service.log", "logs/access.log.1", "segments/model.safetensors", "segments/README", "uses/notes",
               f"segments/{FILE_ID}.safetensors.bak", f"logs/{FILE_ID.upper()}.log", f"logs/{FILE_ID}"]  # fmt: skip
    for name in foreign:
        (directory / name).write_bytes(CONTENT)
    for kind in ("segments", "logs", "uses"):
        (directory / kind / "lost+found").mkdir()
    (directory / f"segments/{FILE_ID}.safetensors").symlink_to(outside / f"{FILE_ID}.log")
    (directory / f"logs/{FILE_ID}.log").symlink_to(outside)
    os.mkfifo(directory / f"segments/{FILE_ID}.safetensors.part")
    left = [f"logs/{FILE_ID[::-1]}.log", f"segments/{FILE_ID[::-1]}.safetensors.part", f"uses/{FILE_ID}"]
    for name in left:
        (directory / name).touch()
    store.sweep()
    assert [name for name in foreign if (directory / name).read_bytes() != CONTENT] == []
    assert [name for name in left if (directory / name).exists()] == []
    assert numbers_of(store.snapshot(NAME)) == [1, 2]


@only_root
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o700])
def test_a_directory_of_another_user_is_used_as_it_is_and_named_in_the_log(open_store, directory, warnings, mode):
    directory.mkdir()
    directory.chmod(mode)
    os.chown(directory, 1234, 1234)
    fill(open_store())
    assert (directory.stat().st_uid, mode_of(directory)) == (1234, mode)
    [line] = warnings
    assert f"{directory}: other users may change memories: it belongs to user 1234" in line
    assert f"mode {mode:04o}" in line


@only_root
@pytest.mark.parametrize("name", ["locks", "catalogue.sqlite3", "segments", "uses"])
def test_an_entry_that_another_user_has_put_there_is_refused(open_store, directory, name):
    fill(open_store())
    os.chown(directory / name, 1234, 1234)
    with pytest.raises(UnsuitableDirectory, match=f"{name}, which belongs to user 1234"):
        open_store()
    # A volume may show one owner for everything.
    os.chown(directory, 1234, 1234)
    assert numbers_of(open_store().snapshot(NAME)) == [1, 2]


OURS, OUR_GROUP, STRANGER = os.geteuid(), os.getegid(), 4_000_000


@pytest.mark.parametrize(
    ("user", "group", "mode", "expected"),
    [
        (OURS, OUR_GROUP, 0o700, False),
        (0, 0, 0o755, False),
        (0, OUR_GROUP, 0o2775, False),
        (0, STRANGER, 0o2775, True),
        (0, STRANGER, 0o2755, False),
        (0, OUR_GROUP, 0o777, True),
        (OURS, OUR_GROUP, 0o702, True),
        (STRANGER, OUR_GROUP, 0o700, True),
    ],
)
def test_who_else_may_write_to_a_directory(user, group, mode, expected):
    status = SimpleNamespace(st_uid=user, st_gid=group, st_mode=stat.S_IFDIR | mode)
    assert private._lets_others_write(status) is expected


def test_a_file_system_without_modes_is_used_and_named_in_the_log(open_store, directory, warnings, monkeypatch):
    directory.mkdir()
    directory.chmod(0o777)
    monkeypatch.setattr("pathlib.Path.chmod", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no modes here")))
    fill(open_store())
    assert "mode 0777" in warnings[0]


def test_upkeep_logs_no_name_of_a_memory(open_store, directory, monkeypatch):
    lines = []
    monkeypatch.setattr(background.logger, "warning", lambda text, *arguments: lines.append(text % arguments))
    store = open_store(idle_seconds=0)
    store.put(MemoryName("team-hidden", "hidden-name"), tensors([1]), OPTIONS)
    store.append(MemoryName("team-hidden", "hidden-name"), tensors([2]))
    next((directory / "segments").iterdir()).unlink()
    assert store.compact() == 0
    [line] = lines
    assert "could not be merged: no file" in line
    assert "hidden" not in line
