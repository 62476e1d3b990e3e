"""The LaTeX of formulas as MathML, which browsers show as it is."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "iota": "ι",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "upsilon": "υ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
}
"""Greek letters by the names of their commands."""

IDENTIFIERS = GREEK | {
    "pi": "π",
    "infty": "∞",
    "top": "⊤",
    "bot": "⊥",
    **{name: name for name in ("exp", "ln", "log", "tanh", "sin", "cos", "max", "min")},
}
"""Commands for letters and words."""

SIGNS = {
    "cdot": "·",
    "circ": "∘",
    "bmod": "mod",
    "le": "≤",
    "ge": "≥",
    "ne": "≠",
    "land": "∧",
    "lor": "∨",
    "lnot": "¬",
    "sum": "∑",
    "angle": "∠",
    "lfloor": "⌊",
    "rfloor": "⌋",
    "|": "‖",
    "-": "−",
}
"""Commands and characters for operators and delimiters; other characters stand for themselves."""

PIECE = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\S", re.DOTALL)


def write_mathml(latex: str) -> str:
    """Return a MathML element for a formula.

    :param latex: LaTeX of the commands that the forms of the language use.

    Raises ValueError for a command that these do not use.
    """
    elements = _Reader(latex).row("")
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow>{"".join(elements)}</mrow></math>'


class _Reader:
    """Reads pieces from the front of a formula."""

    def __init__(self, latex: str) -> None:
        self.pieces = PIECE.findall(latex)[::-1]
        self.ended_by = ""
        """The piece that ended the last row."""

    def row(self, *ends: str) -> list[str]:
        """Return the elements up to one of some pieces, which is taken too; an empty one is the end of the formula."""
        elements: list[str] = []
        while self.pieces:
            piece = self.pieces.pop()
            if piece in ends:
                self.ended_by = piece
                return elements
            if piece in ("_", "^"):
                elements.append(self._scripts(elements.pop() if elements else "<mrow></mrow>", piece))
            else:
                elements.append(self._element(piece))
        if "" not in ends:
            raise ValueError(f"expected {' or '.join(ends)} before the end of a formula")
        return elements

    def _scripts(self, base: str, sign: str) -> str:
        """Return a base with the index or exponent that follows, or with both."""
        script = self._element(self.pieces.pop())
        other = "^" if sign == "_" else "_"
        if not self.pieces or self.pieces[-1] != other:
            name = "msub" if sign == "_" else "msup"
            return f"<{name}>{base}{script}</{name}>"
        self.pieces.pop()
        second = self._element(self.pieces.pop())
        below, above = (script, second) if sign == "_" else (second, script)
        return f"<msubsup>{base}{below}{above}</msubsup>"

    def _element(self, piece: str) -> str:
        """Return the element that a piece begins."""
        if piece == "{":
            return _row(self.row("}"))
        if piece[0].isdigit():
            return f"<mn>{piece}</mn>"
        if piece[0] != "\\" or len(piece) == 1:
            return f"<mi>{escape(piece)}</mi>" if piece.isalpha() else _sign(piece)
        command = piece[1:]
        if command in IDENTIFIERS:
            return f"<mi>{IDENTIFIERS[command]}</mi>"
        if command in SIGNS:
            return _sign(command)
        return self._construct(command)

    def _construct(self, command: str) -> str:
        match command:
            case ",":
                return '<mspace width="0.167em"/>'
            case "frac":
                return f"<mfrac>{self._group()}{self._group()}</mfrac>"
            case "sqrt":
                return f"<msqrt>{self._group()}</msqrt>"
            case "mathrm" | "text":
                return f'<mi mathvariant="normal">{escape("".join(self._letters()))}</mi>'
            case "left":
                left, inside = self.pieces.pop(), self.row(r"\right")
                return f"<mrow>{_fence(left)}{''.join(inside)}{_fence(self.pieces.pop())}</mrow>"
            case "begin":
                return self._cases()
        raise ValueError(f"no formula has the command {command}")

    def _group(self) -> str:
        return self._element(self.pieces.pop())

    def _letters(self) -> Iterator[str]:
        """Yield the characters of a word in braces."""
        self.pieces.pop()
        while (piece := self.pieces.pop()) != "}":
            yield piece.removeprefix("\\")

    def _cases(self) -> str:
        """Return the lines of cases, a value and its condition each."""
        environment, lines = "".join(self._letters()), ""
        while self.ended_by != r"\end":
            value, condition = self.row("&"), self.row(r"\\", r"\end")
            lines += f"<mtr><mtd>{_row(value)}</mtd><mtd>{_row(condition)}</mtd></mtr>"
        if "".join(self._letters()) != environment:
            raise ValueError(f"expected the end of {environment}")
        self.ended_by = ""
        return f'<mrow>{_fence("{")}<mtable columnalign="left">{lines}</mtable></mrow>'


def _row(elements: list[str]) -> str:
    return elements[0] if len(elements) == 1 else f"<mrow>{''.join(elements)}</mrow>"


def _sign(name: str) -> str:
    return f"<mo>{escape(SIGNS.get(name, name))}</mo>"


def _fence(piece: str) -> str:
    name = piece.removeprefix("\\")
    return f'<mo fence="true">{escape(SIGNS[name] if name != piece else piece)}</mo>'
