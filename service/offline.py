"""One request without a server: the same schema, limits, answers and errors as over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson

from attention_core import Workers, select_kernel
from service.codecs.negotiate import JSON
from service.codecs.registry import BY_SUFFIX
from service.compute import Body, Run, prepare_attention, prepare_check, prepare_gradients, prepare_view
from service.errors import InvalidRequest, ServiceError
from service.problems import problem_document
from service.settings import OfflineSettings, Settings
from service.streams import DEFECT, DIFFERS, DONE, REFUSED, Colour, Output, read_file
from service.terminal import gradients_text, result_text, verdict_text


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of a command line."""

    file: str
    form: Literal["table", "json", "svg"]
    output: str | None
    colour: Colour

    @property
    def destination(self) -> Output:
        """Where and how the result is written."""
        return Output(self.form, self.output, self.colour)


Work = Callable[[bytes, Settings, Order, Run], tuple[bytes, int]]
"""Computes the text to print and the exit code."""


def run(order: Order, work: Work) -> int:
    """Read the request, print the answer or the error, and return the exit code."""
    settings = OfflineSettings()
    try:
        content = read_file(order.file, settings.json_limit)
        select_kernel(settings.kernel)
        with Workers(settings.compute_threads) as workers:
            written, code = work(content, settings, order, Run(workers))
        order.destination.write(written)
    except ServiceError as error:
        violations = error.violations if isinstance(error, InvalidRequest) else None
        order.destination.complain(problem_document(error.slug, str(error), violations=violations))
        return REFUSED
    except Exception:
        if settings.log_level == "debug":
            raise
        detail = "expected no defect; received one. Set ATTENTION_LOG_LEVEL=debug to see where, and report it."
        order.destination.complain(problem_document("internal", detail))
        return DEFECT
    return code


def attend(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compute attention; return the answer as over HTTP, or the weights as a picture or a table."""
    if order.form == "table":
        view = prepare_view(Body(content), settings, beside=frozenset(("output",)))
        return result_text(view.show(how), order.destination.screen, view.not_shown).encode(), DONE
    wanted = BY_SUFFIX[f".{order.form}"]
    reply = prepare_attention(Body(content, wanted=wanted), settings).complete(how)
    return (reply.content + b"\n" if wanted == JSON else reply.content), DONE


def check(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compare a candidate with the reference; return the verdict and the exit code."""
    reply = prepare_check(Body(content), settings).complete(how)
    verdict = orjson.loads(reply.content)
    code = DONE if verdict["passed"] else DIFFERS
    return (
        reply.content + b"\n" if order.form == "json" else verdict_text(verdict, order.destination.screen).encode()
    ), code


def gradients(content: bytes, settings: Settings, order: Order, how: Run) -> tuple[bytes, int]:
    """Compute gradients; return the answer as over HTTP, or a line for each gradient."""
    reply = prepare_gradients(Body(content), settings).complete(how)
    if order.form == "json":
        return reply.content + b"\n", DONE
    return gradients_text(orjson.loads(reply.content), order.destination.screen).encode(), DONE
