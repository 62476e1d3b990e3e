"""Bind formulas in tests with few words."""

import numpy as np

from attention_core.formulas import FormulaContext, PerHead, bind_formula, parse_formula
from attention_core.score_tile import Tile


def bind(text, kind, parameters=None, *, dtype=float, heads=None, features=(3, 3), shape=None):
    """A bound formula, errors of which have the paths ("formula",) and ("parameters", …)."""
    context = FormulaContext(np.dtype(dtype), heads, *(features if kind == "score_model" else (None, None)), shape)
    return bind_formula(
        parse_formula(text, kind, ("formula",)), parameters or {}, context, ("formula",), ("parameters",)
    )


def given(parameters, by_head):
    """Parameters as `bind` takes them."""
    return {name: PerHead(value) if name in by_head else value for name, value in parameters.items()}


def score(bound, queries, keys):
    """a(q, k) of every pair."""
    return bound.score_pairs(bound.project_queries(queries), bound.project_keys(keys))


def whole_tile(shape, offset=0):
    """The tile of all pairs."""
    return Tile(slice(0, shape[-2]), slice(0, shape[-1]), np.asarray(offset))
