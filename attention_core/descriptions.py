"""Descriptions of score models, normalizers and positions: plain data that stands beside the code of each.

Request schemas, the catalogue, the names of Open Inference Protocol V2, the tables of the documentation and the
registries of the tests are made from them.  A class that is described has

- ``name``, by which a request chooses it;
- ``description``, a `Description`;
- dataclass fields whose metadata is `parameter(…)`: the name of a parameter and its default are those of its field;
  other fields, such as what `bind` computes, are no parameters.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cache
from math import inf
from typing import Any, ClassVar, Literal

ParameterKind = Literal["number", "integer", "boolean", "choice", "object", "formula", "named values"]
"""A number, which may be a tensor with `axes`; an integer; true or false; one of some names; an object of a class of
its own; the text of a formula; or a mapping from the names that a formula uses to their values, each a number, a
vector, a matrix, or one of these for each query head."""

AXES = {"U": "hidden units", "D": "features", "Dq": "features of a query", "Dk": "features of a key"}
"""What the axes of tensor parameters count; another name is an axis of a size that the parameters decide, as U is."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in Chinese and in English."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        """Return both texts, by language."""
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a person should know about a score model, normalizer or position."""

    title: Text
    summary: Text
    """One or two sentences: what it computes, and when to choose it."""
    latex: str
    """The formula in LaTeX."""
    plain: str
    """The formula in plain text."""
    source: str
    """Authors, year, title of the paper, and its section or equation."""
    example: Mapping[str, Any]
    """Parameters as a request sends them: right for queries and keys of four features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a score model, normalizer or position."""

    zh: str
    en: str
    symbol: str = ""
    """Its symbol in the formula, where that is not its name."""
    axes: tuple[str, ...] = ()
    """Axes of a tensor for one query head, of `AXES`; "3·D" is three times D.  Empty for a number."""
    per_head: bool = True
    """Whether one value for each query head may be given, along a leading axis."""
    kind: ParameterKind = "number"
    """What its value is."""
    choices: tuple[str, ...] = ()
    """The names of which a choice is one."""
    of: "type[Described] | None" = None
    """The class of an object, whose own fields are parameters."""
    above: float = -inf
    """Exclusive lower bound of a number."""
    minimum: float = -inf
    """Inclusive lower bound of a number."""
    default_text: Text | None = None
    """What a default of None stands for; without it None is none at all."""
    advice: str = "Choose another, or leave it out for the default."
    """What an error about its value advises."""
    flat_name: str | None = None
    """Its name where the parameters of all models share one namespace; None for its own, "" for none."""
    has_gradient: bool = True
    """Whether gradients are answered for it, where it is a number."""
    name: str = ""
    default: Any = None
    required: bool = False

    @property
    def rank(self) -> int:
        """Rank for one query head: 0 for a number."""
        return len(self.axes)

    @property
    def condition(self) -> str:
        """The lower bound, such as "> 0"; empty for none."""
        if self.above > -inf:
            return f"> {self.above:g}"
        return f"≥ {self.minimum:g}" if self.minimum > -inf else ""

    @property
    def expected(self) -> str:
        """Return what its value must be, for errors."""
        number = "an integer" if self.kind == "integer" else "a finite number"
        if self.above > -inf:
            return f"{number} greater than {self.above:g}"
        return f"{number} of at least {self.minimum:g}" if self.minimum > -inf else number

    def accepts(self, number: float) -> bool:
        """Return whether a number is finite and within the bounds, and whole where it is an integer."""
        if self.kind == "integer" and number != number // 1:
            return False
        return -inf < number < inf and number > self.above and number >= self.minimum

    @property
    def default_clause(self) -> Text | None:
        """Which default it has, such as "default 1"; None where it is required, or None stands for nothing given."""
        shown = self.default_text
        if self.default is not None:
            number = str(self.default).lower() if self.kind == "boolean" else f"{self.default:g}"
            shown = Text(number, number)
        return shown and Text(f"默认为{' ' if shown.zh[0].isascii() else ''}{shown.zh}", f"default {shown.en}")

    @property
    def summary(self) -> str:
        """Everything that a person should know to set it, in English and then in Chinese."""
        shape = f"shape [{', '.join(self.axes)}]" if self.axes else ""
        head = ", ".join(part for part in (self.symbol or self.en, shape, self.condition) if part)
        english = f"{head}: {self.en}" if self.symbol and self.en else head
        default = self.default_clause
        if default is not None:
            return f"{english}; {default.en}. {self.zh}，{default.zh}。"
        return f"{english}{'' if self.required else '; null means none'}. {self.zh}。"


class Described:
    """Base of a class that is described; see the docstring of this module."""

    __slots__ = ()

    name: ClassVar[str]
    description: ClassVar[Description]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def parameter(*, zh: str, en: str = "", **rules: Any) -> dict[str, Parameter]:
    """Return the metadata of a dataclass field that is a parameter.

    :param zh: what it is, in Chinese, without a full stop.
    :param en: what it is, in English, without a full stop.
    :param rules: other fields of `Parameter`, by name; `name`, `default` and `required` are read from the field.
    """
    return {"parameter": Parameter(zh=zh, en=en, **rules)}


def parameters_of(described: type[Described]) -> Mapping[str, Parameter]:
    """Return the parameters of a described class by name, in the order of its fields."""
    # mypy takes the `__hash__` of instances for that of the class.
    cached: object = described
    return _parameters_of(cached)


@cache
def _parameters_of(described: Any) -> Mapping[str, Parameter]:
    found = {}
    for one in fields(described):
        if "parameter" not in one.metadata:
            continue
        required = one.default is MISSING
        default = None if required else one.default
        found[one.name] = replace(one.metadata["parameter"], name=one.name, default=default, required=required)
    return found


def takes_two_sizes(described: type[Described]) -> bool:
    """Return whether queries and keys may differ in their number of features: a parameter has the axis Dk."""
    return any("Dk" in one.axes for one in parameters_of(described).values())
