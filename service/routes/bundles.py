"""One script of many ES modules, and one style sheet of many, so that a page asks for two files instead of sixty; and a
script of what the page needs later.

No module is changed but for its imports, its exports and its comments, which are a sixth of what would be sent: each
becomes a function that runs once, in the order of the imports, and returns what it exports.  The entry module is a
block, which may await.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from posixpath import dirname, join, normpath

_LATER = """\
let $awaited = null;
let $failed = 0;
const $forget = (error) => {{
  $awaited = null;
  $failed += 1;
  throw error;
}};
const $later = () =>
  ($awaited ??= import("{address}" + ($failed ? `?${{$failed}}` : "")).then(
    ({{ default: run }}) => run({{ {modules} }}),
    $forget,
  ));
"""
"""Loads the other script once.  Where that failed, the next call asks at another address: browsers may remember a
module that did not arrive."""

Read = Callable[[str], str]
"""Returns the source of a file, by its path."""

IMPORT = re.compile(r'^import (?:([^"]*?) from )?"(\.[^"]+)";\n', re.MULTILINE)

COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)
"""A line that is nothing but a comment.  No module has a text of several lines, in which it would be no comment."""

DYNAMIC_IMPORT = re.compile(r'\bimport\("(\.[^"]+)"\)')

EXPORT = re.compile(r"^export (default |(?:async function\*?|function\*?|class|const) +(\w+))", re.MULTILINE)

UNKNOWN = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
"""A line of another form of import or export, once those above are replaced."""


def bundle_modules(entry: str, read: Read, later: str = "") -> str:
    """Return one ES module that does what the module `entry` does with all that it imports.

    :param entry: path of the module that the page starts with.
    :param read: returns the source of a module, by its path.
    :param later: address of the script of `bundle_later`, relative to this one; needed for modules with `import(…)`.
    :raises ValueError: for modules that import each other in a circle, and for a form of import or export that no
        module of the pages uses: a package, `export let`, `export {…}`, `export … from`.
    """
    written, deferred = _start(entry, read)
    *modules, (path, body) = written.items()
    awaited = _LATER.format(address=later, modules=_names(each for each, _ in modules)) if deferred else ""
    return "".join((awaited, *_wrapped_all(modules), f"// {path}\n{{\n{body}}}\n"))


def bundle_later(entry: str, read: Read) -> str:
    """Return an ES module with the modules that those of `bundle_modules` import only when they are needed.

    It exports a function that gets the modules of the page by their names in the bundle, and returns its own.

    :param entry: path of the module that the page starts with.
    :param read: returns the source of a module, by its path.
    :raises ValueError: as `bundle_modules` does, and for an `import(…)` in these modules.
    """
    written, deferred = _start(entry, read)
    loaded = dict(written)
    nested: list[str] = []
    for target in deferred:
        _add(target, read, loaded, nested, (entry,))
    if nested:
        raise ValueError(f"expected import() in the modules that the page starts with; received one of {nested[0]}")
    modules = [(path, body) for path, body in loaded.items() if path not in written]
    given = _names(path for path in written if path != entry)
    returned = f"return {{ {_names(path for path, _ in modules)} }};\n"
    return "".join((f"export default ({{ {given} }}) => {{\n", *_wrapped_all(modules), returned, "};\n"))


def bundle_styles(paths: Iterable[str], read: Read) -> str:
    """Return one style sheet; of two rules with one specificity the later still wins.

    :raises ValueError: for a style sheet that imports another or names a file, whose address would change.
    """
    sheets = {path: read(path) for path in paths}
    for path, sheet in sheets.items():
        if "@import" in sheet or re.search(r"\burl\((?!\s*[\"']?(?:data:|#))", sheet):
            raise ValueError(f"{path}: expected a style sheet by itself; received @import or url(). Put it in line.")
    return "\n".join(sheets.values())


def _start(entry: str, read: Read) -> tuple[dict[str, str], list[str]]:
    """Return the modules that a page starts with, in the order in which they run, and the paths of those for later."""
    written: dict[str, str] = {}
    deferred: list[str] = []
    _add(entry, read, written, deferred, ())
    return written, deferred


def _wrapped_all(modules: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"// {path}\nconst {_variable(path)} = (() => {{\n{body}}})();\n" for path, body in modules)


def _names(paths: Iterable[str]) -> str:
    return ", ".join(map(_variable, paths))


def _add(path: str, read: Read, written: dict[str, str], deferred: list[str], importers: tuple[str, ...]) -> None:
    """Write a module behind all that it imports, and note what it imports later."""
    if path in importers:
        circle = " → ".join((*importers[importers.index(path) :], path))
        raise ValueError(
            f"expected imports without a circle; received {circle}. Move what both need to a third module."
        )
    if path in written:
        return
    source = read(path)
    for _, target in IMPORT.findall(source):
        _add(_resolve(path, target), read, written, deferred, (*importers, path))
    deferred += [_resolve(path, target) for target in DYNAMIC_IMPORT.findall(source)]
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

    def await_later(found: re.Match[str]) -> str:
        return f"$later().then(({{ {(module := _variable(_resolve(path, found[1])))} }}) => {module})"

    body = EXPORT.sub(declare, IMPORT.sub(bind, COMMENT.sub("", source)))
    body = DYNAMIC_IMPORT.sub(await_later, body)
    if unknown := UNKNOWN.search(body):
        raise ValueError(f"{path}: expected a form of import or export that bundles; received {unknown[0]}")
    return body if is_entry else f"{body}return {{ {', '.join(exported)} }};\n"


def _resolve(importer: str, target: str) -> str:
    return normpath(join(dirname(importer), target))


def _variable(path: str) -> str:
    """Return the name that a module has in the bundle."""
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))
