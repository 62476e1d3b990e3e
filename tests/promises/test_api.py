"""The pages of the Python packages: everything public is on them, and their examples compute what they show."""

import doctest
import inspect
import re
from types import ModuleType

import pytest

import attention_client
import attention_core
from development.api import markdown
from tests.promises.readme import PAGES, snippets_of

PACKAGES = {"docs/reference/python-api.md": attention_core, "docs/reference/client-api.md": attention_client}

SESSIONS = [(page, code) for page in PACKAGES for code in snippets_of(page, "python session")]


@pytest.mark.parametrize(("page", "package"), PACKAGES.items())
def test_every_public_function_and_class_has_a_section(page: str, package: ModuleType) -> None:
    titles = {section.title for section in PAGES[page]}
    public = {name: getattr(package, name) for name in package.__all__}
    documented = {name for name, one in public.items() if inspect.isclass(one) or inspect.isfunction(one)}
    assert {title.removeprefix("### ") for title in titles if title.startswith("### ")} == documented
    assert {"#### AttentionClient.attend", "### AttentionClient"} <= titles or package is attention_core


@pytest.mark.parametrize("page", PACKAGES)
def test_each_section_says_something(page: str) -> None:
    for section in PAGES[page]:
        assert section.title.startswith("## ") or section.prose.strip(), section.title


@pytest.mark.parametrize("page", PACKAGES)
def test_no_private_name_is_shown(page: str) -> None:
    assert not [section.title for section in PAGES[page] if "- `_" in section.prose or "._" in section.title]


@pytest.mark.parametrize(("page", "code"), SESSIONS)
def test_a_session_computes_what_it_shows(page: str, code: str) -> None:
    test = doctest.DocTestParser().get_doctest(code, {}, page, page, 0)
    assert test.examples
    found = doctest.DocTestRunner(verbose=False).run(test)
    assert found.failed == 0, code


def test_parameters_are_those_of_the_signature() -> None:
    for section in PAGES["docs/reference/python-api.md"]:
        if section.title == "### attend":
            [(_, signature)] = [one for one in section.snippets if one[0] == "python signature"]
            named = re.findall(r"^    (\w+): ", signature, re.MULTILINE)
            assert named == list(inspect.signature(attention_core.attend).parameters)
            assert re.findall(r"- `(\w+)`: ", section.prose) == named


def test_a_docstring_becomes_markdown() -> None:
    docstring = inspect.cleandoc(
        """Return a · b, as ``dot(a, b)``; 2 * 3 < 7.

        ::

            r = a · b

        >>> 1 + 1
        2

        >>> ask()  # doctest: +SKIP

        :param a: a vector
            of floats.
        :param b, c: others.

        So it is::

            s = r
        """
    )
    assert list(markdown(docstring)) == [
        r"Return a · b, as `dot(a, b)`; 2 \* 3 \< 7.",
        "",
        "```text formulas",
        "r = a · b",
        "```",
        "",
        "```python session",
        ">>> 1 + 1",
        "2",
        "```",
        "",
        "- `a`: a vector of floats.",
        "- `b, c`: others.",
        "",
        "So it is:",
        "",
        "```text formulas",
        "s = r",
        "```",
        "",
    ]
