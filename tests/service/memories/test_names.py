"""Names and owners: which are names, and that no text of either gets into file names, statements or other memories."""

import sqlite3
import unicodedata
from contextlib import closing

import pytest

from service.memories import NAME, MemoryName
from service.memories.errors import MemoryNotFound
from service.memories.parts import FILE_NAME
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors


@pytest.fixture
def kind():
    """Directories are those of embedded stores."""
    return "embedded"


ACCEPTED = [
    "a",
    "0",
    "dragon",
    "Team-A_2.v1",
    "a" * 128,
    "a..b",
    "a.",
    "a-",
    "CON",
    "nul",
    "locks",
    "catalogue.sqlite3",
]

REFUSED = [
    "", ".", "..", "../a", "a/../b", "/a", "a/b", "a\\b", "..\\a", "-a", "_a", ".a", "a b", " a", "a ", "a\n", "\na",
    "a\0", "\0", "a\tb", "%2e%2e", "a%2fb", "a%00", "é", "e\u0301", "a\u0301", "\uff41", "a\u202eb", "a\u200b",
    "\u0661", "龙", "🐉", "a:b", "a;b", "a'b", 'a"b', "a*", "a?", "[a]", "~a", "$a", "a=b", "a" * 129, "a" * 100_000,
]  # fmt: skip

HOSTILE = [
    "..", "../../../tmp/planted", "/etc/passwd", "a/b", "a\\b", "a\0b", "\0", "%2e%2e%2f", "'; DROP TABLE memories; --",
    "\" OR 1=1 --", "a' OR owner <> '", "?", ":name", "%", "_", "*", "[a-z]", "a\nb", "e\u0301", "\u00e9", "🐉",
    "\u202e", "x" * 129, "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_names(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", REFUSED)
def test_texts_that_are_no_names(name):
    assert not NAME.fullmatch(name)


def test_texts_of_every_kind_stay_apart_and_within_the_directory(tmp_path, open_store, directory):
    """Names are checked before they reach a store; it does not rely on that."""
    store = open_store()
    names = [MemoryName(owner, name) for owner in ("", "team", *HOSTILE[:12]) for name in ("a", *HOSTILE)]
    # The same text once it is joined; the same letters in other cases and forms.
    names += [MemoryName("te", "ama"), MemoryName("a\0b", "c"), MemoryName("a", "b\0c"), MemoryName("", "A")]
    names += [MemoryName("team", unicodedata.normalize("NFKD", "ﬁ")), MemoryName("team", "ﬁ")]
    assert len(set(names)) == len(names)
    for number, name in enumerate(names):
        store.put(name, tensors([number], labels=False), OPTIONS)
    for number, name in enumerate(names):
        assert numbers_of(store.snapshot(name)) == [number]
    for owner in {name.owner for name in names}:
        assert [one.name for one in store.list(owner, 100)] == sorted(
            (name.name for name in names if name.owner == owner), key=str.encode
        )
    store.delete(names[5])
    assert store.usage().memories == len(names) - 1
    with pytest.raises(MemoryNotFound):
        store.describe(names[5])
    assert [path.name for path in tmp_path.iterdir()] == [directory.name]
    files = [path for kind in ("segments", "logs") for path in (directory / kind).iterdir()]
    assert len(files) == len(names) - 1
    assert all(FILE_NAME.fullmatch(path.name) for path in files)


@pytest.mark.parametrize("name", [MemoryName("\ud800", "a"), MemoryName("a", "\udfff")])
def test_a_text_that_is_not_unicode_is_refused_before_anything_is_written(store, directory, name):
    for call in (store.describe, store.snapshot, lambda one: store.put(one, tensors([1]), OPTIONS), store.delete):
        with pytest.raises(UnicodeEncodeError):
            call(name)
    assert list((directory / "segments").iterdir()) == []
    store.put(MemoryName("a", "a"), tensors([1]), OPTIONS)


@pytest.mark.parametrize("after", HOSTILE)
def test_a_list_may_go_on_behind_any_text(store, after):
    for name in ("a", "b", "zz"):
        store.put(MemoryName("team", name), tensors([1]), OPTIONS)
    expected = [name for name in ("a", "b", "zz") if name.encode() > after.encode()]
    assert [one.name for one in store.list("team", 10, after)] == expected
    assert store.list(after, 10) == []


def test_owner_and_name_are_values_of_statements(open_store, directory):
    store = open_store()
    for text in HOSTILE:
        store.put(MemoryName(text, text), tensors([1]), OPTIONS)
    store.close()
    with closing(sqlite3.connect(directory / "catalogue.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = connection.execute("SELECT owner, name FROM memories").fetchall()
    assert sorted(found) == sorted((text, text) for text in HOSTILE)
