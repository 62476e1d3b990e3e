"""Wrong candidates to be found out: which kernel shows in which request, dtype and fields."""

import functools
import itertools
import math
import random

import numpy as np

from tests.service.checking.kernel_requests import FORMULAS, by_length, requests
from tests.service.checking.kernels import FIELDS, WRONG, Kernel

TOLERANCES = {"float64": (1e-7, 1e-9), "float32": (1.3e-6, 1e-5), "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5)}
"""rtol and atol of each dtype, as the contract has them."""

REQUESTS = requests()
BY_LENGTH = by_length(REQUESTS)
WITH_FORMULAS = requests(FORMULAS)
EVERY_REQUEST = REQUESTS | BY_LENGTH | WITH_FORMULAS

WELL = 3
"""Tolerances by which a mistake differs from the right result, so that it shows."""


def wire(array):
    """Nested lists as they go over the wire: null, "NaN" and "Infinity" for what JSON has no number for."""
    if isinstance(array, list | np.ndarray):
        return [wire(item) for item in array]
    number = float(array)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else None


def candidate_of(fields, names=FIELDS):
    """Some of a kernel's fields as a candidate."""
    return {name: wire(fields[name]) for name in names}


def plants(kernel):
    """Yield request and fields of one wrong candidate for each choice of fields and each dtype.

    Requests are taken in an order of the kernel's own, so that all of them have their turn with one kernel or another.
    """
    choices = list(itertools.product([*((name,) for name in kernel.alone), kernel.together], TOLERANCES))
    named = BY_LENGTH if kernel.takes_by_length else WITH_FORMULAS if kernel.takes_formulas else REQUESTS
    names = random.Random(kernel.__name__).sample(list(named), len(named))
    showing = list(
        itertools.islice((name for name in names if _planted(kernel, name, "float64", kernel.together)), len(choices))
    )
    for turn, (fields, dtype) in enumerate(choices):
        order = showing[turn % len(showing) :] + showing[: turn % len(showing)]
        found = (_planted(kernel, name, dtype, fields) for name in order)
        plant = next((one for one in found if one is not None), None)
        if plant is not None:
            yield plant


@functools.cache
def _run(kernel, name, dtype):
    """The fields of a kernel, which are asked for again with each choice of them."""
    return kernel(EVERY_REQUEST[name] | {"dtype": dtype}).run()


def gives(mistake, request, candidate):
    """Whether a wrong kernel that makes this mistake gives the candidate, to within what kernels differ by."""
    relative, absolute = (WELL * tolerance for tolerance in TOLERANCES[request["dtype"]])
    for kernel in WRONG[mistake]:
        fields = kernel(request).run()
        if fields is not None and all(
            np.allclose(fields[name], number(sent), rtol=relative, atol=absolute, equal_nan=True)
            for name, sent in candidate.items()
            if fields[name].shape == np.shape(sent)
        ):
            return True
    return False


def number(nested):
    """The array, or the number, that `wire` has written."""
    if isinstance(nested, list):
        return np.array([number(item) for item in nested])
    return -np.inf if nested is None else float(nested)


def _planted(kernel, name, dtype, fields):
    """The request and the wrong fields, if the mistake can be seen in them."""
    request = EVERY_REQUEST[name] | {"dtype": dtype}
    if dtype == "float16" and name.endswith("huge"):
        return None
    wrong = _run(kernel, name, dtype)
    if wrong is None or not any(np.isfinite(wrong[field]).any() for field in fields):
        return None
    right = _run(Kernel, name, dtype)
    relative, absolute = (WELL * tolerance for tolerance in TOLERANCES[dtype])
    shows = any(
        not np.allclose(wrong[field], right[field], rtol=relative, atol=absolute, equal_nan=True) for field in fields
    )
    return (name, request, candidate_of(wrong, fields)) if shows else None
