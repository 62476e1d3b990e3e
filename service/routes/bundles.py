"""One script of many ES modules, and one style sheet of many, so that a page asks for two files instead of sixty.

No module is changed but for its imports and exports, and loses the lines that hold a comment alone: each becomes a
function that runs once, in the order of the imports, and returns what it exports.  The entry module is a block, which
may await.
"""

import re
from collections.abc import Callable, Iterable
from posixpath import dirname, join, normpath

Read = Callable[[str], str]
"""Returns the source of a file, by its path."""

IMPORT = re.compile(r'^import (?:([^"]*?) from )?"(\.[^"]+)";\n', re.MULTILINE)

DYNAMIC_IMPORT = re.compile(r'\bimport\("(\.[^"]+)"\)')

EXPORT = re.compile(r"^export (default |(?:async function\*?|function\*?|class|const) +(\w+))", re.MULTILINE)

COMMENT = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
"""A line that holds a comment alone, a sixth of what the bundle weighs compressed."""

UNKNOWN = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
"""A line of another form of import or export, once those above are replaced."""


def bundle_modules(entry: str, read: Read) -> str:
    """Return one ES module that does what the module `entry` does with all that it imports.

    :param entry: path of the module that the page starts with.
    :param read: returns the source of a module, by its path.
    :raises ValueError: for modules that import each other in a circle, and for a form of import or export that no
        module of the pages uses: a package, `export let`, `export {…}`, `export … from`.
    """
    written: dict[str, str] = {}
    _add(entry, read, written, ())
    *modules, (path, body) = written.items()
    wrapped = (f"// {each}\nconst {_variable(each)} = (() => {{\n{source}}})();\n" for each, source in modules)
    return "".join((*wrapped, f"// {path}\n{{\n{body}}}\n"))


def bundle_styles(paths: Iterable[str], read: Read) -> str:
    """Return one style sheet; of two rules with one specificity the later still wins.

    :raises ValueError: for a style sheet that imports another or names a file, whose address would change.
    """
    sheets = {path: read(path) for path in paths}
    for path, sheet in sheets.items():
        if "@import" in sheet or re.search(r"\burl\((?!\s*[\"']?(?:data:|#))", sheet):
            raise ValueError(f"{path}: expected a style sheet by itself; received @import or url(). Put it in line.")
    return "\n".join(sheets.values())


def _add(path: str, read: Read, written: dict[str, str], importers: tuple[str, ...]) -> None:
    """Write a module behind all that it imports."""
    if path in importers:
        circle = " → ".join((*importers[importers.index(path) :], path))
        raise ValueError(
            f"expected imports without a circle; received {circle}. Move what both need to a third module."
        )
    if path in written:
        return
    source = read(path)
    for _, target in (*IMPORT.findall(source), *((None, name) for name in DYNAMIC_IMPORT.findall(source))):
        _add(_resolve(path, target), read, written, (*importers, path))
    written[path] = _wrapped(path, source, is_entry=not importers)


def _wrapped(path: str, source: str, *, is_entry: bool) -> str:
    exported: list[str] = []

    def bind(found: re.Match[str]) -> str:
        names, target = found.groups()
        module = _variable(_resolve(path, target))
        if names is None:
            return ""
        if names.startswith("* as "):
            return f"const {names.removeprefix('* as ')} = {module};\n"
        if names.startswith("{"):
            return f"const {names.replace(' as ', ': ')} = {module};\n"
        return f"const {{ default: {names} }} = {module};\n"

    def declare(found: re.Match[str]) -> str:
        declaration, name = found.groups()
        if name is None:
            exported.append("default: byDefault")
            return "const byDefault = "
        exported.append(name)
        return str(declaration)

    body = EXPORT.sub(declare, IMPORT.sub(bind, COMMENT.sub("", source)))
    body = DYNAMIC_IMPORT.sub(lambda found: f"Promise.resolve({_variable(_resolve(path, found[1]))})", body)
    if unknown := UNKNOWN.search(body):
        raise ValueError(f"{path}: expected a form of import or export that bundles; received {unknown[0]}")
    return body if is_entry else f"{body}return {{ {', '.join(exported)} }};\n"


def _resolve(importer: str, target: str) -> str:
    return normpath(join(dirname(importer), target))


def _variable(path: str) -> str:
    """Return the name that a module has in the bundle."""
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))
