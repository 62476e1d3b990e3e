"""The snippets of the page about generated clients: commands that generate, programs that import the result."""

from tests.promises.readme import LANGUAGES, commands, snippets_of, with_results

GENERATORS = ("openapi-python-client", "datamodel-codegen", "npx")
"""Programs whose commands the tests of this folder run."""

PAGE = "docs/how-to/generated-clients.md"


def generating(generator: str) -> list[str]:
    """The words of the command that runs a generator."""
    scripts = snippets_of(PAGE, "bash generate")
    [words] = [words for script in scripts for words in commands(script) if generator in words[:2]]
    return words


def program(language: str) -> tuple[str, str]:
    """The program of a language, `py` or `ts`, and what it prints."""
    [(code, text)] = with_results(PAGE, f"{language} client")
    assert text is not None
    return code, text


def first_answer() -> str:
    """The answer to the request of the README."""
    return snippets_of(LANGUAGES["en"], "json answer")[0]
