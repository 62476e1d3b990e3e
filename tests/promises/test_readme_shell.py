"""The command line, and scripts with curl, as the pages show them: run in a shell, in a directory of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import COMMANDS, INTERRUPTED, MEMORY_ACTIONS
from service.streams import DEFECT, DIFFERS, DONE, REFUSED, UNAVAILABLE
from tests.promises.curl import ADDRESS
from tests.promises.readme import LANGUAGES, MANUAL, SUFFIXES, codes, pages_with, snippets_of, table, with_results
from tests.sampling import sample
from tests.server import Server

COMMAND = Path(sys.executable).parent / "attention-service"
ONE_REQUEST = ("attend", "check", "gradients")


def shell(script: str, directory: Path, **environment: str) -> str:
    """Run a script where `.venv/bin/attention-service` is the command under test; return what it prints, errors too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATTENTION_")} | environment
    ended = subprocess.run(
        ["bash"],
        input=script.encode(),
        cwd=directory,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return "\n".join(line.rstrip() for line in ended.stdout.decode().splitlines())


@pytest.mark.parametrize("page", sample(pages_with("bash shell"), "docs/how-to/command-line.md"))
def test_commands_print_what_is_shown(server: Server, tmp_path: Path, page: str) -> None:
    """One after the other, in one directory, as a person would, beside a service."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "attention-service").symlink_to(COMMAND)
    for script, text in with_results(page, "bash shell"):
        assert shell(script, tmp_path, ATTENTION_URL=server.url) == text


@pytest.mark.curl
@pytest.mark.parametrize("page", pages_with("bash curl"))
def test_scripts_that_ask_with_curl_print_what_is_shown(server: Server, tmp_path: Path, page: str) -> None:
    """One after the other, in one directory; they ask the server of the tests."""
    for script, text in with_results(page, "bash curl"):
        assert shell(script.replace(ADDRESS, server.url), tmp_path) == (text or "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_of_one_request_is_shown(language: str) -> None:
    scripts = snippets_of(f"docs/how-to/command-line{SUFFIXES[language]}", "bash shell")
    assert [name for name in ONE_REQUEST if any(f"attention-service {name} " in script for script in scripts)] == [
        *ONE_REQUEST
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_is_named(language: str) -> None:
    [section] = [section for section in MANUAL[language] if table(language, "Option") in map(rows_of, section.tables)]
    assert set(COMMANDS) <= set(codes(section.prose))


def rows_of(shown: list[list[str]]) -> list[list[str]]:
    return shown[2:]


@pytest.mark.parametrize("command", ONE_REQUEST)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_options_are_those_that_help_names(language: str, command: str, tmp_path: Path) -> None:
    help_text = shell(f"{COMMAND} {command} --help", tmp_path)
    named = set(re.findall(r"^  (--\w+)", help_text, re.MULTILINE))
    shown = {codes(option)[0].split()[0] for option, of, _ in table(language, "Option") if command in codes(of)}
    assert shown == named


@pytest.mark.parametrize("action", MEMORY_ACTIONS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_options_of_memories_are_those_that_help_names(language: str, action: str, tmp_path: Path) -> None:
    help_text = shell(f"{COMMAND} memory {action} --help", tmp_path)
    named = set(re.findall(r"^  (--[\w-]+)", help_text, re.MULTILINE))
    rows = table(language, "Option")
    shown = {codes(option)[0].split()[0] for option, of, _ in rows if {"memory", f"memory {action}"} & {*codes(of)}}
    assert shown == named
    [section] = [section for section in MANUAL[language] if rows in map(rows_of, section.tables)]
    assert any(code.startswith(f"memory {action}") for code in codes(section.prose))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_exit_codes_are_those_of_the_program(language: str) -> None:
    shown = [int(codes(row[0])[0]) for row in table(language, "Exit code")]
    assert shown == [DONE, DIFFERS, REFUSED, UNAVAILABLE, DEFECT, INTERRUPTED]
