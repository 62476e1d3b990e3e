"""Parse a formula with `ast`, of which only the nodes of the language are kept.

Nothing that came in is compiled or run.  The text is cut into tokens first, by which characters, numbers and nesting
that the language does not have are refused before `ast` sees them.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from unicodedata import normalize

from attention_core.errors import MAX_ECHOED, ArgumentPath, CallError, InvalidValue
from attention_core.formulas.foreign_syntax import (
    advise_on_attribute,
    advise_on_node,
    advise_on_text,
    advise_on_token,
    advise_on_word,
    name_node,
)
from attention_core.formulas.language import (
    FUNCTIONS,
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_NODES,
    RESERVED,
    FormulaKind,
    variables_of,
)
from attention_core.formulas.names import MAX_INDICES, refuse_function, refuse_many_indices, refuse_variable
from attention_core.formulas.nodes import Node, Span, refuse

BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
}

COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}

TOKENS = re.compile(
    r"""\s+
    | (?P<number> (?: [0-9]+ (?: \. [0-9]* )? | \. [0-9]+ ) (?: [eE] [+-]? [0-9]+ )? (?! [\w.] ) )
    | (?P<name> [^\W\d]\w* )
    | \*\* | // | <= | >= | == | != | [-+*/%@<>,]
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<wrong> \d [\w.]* | && | \|\| | . )
    """,
    re.VERBOSE | re.DOTALL,
)

BRACKETS: Mapping[str, str] = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula, of which neither types nor sizes are known yet."""

    text: str
    kind: FormulaKind
    root: Node
    free_names: tuple[str, ...]
    """Names that must be parameters, in the order in which they first appear."""

    def uses(self, name: str) -> bool:
        """Return whether the formula uses a name."""
        return any(node.operation == "name" and node.value == name for node in self.root.walk())


def parse_formula(text: str, kind: FormulaKind, path: ArgumentPath) -> Formula:
    """Return a formula, parsed within the limits of the language; equal texts are parsed once.

    :param text: at most `MAX_CHARACTERS` characters.
    :param kind: where it stands, which decides its variables.
    :param path: the argument that holds the formula, for errors.

    Raises InvalidValue for a text that is no formula, UnknownName for a function or variable that the language does not
    have, each with the column and the piece of text.
    """
    try:
        return _parse(text, kind)
    except CallError as error:
        error.path = path
        raise


@lru_cache(maxsize=256)
def _parse(text: str, kind: FormulaKind) -> Formula:
    if len(text) > MAX_CHARACTERS:
        raise InvalidValue(
            (),
            expected=f"a formula of at most {MAX_CHARACTERS} characters",
            received=f"{len(text)} characters",
            advice="Send long lists of numbers as parameters.",
        )
    _check_tokens(text)
    # Line breaks are blanks like any other, and blanks in front would be an indentation.
    blank = re.sub(r"\s", " ", text)
    indent = len(blank) - len(blank.lstrip())
    try:
        tree = ast.parse(blank[indent:], mode="eval")
    except SyntaxError as error:
        raise _refuse_syntax(text, indent, error) from None
    except (ValueError, MemoryError, RecursionError):
        raise _refuse_depth(text, Span(0, len(text))) from None
    root = _Converter(text, kind, indent).convert(tree.body, 1)
    count = sum(1 for _ in root.walk())
    if count > MAX_NODES:
        raise InvalidValue(
            (),
            expected=f"a formula of at most {MAX_NODES} nodes: names, numbers, operators, calls and indices",
            received=f"{count} nodes",
            advice="Send what does not depend on the pair as parameters.",
        )
    known = variables_of(kind)
    names = (str(node.value) for node in root.walk() if node.operation == "name")
    return Formula(text, kind, root, tuple(dict.fromkeys(name for name in names if name not in known)))


def _check_tokens(text: str) -> None:
    """Raise InvalidValue for characters and numbers that the language does not have, and for unpaired brackets."""
    opened: list[Span] = []
    for match in TOKENS.finditer(text):
        span = Span(*match.span())
        if match.lastgroup == "wrong":
            expected = "operators, names, numbers and brackets of the language of formulas"
            raise refuse(text, span, (), expected=expected, advice=_advise_on_wrong(text, span))
        if match.lastgroup == "name" and not match[0].isidentifier():
            advice = "Powers are written with **, and indices in brackets: x ** 2, x[1]."
            raise refuse(text, span, (), expected="a name of letters, digits and underscores", advice=advice)
        if match.lastgroup == "open":
            opened.append(span)
        elif match.lastgroup == "close" and (not opened or BRACKETS[text[opened.pop().start]] != match[0]):
            advice = "Leave the bracket out, or open it before."
            raise refuse(text, span, (), expected="a bracket that was opened before", advice=advice)
        if len(opened) > MAX_DEPTH:
            raise _refuse_depth(text, span)
    if opened:
        closing = BRACKETS[text[opened[-1].start]]
        raise refuse(
            text,
            opened[-1],
            (),
            expected="a bracket that is closed",
            advice=f"Add the bracket {closing} that closes it.",
        )
    if not text.strip():
        raise InvalidValue((), expected="a formula", received="an empty text", advice="Write an expression.")


def _advise_on_wrong(text: str, span: Span) -> str:
    """Return what to write instead of characters that the language does not have."""
    piece = text[span.start : span.stop]
    if piece == ".":
        return advise_on_attribute(text, span.start)
    return advise_on_text(text[: span.start]) if piece in ("'", '"') else advise_on_token(piece)


def _refuse_depth(text: str, span: Span) -> InvalidValue:
    return refuse(
        text,
        span,
        (),
        expected=f"a formula of depth {MAX_DEPTH} at most",
        advice="Nest fewer calls and brackets, and write a long sum in parts: (a + b + …) + (c + d + …).",
        received="something deeper:",
    )


def _refuse_syntax(text: str, indent: int, error: SyntaxError) -> InvalidValue:
    """Return the error about a text that is no expression; `ast` counts columns from 1, and from 0 at the end."""
    start = (error.offset or len(text) - indent + 1) - 1 + indent
    if not text[start:].strip():
        end = len(text.rstrip())
        return InvalidValue(
            (),
            expected="an expression",
            received=f"the end of the formula at column {end + 1}",
            advice="Something is missing there: an operand or a bracket.",
        )
    span = Span(start, min(max((error.end_offset or 0) - 1 + indent, start + 1), len(text)))
    advice = advise_on_word(text[span.start : span.stop])
    return refuse(text, span, (), expected="an expression", advice=advice)


class _Converter:
    """Converts nodes of `ast` to those of the language, and refuses all others."""

    def __init__(self, text: str, kind: FormulaKind, indent: int) -> None:
        self._text = text
        self._kind = kind
        self._indent = indent
        self._encoded = text[indent:].encode()

    def convert(self, node: ast.expr, depth: int) -> Node:
        """Return a node with all below it.

        :param node: what `ast` made.
        :param depth: nodes on the way to it, itself included.

        Raises InvalidValue or UnknownName.
        """
        span = self._span(node)
        if depth > MAX_DEPTH:
            raise _refuse_depth(self._text, span)
        found = self._convert_leaf(node, span) or self._convert_call(node, span, depth)
        if found is not None:
            return found
        shape = self._operation(node)
        if shape is None:
            raise self._refuse_node(node, span)
        operation, operands = shape
        return Node(operation, span, tuple(self.convert(operand, depth + 1) for operand in operands))

    def _operation(self, node: ast.expr) -> tuple[str, tuple[ast.expr, ...]] | None:
        """Return the operator and the operands of a node; None where it is none of the language."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return BINARY[type(op)], (left, right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return "negate", (operand,)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return "not", (operand,)
            case ast.BoolOp(op=op, values=values):
                return ("and" if isinstance(op, ast.And) else "or"), tuple(values)
        return None

    def _convert_leaf(self, node: ast.expr, span: Span) -> Node | None:
        """Return a number, a truth value or a name; None for another node."""
        match node:
            case ast.Constant(value=bool(truth)):
                return Node("number", span, value=truth)
            case ast.Constant(value=int() | float() as number):
                return Node("number", span, value=_to_float(number))
            case ast.Name(id=name):
                if name in FUNCTIONS:
                    raise refuse(
                        self._text,
                        span,
                        (),
                        expected=f"{name}(…)",
                        advice="A function stands before its operands in parentheses; no parameter may have its name.",
                        received="no operands behind",
                    )
                refuse_variable(self._text, span, name, self._kind)
                return Node("name", span, value=name)
        return None

    def _convert_call(self, node: ast.expr, span: Span, depth: int) -> Node | None:
        """Return a call, an indexed parameter or a comparison; None for another node."""
        match node:
            case ast.Call(func=ast.Name(id=name) as func, args=arguments, keywords=keywords):
                if name not in FUNCTIONS:
                    operands = [] if has_tensor(node) else [self._span(one) for one in arguments]
                    raise refuse_function(self._text, self._span(func), name, operands)
                for keyword in keywords:
                    raise self._refuse_node(
                        keyword.value, self._span(keyword), "Operands have no names; write x alone."
                    )
                self._check_arity(name, len(arguments), span)
                return Node(name, span, tuple(self.convert(one, depth + 1) for one in arguments))
            case ast.Subscript(value=ast.Name() as value, slice=index):
                indices = index.elts if isinstance(index, ast.Tuple) and index.elts else [index]
                if len(indices) > MAX_INDICES:
                    raise refuse_many_indices(self._text, span, len(indices), self._kind)
                return Node("index", span, tuple(self.convert(one, depth + 1) for one in (value, *indices)))
            case ast.Compare(left=left, ops=ops, comparators=comparators) if all(type(op) in COMPARISONS for op in ops):
                sides = [self.convert(side, depth + 1) for side in (left, *comparators)]
                pairs = [
                    Node(COMPARISONS[type(op)], Span(a.span.start, b.span.stop), (a, b))
                    for op, a, b in zip(ops, sides[:-1], sides[1:], strict=True)
                ]
                return pairs[0] if len(pairs) == 1 else Node("and", span, tuple(pairs))
        return None

    def _check_arity(self, name: str, received: int, span: Span) -> None:
        least, most = FUNCTIONS[name].arity or (0, None)
        if received < least or (most is not None and received > most):
            number = f"{least}" if most == least else f"at least {least}"
            of_vectors = FUNCTIONS[name].group in ("reduction", "shape")
            advice = f"Write {FUNCTIONS[name].signature}{', of vectors' if of_vectors else ''}."
            if name in ("max", "min"):
                advice = f"{name} is that of one vector; of two numbers write {name}imum(a, b)."
            raise refuse(
                self._text,
                span,
                (),
                expected=f"{number} operand{'' if number == '1' else 's'} of {name}",
                advice=advice,
                received=f"{received} in",
            )

    def _refuse_node(self, node: ast.expr, span: Span, advice: str = "") -> InvalidValue:
        """Return the error about a node that the language does not have."""
        advice = advice or self._advise_on_repeated_index(node) or advise_on_node(node)
        return refuse(
            self._text,
            span,
            (),
            expected="an expression of the language of formulas",
            advice=advice,
            received="" if isinstance(node, ast.Call | ast.Subscript | ast.UnaryOp) else f"a Python {name_node(node)},",
        )

    def _advise_on_repeated_index(self, node: ast.expr) -> str:
        """Return how table[i][j] is written; empty for another node."""
        match node:
            case ast.Subscript(value=ast.Subscript(value=ast.Name(id=name), slice=row), slice=column):
                row_text, column_text = (self._text[slice(*self._span(one))] for one in (row, column))
                written = f"{name}[{row_text}, {column_text}]"
                return f"Write {written if len(written) <= MAX_ECHOED else 'table[i, j]'}."
        return ""

    def _span(self, node: ast.expr | ast.keyword) -> Span:
        """Return the piece of text of a node, whose columns `ast` counts in bytes of UTF-8."""
        start, stop = (
            len(self._encoded[:column].decode(errors="ignore")) + self._indent
            for column in (node.col_offset, node.end_col_offset or node.col_offset)
        )
        return Span(start, max(stop, start))


def has_tensor(call: ast.Call) -> bool:
    """Return whether an operand of a call has a name that no index has: q, k or score."""
    return any(isinstance(one, ast.Name) and one.id in ("q", "k", "score") for one in ast.walk(call))


def _to_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return inf


def names_in(text: str) -> frozenset[str]:
    """Return the names in a text that may be no formula, as `ast` reads them, but for those of the language."""
    found = (match for match in TOKENS.finditer(text[:MAX_CHARACTERS]) if match.lastgroup == "name")
    return frozenset(normalize("NFKC", match[0]) for match in found) - RESERVED


def iterate_names(root: Node) -> Iterator[Node]:
    """Yield the nodes that are names, in the order of the text."""
    return (node for node in root.walk() if node.operation == "name")
