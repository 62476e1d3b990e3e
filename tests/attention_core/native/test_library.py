"""Which kernels there are and which is used: compilers, missing and old libraries, ATTENTION_KERNEL, wheels."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import hatch_build
from attention_core import InvalidValue
from attention_core.native import available_kernels, kernel_name, library, select_kernel, selected_kernel, using_kernel
from tests.attention_core.native.kernels import KERNELS
from tests.service.codecs.libraries import COMPILERS

STRICT = ("-Werror", "-pedantic", "-Wshadow")
OPTIONS = hatch_build.KERNEL_OPTIONS[hatch_build.machine()]
FEATURES = {
    "v2": {"sse4_2", "popcnt"},
    "v3": {"avx2", "fma", "bmi1", "bmi2", "f16c"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
"""Features of /proc/cpuinfo that each kernel needs beside those of the one before."""


def test_every_kernel_that_the_processor_runs_is_there():
    flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    expected, needed = [], set()
    for name, features in FEATURES.items():
        needed |= features
        if needed <= flags:
            expected.insert(0, name)
    assert list(KERNELS) == expected
    assert expected, "make installs them; gcc and libc6-dev must be there"
    assert available_kernels()[1] == ""


@pytest.mark.soak
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(
    "compiler", [pytest.param("cc", id="cc"), *(pytest.param(name, marks=mark) for name, mark in COMPILERS.items())]
)
def test_every_compiler_compiles_without_a_warning(tmp_path, monkeypatch, compiler, options):
    monkeypatch.setenv("CC", compiler)
    built = tmp_path / "strict.so"
    hatch_build.compile_kernel(hatch_build.KERNEL_SOURCES, built, *options, "-O1", *STRICT)
    assert library.open_kernel("strict", built).span == 2048


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the sources alone, where kernels are looked for."""
    copied = tmp_path / hatch_build.KERNEL_SOURCES
    shutil.copytree(
        hatch_build.KERNEL_SOURCES, copied, ignore=shutil.ignore_patterns("*.so", "failures.txt", "__pycache__")
    )
    monkeypatch.setattr(library, "FOLDER", copied)
    monkeypatch.setattr(library, "FAILURES", copied / "failures.txt")
    monkeypatch.setattr(library, "_selection", library._Selection())
    library._load_kernels.cache_clear()
    yield copied
    library._load_kernels.cache_clear()


def test_without_a_compiler_numpy_does_everything_and_says_why(folder, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    failures = hatch_build.compile_kernels(folder)
    assert [failure.partition(":")[0] for failure in failures] == [*OPTIONS, hatch_build.FEATURES]
    kernels, why = available_kernels()
    assert kernels == {}
    assert "there is no C compiler called no-such-compiler (Debian packages gcc and libc6-dev)" in why
    assert select_kernel("auto") is None
    assert kernel_name() == "numpy"
    with pytest.raises(InvalidValue, match="auto, numpy;"):
        select_kernel("v2")


def test_a_kernel_that_could_not_be_compiled_leaves_the_others(folder):
    for name in (*(f"kernel-{kernel}.so" for kernel in KERNELS[1:]), library.FEATURES):
        shutil.copy(hatch_build.KERNEL_SOURCES / name, folder / name)
    missing = f"kernel-{KERNELS[0]}.so"
    library.FAILURES.write_text(f"{missing}: cc ended with exit code 1:\nkernel.c:2: error: nothing at all\n")
    kernels, why = available_kernels()
    assert list(kernels) == list(KERNELS[1:])
    assert "nothing at all" in why
    assert kernel_name() == KERNELS[1]


@pytest.mark.soak
def test_a_kernel_of_another_version_is_refused(folder):
    shutil.copy(hatch_build.KERNEL_SOURCES / library.FEATURES, folder / library.FEATURES)
    header = folder / "call.h"
    text = header.read_text()
    assert "int64_t group;" in text
    header.write_text(text.replace("int64_t group;", "int64_t group, one_more;"))
    hatch_build.compile_kernel(folder, folder / "kernel-v2.so", *OPTIONS["kernel-v2.so"], "-O0")
    (folder / "kernel-v3.so").write_bytes(b"no library")
    kernels, why = available_kernels()
    assert kernels == {}
    assert "kernel-v2.so was compiled from another version; install the project again" in why
    assert "v3" not in KERNELS or "invalid ELF header" in why or "too short" in why


def named(project, choice):
    """What a process says of its kernel with ATTENTION_KERNEL."""
    code = "from attention_core.native import kernel_name; print(kernel_name())"
    environment = {**os.environ, "ATTENTION_KERNEL": choice}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=project, env=environment
    )


def test_the_environment_chooses_a_kernel(project):
    for choice, expected in ((KERNELS[-1], KERNELS[-1]), ("numpy", "numpy"), ("", KERNELS[0]), ("auto", KERNELS[0])):
        assert named(project, choice).stdout.strip() == expected
    wrong = named(project, "fastest")
    assert wrong.returncode != 0
    expected = f"kernel: expected a kernel that this machine has: auto, numpy, {', '.join(KERNELS)}; received fastest"
    assert expected in wrong.stderr


def test_a_choice_ends_with_its_context():
    before = selected_kernel()
    for choice in ("numpy", *KERNELS):
        with using_kernel(choice) as chosen:
            assert selected_kernel() is chosen
            assert kernel_name() == choice
    assert selected_kernel() is before
    with pytest.raises(InvalidValue, match="received v9"), using_kernel("v9"):
        pass
    assert selected_kernel() is before


@pytest.mark.soak
def test_a_wheel_has_its_kernels_and_needs_no_compiler(tmp_path, project):
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "wheel",
        "./distributions/attention-core",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--wheel-dir", str(tmp_path)], check=True, cwd=project)
    (wheel,) = tmp_path.glob("attention_core-*.whl")
    assert wheel.stem.endswith(f"-linux_{hatch_build.machine()}")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(installed)
    found = {path.name for path in (installed / hatch_build.KERNEL_SOURCES).iterdir()}
    assert {*OPTIONS, hatch_build.FEATURES, "call.h"} <= found
    code = (
        "import attention_core.native as n, numpy as np; from attention_core import attend;"
        "print(n.__file__, n.kernel_name(), attend(np.ones((1, 2)), np.ones((3, 2)), np.ones((3, 4))).output.tolist())"
    )
    environment = {"PATH": "", "CC": "no-such-compiler", "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    path, name, output = done.stdout.split(maxsplit=2)
    assert Path(path).is_relative_to(installed)
    assert name == KERNELS[0]
    np.testing.assert_allclose(eval(output), [[1.0] * 4])
