"""Write the parts of files that are made from declarations: tables, flags, sentences of the playground, chart values.

``python -m development.generate`` writes them, each between a line with ``generated: NAME`` and one with ``end: NAME``,
and prints the files that it changed.  With ``--check`` it writes nothing, and its exit code is 1 where one is stale.
"""

import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from development import api
from development.chart import commented_settings, settings_schema, template_defaults
from development.coming_from import coming_from
from development.fields import diagnostics, number_types, request_fields, result_fields
from development.limits import fixed_limits, limits_by_setting
from development.playground_links import playground_link
from development.speed import cluster_costs, speed
from development.tables import ROOT, SUFFIXES, TABLES, Language
from service.problems import PROBLEMS
from service.settings import SERVE_OPTIONS, Settings, described

MAX_DIAGRAM_COLUMNS = 116

PAGES: Mapping[str, str] = {
    "speed": "README",
    "cluster costs": "docs/how-to/cluster",
    "score models": "docs/reference/score-models",
    "normalizers": "docs/reference/normalizers",
    "positions": "docs/reference/positions",
    "masks": "docs/reference/masks",
    "inputs of v2": "docs/reference/open-inference-protocol",
    "parameters of v2": "docs/reference/open-inference-protocol",
    "endpoints": "docs/reference/endpoints",
    "other endpoints": "docs/reference/endpoints",
    "request fields": "docs/reference/request",
    "result fields": "docs/reference/request",
    "number types": "docs/reference/request",
    "diagnostics": "docs/reference/ranking-and-diagnostics",
    "worked examples": "docs/reference/examples",
    "metrics": "docs/reference/metrics",
    "representations": "docs/reference/tensors",
    "problems": "docs/reference/errors",
    "mistakes": "docs/reference/mistakes",
    "tolerances": "docs/how-to/check",
    "settings": "docs/reference/settings",
    "language of formulas": "docs/reference/formulas",
    "alerts": "docs/how-to/watch",
    "limits by setting": "docs/reference/limits",
    "fixed limits": "docs/reference/limits",
    "Python API": "docs/reference/python-api",
    "client API": "docs/reference/client-api",
    "libraries": "docs/how-to/coming-from",
    "layers": "docs/source-tree",
}
"""The page in which each generated part of the documentation stands, without what `SUFFIXES` adds in each language."""

TUTORIAL = "docs/tutorials/first-attention"
STEPS = range(1, 7)
"""Numbers of the requests of the tutorial, each with a link to the playground behind it."""

PLAYGROUND_TEXTS: Mapping[Language, str] = {
    language: f"service/pages/playground/words/{language}.js" for language in SUFFIXES
}
CHART = "deploy/helm/attention-service"


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of a file between two markers."""

    path: str
    name: str
    lines: Callable[[], Iterable[str]]

    def written_into(self, text: str) -> str:
        """Return the text of the file with the lines as they are now; raise ValueError without the markers."""
        marked = rf"(^[^\n]*\bgenerated: {self.name}\b[^\n]*\n).*?(^[^\n]*\bend: {self.name}\b)"
        between = re.compile(marked, re.DOTALL | re.MULTILINE)
        if not between.search(text):
            raise ValueError(f"{self.path}: expected the markers generated: {self.name} and end: {self.name}")
        return between.sub(
            lambda markers: markers[1] + "".join(f"{line}\n" for line in self.lines()) + markers[2], text
        )


def playground_sentences(language: Language) -> list[str]:
    """Return the members of an object of JavaScript with the sentence of each problem."""
    texts = ((slug, getattr(problem.in_playground, language)) for slug, problem in PROBLEMS.items())
    return [f'  "problem.{slug}": {json.dumps(text, ensure_ascii=False)},' for slug, text in texts]


def serve_flags() -> list[str]:
    """Return the members of a dictionary of Python with the help of each flag, for argparse, which formats it."""
    return [
        f'    "{name}": {json.dumps(_help(name).replace("%", "%%"), ensure_ascii=False)},' for name in SERVE_OPTIONS
    ]


def layers_diagram(_: Language) -> list[str]:
    """Return the layers of each package, as the import contracts of pyproject.toml have them, in any language."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    lines = []
    for contract in contracts:
        if contract["type"] == "layers":
            package, layers = contract["containers"][0], " > ".join(contract["layers"])
            lines += textwrap.wrap(
                f"{package:<17}{layers}" if len(package) < 17 else f"{package}  {layers}",
                width=MAX_DIAGRAM_COLUMNS,
                subsequent_indent=" " * 17,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return ["", "```layers", *lines, "```", ""]


def _help(name: str) -> str:
    sentence = described(name).en.replace("`", "").removesuffix(".")
    default = Settings.model_fields[name].default
    return f"{sentence[0].lower()}{sentence[1:]}" + ("" if default in ("", None) else f" (default {default})")


def pages_of(*names: str) -> tuple[str, ...]:
    """Return the paths of the pages with these generated parts, in every language."""
    return tuple(f"{PAGES[name]}{suffix}" for name in names for suffix in SUFFIXES.values())


PARTS: Mapping[str, Callable[[Language], list[str]]] = {
    **TABLES,
    "request fields": request_fields,
    "result fields": result_fields,
    "number types": number_types,
    "diagnostics": diagnostics,
    "layers": layers_diagram,
    "libraries": coming_from,
    "limits by setting": limits_by_setting,
    "fixed limits": fixed_limits,
    **api.PAGES,
    "speed": speed,
    "cluster costs": cluster_costs,
}
"""How to write each generated part of the documentation."""

BLOCKS = (
    Block("service/cli.py", "flags", serve_flags),
    *(
        Block(f"{PAGES[name]}{suffix}", name, partial(lines, language))
        for name, lines in PARTS.items()
        for language, suffix in SUFFIXES.items()
        if language == "en" or name not in api.PAGES
    ),
    *(
        Block(page, f"playground {step}", partial(playground_link, page, step, language))
        for language, suffix in SUFFIXES.items()
        for page in [f"{TUTORIAL}{suffix}"]
        for step in STEPS
    ),
    *(Block(path, "problems", partial(playground_sentences, language)) for language, path in PLAYGROUND_TEXTS.items()),
    Block(f"{CHART}/values.yaml", "settings", commented_settings),
    Block(f"{CHART}/values.schema.json", "settings", settings_schema),
    Block(f"{CHART}/templates/_defaults.tpl", "defaults", template_defaults),
)


def stale_files() -> dict[Path, str]:
    """Return the files whose generated parts are stale, with the text that they ought to have."""
    texts: dict[Path, str] = {}
    for block in BLOCKS:
        path = ROOT / block.path
        texts[path] = block.written_into(texts.get(path) or path.read_text(encoding="utf-8"))
    return {path: text for path, text in texts.items() if text != path.read_text(encoding="utf-8")}


def main(arguments: list[str]) -> int:
    """Write every stale file, or only name it with --check; return the exit code."""
    stale = stale_files()
    for path, text in stale.items():
        print(path.relative_to(ROOT))
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
