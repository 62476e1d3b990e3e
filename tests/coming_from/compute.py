"""Compute the cases of one module with the library that it is about, and print them as JSON.

``python -m tests.coming_from.compute MODULE`` runs in the environment of that library.
"""

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any

import numpy as np

from attention_wire.documents import plain


def to_json(value: Any) -> Any:
    """Return a value with nested lists for arrays, as /v1 reads and writes them."""
    if isinstance(value, Mapping):
        return {name: to_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(member) for member in value]
    return plain(np.asarray(value)) if hasattr(value, "__array__") else value


def computed(name: str) -> dict[str, Any]:
    """Return the arguments that the library has, and each case by the name of its function."""
    module = import_module(f"tests.coming_from.cases.{name}")
    functions = inspect.getmembers(module, lambda one: inspect.isfunction(one) and one.__module__ == module.__name__)
    cases = {case: to_json(asdict(function())) for case, function in functions if not case.startswith("_")}
    return {"arguments": sorted(module.ARGUMENTS), "cases": cases}


if __name__ == "__main__":
    json.dump(computed(sys.argv[1]), sys.stdout)
