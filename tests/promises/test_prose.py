"""The check of the wording finds each phrase and name of its list, at its line, and leaves other texts alone."""

import subprocess
import sys
import tomllib

import pytest

from development.prose import ROOT, RULES, check_text, tracked_files

TABLE = tomllib.loads(RULES.read_text())
EXAMPLES = [row["example"] for row in (*TABLE["phrase"], *TABLE["name"])]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_rule_finds_its_example(example: str) -> None:
    found = list(check_text("service/file.py", f'"""First line.\n\n{example}\n"""\n'))
    assert [finding.line for finding in found] == [3]
    assert found[0].received.lower() in example.lower()


def test_private_names_are_words_in_documentation() -> None:
    assert not list(check_text("README.md", "Visit the playground. Turns a query by its position."))


def test_a_question_may_ask_what_something_is() -> None:
    assert not list(check_text("README.md", "What is a score model? A function of a query and a key."))


def test_a_phrase_is_found_across_a_line_break() -> None:
    found = list(check_text("README.md", "It holds so\nmany bytes."))
    assert [(finding.line, finding.received) for finding in found] == [(1, "so many")]


def test_texts_of_every_kind_are_read() -> None:
    kinds = {path.rpartition(".")[2] for path in tracked_files()}
    assert {"py", "c", "js", "md", "yml", "toml", "html", "css"} <= kinds
    assert not [path for path in tracked_files() if "swagger-ui" in path]


def test_the_command_fails_with_findings_and_names_them(tmp_path) -> None:
    text = tmp_path / "text.md"
    text.write_text("Nobody is told.\n")
    command = [sys.executable, "-m", "development.prose", str(text)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout.startswith(f'{text}:1: received "Nobody"; use ')
