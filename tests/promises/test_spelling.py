"""The spelling check looks up the words of prose, and leaves names and code alone."""

import pytest

from development import spelling

PAGE = """# A title

A sentense of `code` with a [link](to/somewhere.md) and NumPy's `name`.

```python
misspeled = 1
```

See <https://exmaple.org>, `two
lines` and float64, x86-64, attention_core, 2nd: fine.
"""


def test_words_of_prose_are_looked_up_with_their_lines() -> None:
    found = list(spelling.words_of(PAGE))
    assert (3, "sentense") in found
    assert {word for _, word in found} == {"title", "sentense", "with", "link", "and", "fine"}
    assert (10, "fine") in found


def test_every_word_of_the_pages_is_in_the_list() -> None:
    assert list(spelling.unknown_words()) == []


def test_the_list_is_sorted_and_has_each_word_once() -> None:
    listed = spelling.WORDS.read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed))


def test_an_unknown_word_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spelling, "unknown_words", lambda: iter([("docs/index.md", 7, "sentense")]))
    assert spelling.main([]) == 1
    assert 'docs/index.md:7: received "sentense"' in capsys.readouterr().out
