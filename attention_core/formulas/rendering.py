"""Formulas as LaTeX, made of the forms in the table of the language, and as MathML."""

import re
from collections.abc import Collection, Sequence
from functools import reduce
from typing import NamedTuple

from attention_core.formulas.language import LANGUAGE
from attention_core.formulas.mathml import GREEK, write_mathml
from attention_core.formulas.nodes import Node

OR, AND, NOT, COMPARISON, MODULO, SUM, SIGMA, PRODUCT, SIGN, POWER, ATOM = range(11)
"""How tightly a part of a formula holds together, from the loosest; SIGMA is a sum sign with its operand."""

BINDINGS = {
    "or": OR,
    "and": AND,
    "not": NOT,
    "+": SUM,
    "-": SUM,
    "*": PRODUCT,
    "%": MODULO,
    "/": POWER,
    "where": COMPARISON,
    "@": PRODUCT,
    "**": POWER,
    "expm1": SUM,
    "sum": SIGMA,
    "max": SIGMA,
    "min": SIGMA,
    "dot": PRODUCT,
    "square": POWER,
}
"""How tightly what an operator or a function makes holds together; ATOM where its form has delimiters of its own."""

ELEMENTWISE_PRODUCT = r"<0> \circ <1>"
"""The product of two vectors, element by element."""

PLACE = re.compile(r"<(\d|\*)>")


class Rendering(NamedTuple):
    """A formula in two notations."""

    latex: str
    """LaTeX for math mode, without delimiters."""
    mathml: str
    """A MathML element, `math`."""


class Part(NamedTuple):
    """A part of a formula: its LaTeX, and how tightly it holds together."""

    latex: str
    binding: int


def render(root: Node, vectors: Collection[str] = ("q", "k")) -> Rendering:
    """Return a formula in LaTeX and in MathML.

    :param root: the tree of a parsed formula.
    :param vectors: names that are vectors: on the left of ``@`` they are written as rows, v⊤, and their product element
        by element as ∘.
    """
    latex = _Writer(frozenset(vectors)).part(root).latex
    return Rendering(latex, write_mathml(latex))


class _Writer:
    """Writes the nodes of one formula, some of whose names are vectors."""

    def __init__(self, vectors: frozenset[str]) -> None:
        self.vectors = vectors

    def part(self, node: Node) -> Part:
        """Return the LaTeX of a node."""
        match node.operation:
            case "number":
                return _number(node.value)
            case "name":
                name = str(node.value)
                return Part(LANGUAGE[name].latex if name in LANGUAGE else identifier(name), ATOM)
            case "index":
                indexed, *places = node.operands
                return Part(f"{{{self.part(indexed).latex}}}_{{{self._listed(places)}}}", ATOM)
            case "negate":
                return self._negated(node.operands[0])
            case "and" | "or" as name:
                joined = [self._held(operand, BINDINGS[name]) for operand in node.operands]
                form = LANGUAGE[name].latex
                return Part(reduce(lambda left, right: _filled(form, (left, right)), joined), BINDINGS[name])
        if LANGUAGE[node.operation].is_function:
            return self._call(node.operation, node.operands)
        return self._operator(node.operation, node.operands)

    def _held(self, node: Node, binding: int) -> str:
        """Return a node, in parentheses where it holds together less tightly than `binding`."""
        part = self.part(node)
        return part.latex if part.binding >= binding else _fenced(part.latex)

    def _listed(self, nodes: Sequence[Node]) -> str:
        return ", ".join(self.part(node).latex for node in nodes)

    def _negated(self, operand: Node) -> Part:
        part = self.part(operand)
        if part.binding < SIGMA or part.latex.startswith("-"):
            return Part(f"-{_fenced(part.latex)}", SIGN)
        return Part(f"-{part.latex}", min(part.binding, SIGN))

    def _operator(self, name: str, nodes: Sequence[Node]) -> Part:
        form = LANGUAGE[name].latex
        binding = BINDINGS.get(name, COMPARISON if LANGUAGE[name].group == "comparison" else ATOM)
        first, last = nodes[0], nodes[-1]
        match name:
            case "not":
                operands = [self._held(first, COMPARISON + 1)]
            case "+" | "-":
                addend = self._held(last, SIGMA)
                operands = [self._held(first, SUM), _fenced(addend) if addend.startswith("-") else addend]
            case "/" if first.operation == "negate":
                # −(x / y) reads better than (−x) / y, and is the same number.
                operands = [self.part(first.operands[0]).latex, self.part(last).latex]
                form, binding = f"-{form}", SIGN
            case "/" | "//":
                operands = [self.part(first).latex, self.part(last).latex]
            case "**":
                operands = [self._held(first, ATOM), self.part(last).latex]
            case "@" if self._is_vector(first):
                operands = [f"{self._held(first, ATOM)}^{{\\top}}", self._held(last, POWER)]
            case "*" if self._is_vector(first) and self._is_vector(last):
                form, operands = ELEMENTWISE_PRODUCT, [self._held(first, PRODUCT), self._held(last, POWER)]
            case "*" | "@":
                operands = [self._held(first, PRODUCT), self._held(last, POWER)]
            case "%":
                operands = [self._held(first, POWER), self._held(last, POWER)]
            case _:
                operands = [self._held(first, MODULO), self._held(last, MODULO)]
        return Part(_filled(form, operands), binding)

    def _call(self, name: str, nodes: Sequence[Node]) -> Part:
        operands = [self._held(node, POWER if name == "dot" else OR) for node in nodes]
        return Part(_filled(LANGUAGE[name].latex, operands), BINDINGS.get(name, ATOM))

    def _is_vector(self, node: Node) -> bool:
        """Return whether a node is known to be a vector: a name that is one, or element by element of one."""
        if node.operation == "name":
            return node.value in self.vectors
        if node.operation in ("number", "index", "@"):
            return False
        if node.operation == "negate":
            return self._is_vector(node.operands[0])
        group = LANGUAGE[node.operation].group
        return group == "shape" or (group in ("arithmetic", "elementwise") and any(map(self._is_vector, node.operands)))


def identifier(name: str) -> str:
    """Return the LaTeX of a parameter: Greek letters by their names, what follows the first underscore as an index."""
    base, _, index = name.partition("_")
    if base and index and not index.startswith("_"):
        return f"{_word(base)}_{{{_word(index)}}}"
    return _word(name)


def _word(name: str) -> str:
    if name in GREEK:
        return f"\\{name}"
    escaped = name.replace("_", r"\_")
    return name if len(name) == 1 and name != "_" else rf"\mathrm{{{escaped}}}"


def _number(value: float | str) -> Part:
    """Return a number as Python writes it, with a power of ten in place of an exponent; truth values as signs."""
    if isinstance(value, bool):
        return Part(LANGUAGE[str(value)].latex, ATOM)
    mantissa, _, exponent = repr(value).partition("e")
    digits = mantissa.removesuffix(".0").replace("inf", LANGUAGE["inf"].latex)
    return Part(rf"{digits} \cdot 10^{{{int(exponent)}}}", PRODUCT) if exponent else Part(digits, ATOM)


def _fenced(latex: str) -> str:
    return rf"\left({latex}\right)"


def _filled(form: str, operands: Sequence[str]) -> str:
    """Return a form of the table with its operands in place."""

    def operand(place: re.Match[str]) -> str:
        return ", ".join(operands) if place[1] == "*" else operands[int(place[1])]

    return PLACE.sub(operand, form)
