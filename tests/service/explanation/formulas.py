"""Formulas as explanations write them, evaluated as intervals: a shown number stands for all that are shown so.

With six significant digits shown, a formula can be held against its number without a tolerance to be guessed.
"""

import ast
import itertools
import math
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

DIGITS = 6
"""Significant digits that are shown."""

SLACK = 1e-12
"""What the evaluation itself may lose, relative."""


class Interval(NamedTuple):
    """All numbers from one to another."""

    low: float
    high: float

    def holds(self, number: float) -> bool:
        """Whether the number is inside."""
        slack = SLACK * max(abs(self.low), abs(self.high), abs(number))
        return self.low - slack <= number <= self.high + slack


def shown(number: float) -> Interval:
    """Every number that is shown like this one."""
    if number == 0:
        return Interval(0.0, 0.0)
    half = 0.5 * 10.0 ** (math.floor(math.log10(abs(number))) - (DIGITS - 1))
    return Interval(number - half, number + half)


def evaluate(formula: str) -> Interval:
    """What a formula without an equals sign can be, given the digits that it shows."""
    text = re.sub(r"\|(.+?)\|", r"abs(\1)", formula)
    text = re.sub(r"√(\d+(?:\.\d+)?)", r"sqrt(\1)", text)
    for written, meant in (("×", "*"), ("−", "-"), ("^", "**"), ("²", "**2")):
        text = text.replace(written, meant)
    return _value(ast.parse(text, mode="eval").body)


def assert_true(formula: str, value: float) -> None:
    """Fail unless the formula, both sides of it, is what the value is."""
    left, _, right = formula.rpartition(" = ")
    for side in (left, right) if left else (right,):
        assert evaluate(side).holds(value), f"{formula}: {side} is in {evaluate(side)}, the value is {value!r}"


def numbers(text: str) -> list[Interval]:
    """A list as it is shown."""
    return [evaluate(item) for item in text.strip("[]").split(", ")]


def _value(node: ast.expr) -> Interval:
    match node:
        case ast.Constant(value=int() | float() as number):
            return shown(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            low, high = _value(operand)
            return Interval(-high, -low)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as exponent)):
            base = _value(left)
            ends = [base.low**exponent, base.high**exponent, *([0.0] if base.low <= 0 <= base.high else [])]
            return Interval(min(ends), max(ends))
        case ast.BinOp(left=left, op=op, right=right):
            return _corners(OPERATORS[type(op)], _value(left), _value(right))
        case ast.Call(func=ast.Name(id="max"), args=arguments):
            ends = [_value(argument) for argument in arguments]
            return Interval(max(end.low for end in ends), max(end.high for end in ends))
        case ast.Call(func=ast.Name(id="norm1"), args=arguments):
            sizes = [_value(ast.Call(ast.Name("abs"), [argument], [])) for argument in arguments]
            return Interval(sum(size.low for size in sizes), sum(size.high for size in sizes))
        case ast.Call(func=ast.Name(id="abs"), args=[argument]):
            low, high = _value(argument)
            return Interval(0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in RISING:
            return Interval(*(RISING[name](end) for end in _value(argument)))
    raise ValueError(f"a formula holds {ast.unparse(node)!r}, which the tests do not know")


def _corners(operate: Callable[[float, float], float], left: Interval, right: Interval) -> Interval:
    """What an operation can give that is monotonic in both numbers, at least on either side of 0."""
    if operate is operator.truediv and right.low <= 0 <= right.high:
        return Interval(-math.inf, math.inf)
    ends = [operate(a, b) for a, b in itertools.product(left, right)]
    return Interval(min(ends), max(ends))


OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: lambda base, exponent: max(base, 0.0) ** exponent,
}

RISING: dict[str, Callable[[float], float]] = {"exp": math.exp, "tanh": math.tanh, "sqrt": math.sqrt}
"""Functions of one number that rise with it."""
