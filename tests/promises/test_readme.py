"""Everything that the two READMEs show is run or compared: requests and answers, code, commands, tables, the tree."""

import argparse
import contextlib
import io
import json
import math
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import httpx
import pytest
import yaml

from attention_core import NORMALIZERS, SCORE_MODELS
from attention_core.call import FIELDS
from attention_core.dtypes import DTYPES
from service import routes
from service.cli import SERVE_OPTIONS
from service.examples import load_examples
from service.problems import PROBLEMS
from service.schemas.attention import AttentionRequest, MaskSchema
from service.schemas.normalizers import NORMALIZER_SCHEMAS
from service.schemas.score_models import SCORE_MODEL_SCHEMAS
from service.settings import Settings
from tests.server import Server, running_server

ROOT = Path(__file__).parents[2]
LANGUAGES = {"en": "README.md", "zh": "README.zh-CN.md"}
ADDRESS = "http://127.0.0.1:8000"
SERVE = [".venv/bin/attention-service", "serve"]
PROGRAMS = {"curl", "make", "docker", SERVE[0]}
FOLLOWS = {"json": "bash", "http": "bash", "text": "python", "bash": None, "python": None, "tree": None, "layers": None}
"""Every kind of snippet that is run or compared, and the kind that it must follow at once when it is an answer."""


@dataclass
class Section:
    """What stands between two headings."""

    title: str
    prose: str = ""
    snippets: list[tuple[str, str]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)


def read(name: str) -> list[Section]:
    """Take Markdown apart into sections; raise for code that is not between two lines of three backticks."""
    sections: list[Section] = []
    lines = iter((ROOT / name).read_text(encoding="utf-8").splitlines())
    previous = ""
    for line in lines:
        if line.startswith("#"):
            sections.append(Section(line))
        elif line.lstrip().startswith("```"):
            sections[-1].snippets.append((line[3:], "\n".join(fenced(lines))))
        elif line.startswith("|"):
            if not previous.startswith("|"):
                sections[-1].tables.append([])
            sections[-1].tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif line.startswith(("    ", "\t", "~~~")):
            raise ValueError(f"code in a form that is not read: {line}")
        else:
            sections[-1].prose += line + " "
        previous = line
    return sections


def fenced(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == "```":
            return
        yield line
    raise ValueError("a fence is never closed")


README = {language: read(name) for language, name in LANGUAGES.items()}


def commands(script: str) -> Iterator[list[str]]:
    """The commands of a script as words; a command ends with its line unless a quote or a backslash is open."""
    held = ""
    for line in script.replace("\\\n", " ").splitlines():
        held += line + "\n"
        with contextlib.suppress(ValueError):
            yield shlex.split(held)
            held = ""
    assert not held, f"a quote is never closed: {held}"


def all_commands(*program: str) -> list[Any]:
    """Every shown command of one program, as words without leading assignments, with its language for the test's id."""
    found = []
    for language, sections in README.items():
        scripts = [code for section in sections for kind, code in section.snippets if kind == "bash"]
        inline = [
            code
            for section in sections
            for code in codes(section.prose)
            if re.match(r"(\w+=\S+ )*(docker|make) ", code)
        ]
        for script in [*scripts, *inline]:
            for words in commands(script):
                assignments, rest = split_assignments(words)
                if rest[: len(program)] == list(program):
                    found.append(pytest.param(assignments, rest, id=f"{language}-{' '.join(words)[:60]}"))
    return found


def split_assignments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    first = next(index for index, word in enumerate(words) if not re.fullmatch(r"\w+=.*", word))
    return dict(word.split("=", 1) for word in words[:first]), words[first:]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def table(language: str, title: str) -> list[list[str]]:
    """The rows of the table whose first English column has this title; both languages have the same tables in order."""
    tables = {name: [rows for section in sections for rows in section.tables] for name, sections in README.items()}
    position = [rows[0][0] for rows in tables["en"]].index(title)
    return tables[language][position][2:]


# --- snippets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_snippet_stands_there_unrun(language: str) -> None:
    for section in README[language]:
        for (before, script), (kind, _) in pairwise([("", ""), *section.snippets, ("end", "")]):
            assert kind == "end" or kind in FOLLOWS, f"{section.title}: nothing runs snippets of kind {kind!r}"
            assert FOLLOWS.get(kind) in (None, before), f"{section.title}: a {kind} snippet answers nothing"
            if before == "bash":
                programs = [split_assignments(words)[1][0] for words in commands(script)]
                assert set(programs) <= PROGRAMS, f"{section.title}: nothing runs one of {programs}"
                asks = "curl" in programs
                assert not asks or programs == ["curl"], f"{section.title}: one request per snippet"
                assert asks == (kind in ("json", "http")), f"{section.title}: a request and its answer belong together"


def exchanges() -> Iterator[Any]:
    for language, sections in README.items():
        for section in sections:
            serving = [words for kind, code in section.snippets if kind == "bash" for words in commands(code)]
            serving = [words[2:] for words in serving if words[:2] == SERVE]
            for (_, script), (kind, answer) in pairwise(section.snippets):
                if kind in ("json", "http"):
                    yield pytest.param(script, kind, answer, serving, id=f"{language}-{section.title}")


@pytest.mark.parametrize(("script", "kind", "answer", "serving"), list(exchanges()))
def test_a_request_gets_the_answer_that_is_shown(
    server: Server, tmp_path: Path, script: str, kind: str, answer: str, serving: list[list[str]]
) -> None:
    [words] = commands(script)
    with running_server(tmp_path, *serving[0]) if serving else contextlib.nullcontext(server) as chosen:
        response, with_head = send(words[1:], chosen.url)
    assert with_head == (kind == "http"), "curl -i shows status and headers, curl without it does not"
    if kind == "http":
        head, answer = answer.split("\n\n", 1)
        status, *headers = head.splitlines()
        assert response.status_code == int(status.split()[1])
        for name, value in (header.split(": ", 1) for header in headers):
            assert response.headers[name] == value
    else:
        assert response.status_code == 200, response.text
    assert_same(response.json(), json.loads(answer))


class Curl(argparse.ArgumentParser):
    """As much of curl as the READMEs need; anything else fails."""

    def error(self, message: str) -> Any:
        raise AssertionError(f"this test does not know how curl reads that: {message}")


def send(words: list[str], url: str) -> tuple[httpx.Response, bool]:
    """Send what a curl command would, to another server; return the response and whether -i was given."""
    curl = Curl(allow_abbrev=False)
    curl.add_argument("url")
    curl.add_argument("-s", action="store_true")
    curl.add_argument("-i", action="store_true")
    curl.add_argument("-X")
    curl.add_argument("-H", action="append", default=[])
    curl.add_argument("-d")
    options = curl.parse_args(words)
    assert options.url.startswith(f"{ADDRESS}/"), options.url
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if options.d is not None else {}
    headers |= dict(header.split(": ", 1) for header in options.H)
    method = options.X or ("GET" if options.d is None else "POST")
    body = None if options.d is None else options.d.encode()
    return httpx.request(method, url + options.url.removeprefix(ADDRESS), headers=headers, content=body), options.i


def assert_same(received: Any, shown: Any, path: str = "") -> None:
    """Equal keys, lengths and texts; numbers to 1e-12."""
    if isinstance(shown, dict):
        assert isinstance(received, dict), f"{path}: received {received!r}"
        assert received.keys() == shown.keys(), f"{path}: {sorted(received)} is not {sorted(shown)}"
        for name in shown:
            assert_same(received[name], shown[name], f"{path}/{name}")
    elif isinstance(shown, list):
        assert isinstance(received, list), f"{path}: received {received!r}"
        assert len(received) == len(shown), f"{path}: {len(received)} elements, {len(shown)} are shown"
        for index, (one, other) in enumerate(zip(received, shown, strict=True)):
            assert_same(one, other, f"{path}/{index}")
    elif isinstance(shown, int | float) and not isinstance(shown, bool):
        assert type(received) in (int, float), f"{path}: received {received!r}"
        assert math.isclose(received, shown, rel_tol=1e-12, abs_tol=1e-12), f"{path}: received {received!r}"
    else:
        assert received == shown, f"{path}: received {received!r}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_python_prints_what_is_shown(language: str) -> None:
    """The snippets of one page share their names, as in one session."""
    names: dict[str, Any] = {}
    snippets = [snippet for section in README[language] for snippet in section.snippets]
    runs = [(code, follower) for (kind, code), follower in pairwise([*snippets, ("", "")]) if kind == "python"]
    assert runs
    for code, (kind, text) in runs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, LANGUAGES[language], "exec"), names)
        assert printed.getvalue().rstrip("\n") == (text if kind == "text" else "")


@pytest.mark.parametrize(("assignments", "words"), all_commands(*SERVE))
def test_the_service_starts_and_ends_as_shown(tmp_path: Path, assignments: dict[str, str], words: list[str]) -> None:
    settings = {name.removeprefix("ATTENTION_"): value for name, value in assignments.items()}
    assert {name.lower() for name in settings} <= set(Settings.model_fields)
    arguments = [word for before, word in pairwise(words[1:]) if "--port" not in (before, word)]
    with running_server(tmp_path, *arguments, **settings) as started:
        code, _ = started.stop()
    assert code == 0


# --- make and docker --------------------------------------------------------------------------------------------------

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)[1].split()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["attention"]
RUN_FLAGS = {
    "ports": "--publish",
    "environment": "--env",
    "read_only": "--read-only",
    "tmpfs": "--tmpfs",
    "cap_drop": "--cap-drop",
    "security_opt": "--security-opt",
    "mem_limit": "--memory",
    "cpus": "--cpus",
    "pids_limit": "--pids-limit",
    "stop_grace_period": "--stop-timeout",
}
NOT_RUN_FLAGS = {"build", "image", "healthcheck", "restart"}
"""What docker run takes from the image, or what a person who types a command does without."""


@pytest.mark.parametrize(("assignments", "words"), all_commands("make"))
def test_make_commands_are_targets(assignments: dict[str, str], words: list[str]) -> None:
    target, *variables = words[1:]
    assert target in TARGETS
    assert not assignments
    for name in (variable.split("=")[0] for variable in variables):
        assert re.search(rf"^{name} \?=", MAKEFILE, re.MULTILINE), f"the Makefile does not let anyone set {name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_commands_names_every_target(language: str) -> None:
    assert {codes(row[0])[0] for row in table(language, "Command")} == {f"make {target}" for target in TARGETS}


@pytest.mark.parametrize(("assignments", "words"), all_commands("docker"))
def test_docker_commands_agree_with_compose(assignments: dict[str, str], words: list[str]) -> None:
    assert all(any(f"${{{name}" in port for port in COMPOSE["ports"]) for name in assignments)
    if words[1] == "compose":
        assert words[2:] == ["up", "--build"]
    elif words[1] == "build":
        assert words[2:] == ["--tag", COMPOSE["image"], COMPOSE["build"]]
    else:
        assert words[1:3] == ["run", "--rm"]
        assert words[-1] == COMPOSE["image"]
        flags = iter(words[3:-1])
        given = [(flag, "" if flag == "--read-only" else next(flags)) for flag in flags]
        assert sorted(given) == sorted(compose_flags())


def compose_flags() -> Iterator[tuple[str, str]]:
    """What docker run must be told to do as docker-compose.yml does."""
    assert set(COMPOSE) <= set(RUN_FLAGS) | NOT_RUN_FLAGS, "say in RUN_FLAGS what docker run calls the new key"
    for name in RUN_FLAGS.keys() & COMPOSE.keys():
        values = COMPOSE[name]
        if isinstance(values, dict):
            values = [f"{key}={value}" for key, value in values.items()]
        for value in values if isinstance(values, list) else [values]:
            text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
            yield (
                RUN_FLAGS[name],
                "" if value is True else text.removesuffix("s") if name == "stop_grace_period" else text,
            )


@pytest.mark.parametrize("language", LANGUAGES)
def test_user_and_address_of_the_image_are_those_of_the_dockerfile(language: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user, host, port = (
        re.findall(pattern, dockerfile, re.MULTILINE)[-1]
        for pattern in (r"^USER (\S+)$", r"ATTENTION_HOST=(\S+)", r"^EXPOSE (\d+)$")
    )
    shown = [code for section in README[language] for code in codes(section.prose)]
    assert {user, f"{host}:{port}"} <= set(shown)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("title", "registry", "schemas"),
    [("Score model", SCORE_MODELS, SCORE_MODEL_SCHEMAS), ("Normalizer", NORMALIZERS, NORMALIZER_SCHEMAS)],
)
def test_models_are_named_with_their_formulas_and_parameters(
    language: str, title: str, registry: dict[str, Any], schemas: tuple[Any, ...]
) -> None:
    rows = table(language, title)
    assert [codes(row[0])[0] for row in rows] == list(registry)
    for (_, formula, parameters, remark), schema in zip(rows, schemas, strict=True):
        assert formula == schema.about.plain
        assert codes(parameters) == [name for name in schema.model_fields if name != "name"]
        assert remark


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_the_request_is_there(language: str) -> None:
    rows = {codes(row[0])[0]: row for row in table(language, "Field")}
    masks = [f"mask.{name}" for name in MaskSchema.model_fields]
    expected = [path for name in AttentionRequest.model_fields for path in (masks if name == "mask" else [name])]
    assert list(rows) == expected
    assert codes(rows["dtype"][2]) == list(DTYPES)
    assert codes(rows["include"][2]) == list(FIELDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_settings_are_those_of_the_service(language: str) -> None:
    rows = table(language, "Environment variable")
    assert [codes(row[0])[0] for row in rows] == [f"ATTENTION_{name.upper()}" for name in Settings.model_fields]
    for (_, default, meaning), (name, setting) in zip(rows, Settings.model_fields.items(), strict=True):
        assert default == shown_default(language, name, setting.default)
        assert meaning == setting.description if language == "en" else re.search("[\u4e00-\u9fff]", meaning)
    [section] = [
        section for section in README[language] if any(row[0] == rows[0] for row in (t[2:] for t in section.tables))
    ]
    flags = [code for code in codes(section.prose) if code.startswith("--")]
    assert flags == [f"--{name.replace('_', '-')}" for name in SERVE_OPTIONS]


def shown_default(language: str, name: str, default: Any) -> str:
    if name == "compute_threads":
        assert Settings.model_fields[name].default_factory() == os.cpu_count()
        return {"en": "all cores", "zh": "全部核心"}[language]
    if default == "":
        return {"en": "empty", "zh": "空"}[language]
    return f"`{default}` ({default >> 20} MiB)" if name.endswith("_bytes") else f"`{default}`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_slugs_are_those_of_the_service(language: str) -> None:
    shown = {codes(slug)[0]: int(status) for slug, status, _ in table(language, "Slug")}
    assert shown == {slug: int(problem.status) for slug, problem in PROBLEMS.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_endpoints_are_those_of_the_service(language: str) -> None:
    modules = [import_module(f"service.routes.{module.name}") for module in iter_modules(routes.__path__)]
    served = [route for module in modules if hasattr(module, "router") for route in module.router.routes]
    assert sorted(codes(row[0])[0] for row in table(language, "Endpoint")) == sorted(
        f"{method} {route.path}" for route in served for method in route.methods
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worked_examples_are_listed_by_their_titles(language: str) -> None:
    shown = [(codes(identifier)[0], title) for identifier, title in table(language, "Id")]
    assert shown == [(name, example.title[language]) for name, example in load_examples().items()]


@pytest.mark.parametrize("row", table("en", "Case"), ids=lambda row: row[0])
async def test_edge_cases_are_decided_as_the_table_says(client: httpx.AsyncClient, row: list[str]) -> None:
    [prose] = [section.prose for section in README["en"] if section.title == "## Edge cases"]
    request = json.loads(codes(prose)[0]) | json.loads(codes(row[1])[0])
    response = await client.post("/v1/attention", json=request)
    answer, *pointers = codes(row[2])
    if answer.isdigit():
        assert response.status_code == int(answer), response.text
        assert not pointers or response.json()["errors"][0]["pointer"] == pointers[0]
    else:
        assert response.status_code == 200, response.text
        shown = json.loads(answer)
        assert_same({name: member for name, member in response.json().items() if name in shown}, shown)


# --- the page itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_screen_is_two_commands_one_request_and_its_answer(language: str) -> None:
    first = README[language][0].snippets
    assert [kind for kind, _ in first] == ["bash", "bash", "json"]
    assert first[0][1].splitlines() == ["make serve", "make test"]
    [words] = commands(first[1][1])
    assert json.loads(words[words.index("-d") + 1]) == load_examples()["honor-of-kings"].request


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tree_is_the_tree(language: str) -> None:
    drawn = tree_paths(language)
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    for package in ("attention_core", "service"):
        rooms = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).iterdir() if path.name[:2] != "__"}
        assert rooms == {path.rstrip("/") for path in drawn if path.startswith(f"{package}/") and path != f"{package}/"}


def tree_paths(language: str) -> list[str]:
    """The drawn paths; what is indented lies in the last line that is not."""
    [lines] = [code.splitlines() for section in README[language] for kind, code in section.snippets if kind == "tree"]
    paths, parent = [], ""
    for line in lines:
        name = line.split()[0]
        parent = parent if line.startswith(" ") else name
        paths.append(parent + name if line.startswith(" ") else name)
    return paths


def test_the_layers_are_those_that_make_check_enforces() -> None:
    [shown] = [code for section in README["en"] for kind, code in section.snippets if kind == "layers"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [contract for contract in contracts if contract["type"] == "layers"]
    expected = [f"{contract['containers'][0]} {' > '.join(contract['layers'])}" for contract in layers]
    assert " ".join(shown.split()) == " ".join(expected)


def test_both_languages_show_the_same() -> None:
    english, chinese = README["en"], README["zh"]
    assert [section.title.count("#") for section in english] == [section.title.count("#") for section in chinese]
    assert tree_paths("en") == tree_paths("zh")
    for one, other in zip(english, chinese, strict=True):
        without_tree = [[snippet for snippet in page.snippets if snippet[0] != "tree"] for page in (one, other)]
        assert without_tree[0] == without_tree[1], one.title
        cells = [[[list(map(codes, row)) for row in rows] for rows in page.tables] for page in (one, other)]
        assert cells[0] == cells[1], one.title


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere_and_the_languages_to_each_other(language: str) -> None:
    links = [link for section in README[language] for link in re.findall(r"\]\(([^)]+)\)", section.prose)]
    anchors = {"#" + section.title.lstrip("# ").lower().replace(" ", "-") for section in README[language]}
    assert [link for link in links if link not in anchors and not (ROOT / link).is_file()] == []
    assert {name for other, name in LANGUAGES.items() if other != language} <= set(links)
