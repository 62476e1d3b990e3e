"""Files and standard streams of the command line: requests in, results and errors out."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal

import orjson

from service.errors import NotFound, TooLarge
from service.problems import PROBLEMS
from service.terminal import Screen, problem_text

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = 0, 1, 2

DONE, DIFFERS, REFUSED, UNAVAILABLE, DEFECT = 0, 1, 2, 69, 70
"""Exit codes: success; the candidate differs; a wrong request or command line; no service, or one that fails (as
EX_UNAVAILABLE of sysexits.h); a defect of this program.
"""

Colour = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how results are written.

    :param form: "table" for people, or the representation.
    :param path: of a file; None for the standard output.
    :param colour: when tables are coloured.
    """

    form: Literal["table", "json", "svg"]
    path: str | None
    colour: Colour

    @property
    def screen(self) -> Screen:
        """The capabilities of the standard output; a file or a pipe has no width, so that lines stay whole."""
        in_terminal = self.path is None and os.isatty(STANDARD_OUTPUT)
        able = in_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        colour = able if self.colour == "auto" else self.colour == "always"
        return Screen(colour, get_terminal_size().columns if in_terminal else None)

    def write(self, content: bytes) -> None:
        """Write to the file, or to the standard output, whose reader may close it at any time; raise NotFound."""
        write_output(content, self.path)

    def complain(self, problem: dict[str, Any]) -> None:
        """Print an error to the standard error: for people, or with ``--json`` as the problem document.

        :param problem: the document; one of a proxy may have no kind that is known here.
        """
        slug = str(problem.get("type")).rpartition("/problems/")[2]
        title = f"{PROBLEMS[slug].title.zh} · {PROBLEMS[slug].title.en}" if slug in PROBLEMS else problem["title"]
        text = orjson.dumps(problem) if self.form == "json" else problem_text(problem, title).encode()
        with suppress(OSError), open(STANDARD_ERROR, "wb", closefd=False) as stream:
            stream.write(text + b"\n")


def read_file(file: str, limit: int | None = None) -> bytes:
    """Return the content of a file, or with ``-`` of the standard input.

    :param file: its path.
    :param limit: maximum bytes; None for any number.

    Raises NotFound or TooLarge.
    """
    try:
        with open(STANDARD_INPUT if file == "-" else Path(file), "rb", closefd=file != "-") as stream:
            content = stream.read(-1 if limit is None else limit + 1)
    except OSError as error:
        raise NotFound(
            f"expected a file that can be read; received {file}: {error.strerror}. Check its name, or name it - and "
            "send the request to the standard input."
        ) from None
    if limit is not None and len(content) > limit:
        raise TooLarge(
            f"expected a body of at most {limit} bytes; received {file}, which is larger. Send less at once."
        )
    return content


def write_output(content: bytes, path: str | None) -> None:
    """Write to a file, or to the standard output, whose reader may close it at any time; raise NotFound."""
    try:
        with open(STANDARD_OUTPUT if path is None else path, "wb", closefd=path is not None) as stream:
            stream.write(content)
    except BrokenPipeError:
        pass
    except OSError as error:
        raise unwritable(error, path) from None


def unwritable(error: OSError, path: str | None) -> NotFound:
    """Return the error about a place that cannot be written to."""
    return NotFound(
        f"expected a place to write to; received {path or 'the standard output'}: {error.strerror}. "
        "Choose another with --output."
    )
