"""The part of a test that runs with `make test`; `make soak` runs all of it.

Samples depend on positions in ordered lists alone: neither on names nor on how an object is printed.
"""

import itertools
import os
import random
from collections.abc import Iterable
from math import ceil
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

ALL_DRAWS = "ATTENTION_TESTS_ALL_DRAWS"
"""The environment variable with which `make soak` asks for every draw of the tests marked `draws`."""

FRACTION = 4
"""`make test` runs one draw of this many."""


def draws(number: int) -> int:
    """Return how many examples a property is tried with: `number` in the soak, else a quarter of them."""
    return number if os.environ.get(ALL_DRAWS) else ceil(number / FRACTION)


def sample(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Return parameters of a test, all of them marked `soak` but those that are kept.

    A kept value that is not among `values` raises ValueError.
    """
    listed = list(values)
    missing = [value for value in kept if value not in listed]
    if missing:
        raise ValueError(f"expected some of {listed}, received {missing}")
    return [value if value in kept else _in_soak(value) for value in listed]


def every(step: int, values: Iterable[Any], first: int = 0) -> list[Any]:
    """Return parameters of a test, all of them marked `soak` but each `step`-th from position `first` on."""
    return [value if index % step == first else _in_soak(value) for index, value in enumerate(values)]


def _in_soak(value: Any) -> ParameterSet:
    """Return a parameter marked `soak`; one that is a `pytest.param` already keeps its id and marks."""
    if isinstance(value, ParameterSet):
        return pytest.param(*value.values, id=value.id, marks=[*value.marks, pytest.mark.soak])
    return pytest.param(value, marks=pytest.mark.soak)


def seed_at(position: int) -> int:
    """Return 32 random bits for a position in an ordered list, the same in every run and on every machine."""
    return random.Random(position).getrandbits(32)


def product_sample(step: int, *axes: Iterable[Any], soak_step: int = 1) -> list[Any]:
    """Return points of the product of ordered axes as parameters of a test, all marked `soak` but one in `step`.

    Kept are the points whose positions add up to a multiple of `step`.  Each pair of values of two axes is among them
    where the other axes have `step` sums, as one of `step` values does.  Of the others the soak has one in `soak_step`,
    which divides `step`.
    """
    if step % soak_step:
        raise ValueError(f"expected a multiple of {soak_step}, received {step}")
    sums = ((point, sum(position for position, _ in point)) for point in itertools.product(*map(_numbered, axes)))
    return [
        pytest.param(*(value for _, value in point), marks=() if total % step == 0 else pytest.mark.soak)
        for point, total in sums
        if total % soak_step == 0
    ]


def _numbered(axis: Iterable[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(axis))
