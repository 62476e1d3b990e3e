"""Check the spelling of every English page against a word list.

``python -m development.spelling`` prints one line for each word of a page that is not in `words.txt`, as
``path:line: received "…"``.  The exit code is 1 if there is any.  ``--learn`` adds these words to the list instead:
read them before you commit the list.

A word is lower case: names, which have capitals, digits or signs in them, and code are not looked up.
A final s makes no difference.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORDS = Path(__file__).with_name("words.txt")

FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
SILENT = re.compile(r"`[^`]*`|\]\([^)]*\)|<[^>]*>|https?://\S+|\$[^$\n]*\$", re.DOTALL)
"""Code, targets of links, markup and formulas."""

WORD = re.compile(r"(?<![\w'’./@-])[a-z]{3,}(?![\w/@.]\w|[\w/@])")


def words_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line, from 1, and the text of each word that is looked up."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    for number, line in enumerate(SILENT.sub(blank, FENCED.sub(blank, text)).splitlines(), 1):
        for word in WORD.findall(line):
            yield number, word


def pages() -> list[str]:
    """Return the paths of the English pages that git tracks."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if not path.endswith(".zh-CN.md") and (ROOT / path).is_file()]


def unknown_words() -> Iterator[tuple[str, int, str]]:
    """Yield path, line and text of each word that the list has not."""
    known = frozenset(WORDS.read_text(encoding="utf-8").split())
    for path in pages():
        for line, word in words_of((ROOT / path).read_text(encoding="utf-8")):
            if word not in known and word.removesuffix("s") not in known:
                yield path, line, word


def main(arguments: list[str]) -> int:
    """Print the unknown words, or add them to the list; return the exit code."""
    found = list(unknown_words())
    if arguments == ["--learn"]:
        known = {*WORDS.read_text(encoding="utf-8").split(), *(word for _, _, word in found)}
        WORDS.write_text("".join(f"{word}\n" for word in sorted(known)), encoding="utf-8")
        return 0
    for path, line, word in found:
        print(f'{path}:{line}: received "{word}"; correct it, or add it to {WORDS.relative_to(ROOT)}')
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
