"""The worked examples as data: one file each, read by Swagger UI, /v1/examples, the README's tests and the tests."""

from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import orjson

IDS = (
    "honor-of-kings",
    "honor-of-kings-dragon",
    "seed-proportional",
    "seed-mixing",
    "seed-decision",
    "marksman-masked",
    "temperature",
    "additive",
    "why-sqrt-d",
    "valid-lengths",
    "causal",
    "overflow",
    "fully-masked",
    "alammar",
)
"""In the order in which a newcomer should meet them."""


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
    return {name: _load(name) for name in IDS}


def list_examples(examples: dict[str, Example]) -> dict[str, Any]:
    """Return the body of GET /v1/examples."""
    return {"examples": [{"id": example.id, "title": example.title} for example in examples.values()]}


def _load(name: str) -> Example:
    return Example(**orjson.loads(files(__package__).joinpath(f"{name}.json").read_bytes()))
