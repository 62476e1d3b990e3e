"""API keys as they are held: hashed, compared to the end, and read again from a file that has changed."""

import hashlib

import pytest

from service import keys
from service.keys import Keyring, hashed, read_keys
from service.settings import Settings

FIRST, SECOND, THIRD = "first-key-4711", "second-key-0815", "third-key-42"


def digest(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def accepts(ring, key):
    return ring.owner_of(key.encode()) is not None


def test_settings_hold_no_key_in_the_clear(monkeypatch):
    monkeypatch.setenv("ATTENTION_API_KEYS", f"{FIRST}, {digest(SECOND)}")
    settings = Settings()
    assert settings.api_keys == (digest(FIRST), digest(SECOND))
    assert FIRST not in repr(settings)


@pytest.mark.parametrize("text", [f"{FIRST},{SECOND}", f"{FIRST} {SECOND}", f'["{FIRST}", "{SECOND}"]'])
def test_several_keys_are_separated_by_commas_or_spaces_or_come_as_json(monkeypatch, text):
    monkeypatch.setenv("ATTENTION_API_KEYS", text)
    assert Settings().api_keys == (digest(FIRST), digest(SECOND))


@pytest.mark.parametrize("entry", ["", "two words", "clé", "a,b", "sha256:", "sha256:12", "sha256:" + "g" * 64])
def test_what_cannot_be_a_key_is_refused_without_repeating_it(entry):
    with pytest.raises(ValueError, match="expected") as refused:
        hashed(entry)
    assert not entry.removeprefix("sha256:") or entry.removeprefix("sha256:") not in str(refused.value)


def test_a_hash_may_be_written_in_capitals():
    assert hashed("sha256:" + digest(FIRST)[7:].upper()) == digest(FIRST)


def test_a_file_holds_a_key_a_line_and_comments(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n\n{FIRST}\n  {digest(SECOND)}  # until May\n{THIRD}#not-a-comment\n")
    assert read_keys(file) == (digest(FIRST), digest(SECOND), digest(f"{THIRD}#not-a-comment"))


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "at least one"), ("# none\n", "at least one"), ("good\nbad key\n", "line 2"), (b"\xff", "text")],
)  # fmt: skip
def test_a_file_without_valid_keys_is_refused(tmp_path, content, message):
    file = tmp_path / "keys"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as refused:
        read_keys(file)
    assert "bad key" not in str(refused.value)


def test_every_key_is_compared_to_the_end_whichever_is_right(monkeypatch):
    compared = []

    def compare(known, presented):
        compared.append(known)
        return known == presented

    monkeypatch.setattr(keys, "compare_digest", compare)
    ring = Keyring([digest(key) for key in (FIRST, SECOND, THIRD)], None)
    for presented, expected in ((FIRST, True), (SECOND, True), (THIRD, True), ("none", False)):
        compared.clear()
        assert accepts(ring, presented) is expected
        assert len(compared) == 3


@pytest.fixture
def impatient(monkeypatch):
    """Look at the file with every question."""
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0)


@pytest.mark.usefixtures("impatient")
def test_a_file_that_is_written_or_exchanged_is_read_again(tmp_path):
    file = tmp_path / "keys"
    file.write_text(FIRST)
    ring = Keyring([digest(THIRD)], file)
    assert [accepts(ring, key) for key in (FIRST, SECOND, THIRD)] == [True, False, True]
    file.write_text(f"{FIRST}\n{SECOND}\n")
    assert [accepts(ring, key) for key in (FIRST, SECOND, THIRD)] == [True, True, True]
    (tmp_path / "next").write_text(SECOND)
    (tmp_path / "next").replace(file)
    assert [accepts(ring, key) for key in (FIRST, SECOND, THIRD)] == [False, True, True]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("content", ["", "bad key", None])
def test_an_unreadable_file_changes_nothing_and_is_logged_once(tmp_path, monkeypatch, content):
    logged = []
    monkeypatch.setattr(keys.error_log, "error", lambda *arguments: logged.append(arguments))
    file = tmp_path / "keys"
    file.write_text(FIRST)
    ring = Keyring([], file)
    file.unlink()
    if content is not None:
        file.write_text(content)
    for _ in range(3):
        assert accepts(ring, FIRST)
    assert len(logged) == 1


def test_the_file_is_not_looked_at_with_every_request(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(FIRST)
    ring = Keyring([], file)
    monkeypatch.setattr(keys, "_state_of", pytest.fail)
    assert accepts(ring, FIRST)
