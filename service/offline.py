"""One request without a server: the same schema, limits, answers and errors as over HTTP."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal

import orjson

from attention_core import Workers, select_kernel
from service.codecs.negotiate import JSON
from service.codecs.registry import BY_SUFFIX
from service.compute import Body, Run, prepare_attention, prepare_check, prepare_gradients, prepare_view
from service.errors import InvalidRequest, NotFound, ServiceError, TooLarge
from service.problems import PROBLEMS, problem_document
from service.settings import OfflineSettings, Settings
from service.terminal import Screen, gradients_text, problem_text, result_text, verdict_text

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = 0, 1, 2

DONE, DIFFERS, REFUSED, DEFECT = 0, 1, 2, 70
"""Exit codes: success; the candidate differs; a wrong request or command line; a defect of this program."""


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of a command line."""

    file: str
    form: Literal["table", "json", "svg"]
    output: str | None
    colour: Literal["auto", "always", "never"]


Work = Callable[[bytes, Settings, Order, Run], tuple[bytes, int]]
"""Computes the text to print and the exit code."""


def run(order: Order, work: Work) -> int:
    """Read the request, print the answer or the error, and return the exit code."""
    settings = OfflineSettings()
    try:
        content = _read(order.file, settings.json_limit)
        select_kernel(settings.kernel)
        with Workers(settings.compute_threads) as workers:
            written, code = work(content, settings, order, Run(workers))
        _write(written, order.output)
    except ServiceError as error:
        violations = error.violations if isinstance(error, InvalidRequest) else None
        _complain(problem_document(error.slug, str(error), violations=violations), error.slug, order)
        return REFUSED
    except Exception:
        if settings.log_level == "debug":
            raise
        detail = "expected no defect; received one. Set ATTENTION_LOG_LEVEL=debug to see where, and report it."
        _complain(problem_document("internal", detail), "internal", order)
        return DEFECT
    return code


def attend(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compute attention; return the answer as over HTTP, or the weights as a picture or a table."""
    if order.form == "table":
        view = prepare_view(Body(content), settings, beside=frozenset(("output",)))
        return result_text(view.show(how), _screen(order), view.not_shown).encode(), DONE
    wanted = BY_SUFFIX[f".{order.form}"]
    reply = prepare_attention(Body(content, wanted=wanted), settings).complete(how)
    return (reply.content + b"\n" if wanted == JSON else reply.content), DONE


def check(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compare a candidate with the reference; return the verdict and the exit code."""
    reply = prepare_check(Body(content), settings).complete(how)
    verdict = orjson.loads(reply.content)
    code = DONE if verdict["passed"] else DIFFERS
    return (reply.content + b"\n" if order.form == "json" else verdict_text(verdict, _screen(order)).encode()), code


def gradients(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compute gradients; return the answer as over HTTP, or a line for each gradient."""
    reply = prepare_gradients(Body(content), settings).complete(how)
    if order.form == "json":
        return reply.content + b"\n", DONE
    return gradients_text(orjson.loads(reply.content), _screen(order)).encode(), DONE


def _read(file: str, limit: int) -> bytes:
    """Return the content of a file, or with ``-`` of the standard input; raise NotFound or TooLarge."""
    try:
        with open(STANDARD_INPUT if file == "-" else Path(file), "rb", closefd=file != "-") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise NotFound(
            f"expected a file that can be read; received {file}: {error.strerror}. Check its name, or name it - and "
            "send the request to the standard input."
        ) from None
    if len(content) > limit:
        raise TooLarge(
            f"expected a body of at most {limit} bytes; received {file}, which is larger. Send less at once."
        )
    return content


def _write(content: bytes, output: str | None) -> None:
    """Write to a file, or to the standard output, whose reader may close it at any time. Raise NotFound."""
    try:
        with open(STANDARD_OUTPUT if output is None else output, "wb", closefd=output is not None) as stream:
            stream.write(content)
    except BrokenPipeError:
        pass
    except OSError as error:
        raise NotFound(
            f"expected a place to write to; received {output or 'the standard output'}: {error.strerror}. "
            "Choose another with --output."
        ) from None


def _complain(problem: dict[str, Any], slug: str, order: Order) -> None:
    """Print an error: for people, or with ``--json`` as the problem document."""
    title = PROBLEMS[slug].title
    text = orjson.dumps(problem) if order.form == "json" else problem_text(problem, f"{title.zh} · {title.en}").encode()
    with suppress(OSError), open(STANDARD_ERROR, "wb", closefd=False) as stream:
        stream.write(text + b"\n")


def _screen(order: Order) -> Screen:
    """Return the capabilities of the standard output; a file or a pipe has no width, so that lines stay whole."""
    in_terminal = order.output is None and os.isatty(STANDARD_OUTPUT)
    able = in_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    colour = able if order.colour == "auto" else order.colour == "always"
    return Screen(colour, get_terminal_size().columns if in_terminal else None)
