"""Not a byte beside a buffer is touched: guard pages behind every array, and the sanitizers of the compiler."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS

GUARDS = Path(__file__).parent / "guards.c"
SOURCES = hatch_build.KERNEL_SOURCES
OPTIONS = {name: hatch_build.KERNEL_OPTIONS[hatch_build.machine()][f"kernel-{name}.so"] for name in KERNELS}
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)


@pytest.fixture(scope="module")
def guards(tmp_path_factory):
    """The guards, compiled."""
    built = tmp_path_factory.mktemp("guards") / "guards.so"
    hatch_build.run_compiler([*hatch_build.COMMON, "-O1", "-Werror", str(GUARDS), "-o", str(built)])
    return str(built)


def drawn_calls(kernel, library, guards, first, end, **environment):
    """What a process ends with that runs drawn calls."""
    module = "tests.attention_core.native.guarded"
    command = [sys.executable, "-m", module, kernel, str(library), str(guards), str(first), str(end)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )


@every_kernel
def test_nothing_behind_an_array_is_touched(kernel, guards):
    done = drawn_calls(kernel, "-", guards, 0, 10)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"ran 10 calls with {kernel}\n"


@pytest.mark.soak
@every_kernel
def test_nothing_behind_an_array_is_touched_by_many_calls(kernel, guards):
    done = drawn_calls(kernel, "-", guards, 10, 160)
    assert done.returncode == 0, done.stderr[-3000:]


def altered(folder, file, right, wrong):
    """The sources with one text replaced."""
    sources = folder / "sources"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    text = (sources / file).read_text()
    assert right in text
    (sources / file).write_text(text.replace(right, wrong))
    return sources


BEYOND_VALUES = ("panels.h", "if (present == LANES) v = T(load)(values", "if (present) v = T(load)(values")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        BEYOND_VALUES,
        ("panels.h", "i < present ? keys[(first + i) * stride + d] : 0", "keys[(first + i) * stride + d]"),
        ("panels.h", "memcpy(&x, from, lanes * sizeof *from)", "memcpy(&x, from, sizeof x)"),
        ("rows.h", "memcpy(weights + k, &weight, present * sizeof(REAL))", "memcpy(weights + k, &weight, sizeof zero)"),
        ("backward_rows.h", "if (present >= LANES) return T(load)(p);", "if (present) return T(load)(p);"),
    ],
)  # fmt: skip
def test_a_kernel_that_reads_or_writes_too_far_crashes(tmp_path, guards, file, right, wrong):
    built = tmp_path / "kernel.so"
    hatch_build.compile_kernel(altered(tmp_path, file, right, wrong), built, *OPTIONS[KERNELS[0]], "-O1")
    assert drawn_calls(KERNELS[0], built, guards, 0, 60).returncode == -signal.SIGSEGV


def sanitized(kernel, sources, built, first, end):
    """What a process ends with that runs drawn calls with a kernel under the sanitizers."""
    hatch_build.compile_kernel(sources, built, *OPTIONS[kernel], *SANITIZERS)
    compiler = os.environ.get("CC", "cc")
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    return drawn_calls(
        kernel, built, "-", first, end,
        LD_PRELOAD=runtime.stdout.strip(), ASAN_OPTIONS="detect_leaks=0", PYTHONMALLOC="malloc",
    )  # fmt: skip


@pytest.mark.soak
@every_kernel
def test_the_sanitizers_find_nothing(tmp_path, kernel):
    done = sanitized(kernel, SOURCES, tmp_path / "kernel.so", 400, 460)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"ran 60 calls with {kernel}\n"


@pytest.mark.soak
def test_the_sanitizers_find_a_defect(tmp_path):
    done = sanitized(KERNELS[-1], altered(tmp_path, *BEYOND_VALUES), tmp_path / "kernel.so", 400, 460)
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
