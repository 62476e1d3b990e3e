"""Formulas over positions, evaluated one pair at a time over decimal numbers, or in NumPy for whole matrices.

Written from the description of the language, and sharing no code with what it judges: each node of the syntax tree is
one Python operation.
"""

import ast
import operator
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from tests.digits import exact, tanh
from tests.nested import rank

NAN = Decimal("NaN")


def value_of(text, names, functions):
    """The value of a formula.

    `names` are variables and parameters by name, and `functions` those of numbers and of truth values.
    """
    return _value(ast.parse(text, mode="eval").body, names, functions)


def _value(node, names, functions):
    def inside(one):
        return _value(one, names, functions)

    match node:
        case ast.Constant(value=value):
            return value if isinstance(value, (bool, int)) else functions["number"](value)
        case ast.Name(id=name):
            return names[name] if name in names else functions["constants"][name]
        case ast.UnaryOp(op=op, operand=operand):
            return functions[type(op).__name__](inside(operand))
        case ast.BinOp(left=left, op=op, right=right):
            return functions[type(op).__name__](inside(left), inside(right))
        case ast.BoolOp(op=op, values=values):
            return functions[type(op).__name__]([inside(one) for one in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [inside(left), *map(inside, others)]
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            return functions["And"]([functions[type(op).__name__](one, other) for op, one, other in pairs])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return functions[name](*map(inside, arguments))
        case ast.Subscript(value=whole, slice=index):
            indices = index.elts if isinstance(index, ast.Tuple) else [index]
            return functions["index"](inside(whole), [inside(one) for one in indices])
    raise ValueError(f"no part of the language: {ast.dump(node)}")


def _indexed(nested, indices):
    for index in indices:
        if not 0 <= index < len(nested):
            return NAN
        nested = nested[int(index)]
    return nested


def _floor(a):
    return a if isinstance(a, int) else a.to_integral_value(ROUND_FLOOR)


def _divided(a, b):
    return Decimal(a) / Decimal(b)


def _floor_divided(a, b):
    return a // b if isinstance(a, int) and isinstance(b, int) else _floor(_divided(a, b))


COMPARISONS = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}

DECIMALS = {
    **COMPARISONS,
    "constants": {"inf": Decimal("Infinity"), "pi": Decimal("3.14159265358979323846264338327950288419717")},
    "number": Decimal,
    "Not": operator.not_,
    "And": all,
    "Or": any,
    "USub": operator.neg,
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": _divided,
    "FloorDiv": _floor_divided,
    "Mod": lambda a, b: a - b * _floor_divided(a, b),
    "Pow": lambda a, b: Decimal(a) ** b,
    "index": _indexed,
    "abs": abs,
    "floor": _floor,
    "sqrt": lambda a: Decimal(a).sqrt(),
    "exp": lambda a: Decimal(a).exp(),
    "log": lambda a: Decimal(a).ln(),
    "log1p": lambda a: (1 + Decimal(a)).ln(),
    "tanh": lambda a: tanh(Decimal(a)),
    "square": lambda a: a * a,
    "minimum": min,
    "maximum": max,
    "where": lambda condition, yes, no: yes if condition else no,
}
"""One pair at a time."""

MATRICES = {
    **COMPARISONS,
    "constants": {"inf": np.inf, "pi": np.pi},
    "number": float,
    "Not": np.logical_not,
    "And": lambda values: np.logical_and.reduce(np.broadcast_arrays(*values)),
    "Or": lambda values: np.logical_or.reduce(np.broadcast_arrays(*values)),
    "USub": operator.neg,
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "index": lambda whole, indices: whole[tuple(np.broadcast_arrays(*indices))],
    **{name: getattr(np, name) for name in ("sqrt", "exp", "log", "log1p", "tanh", "square", "minimum", "maximum")},
    **{name: getattr(np, name) for name in ("abs", "floor", "where")},
}
"""Whole matrices in the precision of their numbers."""


def of_head(parameters, head, convert=exact):
    """The parameters that a query head uses: its own entry of each that differs by head."""
    return {
        name: convert(value["per_head"][head or 0] if isinstance(value, dict) else value)
        for name, value in (parameters or {}).items()
    }


def of_pair(formula, parameters, places, head, score=None):
    """The value of a formula at one pair, over decimals.

    `places` are the positions of the pair by name, and `score` what a score modifier is given.
    """
    names = {**places, **of_head(parameters, head)}
    return value_of(formula, names | ({} if score is None else {"score": score}), DECIMALS)


def of_matrices(formula, parameters, places, heads, scores):
    """The modified scores (B, H, Lq, Lk), or of a lower rank, in the precision of `scores`.

    `places` are the positions by name, shaped to broadcast; `heads` is the number of heads, None without.
    """
    dtype = scores.dtype

    def stacked(value):
        if not isinstance(value, dict):
            return np.array(value, dtype)
        entries = value["per_head"]
        if rank(entries) > 1:
            raise NotImplementedError("vectors by head are left to the oracle")
        return np.array(entries, dtype).reshape(1, heads, 1, 1)

    names = {**places, **{name: stacked(value) for name, value in (parameters or {}).items()}, "score": scores}
    modified = value_of(formula, names, MATRICES)
    return np.broadcast_to(np.asarray(modified), scores.shape).astype(dtype)
