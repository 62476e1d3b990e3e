"""Files that were shortened, changed or removed: the memory is damaged, says so by name, and others work."""

import os
import random

import pytest

from service.memories import MemoryName, Precondition, append_log, segment
from service.memories.errors import MemoryDamaged, StoreDamaged
from tests.sampling import draws
from tests.service.memories.marks import EMBEDDED_ONLY
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

pytestmark = EMBEDDED_ONLY

NAME, OTHER = MemoryName("", "dragon"), MemoryName("", "other")


def flip(path, place):
    """Change one bit of a file."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def shorten(path, place):
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size - 1)


def remove(path, place):
    path.unlink()


def check_damaged(open_store, *named):
    """Every way to the memory says that it is damaged; others work, and it can be replaced."""
    store = open_store()
    with pytest.raises(MemoryDamaged, match=f"'{NAME.name}'") as raised:
        store.snapshot(NAME)
    assert raised.value.name == NAME
    assert all(word in str(raised.value) for word in named), str(raised.value)
    assert numbers_of(store.snapshot(OTHER)) == [8, 9]
    assert [one.name for one in store.list("", 10)] == ["dragon", "other"]
    assert store.compact() == 0
    store.put(NAME, tensors([4]), OPTIONS)
    assert numbers_of(store.snapshot(NAME)) == [4]


@pytest.fixture(params=[0, 64 * 1024 * 1024], ids=["mapped", "read"])
def _max_read_bytes(request, monkeypatch):
    monkeypatch.setattr(segment, "MAX_READ_BYTES", request.param)


@pytest.mark.parametrize(
    ("damage", "place", "word"),
    [
        (flip, 0, "checksum"),
        (flip, 40, "checksum"),
        (flip, 4096, "checksum"),
        (flip, -1, "checksum"),
        (shorten, 0, "bytes instead of"),
        (remove, 0, "no file"),
    ],
)
@pytest.mark.usefixtures("_max_read_bytes")
def test_a_damaged_segment(open_store, directory, damage, place, word):
    store = open_store()
    store.put(NAME, tensors([1, 2, 3]), OPTIONS)
    [path] = (directory / "segments").iterdir()
    store.put(OTHER, tensors([8, 9]), OPTIONS)
    damage(path, place)
    check_damaged(open_store, path.name, word)


@pytest.mark.parametrize("record", ["first", "last"])
@pytest.mark.parametrize(
    ("damage", "place", "word"),
    [
        (flip, 0, "checksum"),
        (flip, 5, "checksum"),
        (flip, 20, "checksum"),
        (flip, 40, "checksum"),
        (flip, 64, "checksum"),
        (flip, 300, "checksum"),
        (shorten, 0, "bytes instead of"),
        (remove, 0, "no file"),
    ],
)
def test_a_damaged_log(open_store, directory, damage, place, word, record):
    store = open_store()
    store.put(NAME, tensors([1]), OPTIONS)
    store.append(NAME, tensors([2]))
    [path] = (directory / "logs").iterdir()
    length = path.read_bytes().rstrip(b"\0").__len__()
    length += -length % append_log.ALIGNMENT
    store.append(NAME, tensors([3]))
    store.append(NAME, tensors([4]))
    store.put(OTHER, tensors([8, 9]), OPTIONS)
    damage(path, place + (2 * length if record == "last" else 0))
    check_damaged(open_store, path.name, word)


def test_a_damaged_log_that_is_closed(open_store, directory):
    store = open_store()
    store.put(NAME, tensors([1]), OPTIONS)
    store.append(NAME, tensors([2]))
    [path] = (directory / "logs").iterdir()
    store.append(NAME, tensors(range(3, 40_000)))
    store.put(OTHER, tensors([8, 9]), OPTIONS)
    flip(path, 100)
    check_damaged(open_store, path.name, "checksum")


@pytest.mark.draws
@pytest.mark.parametrize("directory_name", ["segments", "logs"])
def test_no_changed_bit_changes_a_number(open_store, directory, directory_name):
    """Wherever a bit is changed, the memory is damaged, or all numbers are right where the bit is padding."""
    chance = random.Random(1)
    store = open_store()
    store.put(NAME, tensors(range(20)), OPTIONS)
    store.append(NAME, tensors(range(20, 40)))
    described = store.append(NAME, tensors([40]))
    [path] = (directory / directory_name).iterdir()
    content, damaged = path.read_bytes(), 0
    path.chmod(0o600)
    for _ in range(draws(160)):
        changed = bytearray(content)
        changed[chance.randrange(len(content.rstrip(b"\0")))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        fresh = open_store()
        try:
            snapshot = fresh.snapshot(NAME)
        except MemoryDamaged:
            damaged += 1
        else:
            assert snapshot.description == described
            assert numbers_of(snapshot) == list(range(41))
        fresh.close()
    assert damaged > draws(160) // 2


def test_a_damaged_catalogue_says_so(open_store, directory):
    open_store().close()
    (directory / "catalogue.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreDamaged, match="file is not a database"):
        open_store()


def test_a_damaged_memory_is_seen_in_appends_and_conditions(open_store, directory):
    store = open_store()
    store.put(NAME, tensors([1]), OPTIONS)
    store.append(NAME, tensors([2]))
    [path] = (directory / "logs").iterdir()
    flip(path, 70)
    fresh = open_store()
    with pytest.raises(MemoryDamaged):
        fresh.describe(NAME)
    with pytest.raises(MemoryDamaged):
        fresh.append(NAME, tensors([3]))
    with pytest.raises(MemoryDamaged):
        fresh.put(NAME, tensors([3]), OPTIONS, Precondition(versions=("other",)))
    fresh.delete(NAME)
    assert store.list("", 10) == []


def test_a_record_of_zeros_in_front_of_others_is_damage(open_store, directory):
    """Each append is synced before the next, so that no power loss leaves this; nothing is written over the others."""
    store = open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    store.put(OTHER, tensors([8, 9]), OPTIONS)
    for number in range(1, 5):
        store.append(NAME, tensors([number]))
    store.close()
    [log] = (directory / "logs").iterdir()
    content = bytearray(log.read_bytes())
    content[: append_log.ALIGNMENT] = bytes(append_log.ALIGNMENT)
    log.write_bytes(content)
    other = open_store()
    for act in (lambda: other.append(NAME, tensors([5])), lambda: other.snapshot(NAME)):
        with pytest.raises(MemoryDamaged, match="zeros at byte 0 in front of a record"):
            act()
    assert log.read_bytes() == content
    check_damaged(open_store, "zeros at byte 0")


def test_nothing_is_added_to_a_memory_that_cannot_be_read(open_store, directory):
    store = open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    [path] = (directory / "segments").iterdir()
    before = store.describe(NAME)
    store.close()
    flip(path, -1)
    other = open_store()
    with pytest.raises(MemoryDamaged, match="checksum"):
        other.append(NAME, tensors([1]))
    assert other.describe(NAME) == before
