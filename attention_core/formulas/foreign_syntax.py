"""Advice on syntax that the language of formulas does not have: that of Python, of C, and of mathematics in print."""

import ast
import re
from collections.abc import Mapping
from keyword import kwlist
from unicodedata import east_asian_width, normalize

from attention_core.formulas.language import LANGUAGE

WORD_BEFORE, WORD_BEHIND = re.compile(r"[^\W\d]\w*\Z"), re.compile(r"[^\W\d]\w*")

ADVICE_ON_TOKENS: Mapping[str, str] = {
    "=": "Write == to compare, and = behind the other sign in <=, >= and !=; operands of functions have no names.",
    "^": "Write ** for a power; that one of two conditions holds alone is (a and not b) or (not a and b).",
    "&": "Write `and`.",
    "&&": "Write `and`.",
    "|": "Write `or`; magnitudes are abs(…).",
    "||": "Write `or`; lengths are norm(…).",
    "~": "Write `not`.",
    "!": "Write `not`, or != for unequal.",
    "?": "Write where(condition, x, y).",
    ":": "There are no slices and no lambdas; write one expression.",
    ".": "There are no attributes and methods: write abs(x), and W @ q for a product with a matrix.",
    "#": "There are no comments in a formula.",
    ";": "A formula is one expression.",
    "−": "Write - with the keyboard's minus sign.",
    "–": "Write - with the keyboard's minus sign.",
    "·": "Write * for a product of numbers, dot(a, b) for one of vectors.",
    "×": "Write *.",
    "÷": "Write /.",
    "≤": "Write <=.",
    "≥": "Write >=.",
    "≠": "Write !=.",
    "√": "Write sqrt(x).",
    "∑": "Write sum(…) for the sum of a vector's elements.",
    "∞": "Write inf.",
    "∧": "Write `and`.",
    "∨": "Write `or`.",
    "¬": "Write `not`.",
    "'": "There are no texts in a formula: write names without quotes.",
    '"': "There are no texts in a formula: write names without quotes.",
    "{": "Brackets are (…), and […] for the indices of a parameter.",
    "}": "Brackets are (…), and […] for the indices of a parameter.",
}

ADVICE_ON_NODES: Mapping[type[ast.AST], str] = {
    ast.IfExp: "Write where(c, x, y) for numbers, (c and x) or (not c and y) for conditions.",
    ast.Attribute: "There are no attributes and methods; functions are called by their names: sum(x).",
    ast.Tuple: "Numbers separated by commas stand only in calls and indices.",
    ast.List: "Send numbers as a parameter, and write its name.",
    ast.UnaryOp: "Leave the sign + out.",
    ast.Compare: "Comparisons are < <= > >= == !=; join them with `and`, `or` and `not`.",
    ast.Constant: "Constants are numbers, pi, e, inf, True and False.",
    ast.Starred: "Write each operand by itself.",
    ast.GeneratorExp: "There are no loops: a function of vectors takes them whole, as sum(q * k) does.",
    ast.ListComp: "There are no loops: a function of vectors takes them whole, as sum(q * k) does.",
    ast.Call: "Write * for a product. A function is called by its name alone: sum(x).",
    ast.Subscript: "Only a parameter has indices, between its name and nothing else: slope[h].",
}

NODE_WORDS: Mapping[type[ast.AST], str] = {
    ast.IfExp: "if … else",
    ast.Compare: "comparison",
    ast.Constant: "constant",
    ast.GeneratorExp: "loop",
    ast.ListComp: "loop",
}
"""What an error calls expressions of Python whose classes have other words."""

MODULES = frozenset({"torch", "math", "np", "numpy", "jnp", "jax", "tf", "F", "nn", "functional", "linalg", "keras"})
"""Modules of Python before whose functions a formula has nothing."""

ADVICE_ON_WORDS: Mapping[str, str] = {
    "AND": "Write `and`.",
    "OR": "Write `or`.",
    "NOT": "Write `not`.",
    "xor": "Write (a and not b) or (not a and b).",
    "mod": "Write % for a remainder.",
    "div": "Write // for a quotient that is rounded down.",
    "<>": "Write != for unequal.",
    **dict.fromkeys(kwlist, "It is a word of Python, which no formula has, not even as the name of a parameter."),
}
"""By words and signs at which a formula ceases to be an expression."""

USUAL = "Only names, numbers, operators, function calls and indices of the language are formulas."


def advise_on_token(token: str) -> str:
    """Return what to write instead of characters that the language does not have.

    :param token: the characters, one or more.
    """
    if token in ADVICE_ON_TOKENS:
        return ADVICE_ON_TOKENS[token]
    if east_asian_width(token[0]) == "F":
        return f"Write {normalize('NFKC', token)} with half width."
    digits = token.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if digits.isdecimal() and len(token) > len(digits) and token[len(digits) :] not in ("e", "E", "j", "J"):
        return f"Write * for a product: {digits} * {token[len(digits) :]}."
    if token[0].isdigit():
        return "Write decimal numbers, such as 0.5 or 1e-3."
    return "GET /v1/expressions lists the names and operators of the language."


def advise_on_attribute(text: str, column: int) -> str:
    """Return what to write instead of a name behind a dot.

    :param text: the formula.
    :param column: index of the dot.
    """
    usual = ADVICE_ON_TOKENS["."]
    before, behind = WORD_BEFORE.search(text[:column]), WORD_BEHIND.match(text[column + 1 :])
    if behind is None:
        return usual
    name, entry = behind[0], LANGUAGE.get(behind[0])
    if before is not None and before[0] in MODULES:
        written = "" if entry is None else f": write {entry.signature if entry.is_function else name}"
        return f"Leave out {before[0]}.{written}."
    if name in ("T", "mT", "t", "transpose"):
        return "There are no attributes; q @ k and dot(q, k) are the dot product, x @ W is the transpose of W times x."
    if entry is not None and entry.is_function:
        return f"There are no methods: write {entry.signature}."
    if before is not None and name in ("q", "k"):
        return f"Write {before[0]} @ {name}, or dot({before[0]}, {name}), for a dot product."
    return usual


def advise_on_text(before: str) -> str:
    """Return what to write instead of a text in quotes.

    :param before: the formula before it.
    """
    return "Write inf, or -inf." if before.rstrip().endswith("float(") else ADVICE_ON_TOKENS["'"]


def name_node(node: ast.expr) -> str:
    """Return what an error calls an expression of Python."""
    usual = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower().removesuffix(" exp")
    return NODE_WORDS.get(type(node), usual)


def advise_on_word(piece: str) -> str:
    """Return what to write instead of the piece of text at which a formula ceases to be an expression."""
    usual = "Look for a missing operator, operand, comma or bracket there, or just before."
    return ADVICE_ON_WORDS.get(piece, usual)


def advise_on_node(node: ast.expr) -> str:
    """Return what to write instead of an expression of Python that the language does not have."""
    return next((text for of, text in ADVICE_ON_NODES.items() if isinstance(node, of)), USUAL)
