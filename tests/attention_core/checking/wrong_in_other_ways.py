"""Candidates that no usual mistake made: noise of many kinds and sizes, on small requests."""

import numpy as np

from tests.service.checking.kernels import Kernel
from tests.service.checking.small_requests import LAYOUTS, OPTIONS, small_request

TOLERANCES = ({}, {"rtol": 0, "atol": 5e-5}, {"rtol": 1e-2, "atol": 1e-2})
"""Tolerances of the checks: the default, that of four decimals, and a loose one."""

SMALLEST, LARGEST = -6, 0.5
"""Powers of ten between which the size of noise is drawn."""


def _size(rng):
    return 10 ** rng.uniform(SMALLEST, LARGEST)


def added(rng, name, right):
    return right + _size(rng) * rng.standard_normal(right.shape)


def multiplied(rng, name, right):
    return right * (1 + _size(rng) * rng.standard_normal(right.shape))


def unrelated(rng, name, right):
    if name == "weights":
        return rng.dirichlet(np.ones(right.shape[-1]), right.shape[:-1])
    return rng.standard_normal(right.shape)


def permuted(rng, name, right):
    return rng.permuted(right, axis=-1)


def one_wrong(rng, name, right):
    wrong = right.copy()
    wrong.flat[rng.integers(wrong.size)] += rng.choice([-1, 1]) * 10 ** rng.uniform(-4, 0)
    return wrong


def right_rounded(rng, name, right):
    return np.round(right, rng.integers(1, 3))


def to(places, kind):
    """The same, rounded."""
    return lambda rng, name, right: np.round(kind(rng, name, right), places)


KINDS = {
    "added": added,
    "multiplied": multiplied,
    "unrelated": unrelated,
    "permuted": permuted,
    "one wrong number": one_wrong,
    "right, of 1 or 2 decimals": right_rounded,
    "added, of 4 decimals": to(4, added),
    "added, of 3 decimals": to(3, added),
    "multiplied, of 2 decimals": to(2, multiplied),
    "unrelated, of 4 decimals": to(4, unrelated),
}
"""Kinds of noise by name, each a function of the right numbers."""


FIELDS = (("output",), ("weights",), ("output", "weights"))


def draw(rng, kind, layout=None, names=None):
    """A request, a candidate that is wrong in this way, and the tolerances to judge it by."""
    layouts, options = ([layout] if layout else list(LAYOUTS)), list(OPTIONS)
    if kind == "permuted":
        # To put the new keys before those of the cache is a usual mistake.
        options.remove("cache")
    request = small_request(rng, layouts[rng.integers(len(layouts))], options[rng.integers(len(options))])
    right = Kernel(request).run()
    names = names or FIELDS[rng.integers(len(FIELDS))]
    candidate = {name: KINDS[kind](rng, name, np.asarray(right[name])) for name in names}
    return request, candidate, TOLERANCES[rng.integers(len(TOLERANCES))]
