"""What the container promises an operator, as far as it can be shown without a container engine."""

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from development.guide.pages import LANGUAGES, SPECIFICATION, Language, site_in
from service.settings import Settings
from tests.conftest import TOOLS
from tests.processes import children_of
from tests.sampling import every, product_sample
from tests.server import Server, free_port, running_server

PREFIX = "ATTENTION_"
STATE = "/var/lib/attention-service"
"""The volume: the only place to which the container writes."""

STOP_SECONDS = 5
"""Longest that an idle server may take to end."""

Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def stages(project: Path) -> list[list[Instruction]]:
    """The Dockerfile: one list of (instruction, arguments) for each stage."""
    text = re.sub(r"^\s*#.*\n", "", (project / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[Instruction]] = []
    for line in lines:
        name, arguments = line.split(maxsplit=1)
        if name == "FROM":
            found.append([])
        found[-1].append((name, arguments))
    return found


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    """The service of docker-compose.yml."""
    document = yaml.safe_load((project / "docker-compose.yml").read_text())
    return document["services"]["attention"]


@pytest.fixture(scope="module")
def health_check(stages: list[list[Instruction]]) -> list[str]:
    """The command of HEALTHCHECK."""
    (arguments,) = only(stages[-1], "HEALTHCHECK")
    return json.loads(arguments.partition(" CMD ")[2])


@pytest.fixture(scope="module")
def builder(stages: list[list[Instruction]]) -> list[Instruction]:
    """The stage that makes the environment of the final one."""
    [found] = [stage for stage in stages if stage[0] == ("FROM", "python:3.13-slim AS builder")]
    return found


def only(stage: list[Instruction], name: str) -> list[str]:
    """Return the arguments of all instructions of that name."""
    return [arguments for instruction, arguments in stage if instruction == name]


def environment_of(stage: list[Instruction]) -> dict[str, str]:
    """Return what ENV sets."""
    words = [word for arguments in only(stage, "ENV") for word in shlex.split(arguments)]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def test_it_is_built_in_stages_on_the_base_image_as_named(stages: list[list[Instruction]]) -> None:
    assert [arguments for (_, arguments), *_ in stages] == [
        "python:3.13-slim AS guide",
        "python:3.13-slim AS builder",
        "python:3.13-slim",
    ]


def test_the_final_stage_takes_the_environment_and_runs_nothing(stages: list[list[Instruction]]) -> None:
    (user,) = only(stages[-1], "USER")
    assert only(stages[-1], "COPY") == [
        "--from=builder /opt/venv /opt/venv",
        f"--from=builder --chown={user} /state{STATE.removeprefix('/var/lib')} {STATE}",
    ]
    assert not only(stages[-1], "RUN")
    assert not only(stages[-1], "ADD")


def test_the_user_is_a_number_and_not_root(stages: list[list[Instruction]]) -> None:
    (user,) = only(stages[-1], "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_no_shell_is_needed_to_start(stages: list[list[Instruction]], health_check: list[str]) -> None:
    (entry_point,), (command,) = only(stages[-1], "ENTRYPOINT"), only(stages[-1], "CMD")
    assert json.loads(entry_point) == ["/opt/venv/bin/attention-service"]
    assert json.loads(command) == ["serve"]
    assert health_check == [*json.loads(entry_point), "healthcheck"]


def test_every_installation_is_locked(stages: list[list[Instruction]]) -> None:
    runs = [run for stage in stages for run in only(stage, "RUN")]
    commands = [part for run in runs for part in re.split(r"\s&&\s", run)]
    installations = [shlex.split(command) for command in commands if re.search(r"\bpip\b.* (install|wheel)\b", command)]
    assert len(installations) == 5
    for words in installations:
        if "--requirement" in words:
            assert "--require-hashes" in words
        else:
            assert "--no-deps" in words
            assert "--editable" not in words
            assert "--no-build-isolation" in words or "--no-index" in words


def test_what_runs_holds_nothing_that_builds(builder: list[Instruction]) -> None:
    (environments, *_), commands = only(builder, "RUN"), only(builder, "RUN")
    assert "venv --without-pip /opt/venv" in environments
    into_what_runs = [part for run in commands for part in re.split(r"\s&&\s", run) if "--python /opt/venv" in part]
    assert len(into_what_runs) == 2
    assert not any("build.txt" in command for command in into_what_runs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("build", "."),
        ("read_only", True),
        ("cap_drop", ["ALL"]),
        ("security_opt", ["no-new-privileges:true"]),
        ("mem_limit", "1g"),
        ("cpus", 2),
        ("pids_limit", 256),
        ("restart", "unless-stopped"),
        ("ports", ["${PUBLISH_ADDRESS:-127.0.0.1}:8000:8000"]),
    ],
)
def test_compose_keeps_the_container_in(compose: dict[str, Any], name: str, expected: Any) -> None:
    assert compose[name] == expected


def test_compose_gives_nothing_back(compose: dict[str, Any]) -> None:
    assert not {"privileged", "cap_add", "user", "network_mode", "pid", "devices"} & set(compose)
    (temporary,) = compose["tmpfs"]
    assert re.fullmatch(r"/tmp:size=\d+m", temporary), "a tmpfs counts as memory: it needs a bound"


def test_memories_are_kept_in_a_volume_that_the_user_owns(
    project: Path,
    stages: list[list[Instruction]],
    builder: list[Instruction],
    compose: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The image names no directory, so that it starts without memories where an engine makes no volume."""
    assert only(stages[-1], "VOLUME") == [STATE]
    assert f"mkdir --parents --mode 0700 /state/{PurePosixPath(STATE).name}" in only(builder, "RUN")
    in_image = environment_of(stages[-1])
    assert "ATTENTION_MEMORIES_DIRECTORY" not in in_image
    monkeypatch.delenv("ATTENTION_MEMORIES_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", in_image["XDG_STATE_HOME"])
    kept = Settings().memories_directory
    assert kept == compose["environment"]["ATTENTION_MEMORIES_DIRECTORY"] == f"{STATE}/memories"
    (volume,) = compose["volumes"]
    name, place = volume.split(":")
    assert place == STATE
    document = yaml.safe_load((project / "docker-compose.yml").read_text())
    assert name in document["volumes"], "a name, no path of the host"
    replicas = [one for service, one in document["services"].items() if service.startswith("attention")]
    assert [one["volumes"] for one in replicas] == [compose["volumes"]] * 3


def test_a_memory_that_is_appended_to_fits_into_the_container(compose: dict[str, Any]) -> None:
    """It takes up to three times its length while its buffer grows."""
    assert compose["mem_limit"] == "1g"
    assert int(compose["environment"]["ATTENTION_MEMORY_BYTES"]) * 4 == 1024**3


def test_the_environment_names_settings_that_exist(
    stages: list[list[Instruction]], compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_image = {name: value for name, value in environment_of(stages[-1]).items() if name.startswith(PREFIX)}
    in_compose = compose["environment"]
    assert {*in_image, *in_compose} <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, value in {**in_image, **in_compose}.items():
        if value is not None:  # only passed on
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert only(stages[-1], "EXPOSE") == [str(settings.port)]
    assert settings.compute_threads == compose["cpus"]


def test_the_container_is_not_killed_before_it_has_drained(compose: dict[str, Any]) -> None:
    grace = re.fullmatch(r"(\d+)s", compose["stop_grace_period"])
    assert grace
    default = Settings.model_fields["drain_seconds"].default
    assert float(compose["environment"]["ATTENTION_DRAIN_SECONDS"]) == default < int(grace[1])


def test_compose_checks_health_as_the_image_does(compose: dict[str, Any], stages: list[list[Instruction]]) -> None:
    (arguments,) = only(stages[-1], "HEALTHCHECK")
    flags, _, command = arguments.partition(" CMD ")
    options = dict(flag.removeprefix("--").replace("-", "_").split("=") for flag in flags.split())
    expected = {"test": ["CMD", *json.loads(command)], **options, "retries": int(options["retries"])}
    assert compose["healthcheck"] == expected


def probe(command: list[str], port: int) -> int:
    """Run the health check as an engine does, with a proxy in the environment that leads nowhere."""
    proxy = f"http://127.0.0.1:{free_port()}"
    environment = {**os.environ, "ATTENTION_PORT": str(port), "http_proxy": proxy, "HTTP_PROXY": proxy}
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *command[1:]],
        env=environment,
        check=False,
        capture_output=True,
        timeout=30,
    ).returncode


def test_the_health_check_passes_when_ready(server: Server, health_check: list[str]) -> None:
    assert probe(health_check, urlsplit(server.url).port or 0) == 0


@pytest.mark.soak
def test_the_health_check_passes_behind_a_root_path(tmp_path: Path, health_check: list[str]) -> None:
    with running_server(tmp_path, "--root-path", "/attention") as running:
        assert probe(health_check, urlsplit(running.url).port or 0) == 0


def test_the_health_check_finds_the_port_as_the_service_does(server: Server, health_check: list[str]) -> None:
    """Of a platform's variable, beside what Kubernetes sets; and through the address that the service listens on."""
    port = str(urlsplit(server.url).port)
    command = [sys.executable, "-m", "service.cli", *health_check[1:]]
    others = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    for settings in (
        {"PORT": port, "ATTENTION_PORT": "tcp://10.0.0.1:8000"},
        {"PORT": port, "ATTENTION_HOST": "0.0.0.0"},
        {"PORT": "1", "ATTENTION_PORT": port, "ATTENTION_HOST": "127.0.0.1"},
    ):
        assert subprocess.run(command, env={**others, **settings}, check=False, timeout=30).returncode == 0
    flags = [*command, "--host", "127.0.0.1", "--port", port]
    assert subprocess.run(flags, env={**others, "PORT": "1"}, check=False, timeout=30).returncode == 0


def test_the_health_check_costs_little(health_check: list[str]) -> None:
    """It runs every few seconds beside the service, so it loads neither NumPy nor what reads settings."""
    program = (
        "import sys; from service.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'numpy', 'pydantic', 'pydantic_settings', 'fastapi', 'orjson'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *health_check[1:], "--port", str(free_port())]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert "expected a service that is ready" in ended.stderr


def test_the_health_check_fails_when_nothing_listens(health_check: list[str]) -> None:
    assert probe(health_check, free_port()) == 1


def test_the_health_check_fails_when_not_ready(health_check: list[str]) -> None:
    class Draining(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/readyz" else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Draining) as answering:
        thread = threading.Thread(target=answering.serve_forever)
        thread.start()
        try:
            assert probe(health_check, answering.server_port) == 1
        finally:
            answering.shutdown()
            thread.join()


def let_through(path: PurePosixPath, rules: list[str]) -> bool:
    """Whether .dockerignore lets a file into the build: the last rule that names it or a folder above it decides."""
    names = [str(path), *(str(parent) for parent in path.parents if parent != PurePosixPath())]
    verdict = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        candidates = names if anywhere == pattern else [*path.parts]
        if any(fnmatchcase(name, anywhere) for name in candidates):
            verdict = rule.startswith("!")
    return verdict


def files_below(project: Path, rules: list[str]) -> Iterator[PurePosixPath]:
    """Every file of the checkout, but for top-level folders that hold environments, history and the like.

    They are left out where no rule could let anything of theirs through: each rule that lets something through names
    one place, and none of these lies in the folder.
    """
    places = [PurePosixPath(rule.removeprefix("!")) for rule in rules if rule.startswith("!")]
    assert not any(set(str(place)) & set("*?[") for place in places), "a pattern may let through files anywhere"
    open_ones = {place.parts[0] for place in places}
    assert rules[0] == "*", "what no rule names would be let through"
    for folder, folders, names in os.walk(project):
        if Path(folder) == project:
            folders[:] = [name for name in folders if name in open_ones]
        yield from (PurePosixPath(Path(folder, name).relative_to(project)) for name in names)


def sources_of(stage: list[Instruction]) -> set[str]:
    """What a stage copies of the checkout."""
    copied = [arguments for arguments in only(stage, "COPY") if not arguments.startswith("--from=")]
    return {source for arguments in copied for source in arguments.split()[:-1]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_is_built_from_all_that_its_pages_link_to(
    project: Path, stages: list[list[Instruction]], language: Language, tmp_path: Path
) -> None:
    [stage] = [stage for stage in stages if stage[0][1].endswith(" AS guide")]
    site = site_in(project, language)
    site.write(tmp_path)
    files = {path.relative_to(tmp_path / "files") for path in (tmp_path / "files").rglob("*") if path.is_file()}
    needed = {PurePosixPath(path) for path in [*site.names, *files, SPECIFICATION]}
    sources = sources_of(stage)
    assert {path for path in needed if not any(path.is_relative_to(source) for source in sources)} == set()


def test_the_service_of_the_image_has_the_guide(builder: list[Instruction]) -> None:
    copied = only(builder, "COPY")
    assert copied.index("--from=guide /guide service/pages/guide") > copied.index("service service")


def test_the_build_gets_what_it_needs_and_no_more(project: Path, stages: list[list[Instruction]]) -> None:
    lines = (project / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    sources = {source for stage in stages[:-1] for source in sources_of(stage)}
    passed = {path for path in files_below(project, rules) if let_through(path, rules)}
    assert {source for source in sources if not any(path.is_relative_to(source) for path in passed)} == set()
    assert {path for path in passed if not any(path.is_relative_to(source) for source in sources)} == set()
    assert not {path for path in passed if "__pycache__" in path.parts}
    metadata = tomllib.loads((project / "pyproject.toml").read_text())
    packages = metadata["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {metadata["project"]["readme"], "pyproject.toml", *packages} <= sources


def test_continuous_integration_installs_what_the_tests_need(project: Path) -> None:
    script = project / ".ci" / "run"
    listed = re.search(r"^packages=\((.*?)\)$", script.read_text(), re.MULTILINE | re.DOTALL)
    assert listed
    assert {package for _, package in TOOLS.values()} <= set(listed[1].split())
    assert os.access(script, os.X_OK)
    assert re.findall(r"^step make (\w+)$", script.read_text(), re.MULTILINE) == ["check", "test", "soak"]


def is_running(process: int) -> bool:
    """Whether a process exists and is more than an entry that its parent has yet to read."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.alone
@pytest.mark.parametrize(
    ("workers", "connected", "number"),
    # SIGTERM in `make test`: tests/service/holding_up/test_end.py.
    every(8, product_sample(1, [1, 2], [False, True], [signal.SIGTERM, signal.SIGINT]), first=7),
)
def test_a_signal_ends_the_server_in_order(
    tmp_path: Path, workers: int, connected: bool, number: signal.Signals
) -> None:
    with running_server(tmp_path, "--workers", str(workers), DRAIN_SECONDS="5") as running:
        children = children_of(running.process.pid)
        assert len(children) >= (workers if workers > 1 else 0)
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=10)
        if connected:
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
        started = time.monotonic()
        running.process.send_signal(number)
        if connected:
            assert connection.sock.recv(1) == b"", "an idle connection is ended; a client that keeps it is waited for"
        connection.close()
        code, seconds = running.process.wait(30), time.monotonic() - started
        # multiprocessing's own helper process notices the end of its parent a moment later.
        while any(map(is_running, children)) and time.monotonic() < started + STOP_SECONDS:
            time.sleep(0.01)
        print(f"{number.name} with {workers} workers: exit code {code} after {seconds:.2f} s")
        assert code == 0, running.log.read_text()
        assert seconds < STOP_SECONDS
        assert not any(map(is_running, children))
        assert "Traceback" not in running.log.read_text()


TRACES = {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}


@pytest.mark.parametrize(
    ("lock", "added"),
    [("otel", TRACES), ("redis", {"redis"}), ("otel-redis", {*TRACES, "redis"}), ("ray", {"ray", "redis"})],
)
def test_every_lock_that_an_image_can_have_is_whole(
    project: Path, builder: list[Instruction], lock: str, added: set[str]
) -> None:
    """What an extra needs comes on top of the service, in the same versions."""
    assert only(builder, "ARG") == ["LOCK=service"]
    service, whole = (locked(project / "requirements" / f"{name}.txt") for name in ("service", lock))
    # A marker may name more platforms: Ray asks for some packages on others too.
    assert {(key.split()[0], version) for key, version in service.items() - whole.items()} <= {
        (key.split()[0], version) for key, version in whole.items()
    }
    assert added <= set(whole) - set(service)
    assert any(f"requirements/{lock}.txt" in copied.split() for copied in only(builder, "COPY"))


def locked(path: Path) -> dict[str, str]:
    """Return what a lock installs: versions by name and by what the platform must be like."""
    lines = [line.rstrip(" \\") for line in path.read_text().splitlines() if re.match(r"[a-z0-9]", line)]
    return {f"{line.split('==')[0]} {line.partition(';')[2]}".strip(): re.split("[= ;]+", line)[1] for line in lines}
