"""The language of formulas as one table: every name with its kind, arity, meaning, example and LaTeX form.

The parser, the errors, the catalogue, the documentation and the LaTeX of a formula are made from `LANGUAGE`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attention_core.descriptions import Text

FormulaKind = Literal["score_model", "score_modifier", "mask"]
"""Where a formula stands, which decides its variables and what it must yield."""

Group = Literal[
    "variable", "size", "constant", "arithmetic", "comparison", "logic", "elementwise", "reduction", "shape"
]
"""What a name is: a row of the documentation."""

GROUPS: Mapping[Group, Text] = {
    "variable": Text("变量", "variables"),
    "size": Text("大小", "sizes"),
    "constant": Text("常数", "constants"),
    "arithmetic": Text("算术", "arithmetic"),
    "comparison": Text("比较", "comparisons"),
    "logic": Text("逻辑", "logic"),
    "elementwise": Text("逐元素", "element by element"),
    "reduction": Text("由向量到数", "vector to number"),
    "shape": Text("形状", "shape"),
}

MAX_CHARACTERS = 1000
"""Maximum characters of a formula."""

MAX_NODES = 200
"""Maximum nodes of a formula: names, numbers, operators, calls and indices."""

MAX_DEPTH = 32
"""Maximum depth of a formula: nodes on the way from the whole to a name or number."""

MAX_PARAMETERS = 16
"""Maximum parameters of a formula."""

ANYWHERE: tuple[FormulaKind, ...] = ("score_model", "score_modifier", "mask")
POSITIONED: tuple[FormulaKind, ...] = ("score_modifier", "mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name or an operator of the language."""

    name: str
    """As it is written."""
    group: Group
    meaning: Text
    example: str
    """A formula, or a part of one, that uses it."""
    latex: str
    """Its LaTeX, with ``<0>``, ``<1>``, … for operands and ``<*>`` for all of them, separated by commas."""
    arity: tuple[int, int | None] | None = None
    """Minimum and maximum operands, None for any number; None for a name that has none."""
    kinds: tuple[FormulaKind, ...] = ANYWHERE
    """Formulas in which it may stand."""

    @property
    def is_function(self) -> bool:
        """Whether it is called with parentheses."""
        return self.arity is not None and self.name.isidentifier() and self.group != "logic"

    @property
    def signature(self) -> str:
        """A function with names for its operands: ``where(c, x, y)``."""
        named = self.meaning.en.partition(":")[0]
        if named.startswith(f"{self.name}("):
            return named
        least, most = self.arity or (0, 0)
        operands = "x" if least == 1 else "a, b" if most == least else "a, b, …"
        return f"{self.name}({operands})"


def _variable(name: str, zh: str, en: str, example: str, latex: str, *kinds: FormulaKind) -> Entry:
    return Entry(name=name, group="variable", meaning=Text(zh, en), example=example, latex=latex, kinds=kinds)


def _size(name: str, zh: str, en: str, example: str, latex: str, kinds: tuple[FormulaKind, ...]) -> Entry:
    return Entry(name=name, group="size", meaning=Text(zh, en), example=example, latex=latex, kinds=kinds)


def _constant(name: str, zh: str, en: str, example: str, latex: str) -> Entry:
    return Entry(name=name, group="constant", meaning=Text(zh, en), example=example, latex=latex)


def _operator(
    name: str, group: Group, zh: str, en: str, example: str, latex: str, arity: tuple[int, int] = (2, 2)
) -> Entry:
    return Entry(name=name, group=group, meaning=Text(zh, en), example=example, latex=latex, arity=arity)


def _function(
    name: str, group: Group, zh: str, en: str, example: str, latex: str, arity: tuple[int, int | None] = (1, 1)
) -> Entry:
    return Entry(name=name, group=group, meaning=Text(zh, en), example=example, latex=latex, arity=arity)


_ENTRIES: tuple[Entry, ...] = (
    _variable("q", "查询向量，Dq 个特征", "the query, a vector of Dq features", "sum(q * k)", "q", "score_model"),
    _variable("k", "键向量，Dk 个特征", "the key, a vector of Dk features", "sum(q * k)", "k", "score_model"),
    _variable(
        "score",
        "此前各步得到的得分",
        "the score of the steps before: capped, with bias and ALiBi",
        "2 * tanh(score / 2)",
        r"\mathrm{score}",
        "score_modifier",
    ),
    _variable("i", "查询的下标，从 0 起", "index of the query, from 0", "i == j", "i", *POSITIONED),
    _variable("j", "键的下标，从 0 起", "index of the key, from 0", "j < 4", "j", *POSITIONED),
    _variable(
        "p",
        "查询的位置：i + offset，或给出的位置",
        "position of the query: i + offset, or the position that is given",
        "j <= p",
        "p",
        *POSITIONED,
    ),
    _variable("b", "批次中的行，从 0 起", "batch row, from 0", "j < lengths[b]", "b", *POSITIONED),
    _variable(
        "h",
        "查询头，从 0 起；没有头则为 0",
        "query head, from 0; 0 where there are no heads",
        "h < 4",
        "h",
        *POSITIONED,
    ),
    _size("Dq", "查询的特征数", "features of a query", "dot(q, W @ k) / sqrt(Dq)", "D_q", ("score_model",)),
    _size("Dk", "键的特征数", "features of a key", "dot(q @ W, k) / sqrt(Dk)", "D_k", ("score_model",)),
    _size(
        "D",
        "查询与键共同的特征数",
        "features of query and key, where both have as many",
        "sum(q * k) / sqrt(D)",
        "D",
        ("score_model",),
    ),
    _size("Lq", "查询的个数", "number of queries", "i == Lq - 1", "L_q", POSITIONED),
    _size("Lk", "键的个数", "number of keys", "j >= Lk - 128", "L_k", POSITIONED),
    _constant("pi", "圆周率", "the ratio of a circle's circumference to its diameter", "cos(pi / 4)", r"\pi"),
    _constant("e", "自然对数的底", "the base of natural logarithms", "e ** 2", "e"),
    _constant("inf", "无穷大", "infinity", "where(j <= p, score, -inf)", r"\infty"),
    _constant("True", "真", "true", "True", r"\top"),
    _constant("False", "假", "false", "not False", r"\bot"),
    _operator("+", "arithmetic", "加", "plus", "score + 1", "<0> + <1>"),
    _operator("-", "arithmetic", "减；负号", "minus, of two numbers or of one", "p - j", "<0> - <1>", (1, 2)),
    _operator("*", "arithmetic", "乘，逐元素", "times, element by element", "2 * score", r"<0> \cdot <1>"),
    _operator(
        "/",
        "arithmetic",
        "除；除以零按 IEEE 754",
        "divided by; by zero as IEEE 754 says",
        "score / 2",
        r"\frac{<0>}{<1>}",
    ),
    _operator(
        "//",
        "arithmetic",
        "除后向下取整",
        "divided by, rounded down",
        "i // 64 == j // 64",
        r"\left\lfloor \frac{<0>}{<1>} \right\rfloor",
    ),
    _operator(
        "%",
        "arithmetic",
        "余数，符号随除数",
        "remainder, with the sign of the divisor",
        "(p - j) % 2 == 0",
        r"<0> \bmod <1>",
    ),
    _operator("**", "arithmetic", "幂", "to the power of", "score ** 2", "<0>^{<1>}"),
    _operator(
        "@",
        "arithmetic",
        "矩阵乘向量（左边的向量为行）或向量点积",
        "matrix times vector (a vector on the left is a row), or the dot product of two vectors",
        "q @ W @ k",
        r"<0> \, <1>",
    ),
    _operator("<", "comparison", "小于", "less than", "p - j < 128", "<0> < <1>"),
    _operator("<=", "comparison", "小于等于", "at most", "j <= p", r"<0> \le <1>"),
    _operator(">", "comparison", "大于", "greater than", "j > 3", "<0> > <1>"),
    _operator(">=", "comparison", "大于等于", "at least", "j >= i", r"<0> \ge <1>"),
    _operator("==", "comparison", "等于", "equal to", "doc[i] == doc[j]", "<0> = <1>"),
    _operator("!=", "comparison", "不等于", "not equal to", "i != j", r"<0> \ne <1>"),
    _operator("and", "logic", "且", "both are true", "j <= p and p - j < 128", r"<0> \land <1>"),
    _operator("or", "logic", "或", "one of them is true", "j <= p or j < 4", r"<0> \lor <1>"),
    _operator("not", "logic", "非", "is not true", "not i == j", r"\lnot <0>", (1, 1)),
    _function("abs", "elementwise", "绝对值", "magnitude", "abs(p - j)", r"\left|<0>\right|"),
    _function("sqrt", "elementwise", "平方根", "square root", "sqrt(D)", r"\sqrt{<0>}"),
    _function("exp", "elementwise", "e 的幂", "e to the power of", "exp(-abs(p - j))", r"\exp\left(<0>\right)"),
    _function("expm1", "elementwise", "exp(x) − 1", "exp(x) − 1, exact near 0", "expm1(score)", r"e^{<0>} - 1"),
    _function("log", "elementwise", "自然对数", "natural logarithm", "log(1 + abs(p - j))", r"\ln\left(<0>\right)"),
    _function(
        "log1p",
        "elementwise",
        "ln(1 + x)",
        "logarithm of 1 + x, exact near 0",
        "log1p(abs(p - j))",
        r"\ln\left(1 + <0>\right)",
    ),
    _function("tanh", "elementwise", "双曲正切", "hyperbolic tangent", "tanh(score)", r"\tanh\left(<0>\right)"),
    _function("sin", "elementwise", "正弦", "sine", "sin(p - j)", r"\sin\left(<0>\right)"),
    _function("cos", "elementwise", "余弦", "cosine of an angle", "cos(p - j)", r"\cos\left(<0>\right)"),
    _function(
        "sigmoid", "elementwise", "1/(1 + exp(−x))", "1/(1 + exp(−x))", "sigmoid(score)", r"\sigma\left(<0>\right)"
    ),
    _function(
        "softplus",
        "elementwise",
        "ln(1 + exp(x))",
        "ln(1 + exp(x))",
        "softplus(score)",
        r"\mathrm{softplus}\left(<0>\right)",
    ),
    _function(
        "relu", "elementwise", "x 与 0 中较大者", "the larger of x and 0", "relu(score)", r"\max\left(<0>, 0\right)"
    ),
    _function("square", "elementwise", "平方", "square", "sum(square(q - k))", r"\left(<0>\right)^2"),
    _function("sign", "elementwise", "符号：−1、0 或 1", "−1, 0 or 1", "sign(p - j)", r"\mathrm{sgn}\left(<0>\right)"),
    _function("floor", "elementwise", "向下取整", "rounded down", "floor(i / 64)", r"\left\lfloor <0> \right\rfloor"),
    _function(
        "minimum",
        "elementwise",
        "两数中较小者",
        "the smaller of two",
        "minimum(p - j, 128)",
        r"\min\left(<*>\right)",
        (2, 2),
    ),
    _function(
        "maximum",
        "elementwise",
        "两数中较大者",
        "the larger of two",
        "maximum(score, -8)",
        r"\max\left(<*>\right)",
        (2, 2),
    ),
    _function(
        "clip",
        "elementwise",
        "clip(x, a, b)：限制在 a 与 b 之间",
        "clip(x, a, b): x, but at least a and at most b",
        "clip(p - j, -8, 8)",
        r"\mathrm{clip}\left(<*>\right)",
        (3, 3),
    ),
    _function(
        "where",
        "elementwise",
        "where(c, x, y)：c 为真取 x，否则取 y",
        "where(c, x, y): x where c is true, else y",
        "where(j <= p, score, -inf)",
        r"\begin{cases} <1> & <0> \\ <2> & \text{otherwise} \end{cases}",
        (3, 3),
    ),
    _function(
        "sum", "reduction", "各元素之和", "sum of the elements", "-sum(abs(q - k))", r"\sum_m \left(<0>\right)_m"
    ),
    _function(
        "mean", "reduction", "各元素的平均", "mean of the elements", "mean(q * k)", r"\mathrm{mean}\left(<0>\right)"
    ),
    _function("max", "reduction", "最大的元素", "largest element", "-max(abs(q - k))", r"\max_m \left(<0>\right)_m"),
    _function("min", "reduction", "最小的元素", "smallest element", "min(q * k)", r"\min_m \left(<0>\right)_m"),
    _function(
        "dot", "reduction", "两个向量的点积", "dot product of two vectors", "dot(q, k)", r"<0> \cdot <1>", (2, 2)
    ),
    _function("norm", "reduction", "欧几里得长度", "Euclidean length", "-norm(q - k)", r"\left\|<0>\right\|"),
    _function(
        "norm1", "reduction", "各元素绝对值之和", "sum of the magnitudes", "-norm1(q - k)", r"\left\|<0>\right\|_1"
    ),
    _function(
        "cosine",
        "reduction",
        "两向量夹角的余弦；有零向量则为 0",
        "cosine of the angle between two vectors; 0 beside a zero vector",
        "8 * cosine(q, k)",
        r"\cos\angle\left(<*>\right)",
        (2, 2),
    ),
    _function(
        "concat",
        "shape",
        "把向量首尾相接",
        "vectors one after another",
        "v @ tanh(W @ concat(q, k))",
        r"\left[<*>\right]",
        (2, None),
    ),
)

LANGUAGE: Mapping[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""Every name and operator of the language."""

FUNCTIONS: Mapping[str, Entry] = {name: entry for name, entry in LANGUAGE.items() if entry.is_function}
"""Names that are called with parentheses."""

RESERVED: frozenset[str] = frozenset(name for name in LANGUAGE if name.isidentifier()) | {"and", "or", "not"}
"""Names that no parameter may have."""


def variables_of(kind: FormulaKind) -> frozenset[str]:
    """Return the names without operands that a formula of a kind may use: variables, sizes and constants."""
    return frozenset(name for name, entry in LANGUAGE.items() if entry.arity is None and kind in entry.kinds)
