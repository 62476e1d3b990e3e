"""Every kind of problem, described once, in ``kinds.json``.

The pages under /problems, the responses of the OpenAPI document and the problem documents are made from it as the
service runs; `make generate` writes the table in docs/reference/errors.md and the sentences of the playground.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import orjson

from service.codecs.negotiate import ENCODINGS, JSON
from service.codecs.open_inference.encodings import ENCODINGS as INFERENCE_ENCODINGS
from service.codecs.registry import CODECS, DRAWINGS, READERS, WRITERS
from service.schemas.base import Text

MEDIA_TYPE = "application/problem+json"

INFERENCE_MEDIA_TYPE = JSON
"""Media type of errors in the Open Inference Protocol, whose documents have the text as `error` as well."""

REFUSING = frozenset((401, 403, 408, 413, 429, 503, 504))
"""Statuses of valid requests that are refused for their cost, their time, their sender or the load of the service."""


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A header field of every answer with a problem: its value, unless an answer has one of its own, and what it is."""

    value: str
    about: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of problem, which exceptions name by its slug."""

    slug: str
    status: HTTPStatus
    title: Text
    when: Text
    """When it is answered, for the table of problems, in Markdown."""
    advice: Text
    """What to change, for its page."""
    in_playground: Text
    """For people who use the playground and send no request themselves."""
    of_computing: bool
    """Whether every computing endpoint may answer it."""
    headers: Mapping[str, HeaderField]
    """Header fields of every answer with it, by name."""

    @property
    def is_refusal(self) -> bool:
        """Whether metrics count it as the rejection of a valid request."""
        return self.status in REFUSING


def _listed(names: Iterable[str], comma: str, last: str) -> str:
    *first, end = names
    return f"{comma.join(first)}{last}{end}" if first else end


ZH_OR, ZH_AND = ("、", " 或 "), ("、", " 和 ")
EN_OR, EN_NOR = (", ", " or "), (", ", " nor ")

WORDS: Mapping[str, Text] = {
    "read": Text(
        _listed((CODECS[name].title.zh for name in READERS), *ZH_OR),
        _listed((CODECS[name].title.en for name in READERS), *EN_NOR),
    ),
    "media_types": Text(_listed(READERS, *ZH_OR), _listed(READERS, *EN_OR)),
    "written": Text(_listed(WRITERS, *ZH_OR), _listed(WRITERS, *EN_OR)),
    "drawn": Text(_listed(DRAWINGS, *ZH_AND), _listed(DRAWINGS, *EN_OR)),
    "codings": Text(_listed(ENCODINGS, *ZH_OR), _listed(ENCODINGS, *EN_OR)),
    "inference_codings": Text(_listed(INFERENCE_ENCODINGS, *ZH_AND), _listed(INFERENCE_ENCODINGS, *EN_OR)),
}
"""What the texts name in braces: representations and content codings, which their codecs declare."""


def _text(written: Mapping[str, str]) -> Text:
    zh, en = ({name: getattr(words, language) for name, words in WORDS.items()} for language in ("zh", "en"))
    return Text(written["zh"].format(**zh), written["en"].format(**en))


def _problem(slug: str, record: Mapping[str, Any]) -> Problem:
    headers = record.get("headers", {}).items()
    return Problem(
        slug=slug,
        status=HTTPStatus(record["status"]),
        of_computing=record.get("of_computing", False),
        headers={name: HeaderField(one["value"], _text(one["about"])) for name, one in headers},
        **{name: _text(record[name]) for name in ("title", "when", "advice", "in_playground")},
    )


PROBLEMS: Mapping[str, Problem] = {
    slug: _problem(slug, record)
    for slug, record in orjson.loads(files(__package__).joinpath("kinds.json").read_bytes()).items()
}
"""Every kind of problem by its slug."""

COMPUTING_PROBLEMS = tuple(slug for slug, problem in PROBLEMS.items() if problem.of_computing)
"""What a computing endpoint may answer instead of a result."""
