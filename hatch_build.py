"""Compiles the reader and the writer of numbers in JSON when the service is installed, and the kernels of the core.

`distributions/attention-core/hatch_build.py` calls `compile_kernels` when the core is installed.

Without a compiler NumPy computes everything, and the service reads and writes numbers as Python objects: both slower.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("service", "codecs", "json", "native")

MIN_POWER, MAX_POWER = -342, 308
"""Exponents of ten: an integer of 19 digits is subnormal or 0 with a lower one, and infinite with a higher one."""

WIDE_FEATURES = ("avx2", "bmi", "bmi2")
"""Instructions of the wide library, by names that `-m…` and `__builtin_cpu_supports` of every compiler accept.

gcc 11 and clang 14 know no `__builtin_cpu_supports("x86-64-v3")`.
"""

# The code compares float64 products, which must not be fused with a sum.
COMMON = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
# `__builtin_cpu_supports` of clang 14 does not accept lzcnt, which `read.c` finds by cpuid.
LIBRARIES = {"numbers.so": (), "numbers-wide.so": (*(f"-m{feature}" for feature in WIDE_FEATURES), "-mlzcnt")}
"""Compiler options of the library for any processor, and of the one for wide registers."""

KERNEL_SOURCES = Path("attention_core", "native")

# A row's bits do not depend on its tile: products and sums are fused where the source says so, and nowhere else.
KERNEL_COMMON = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", "-fvisibility=hidden")
KERNEL_OPTIONS = {
    "x86_64": {
        "kernel-v2.so": ("-march=x86-64-v2",),
        "kernel-v3.so": ("-march=x86-64-v3",),
        "kernel-v4.so": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    },
    "aarch64": {"kernel-aarch64.so": ()},
}
"""Compiler options of each kernel, by the machine they are for; a wheel holds all kernels of its machine."""

FEATURES = "features.so"
"""Library that says which kernels a processor runs."""

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other names of machines."""

FAILURES = "failures.txt"
"""File beside the sources with the reasons for missing libraries; the service logs them when it starts."""

MAX_OUTPUT_LINES = 12
"""Lines of compiler output that are reported for each library, enough for the first error."""


class CompiledCode(BuildHookInterface):
    """Builds the libraries of JSON beside their sources and adds them to the wheel of the service."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, mark the wheel as one for this platform, and warn about each library that is not compiled."""
        folder = Path(self.root, SOURCES)
        failures = compile_libraries(folder)
        for failure in failures:
            self.app.display_warning(f"numbers of JSON will be read and written more slowly: {failure}")
        if failures:
            build_data["artifacts"].append(f"{SOURCES.as_posix()}/{FAILURES}")
        if any(folder.glob("*.so")):
            build_data["artifacts"].append(f"{SOURCES.as_posix()}/*.so")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def machine() -> str:
    """Return the name of this kind of machine, "x86_64" or "aarch64" where there are kernels."""
    name = platform.machine().lower()
    return MACHINES.get(name, name)


def compile_libraries(folder: Path) -> list[str]:
    """Compile the libraries of JSON for this machine; return the reasons for missing ones."""
    wanted = {name: options for name, options in LIBRARIES.items() if not options or machine() == "x86_64"}
    return _compile_each(folder, {name: _bound(compile_library, folder, options) for name, options in wanted.items()})


def compile_kernels(folder: Path) -> list[str]:
    """Compile the kernels of attention for this machine; return the reasons for missing ones."""
    kernels = KERNEL_OPTIONS.get(machine(), {})
    compilations = {name: _bound(compile_kernel, folder, options) for name, options in kernels.items()}
    if kernels:
        compilations[FEATURES] = lambda library: compile_features(folder, library)
    return _compile_each(folder, compilations)


Compilation = Callable[[Path], None]
"""Compiles one library to a path."""


def _bound(compile_one: Callable[..., None], folder: Path, options: tuple[str, ...]) -> Compilation:
    return lambda library: compile_one(folder, library, *options)


def _compile_each(folder: Path, compilations: dict[str, Compilation]) -> list[str]:
    """Compile each library; return the reasons for missing ones, and write them to `FAILURES`.

    An earlier library that cannot be compiled again is removed: its functions may have other parameters.
    """

    def compile_one(name: str) -> str:
        try:
            compilations[name](folder / name)
        except OSError as error:
            (folder / name).unlink(missing_ok=True)
            return f"{name}: {error}"
        return ""

    with ThreadPoolExecutor() as compilers:
        failures = [failure for failure in compilers.map(compile_one, compilations) if failure]
    report = folder / FAILURES
    if failures:
        report.write_text("\n".join(failures) + "\n")
    else:
        report.unlink(missing_ok=True)
    return failures


def compile_kernel(folder: Path, library: Path, *options: str) -> None:
    """Compile a kernel; the earlier one stays until the new one is complete.

    Raises OSError with the output of the compiler, or where there is no compiler.
    """
    _compile(library, *KERNEL_COMMON, "-Wall", "-Wextra", *options, str(folder / "kernel.c"), "-lm")


def compile_features(folder: Path, library: Path) -> None:
    """Compile the library that says which kernels a processor runs; see `compile_kernel`."""
    _compile(library, *COMMON, str(folder / "features.c"))


def _compile(library: Path, *options: str) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as made:
        built = Path(made, library.name)
        run_compiler([*options, "-o", str(built)])
        built.replace(library)


def compile_library(folder: Path, library: Path, *options: str) -> None:
    """Compile one library; the earlier one stays until the new one is complete.

    Raises OSError with the output of the compiler, or where there is no compiler.
    """
    with generated(folder) as includes:
        built = includes / library.name
        sources = [str(folder / name) for name in ("read.c", "write.c")]
        run_compiler([*COMMON, *options, *defined(includes), *sources, "-o", str(built)])
        built.replace(library)


@contextmanager
def generated(folder: Path) -> Iterator[Path]:
    """Yield a temporary directory beside the sources with the tables that they include."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        Path(made, "powers.inc").write_text("".join(powers()))
        Path(made, "scales.inc").write_text("".join(scales()))
        supported = " && ".join(f'__builtin_cpu_supports("{feature}")' for feature in WIDE_FEATURES)
        Path(made, "wide.inc").write_text(supported + "\n")
        yield Path(made)


def defined(includes: Path) -> tuple[str, ...]:
    """Return the compiler options with the directory and the size of the tables."""
    return (f"-DMIN_POWER={MIN_POWER}", f"-DMAX_POWER={MAX_POWER}", f"-I{includes}")


def run_compiler(options: list[str]) -> None:
    """Run the C compiler that the environment variable CC names, cc without it; raise OSError where it fails."""
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(compiler[0]) is None:
        raise OSError(f"there is no C compiler called {compiler[0]} (Debian packages gcc and libc6-dev)")
    done = subprocess.run([*compiler, *options], check=False, capture_output=True, text=True, errors="replace")
    if done.returncode:
        output = "\n".join(done.stderr.splitlines()[:MAX_OUTPUT_LINES])
        raise OSError(f"{shlex.join(compiler)} ended with exit code {done.returncode}:\n{output}")
    sys.stderr.write(done.stderr)


def powers() -> Iterator[str]:
    """Return the powers of ten of `powers.h`, from 5 to the same exponent: twos only move the binary point."""
    for exponent in range(MIN_POWER, MAX_POWER + 1):
        power = significand(exponent)
        yield f"{{0x{power % 2**64:016x}, 0x{power >> 64:016x}}},\n"


def significand(exponent: int) -> int:
    """Return the first 128 bits of 10^exponent, rounded as `powers.h` says."""
    five = 5 ** abs(exponent)
    bits = five.bit_length()
    if exponent >= 0:
        return five << 128 - bits if bits <= 128 else five >> bits - 128
    return 2 ** (bits + 127) // five + (exponent >= -27)


def scales() -> Iterator[str]:
    """Return the scales of `write.c`, one for each exponent of a float32."""
    for biased in range(2**8):
        # Distance of two numbers with this exponent.
        step = Fraction(2) ** (max(biased, 1) - 150)
        exponent = 0
        while Fraction(10) ** (exponent + 1) <= step:
            exponent += 1
        while Fraction(10) ** exponent > step:
            exponent -= 1
        factor = 1 / Fraction(10) ** exponent
        yield f"{{{float(factor).hex()}, {float(step / 2 * factor).hex()}, {exponent}}},\n"
