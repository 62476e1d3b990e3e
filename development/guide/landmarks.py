"""Name what the theme leaves unnamed, so that people who use a screen reader can tell its parts apart."""

import re
from collections.abc import Mapping
from pathlib import Path

from development.guide.pages import Language

ASIDES: Mapping[Language, Mapping[str, str]] = {
    "en": {"sidebar-drawer": "Pages", "toc-drawer": "On this page"},
    "zh": {"sidebar-drawer": "页面", "toc-drawer": "本页内容"},
}
"""What stands beside a page, by the class that the theme gives it."""

ASIDE = re.compile(r"<aside class=\"(sidebar-drawer|toc-drawer)((?: [^\"]*)?)\">")
CAPTION = re.compile(r"<p class=\"caption\" role=\"heading\">")


def name_landmarks(site: Path, language: Language) -> None:
    """Rewrite the pages of a site: what stands beside them gets a name, captions of lists of pages a level.

    Raises ValueError for a page on which the theme does not write both of the parts beside it.
    """
    names = ASIDES[language]
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if {one[1] for one in ASIDE.finditer(text)} != names.keys():
            raise ValueError(f"{page.relative_to(site)}: expected an <aside> of each class in {sorted(names)}")
        text = ASIDE.sub(lambda one: f'<aside class="{one[1]}{one[2]}" aria-label="{names[one[1]]}">', text)
        page.write_text(CAPTION.sub('<p class="caption" role="heading" aria-level="2">', text), encoding="utf-8")
