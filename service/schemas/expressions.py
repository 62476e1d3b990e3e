"""The language of formulas, and what one formula says: the answers of GET /v1/expressions."""

from typing import Any, get_args

from pydantic import BaseModel, Field

from attention_core import UnknownName
from attention_core.errors import CallError
from attention_core.formulas import GROUPS, LANGUAGE, Entry, FormulaKind, parse_formula
from attention_core.formulas.known_shapes import known_parameters
from attention_core.formulas.language import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, MAX_PARAMETERS
from attention_core.formulas.rendering import render
from attention_core.hints import did_you_mean
from service.schemas.catalogue import InTwoLanguages
from service.schemas.parse import call_errors

QUERY = ("formula", "kind")
"""Names in the query of GET /v1/expressions."""

KINDS: tuple[FormulaKind, ...] = get_args(FormulaKind)


class Arity(BaseModel):
    """How many operands a function or an operator has. 运算数的个数。"""

    min: int = Field(description="The least. 最少。")
    max: int | None = Field(description="The most; null for any number. 最多；null 表示不限。")


class LanguageEntry(BaseModel):
    """A name or an operator of the language. 语言中的一个名称或运算符。"""

    name: str = Field(description="As it is written. 写法。")
    group: str = Field(description="The name of its group. 所属的组。")
    kinds: list[FormulaKind] = Field(description="Formulas in which it may stand. 可以出现在哪些公式中。")
    arity: Arity | None = Field(description="Its operands; null for a name without any. 运算数；没有则为 null。")
    meaning: InTwoLanguages = Field(description="What it is. 含义。")
    example: str = Field(description="A formula that uses it. 使用它的公式。")
    latex: str = Field(description="That formula in LaTeX. 该公式的 LaTeX。")
    mathml: str = Field(description="The same in MathML. 该公式的 MathML。")


class LanguageGroup(BaseModel):
    """A group of names. 一组名称。"""

    name: str = Field(description="As entries name it. 组名。")
    title: InTwoLanguages = Field(description="What people call it. 标题。")


class LanguageLimits(BaseModel):
    """How large a formula may be. 公式的大小限制。"""

    characters: int = Field(description="Of its text. 字符数。")
    nodes: int = Field(description="Names, numbers, operators, calls and indices. 节点数。")
    depth: int = Field(description="Of its nesting. 嵌套深度。")
    parameters: int = Field(description="Names that the request gives values. 参数个数。")


class ExpressionLanguage(BaseModel):
    """The language of formulas: score models, score modifiers and masks. 公式的语言。"""

    names: list[LanguageEntry] = Field(description="Every name and operator. 全部名称与运算符。")
    groups: list[LanguageGroup] = Field(description="In the order of the names. 各组，按名称的顺序。")
    limits: LanguageLimits = Field(description="How large a formula may be. 大小限制。")


class FormulaParameterResponse(BaseModel, title="FreeParameter"):
    """A name that must be sent as a parameter. 必须作为参数给出的名称。"""

    name: str = Field(description="As the formula writes it. 公式中的写法。")
    shapes: list[list[str]] = Field(
        description="Every shape that fits, [] for a number, by the names of sizes: Dq, Dk, D (both), Lq, Lk, Hq, B, "
        "or a letter for a size that the parameters decide. Empty when nothing is known. One that is sent as "
        "per_head has one of these for each query head. "
        "所有合适的形状，[] 表示一个数；未知时为空。以 per_head 给出时，每个查询头各有一个。"
    )


class ExpressionResponse(BaseModel, title="Expression"):
    """A formula that was checked: how it is typeset, and what it needs. 检查过的公式。"""

    formula: str = Field(description="As it was sent. 原文。")
    kind: FormulaKind = Field(description="Where it may stand. 用途。")
    latex: str = Field(description="LaTeX for math mode. 公式的 LaTeX。")
    mathml: str = Field(description="A MathML element. 公式的 MathML。")
    parameters: list[FormulaParameterResponse] = Field(
        description="In the order in which they appear. 参数，按出现的顺序。"
    )


def describe_language() -> dict[str, Any]:
    """Return the body of GET /v1/expressions."""
    return {
        "names": [_entry(one) for one in LANGUAGE.values()],
        "groups": [{"name": name, "title": title.as_dict()} for name, title in GROUPS.items()],
        "limits": {
            "characters": MAX_CHARACTERS,
            "nodes": MAX_NODES,
            "depth": MAX_DEPTH,
            "parameters": MAX_PARAMETERS,
        },
    }


def _entry(one: Entry) -> dict[str, Any]:
    kind = next(kind for kind in KINDS if _parses(one.example, kind))
    rendering = render(parse_formula(one.example, kind, ()).root)
    return {
        "name": one.name,
        "group": one.group,
        "kinds": list(one.kinds),
        "arity": None if one.arity is None else dict(zip(("min", "max"), one.arity, strict=True)),
        "meaning": one.meaning.as_dict(),
        "example": one.example,
        "latex": rendering.latex,
        "mathml": rendering.mathml,
    }


def read_kind(kind: str | None) -> FormulaKind | None:
    """Return the kind of formula that a request names, None if it names none; raise InvalidRequest for another one."""
    if kind is None:
        return None
    with call_errors():
        if kind not in KINDS:
            error = UnknownName(("kind",), expected="a kind of formula", kind="field", received=kind, known=KINDS)
            error.advice = did_you_mean(kind, KINDS) or "Use one of these names."
            raise error
    return next(one for one in KINDS if one == kind)


def describe_formula(formula: str, kind: FormulaKind | None) -> dict[str, Any]:
    """Return the body of GET /v1/expressions?formula=….

    :param formula: the text.
    :param kind: where it is to stand; None for the first kind that it is good for.

    Raises InvalidRequest with the column and the piece of text.
    """
    with call_errors():
        return _describe_first(formula) if kind is None else _describe(formula, kind)


def _describe_first(formula: str) -> dict[str, Any]:
    """Describe a formula as the first kind that it is good for.

    Else raise the error of the first kind that has its variables and functions; of a score model where none has.
    """
    errors: list[CallError] = []
    for kind in KINDS:
        try:
            return _describe(formula, kind)
        except CallError as error:
            errors.append(error)
    raise next((error for kind, error in zip(KINDS, errors, strict=True) if _parses(formula, kind)), errors[0])


def _parses(formula: str, kind: FormulaKind) -> bool:
    """Return whether the functions and variables of a formula are those of a kind."""
    try:
        parse_formula(formula, kind, ("formula",))
    except CallError:
        return False
    return True


def _describe(formula: str, kind: FormulaKind) -> dict[str, Any]:
    parsed = parse_formula(formula, kind, ("formula",))
    parameters = known_parameters(parsed, ("formula",))
    vectors = [one.name for one in parameters if one.shapes and all(len(shape) == 1 for shape in one.shapes)]
    rendering = render(parsed.root, ("q", "k", *vectors))
    return {
        "formula": formula,
        "kind": kind,
        "latex": rendering.latex,
        "mathml": rendering.mathml,
        "parameters": [{"name": one.name, "shapes": [list(shape) for shape in one.shapes]} for one in parameters],
    }
