"""The worked examples as data: one file each, read by Swagger UI, /v1/examples and the tests."""

from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import orjson

from attention_core.hints import did_you_mean
from service.errors import NotFound

IDS = (
    *("honor-of-kings", "honor-of-kings-dragon", "seed-proportional", "seed-mixing", "seed-decision"),
    *("marksman-masked", "temperature", "additive", "why-sqrt-d", "valid-lengths", "causal", "overflow"),
    *("fully-masked", "alammar"),
)
"""In the order of a first reading."""


@dataclass(frozen=True, slots=True)
class Example:
    """A story, a request to post as it is, and the numbers that a person can check by hand."""

    id: str
    title: dict[str, str]
    story: dict[str, str]
    request: dict[str, Any]
    expected: dict[str, Any]
    tolerance: float
    names: dict[str, dict[str, list[str]]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the body of GET /v1/examples/{id}."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def load_examples() -> dict[str, Example]:
    """Read every worked example, by id."""
    folder = files(__package__)
    return {name: Example(**orjson.loads(folder.joinpath(f"{name}.json").read_bytes())) for name in IDS}


def find_example(examples: dict[str, Example], name: str) -> Example:
    """Return a worked example by its id.

    Raises NotFound, with the id that is meant where another spelling of one came.
    """
    if name not in examples:
        shown = name[:80]
        advice = did_you_mean(shown.lower().replace("_", "-"), examples) or "Choose one of these."
        raise NotFound(f"expected one of {', '.join(examples)}; received {shown!r}. {advice}")
    return examples[name]


def list_examples(examples: dict[str, Example]) -> dict[str, Any]:
    """Return the body of GET /v1/examples."""
    return {"examples": [{"id": example.id, "title": example.title} for example in examples.values()]}
