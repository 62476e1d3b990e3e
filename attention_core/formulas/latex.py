r"""Write a formula in LaTeX, by the forms of the table.

>>> from attention_core.formulas import parse_formula, write_latex
>>> write_latex(parse_formula("-sum(abs(q - k)) / tau", "score_model", ()))
'\\frac{-\\sum_m \\left(\\left|q - k\\right|\\right)_m}{\\tau}'
"""

import re
from collections.abc import Mapping

from attention_core.formulas.language import LANGUAGE
from attention_core.formulas.nodes import Node
from attention_core.formulas.parsing import Formula

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = frozenset(_GREEK.split())
"""Parameters that are written as Greek letters."""

ATOM = 10
"""Binding of what needs no brackets."""

BINDINGS: Mapping[str, int] = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 4),
    "+": 5,
    "-": 5,
    "negate": 6,
    **dict.fromkeys(("*", "@", "%", "dot", "where"), 7),
    "expm1": 5,
    "**": 8,
}
"""How strongly operations bind their operands; others stand in brackets or bars of their own."""

ENCLOSING = frozenset({"/", "//", "expm1", "where"})
"""Operations whose operands stand apart, so that these need no brackets."""

PLACE = re.compile(r"<(\d|\*)>")


def write_latex(formula: Formula) -> str:
    """Return a formula in LaTeX.

    :param formula: what `parse_formula` returned.
    """
    return _write(formula.root)


def _write(node: Node) -> str:
    if node.operation == "number":
        return _write_number(node.value)
    if node.operation == "name":
        return _write_name(str(node.value))
    if node.operation == "index":
        name, *indices = node.operands
        return f"{_write(name)}_{{{', '.join(map(_write, indices))}}}"
    binding = BINDINGS.get(node.operation, ATOM)
    if node.operation == "negate":
        return f"-{_enclose(node.operands[0], binding + 1)}"
    needs_brackets = node.operation in BINDINGS and node.operation not in ENCLOSING
    # A power binds its base more strongly than itself, and its exponent stands apart; a difference its right side.
    minima = [binding + (node.operation == "**" or (position > 0)) for position in range(len(node.operands))]
    if node.operation == "**":
        minima[1:] = [0]
    elif node.operation == "not":
        minima = [ATOM]
    operands = [
        _enclose(operand, minimum if needs_brackets else 0)
        for operand, minimum in zip(node.operands, minima, strict=True)
    ]
    if node.operation in ("and", "or"):
        symbol = r" \land " if node.operation == "and" else r" \lor "
        return symbol.join(operands)
    return _fill(LANGUAGE[node.operation].latex, operands)


def _fill(template: str, operands: list[str]) -> str:
    return PLACE.sub(lambda place: ", ".join(operands) if place[1] == "*" else operands[int(place[1])], template)


def _enclose(node: Node, minimum: int) -> str:
    """Return a node, in brackets if it binds less strongly than it must."""
    binding = BINDINGS.get(node.operation, ATOM)
    written = _write(node)
    return rf"\left({written}\right)" if binding < minimum else written


def _write_number(value: float | str) -> str:
    if isinstance(value, bool):
        return LANGUAGE[str(value)].latex
    written = f"{float(value):.15g}"
    if written == "inf":
        return r"\infty"
    digits, _, exponent = written.partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


def _write_name(name: str) -> str:
    if name in LANGUAGE:
        return LANGUAGE[name].latex
    if name in GREEK:
        return f"\\{name}"
    letters, _, below = name.partition("_")
    if letters and below:
        return f"{_write_name(letters)}_{{{_write_name(below)}}}"
    escaped = name.replace("_", r"\_")
    return name if len(name) == 1 and name != "_" else rf"\mathrm{{{escaped}}}"
