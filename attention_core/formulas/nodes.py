"""The tree that a formula is parsed to, and errors that point to a piece of its text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from attention_core.errors import ArgumentPath, InvalidValue, echo


class Span(NamedTuple):
    """A piece of a formula's text."""

    start: int
    """Index of its first character, from 0."""
    stop: int
    """Index behind its last character."""


@dataclass(frozen=True, slots=True)
class Node:
    """A number, a name, or an operation on operands.

    `operation` is "number" (`value` is a float or a truth value), "name" (`value` is the name), "index" (the first
    operand is the parameter that is indexed by the others), "negate" (unary minus), or a function or operator of
    `attention_core.formulas.language.LANGUAGE`.
    """

    operation: str
    span: Span
    operands: tuple["Node", ...] = ()
    value: float | str = 0.0

    def walk(self) -> Iterator["Node"]:
        """Yield the node and all below it, each before its operands, which come in the order of the text."""
        yield self
        for operand in self.operands:
            yield from operand.walk()


def describe(text: str, span: Span) -> str:
    """Return a piece of a formula with its column, from 1, for an error."""
    return f"{echo(text[span.start : span.stop])} at column {span.start + 1}"


def refuse(
    text: str, span: Span, path: ArgumentPath, *, expected: str, advice: str, received: str = ""
) -> InvalidValue:
    """Return an error about a piece of a formula.

    :param text: the formula.
    :param span: the piece.
    :param path: the argument that holds the formula.
    :param expected: what should stand there.
    :param advice: what to change.
    :param received: what stands there, before the piece itself; default the piece alone.
    """
    piece = describe(text, span)
    return InvalidValue(path, expected=expected, received=f"{received} {piece}".lstrip(), advice=advice)
