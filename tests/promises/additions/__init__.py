"""Additions to the project, one a file: which files a person writes, and how the result proves that it works."""

from dataclasses import dataclass

from tests.promises.tree import Edit


@dataclass(frozen=True, slots=True)
class Addition:
    """Something new; its module calls it ADDITION, by which the runner finds it."""

    edits: tuple[Edit, ...]
    """Everything that is written by hand."""
    max_files: int
    """Files that the edits may touch."""
    generated: tuple[str, ...]
    """Files that the generators have to change."""
    proof: str
    """A Python program that fails unless the new thing works; it runs in the copy."""
    tests: tuple[str, ...]
    """Arguments of pytest: the tests that find a forgotten place; they run in the copy."""
