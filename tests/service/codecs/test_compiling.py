"""Compiling when the service is installed: by every compiler, and what happens where it fails."""

import os
import shutil
from pathlib import Path

import httpx
import pytest

import hatch_build
from service.codecs.json import native
from service.codecs.json.native import library
from service.main import create_app
from service.settings import Settings
from tests.server import running_server
from tests.service.codecs.libraries import BUILDS, COMPILERS, Build

STRICT = ("-std=c11", "-Werror", "-pedantic", "-Wmissing-prototypes", "-Wshadow")


def test_the_service_reads_with_the_best_library_for_this_processor():
    assert native.AVAILABLE, "make installs it; gcc and libc6-dev must be there"
    assert native.MISSING == ""


@pytest.mark.soak
@pytest.mark.parametrize("options", hatch_build.LIBRARIES.values(), ids=hatch_build.LIBRARIES)
@pytest.mark.parametrize(
    "compiler", [pytest.param("cc", id="cc"), *(pytest.param(name, marks=mark) for name, mark in COMPILERS.items())]
)
def test_every_compiler_compiles_without_a_warning(tmp_path, monkeypatch, compiler, options):
    monkeypatch.setenv("CC", compiler)
    hatch_build.compile_library(hatch_build.SOURCES, tmp_path / "strict.so", *options, *STRICT)


@pytest.mark.parametrize("build", [one for one in BUILDS if one.values[0].name == library.ANY_PROCESSOR])
def test_every_compiler_finds_the_same_instructions(build: pytest.param, built_libraries: Path):
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    # The kernel has its own names for BMI 1 and LZCNT.
    names = {"bmi": "bmi1", "lzcnt": "abm"}
    features = [option.removeprefix("-m") for option in hatch_build.LIBRARIES[library.WIDE]]
    expected = all(names.get(feature, feature) in flags for feature in features)
    assert bool(library.open_library(str(build.path(built_libraries))).attention_runs_wide()) == expected


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources alone, where the build hook expects them."""
    ignored = shutil.ignore_patterns("*.so", "failures.txt", "__pycache__")
    shutil.copytree(hatch_build.SOURCES, tmp_path / hatch_build.SOURCES, ignore=ignored)
    return tmp_path / hatch_build.SOURCES


def compiler_that(tmp_path: Path, script: str) -> str:
    """Return a compiler that runs a shell script first."""
    path = tmp_path / "compiler"
    path.write_text(f'#!/bin/sh\n{script}\nexec cc "$@"\n')
    path.chmod(0o755)
    return str(path)


FAILS_WIDE = 'case "$*" in *avx2*) echo "read.c:1: error: nothing wide here" >&2; exit 7;; esac'
FAILS = 'echo "read.c:2: error: nothing at all" >&2; exit 1'


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Run the build hook as an installation does; return its warnings and what it says of the wheel."""

    def run(compiler: str) -> tuple[list[str], dict[str, object]]:
        warnings: list[str] = []
        hook = hatch_build.CompiledCode.__new__(hatch_build.CompiledCode)
        app = type("App", (), {"display_warning": lambda self, text: warnings.append(text)})()
        monkeypatch.setattr(hatch_build.CompiledCode, "root", str(tmp_path))
        monkeypatch.setattr(hatch_build.CompiledCode, "app", app)
        monkeypatch.setenv("CC", compiler)
        build_data: dict[str, object] = {"artifacts": []}
        hook.initialize("editable", build_data)
        return warnings, build_data

    return run


@pytest.fixture
def found(sources, monkeypatch):
    """Look for libraries beside the copied sources as the service does when it is imported."""

    def look() -> tuple[object, str]:
        monkeypatch.setattr(library, "FOLDER", sources)
        monkeypatch.setattr(library, "FAILURES", sources / "failures.txt")
        return library._best_library()

    return look


def test_without_a_compiler_installing_goes_on_and_says_so(sources, install, found):
    warnings, build_data = install("no-such-compiler")
    assert build_data.keys() == {"artifacts"}
    assert build_data["artifacts"] == ["service/codecs/json/native/failures.txt"]
    assert len(warnings) == len(hatch_build.LIBRARIES)
    for warning in warnings:
        assert "no-such-compiler" in warning
        assert "gcc" in warning
    best, missing = found()
    assert best is None
    assert "there is no C compiler called no-such-compiler (Debian packages gcc and libc6-dev)" in missing


@pytest.mark.soak
def test_where_only_the_wide_library_fails_the_other_is_used(tmp_path, sources, install, found, monkeypatch):
    (sources / library.WIDE).write_bytes(b"from an older version, whose functions take other arguments")
    warnings, build_data = install(compiler_that(tmp_path, FAILS_WIDE))
    (warning,) = warnings
    assert warning.count("read.c:1: error: nothing wide here") == 1
    assert "exit code 7" in warning
    assert build_data["pure_python"] is False
    assert {path.name for path in sources.iterdir() if path.suffix == ".so"} == {library.ANY_PROCESSOR}
    best, missing = found()
    assert best is not None
    if best.attention_runs_wide():
        assert "nothing wide here" in missing
    monkeypatch.setattr(library, "_library", best)
    ((_, _, array),), _ = native.read_arrays(b'{"a":[1.5,2]}', 1)
    assert array.tolist() == [1.5, 2]


@pytest.mark.soak
def test_what_was_mended_is_no_longer_said(tmp_path, sources, install, found):
    install(compiler_that(tmp_path, FAILS))
    assert found()[1].count("nothing at all") == len(hatch_build.LIBRARIES)
    assert install("cc")[0] == []
    best, missing = found()
    assert best is not None
    assert missing == ""
    assert not (sources / "failures.txt").exists()


def test_a_library_that_cannot_be_loaded_is_said_to_be_so(sources, found):
    (sources / library.ANY_PROCESSOR).write_bytes(b"no library")
    best, missing = found()
    assert best is None
    assert library.ANY_PROCESSOR in missing
    assert "invalid ELF header" in missing or "too short" in missing


async def test_a_service_says_at_its_start_what_is_missing(monkeypatch, caplog):
    for missing in ("numbers.so: cc ended with exit code 1:\nread.c:2: error: no gcc", ""):
        monkeypatch.setattr(native, "MISSING", missing)
        caplog.clear()
        app = create_app(Settings(compute_threads=1))
        async with app.router.lifespan_context(app):
            told = [record.getMessage() for record in caplog.records if record.name == "service.server"]
        assert [missing in message for message in told] == [True] * bool(missing)


@pytest.mark.soak
def test_a_server_without_compiled_code_answers_and_says_why_it_is_slower(tmp_path, project, monkeypatch):
    root = tmp_path / "checkout"
    for package in ("service", "attention_core"):
        shutil.copytree(project / package, root / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    monkeypatch.setenv("CC", compiler_that(tmp_path, FAILS))
    hatch_build.compile_libraries(root / hatch_build.SOURCES)
    keys = [[0.5, 1.0]] * 1000
    with running_server(tmp_path, root=root) as server:
        body = {"query": [[1, 2]], "key": keys, "value": keys}
        answer = httpx.post(f"{server.url}/v1/attention", json=body)
        assert answer.status_code == 200
        assert answer.json()["output"][0] == pytest.approx([0.5, 1.0])
    (said,) = [line for line in server.log.read_text().splitlines() if "nothing at all" in line]
    assert "install the service again" in said
    assert str(os.environ["CC"]) in said


def test_a_build_is_one_of_the_compilers_here(built_libraries):
    assert {build.values[0].compiler for build in BUILDS} == {None, *COMPILERS}
    assert Build(library.ANY_PROCESSOR).path(built_libraries).is_file()
