"""The pictures of the pages are there, fit the page, and show what the service draws today."""

import struct
from pathlib import Path

import pytest

from tests.promises import curl
from tests.promises.pictures import MAX_BYTES, SCREEN, drawings, shown
from tests.promises.readme import LANGUAGES, ROOT
from tests.server import Server

ANEW = "take the pictures anew: python -m tests.promises.pictures"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_picture_is_what_the_shown_command_draws(server: Server, language: str) -> None:
    drawn = list(drawings(language))
    assert drawn
    for path, words in drawn:
        response = curl.send(words, server.url)
        assert response.status_code == 200, response.text
        assert Path(curl.read(words).o).suffix == path.suffix
        assert response.content == path.read_bytes(), ANEW


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_picture_is_the_playground_as_wide_as_a_screen(language: str) -> None:
    content = shown(language)[0].read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (SCREEN["width"], SCREEN["height"])
    assert len(content) <= MAX_BYTES


def test_each_language_has_its_own_and_none_lies_there_unused() -> None:
    paths = {path for language in LANGUAGES for path in shown(language)}
    assert sorted(paths) == sorted(
        path for path in (ROOT / "docs").iterdir() if path.is_file() and path.suffix != ".md"
    )
    for language in LANGUAGES:
        assert all(f".{language}." in path.name for path in shown(language))
