"""Configuration of Sphinx; ``-D language=…`` says which of the two sites it builds."""

import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from development.guide.formulas import NAME, add_renderer
from development.guide.search import MixedSearch

HERE = Path(__file__).parent
OTHER = {"en": ("zh", "中文"), "zh_CN": ("en", "English")}

project = "attention-service"
author = "attention-service contributors"
version = release = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]

extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
# Every name in backquotes stays code, and every link that leads nowhere is an error.
nitpicky = True
# Answers that leave out elements with … are no JSON; they are coloured as far as they are.
suppress_warnings = ["misc.highlighting_failure"]

# Relative to the pages, where Sphinx compiles it.
locale_dirs = ["locale"]

html_theme = "furo"
html_title = "attention-service"
html_favicon = "../../service/pages/favicon.svg"
html_static_path = [str(HERE / "static")]
templates_path = [str(HERE / "templates")]
html_css_files = ["guide.css"]
html_js_files = ["guide.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = True
html_use_index = False
html_domain_indices = False
html_math_renderer = NAME
html_search_language = MixedSearch.lang
html_permalinks_icon = "#"
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/links.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}


def setup(app: Sphinx) -> None:
    """Register the search of both languages, the switch between them, and the renderer of formulas."""
    app.add_search_language(MixedSearch)
    add_renderer(app)
    app.connect("html-page-context", _add_language_switch)


def _add_language_switch(app: Sphinx, page: str, _: str, context: dict[str, Any], __: object) -> None:
    """Let the frame of a page know where the page is in the other language, and where the service begins."""
    folder, title = OTHER[app.config.language]
    site = "../" * page.count("/")
    context["service_root"] = f"{site}../../"
    context["other_language"] = {"title": title, "code": folder, "url": f"{site}../{folder}/{page}.html"}
