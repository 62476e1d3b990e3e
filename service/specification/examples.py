"""Requests to try, and what the service answers.

Those of an endpoint stand in ``requests/<name of the endpoint>.json``: by name, each with a title, a story and the body
of the request.
"""

from importlib.resources import files
from typing import Any

import orjson

from service.examples import load_examples
from service.schemas.base import Text

NamedExamples = dict[str, dict[str, Any]]
"""Requests by name, in the form of `examples` of OpenAPI."""

_FOLDER = files(__package__)

ANSWERS: dict[str, dict[str, Any]] = orjson.loads(_FOLDER.joinpath("answers.json").read_bytes())
"""Answers to the first example of each endpoint, to six decimals."""


def described(title: Text, story: Text, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request with its title and story."""
    return {
        "summary": f"{title.zh} · {title.en}",
        "description": f"{story.zh}\n\n{story.en}",
        "value": request,
    }


def requests_to(endpoint: str) -> NamedExamples:
    """Return the requests to an endpoint, by its name."""
    written = orjson.loads(_FOLDER.joinpath("requests", f"{endpoint}.json").read_bytes())
    return {
        name: described(Text(**one["title"]), Text(**one["story"]), one["request"]) for name, one in written.items()
    }


def worked_examples() -> NamedExamples:
    """Return the worked examples, which are requests of /v1/attention."""
    return {name: described(Text(**one.title), Text(**one.story), one.request) for name, one in load_examples().items()}
