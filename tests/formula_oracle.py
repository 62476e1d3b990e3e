"""Formulas of a query and a key in decimal numbers: read by Python itself, so that nothing is shared with the core.

The constants of a formula become decimals, and operators act on the two small classes below.
"""

import ast
import functools
import operator
from decimal import Decimal

from tests.digits import tanh


class Vector(list):
    """A list of numbers that is combined element by element."""

    def _with(self, combine, other):
        others = other if isinstance(other, Vector) else [other] * len(self)
        return Vector(combine(x, y) for x, y in zip(self, others, strict=True))

    def __neg__(self):
        return Vector(-x for x in self)

    def __add__(self, other):
        return self._with(operator.add, other)

    def __sub__(self, other):
        return self._with(operator.sub, other)

    def __mul__(self, other):
        return self._with(operator.mul, other)

    def __truediv__(self, other):
        return self._with(operator.truediv, other)

    def __pow__(self, other):
        return self._with(operator.pow, other)

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return Vector(other / x for x in self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __matmul__(self, other):
        if isinstance(other, Matrix):
            return Vector(_dot(self, Vector(column)) for column in zip(*other.rows, strict=True))
        return _dot(self, other)


class Matrix:
    """Rows of numbers, which stand beside a vector only."""

    def __init__(self, rows):
        self.rows = rows

    def __matmul__(self, vector):
        return Vector(_dot(Vector(row), vector) for row in self.rows)


def _dot(a, b):
    return sum(a * b)


def _norm(a):
    return _dot(a, a).sqrt()


def _cosine(a, b):
    if not all(one.is_finite() for one in (*a, *b)):
        return Decimal("NaN")
    return _dot(a, b) / (_norm(a) * _norm(b)) if any(a) and any(b) else Decimal(0)


def _each(function):
    return lambda x: Vector(map(function, x)) if isinstance(x, Vector) else function(x)


FUNCTIONS = {
    **{name: _each(function) for name, function in {"abs": abs, "tanh": tanh, "sqrt": Decimal.sqrt}.items()},
    "exp": _each(Decimal.exp),
    "log": _each(Decimal.ln),
    "square": _each(lambda x: x * x),
    "relu": _each(lambda x: max(x, Decimal(0))),
    "sum": sum,
    "dot": _dot,
    "norm": _norm,
    "cosine": _cosine,
    "norm1": lambda a: sum(map(abs, a)),
    "max": max,
    "min": min,
    "mean": lambda a: sum(a) / len(a),
    "concat": lambda *parts: Vector(x for part in parts for x in part),
}


class _Exact(ast.NodeTransformer):
    """Writes Decimal("0.5") for 0.5."""

    def visit_Constant(self, node):
        return ast.Call(ast.Name("Decimal", ast.Load()), [ast.Constant(repr(node.value))], [])


@functools.cache
def _compiled(formula):
    return compile(ast.fix_missing_locations(_Exact().visit(ast.parse(formula, mode="eval"))), "formula", "eval")


def score(formula, parameters, query, key):
    """The formula's number of a query and a key, which are lists of decimals; parameters are those of one head."""
    sizes = {"Dq": Decimal(len(query)), "Dk": Decimal(len(key)), "D": Decimal(len(query))}
    given = {name: _value(value) for name, value in parameters.items()}
    names = {**FUNCTIONS, **sizes, **given, "q": Vector(query), "k": Vector(key), "Decimal": Decimal}
    return eval(_compiled(formula), {"__builtins__": {}}, names)


def _value(value):
    if not isinstance(value, list):
        return value
    return Matrix(value) if isinstance(value[0], list) else Vector(value)
