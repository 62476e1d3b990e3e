"""Move scripts and styles out of pages, so that a Content-Security-Policy without 'unsafe-inline' allows them."""

import hashlib
import re
from pathlib import Path

SCRIPT = re.compile(r"<script(?: type=\"text/javascript\")?>(.*?)</script>", re.DOTALL)
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
STYLE_ATTRIBUTE = re.compile(r"(<\w[^<>]*?) style=\"([^\"]*)\"")
LOADED = re.compile(r"<(?:img|script|link|source|iframe|use)\b[^>]*\b(?:src|href)=\"((?:https?:)?//[^\"]*)\"")
FORBIDDEN = re.compile(
    r"<script(?![^>]* src=)[^>]*>|<style|<[^<>]* style=|<[^<>]* on[a-z]+=|<iframe|<object|javascript:"
)

PLURAL = re.compile(r"new Function\(\s*\"n\",\s*`return \(\$\{catalog\.plural_expr\}\)`,?\s*\)")
"""Where Sphinx compiles the rule of plurals at run time; the one translated language, Chinese, has a single form."""


def apply_policy(site: Path) -> None:
    """Rewrite the pages of a site.

    Raises ValueError for a page that loads something from elsewhere, or that still has a script or style in it.
    """
    tools = site / "_static/doctools.js"
    script = PLURAL.sub("() => 0", tools.read_text(encoding="utf-8"))
    if "new Function" in script:
        raise ValueError(
            "doctools.js: expected the rule of plurals as PLURAL has it; the policy forbids `new Function`"
        )
    tools.write_text(script, encoding="utf-8")
    rules: dict[str, str] = {}
    for page in sorted(site.rglob("*.html")):
        page.write_text(_without_code(page, site, rules), encoding="utf-8")
    with (site / "_static/guide.css").open("a", encoding="utf-8") as styles:
        styles.writelines(f'\n[data-style="{name}"] {{ {rules[name]} }}\n' for name in sorted(rules))


def _without_code(page: Path, site: Path, rules: dict[str, str]) -> str:
    """Return the text of a page without scripts and styles; style attributes are added to the rules by their digest."""
    to_root = "../" * (len(page.relative_to(site).parts) - 1)
    text = page.read_text(encoding="utf-8")
    text = SCRIPT.sub(lambda one: f'<script src="{to_root}{_file(site, one[1], "js")}"></script>', text)
    text = STYLE.sub(lambda one: f'<link rel="stylesheet" href="{to_root}{_file(site, one[1], "css")}">', text)
    rules |= {_digest(one[2]): one[2] for one in STYLE_ATTRIBUTE.finditer(text)}
    text = STYLE_ATTRIBUTE.sub(lambda one: f'{one[1]} data-style="{_digest(one[2])}"', text)
    if wrong := LOADED.search(text) or FORBIDDEN.search(text):
        raise ValueError(f"{page.relative_to(site)}: the policy of the service forbids {wrong[0][:120]}")
    return text


def _file(site: Path, content: str, suffix: str) -> str:
    """Write a file that is called after its content; return its path below the site."""
    name = f"_static/page-{_digest(content)}.{suffix}"
    (site / name).write_text(content, encoding="utf-8")
    return name


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]
