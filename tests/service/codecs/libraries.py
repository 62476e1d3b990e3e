"""The compiled libraries: those that were installed, and those that every compiler here makes of the same sources."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import hatch_build
from service.codecs.json.native import library

COMPILERS = {"gcc-11": pytest.mark.gcc11, "clang-14": pytest.mark.clang}
"""Compilers older than those that know `__builtin_cpu_supports("x86-64-v3")`, and the markers of their tests."""

RUNNABLE = {
    name: options
    for name, options in hatch_build.LIBRARIES.items()
    if name == library.ANY_PROCESSOR or library.open_library(library.ANY_PROCESSOR).attention_runs_wide()
}
"""Which of the libraries this machine can run, and with which options each is compiled."""


@dataclass(frozen=True)
class Build:
    """A library by its name, and the compiler to build it with; the one that was installed without."""

    name: str
    compiler: str | None = None

    def path(self, folder: Path) -> Path:
        """Return where the library is, built in a folder where it is not installed; built once."""
        if self.compiler is None:
            return library.FOLDER / self.name
        built = folder / f"{self.compiler}-{self.name}"
        if not built.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CC", self.compiler)
                hatch_build.compile_library(hatch_build.SOURCES, built, *RUNNABLE[self.name])
        return built


BUILDS = [
    *(pytest.param(Build(name), id=name) for name in RUNNABLE),
    *(
        pytest.param(Build(name, compiler), id=f"{compiler}-{name}", marks=mark)
        for compiler, mark in COMPILERS.items()
        for name in RUNNABLE
    ),
]
"""Parameters of tests that every library has to pass."""
