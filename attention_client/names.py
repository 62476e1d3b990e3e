"""Names of arguments, tensors and problems, as the OpenAPI document and the Open Inference Protocol have them.

`python -m development.client_schema` writes them into ``names.json``.
"""

import json
import re
from importlib.resources import files
from typing import Any

_NAMES: dict[str, Any] = json.loads(files(__package__).joinpath("names.json").read_text(encoding="utf-8"))

Path = tuple[str, ...]
"""Steps from the document to a member."""


def _by_path(named: dict[str, str]) -> dict[Path, str]:
    return {tuple(path.split(".")): name for path, name in named.items()}


OUTPUTS: dict[str, tuple[str, ...]] = {field: tuple(names) for field, names in _NAMES["outputs"].items()}
"""Arrays that each field returns."""

PLACES: tuple[str, ...] = tuple(_NAMES["places"])
"""Dotted places: an argument, a member of it, or one of its variants, as score_model.cosine."""

UNIONS: tuple[str, ...] = tuple(_NAMES["unions"])
"""Arguments for which a name may stand instead of an object with this name."""

VECTORS: tuple[str, ...] = tuple(_NAMES["vectors"])
"""Inputs that share the number type of the call."""

INPUTS = _by_path(_NAMES["inputs"])
"""V2 tensors by path, beside the vectors; tensors of a score model keep their names."""

INTEGERS = frozenset(tuple(path.split(".")) for path in _NAMES["integers"])
"""Inputs of INT64 or INT32; the others are floats."""

BOOLEANS = frozenset(tuple(path.split(".")) for path in _NAMES["booleans"])
"""Inputs of BOOL."""

ANY_RANK = _by_path(_NAMES["any_rank"])
"""Inputs that may be one number for all pairs, with the kinds of its NumPy type."""

NAMED_TENSORS = frozenset(tuple(path.split(".")) for path in _NAMES["named_tensors"])
"""Objects that hold tensors under names of the caller's, which are inputs of a model by these names."""

PARAMETERS = _by_path(_NAMES["parameters"])
"""V2 parameters by path, one value each; offset and sink may be tensors as well."""

MEMORY_NAME = re.compile(_NAMES["memory_name"])
"""The form of the name of a memory."""

PROBLEMS: dict[str, int] = _NAMES["problems"]
"""Statuses of the problems that the OpenAPI document names, by slug."""
