"""The snippets of every page are run or compared: requests and answers, code, formulas."""

import contextlib
import functools
import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from attention_core import Alibi, Causal, attend
from service.examples import load_examples
from service.settings import Settings
from service.specification.routes import ROUTES
from tests.clients.snippets import GENERATORS
from tests.promises import curl
from tests.promises.readme import (
    KINDS,
    LANGUAGES,
    LEFT_OUT,
    MANUAL,
    PAGES,
    VERSION_OR_TIME,
    Section,
    all_commands,
    assert_same,
    commands,
    page_of,
    pages_with,
    split_assignments,
    with_results,
)
from tests.sampling import every
from tests.server import Server, running_server

SERVE = [".venv/bin/attention-service", "serve"]
PROGRAMS = {
    "bash request": {"curl"},
    "bash draw": {"curl"},
    "bash serve": {SERVE[0]},
    "bash commands": {"make", "docker"},
    "bash generate": set(GENERATORS),
    "bash develop": {"make", ".venv/bin/python"},
    "bash cluster": {"docker", "helm", "kubectl", "serve"},
}
"""The programs that the commands of a kind of snippet may start.

Those of `bash cluster` are tried in `tests/deploy` and `tests/ray_serve`, those of `bash shell` run in a shell; a
`bash develop` and a `python declaration` are for a copy of the tree, in which `test_added_models` runs them.
"""


# --- snippets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_has_a_use(page: str) -> None:
    for section in PAGES[page]:
        for (before, _), (kind, code) in pairwise([("", ""), *section.snippets]):
            assert kind in KINDS, f"{page}, {section.title}: expected a snippet of {sorted(KINDS)}; received {kind!r}"
            assert before in (KINDS[kind] or (before,)), f"{page}, {section.title}: a {kind} is no result of a {before}"
            if kind in PROGRAMS:
                programs = [split_assignments(words)[1][0] for words in commands(code)]
                assert set(programs) <= PROGRAMS[kind], f"{page}, {section.title}: a {kind} starts {programs}"


def exchanges_of(section: Section) -> list[tuple[str, str, str]]:
    """Each request of a section, with kind and code of the snippet behind it."""
    return [
        (script, kind, answer)
        for (before, script), (kind, answer) in pairwise([*section.snippets, ("", "")])
        if before == "bash request"
    ]


def memories_of(section: Section) -> set[str]:
    """The paths of the memories that the requests of a section make; none in most sections."""
    return {path for script, _, _ in exchanges_of(section) for path in re.findall(r"/v1/memories/[\w.-]+", script)}


def exchanges() -> Iterator[Any]:
    for page, sections in PAGES.items():
        for section in sections:
            serving = [words for kind, code in section.snippets if kind == "bash serve" for words in commands(code)]
            serving = [words[2:] for words in serving if words[:2] == SERVE]
            for script, kind, answer in [] if memories_of(section) else exchanges_of(section):
                yield pytest.param(script, kind, answer, serving, id=f"{page}-{section.title}")


def sections_with_memories() -> Iterator[Any]:
    for page, sections in PAGES.items():
        for section in filter(memories_of, sections):
            yield pytest.param(section, id=f"{page}-{section.title}")


@pytest.fixture(scope="module")
def serving_as(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Servers with the arguments of a section, one for all that are asked with the same."""
    with contextlib.ExitStack() as stack:
        directory = tmp_path_factory.mktemp("serving")
        yield functools.cache(lambda *arguments: stack.enter_context(running_server(directory, *arguments)))


def ask_as_shown(url: str, script: str, kind: str, answer: str) -> httpx.Response:
    """Send a request, and compare what comes back with the answer that is shown."""
    assert kind in ("json answer", "http answer"), "a request is shown without its answer"
    [words] = commands(script)
    response = curl.send(words, url)
    assert curl.read(words).i == (kind == "http answer"), "curl -i shows status and headers, curl without it does not"
    if kind == "http answer":
        head, _, answer = answer.partition("\n\n")
        status, *headers = head.splitlines()
        assert response.status_code == int(status.split()[1]), response.text
        for name, value in (header.split(": ", 1) for header in headers):
            shown = re.escape(value).replace(LEFT_OUT, VERSION_OR_TIME)
            assert re.fullmatch(shown, response.headers[name]), f"{name}: received {response.headers[name]}"
    else:
        assert response.status_code == 200, response.text
    if response.content or answer:
        assert_same(response.json(), json.loads(answer))
    return response


@pytest.mark.parametrize(("script", "kind", "answer", "serving"), list(exchanges()))
def test_a_request_gets_the_answer_that_is_shown(
    server: Server, serving_as: Callable[..., Server], script: str, kind: str, answer: str, serving: list[list[str]]
) -> None:
    ask_as_shown((serving_as(*serving[0]) if serving else server).url, script, kind, answer)


@pytest.mark.parametrize("section", list(sections_with_memories()))
def test_requests_with_a_memory_get_the_answers_that_are_shown(server: Server, section: Section) -> None:
    """All of a section, one after the other; the memories that they make are there neither before nor after."""
    for path in memories_of(section):
        httpx.delete(f"{server.url}{path}")
    version = ""
    for script, kind, answer in exchanges_of(section):
        response = ask_as_shown(server.url, script.replace(f'"{LEFT_OUT}"', f'"{version}"'), kind, answer)
        version = response.headers.get("attention-memory-version") or response.headers.get("etag", "").strip('"')
    for path in memories_of(section):
        httpx.delete(f"{server.url}{path}")


@pytest.mark.parametrize("page", pages_with("python run"))
def test_python_prints_what_is_shown(server: Server, page: str) -> None:
    """The snippets of one page share their names, as in one session; they ask the server of the tests."""
    names: dict[str, Any] = {}
    for code, text in with_results(page, "python run"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            asking = code.replace(curl.ADDRESS.removeprefix("http://"), server.url.removeprefix("http://"))
            exec(compile(asking, page, "exec"), names)
        assert printed.getvalue().rstrip("\n") == (text or "")


@pytest.mark.node
@pytest.mark.parametrize("page", pages_with("js run"))
def test_javascript_prints_what_is_shown(server: Server, tmp_path: Path, page: str) -> None:
    """The snippets of one page are one module; they ask the server of the tests."""
    shown = with_results(page, "js run")
    program = tmp_path / "page.mjs"
    program.write_text("\n".join(code for code, _ in shown).replace(curl.ADDRESS, server.url), encoding="utf-8")
    ended = subprocess.run(["node", str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.rstrip("\n") == "\n".join(text or "" for _, text in shown), ended.stderr


def test_the_decoding_loop_has_as_many_lines_as_its_title_says() -> None:
    title, loop, *_ = PAGES["docs/tutorials/decoding-loop.md"]
    [lines] = re.findall(r"in (\d+) lines", title.title)
    assert len([line for line in loop.snippets[0][1].splitlines() if line]) == int(lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_formula_gives_the_field_it_names(language: str) -> None:
    """Each line is evaluated with what the core returned for the lines above it."""
    [shown] = [code for section in MANUAL[language] for kind, code in section.snippets if kind == "formulas"]
    generator = np.random.default_rng(7)
    query, key, value, bias = (generator.normal(size=shape) for shape in ((3, 4), (5, 4), (5, 2), (3, 5)))
    names = ("scores", "capped_scores", "modified", "logits", "weights", "output")
    result = attend(
        query, key, value, softcap=0.7, bias=bias, position=Alibi(0.4), mask=Causal(), offset=1, include=names
    )
    positions = np.arange(3)[:, None] + 1
    known = {"query": query, "key": key, "value": value, "bias": bias, "softcap": 0.7, "times": np.dot, "tanh": np.tanh}
    known |= {"a": lambda q, k: q @ k.T / 2, "alibi": -0.4 * np.abs(positions - np.arange(5))}
    known["score_modifier"] = lambda scores: scores
    known["normalizer"] = lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    lines = [line.split(" = ") for line in shown.splitlines()]
    assert tuple(name.strip() for name, _ in lines) == names
    visible = np.arange(5) <= positions
    for name, (_, formula) in zip(names, lines, strict=True):
        computed = eval(re.sub(r"(\w+) · (.+)", r"times(\1, \2)", formula), known)
        if name == "logits":
            computed = np.where(visible, computed, -np.inf)
        known[name] = getattr(result, name)
        np.testing.assert_allclose(computed, known[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_comes_back_as_present_is_sent_as_past(language: str) -> None:
    """The two requests of the section about caches belong together, and end like the worked example."""
    example = load_examples()["causal"]
    [(first, answer), (then, end)] = [
        (json.loads(next(commands(script))[-1]), json.loads(answer))
        for section in page_of(language, "docs/tutorials/decoding-with-a-cache")
        for (kind, script), (follower, answer) in pairwise(section.snippets)
        if (kind, follower) == ("bash request", "json answer")
    ]
    assert_same([then["past_key"], then["past_value"]], [answer["present_key"], answer["present_value"]])
    for name in ("query", "key", "value"):
        assert first[name] + then[name] == example.request[name][:3]
    np.testing.assert_allclose(answer["output"] + end["output"], example.expected["output"][:3], atol=1e-4)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_parts_that_were_answered_are_merged_into_the_first_answer(language: str) -> None:
    """The requests of the page about long sequences belong together: halves of the request of the README."""
    parts, merged, _ = page_of(language, "docs/how-to/long-sequences")
    requests = [json.loads(next(commands(code))[-1]) for kind, code in parts.snippets if kind == "bash request"]
    answers = [json.loads(code) for kind, code in parts.snippets if kind == "json answer"]
    first = load_examples()["honor-of-kings"].request
    for name in ("key", "value"):
        assert [row for request in requests for row in request[name]] == first[name]
    [(_, script), (_, answer)] = merged.snippets
    fields = ("output", "logsumexp")
    assert json.loads(next(commands(script))[-1]) == {
        "partials": [{name: one[name] for name in fields} for one in answers]
    }
    assert_same(json.loads(answer)["output"], json.loads(page_of(language, "README")[0].snippets[2][1])["output"])


@pytest.mark.parametrize("path", [call for call in ROUTES if call.startswith("GET ")])
def test_head_is_answered_as_get_is(server: Server, path: str) -> None:
    kept = httpx.put(f"{server.url}/v1/memories/head", json={"key": [[1]]}).json()
    values = {"id": "causal", "slug": "not-found", "model": "additive", "version": "1", "name": kept["name"]}
    url = server.url + path.removeprefix("GET ").format(**values)
    get, head = (send(url, follow_redirects=True) for send in (httpx.get, httpx.head))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert get.content
    # Each scrape is counted, so that the next one says something else.
    same = ("content-type",) if path == "GET /metrics" else ("content-type", "content-length")
    assert [head.headers[name] for name in same] == [get.headers[name] for name in same]


@pytest.mark.parametrize(("assignments", "words"), every(3, all_commands(*SERVE)))
def test_the_service_starts_and_ends_as_shown(tmp_path: Path, assignments: dict[str, str], words: list[str]) -> None:
    settings = {name.removeprefix("ATTENTION_"): value for name, value in assignments.items()}
    assert {name.lower() for name in settings} <= set(Settings.model_fields)
    arguments = [word for before, word in pairwise(words[1:]) if "--port" not in (before, word)]
    with running_server(tmp_path, *arguments, **{"DRAIN_SECONDS": "1"} | settings) as started:
        code, _ = started.stop()
    assert code == 0
