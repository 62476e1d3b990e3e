"""Reference pages of the Python packages, from their docstrings and signatures; `development.generate` writes them."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import ModuleType
from typing import Any

import attention_client
import attention_core
from attention_core.descriptions import Described, parameters_of
from attention_core.mask_base import BaseMask
from development.tables import Language, parameter_as_text

WIDTH = 120
MAX_SIGNATURE_COLUMNS = 100

PARAMETER = re.compile(r"^:param ([\w, ]+): ", re.MULTILINE)
SKIPPED = "+SKIP"
"""In the examples of docstrings that need a running service."""

GROUPS: dict[str, Callable[[Any], bool]] = {
    "Functions": inspect.isfunction,
    "Score models": lambda one: one in attention_core.SCORE_MODELS.values(),
    "Normalizers": lambda one: one in attention_core.NORMALIZERS.values(),
    "Masks": lambda one: inspect.isclass(one) and issubclass(one, BaseMask),
    "Positions": lambda one: one in attention_core.POSITIONS.values(),
    "Classes": lambda one: inspect.isclass(one) and not issubclass(one, Exception),
    "Errors": inspect.isclass,
}
"""Sections of a page: each name of `__all__` stands in the first that holds it, constants and aliases in none."""

WITH_METHODS = ("Classes", "Errors")
"""Sections whose classes are called; those of the others are given to calls."""


def api_of(package: ModuleType) -> Callable[[Language], list[str]]:
    """Return how to write the page of a package: everything in its `__all__`, in any language."""

    def write(_: Language) -> list[str]:
        grouped: dict[str, list[str]] = {title: [] for title in GROUPS}
        for name in package.__all__:
            title = next((title for title, holds in GROUPS.items() if holds(getattr(package, name))), None)
            if title is not None:
                grouped[title].append(name)
        lines = [""]
        shown: set[str] = set()
        for title, names in grouped.items():
            if names:
                lines += [f"## {title}", ""]
            # What asyncio calls has the texts of what it is beside, which come first.
            for name in sorted(names, key=lambda name: name.startswith("Async")):
                lines += _entry(name, getattr(package, name), shown if title in WITH_METHODS else None)
        return lines

    return write


def _entry(name: str, one: Any, shown: set[str] | None) -> Iterator[str]:
    """Yield the lines about a function, or about a class and those methods whose text has not been shown yet.

    :param shown: texts of methods so far; None where methods are left out.
    """
    yield from (f"### {name}", "")
    if inspect.isfunction(one):
        yield from _snippet("python signature", _function_signature(name, one))
        yield from markdown(inspect.getdoc(one) or "")
        return
    if not issubclass(one, Exception):
        yield from _snippet("python signature", _class_signature(name, one))
    yield from markdown(inspect.getdoc(one) or "")
    yield from _attributes(one, shown if issubclass(one, Exception) else None)
    for method in _methods(one) if shown is not None else ():
        text = inspect.getdoc(getattr(one, method)) or ""
        if shown is not None and text and text not in shown:
            shown.add(text)
            yield from (f"#### {name}.{method}", "")
            if inspect.isroutine(getattr(one, method)):
                yield from _snippet("python signature", _function_signature(method, getattr(one, method)))
            yield from markdown(text)


def _methods(one: type) -> list[str]:
    """Return the names of the public methods and properties of a class that belong to our packages."""
    found: dict[str, None] = {}
    for owner in reversed(one.__mro__):
        if owner.__module__.partition(".")[0] == one.__module__.partition(".")[0]:
            found |= {name: None for name, member in vars(owner).items() if _is_method(name, member)}
    return list(found)


def _is_method(name: str, member: object) -> bool:
    return not name.startswith("_") and isinstance(member, property | classmethod | staticmethod | type(_is_method))


def _attributes(one: type, shown: set[str] | None) -> Iterator[str]:
    """Yield a list of the parameters of a described class, or of the fields of any other that have a text.

    :param shown: texts so far, which errors do not repeat; None where each class has all of its own.
    """
    if hasattr(one, "description"):
        described: type[Described] = one
        items = [parameter_as_text(parameter, "en") for parameter in parameters_of(described).values()]
    else:
        named = {name: text for name, (_, text) in _fields(one).items() if text and not name.startswith("_")}
        items = [f"`{name}`: {text}" for name, text in named.items()]
    if shown is not None:
        items = [item for item in items if item not in shown]
        shown.update(items)
    for item in items:
        yield from _item(item)
    if items:
        yield ""


def _function_signature(name: str, function: Callable[..., Any]) -> str:
    node = _parsed(inspect.unwrap(getattr(function, "__func__", function)))
    arguments = [one for one in _parameters(node.args) if one not in ("self", "cls")]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    return _call(f"{prefix}{name}", arguments, returns)


def _class_signature(name: str, one: type) -> str:
    if is_dataclass(one):
        arguments = []
        annotations = _fields(one)
        for field in fields(one):
            if field.init:
                default = "" if field.default is MISSING else f" = {field.default!r}"
                default = " = …" if field.default_factory is not MISSING else default
                mark = ["*"] if field.kw_only and "*" not in arguments else []
                arguments += [*mark, f"{field.name}: {annotations[field.name][0]}{default}"]
        return _call(name, arguments, "")
    if inspect.isfunction(getattr(one, "__init__", None)):
        node = _parsed(one.__init__)  # type: ignore[misc]
        return _call(name, [argument for argument in _parameters(node.args) if argument != "self"], "")
    return f"class {name}"


def _fields(one: type) -> dict[str, tuple[str, str]]:
    """Return the annotation of each field of a class as it is written, and the text below it."""
    found: dict[str, tuple[str, str]] = {}
    for owner in reversed(one.__mro__):
        if owner.__module__.partition(".")[0] != one.__module__.partition(".")[0]:
            continue
        body = getattr(_parsed(owner), "body", [])
        for statement, follower in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                found[statement.target.id] = ast.unparse(statement.annotation), _text_in(follower)
    return found


def _text_in(statement: object) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).replace("``", "`").split())
    return ""


@cache
def _parsed(one: Any) -> Any:
    """Return the statement that defines a function or a class."""
    return ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    """Yield the parameters of a function as they are written, with the marks "/" and "*"."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for index, (one, default) in enumerate(zip(positional, defaults, strict=True), start=1):
        yield _parameter(one, default)
        if index == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(one, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(one) + ("" if default is None else f" = {ast.unparse(default)}")


def _call(name: str, arguments: list[str], returns: str) -> str:
    """Return a call on one line, or with one argument a line where it is long."""
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= MAX_SIGNATURE_COLUMNS:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){returns}"])


def markdown(docstring: str) -> Iterator[str]:
    """Yield the lines of a docstring as Markdown: parameters as a list, formulas and examples as snippets.

    Examples that need a running service are left out: the guide of the client has them, and tests run those.
    """
    blocks = iter(re.split(r"\n{2,}", docstring))
    for block in blocks:
        if block == "::":
            yield from _snippet("text formulas", textwrap.dedent(next(blocks)))
        elif block.lstrip().startswith(">>>"):
            if SKIPPED not in block:
                yield from _snippet("python session", textwrap.dedent(block))
        elif PARAMETER.match(block):
            for text in re.split(r"^(?=:param )", block, flags=re.MULTILINE):
                if text:
                    yield from _item(PARAMETER.sub(r"`\1`: ", text))
            yield ""
        else:
            literal = block.endswith("::")
            yield from textwrap.wrap(
                _prose(block.removesuffix(":") if literal else block), WIDTH, break_on_hyphens=False
            )
            yield ""
            if literal:
                yield from _snippet("text formulas", textwrap.dedent(next(blocks)))


def _item(text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        _prose(text), WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


def _prose(text: str) -> str:
    """Return text in one line, code in single backquotes, with nothing that Markdown reads as markup elsewhere."""
    pieces = re.split(r"(`+[^`]+`+)", " ".join(text.split()))
    return "".join(
        f"`{piece.strip('`')}`" if piece.startswith("`") else re.sub(r"([<*])", r"\\\1", piece) for piece in pieces
    )


def _snippet(kind: str, code: str) -> Iterator[str]:
    yield from (f"```{kind}", *code.splitlines(), "```", "")


PAGES = {"Python API": api_of(attention_core), "client API": api_of(attention_client)}
"""The generated part of each page, by name."""
