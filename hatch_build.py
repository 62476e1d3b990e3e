"""Compiles what reads and writes the numbers of JSON, when the project is installed or made into a wheel.

Without a compiler the service works all the same: it reads and writes numbers as Python objects, more slowly.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("service", "codecs", "json", "native")

LEAST_POWER, GREATEST_POWER = -342, 308
"""Of ten: an integer of 19 digits is no float64 of full precision with a lower one, and none at all with a higher."""

COMMON = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
LIBRARIES = {"numbers.so": (), "numbers-wide.so": ("-march=x86-64-v3",)}
"""The options of the library for any processor, and of the one for wide registers."""


class NativeNumbers(BuildHookInterface):
    """Builds the libraries beside their sources and takes them into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say that the wheel is for this kind of machine; with neither, say why."""
        try:
            compile_libraries(Path(self.root, SOURCES))
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"numbers of JSON will be read and written more slowly: {error}")
            return
        build_data["artifacts"].append(f"{SOURCES.as_posix()}/*.so")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def compile_libraries(folder: Path) -> None:
    """Compile the sources in a folder; raises OSError or CalledProcessError where that is not possible."""
    for name, options in LIBRARIES.items():
        if not options or platform.machine().lower() in {"x86_64", "amd64"}:
            compile_library(folder, folder / name, *options)


def compile_library(folder: Path, library: Path, *options: str) -> None:
    """Compile one library; until it is whole, the one from before stays."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise OSError(f"there is no C compiler called {compiler} (Debian packages gcc and libc6-dev)")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        Path(made, "powers.inc").write_text("".join(powers()))
        Path(made, "scales.inc").write_text("".join(scales()))
        built = Path(made, library.name)
        sources = [str(folder / name) for name in ("read.c", "write.c")]
        known = (f"-DLEAST_POWER={LEAST_POWER}", f"-DGREATEST_POWER={GREATEST_POWER}", f"-I{made}")
        command = [compiler, *COMMON, *options, *known, *sources, "-o", str(built)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        built.replace(library)


def powers() -> Iterator[str]:
    """Return the powers of ten of `powers.h`, from 5 to the same exponent: twos only move the binary point."""
    for exponent in range(LEAST_POWER, GREATEST_POWER + 1):
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
        # What lies between two numbers of this exponent.
        step = Fraction(2) ** (max(biased, 1) - 150)
        exponent = 0
        while Fraction(10) ** (exponent + 1) <= step:
            exponent += 1
        while Fraction(10) ** exponent > step:
            exponent -= 1
        factor = 1 / Fraction(10) ** exponent
        yield f"{{{float(factor).hex()}, {float(step / 2 * factor).hex()}, {exponent}}},\n"
