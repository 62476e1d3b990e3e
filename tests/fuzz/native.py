"""Builds and runs `native.c`, the libFuzzer harness of the compiled reader and writer."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import hatch_build
from tests.fuzz.run import FINDINGS
from tests.fuzz.targets import CORPUS

COMPILER = "clang-14"

HARNESS = Path(__file__).parent / "native.c"

SOURCES = ("read.c", "write.c")

CHECKS = ("-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off",
          "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")  # fmt: skip

MAX_INPUT_BYTES = 1024
"""Longer inputs find nothing that shorter ones do not, and take their time."""

TEXTS = ("json", "attention", "inference", "safetensors")
"""Targets whose corpora are texts with numbers in them."""

STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Fuzzed:
    """What a run of the harness ended with."""

    returncode: int
    output: str

    @property
    def statistics(self) -> dict[str, int]:
        """What libFuzzer counted, by its own names."""
        return {name: int(number) for name, number in STATISTIC.findall(self.output)}


def build(folder: Path, options: tuple[str, ...], sources: Path = hatch_build.SOURCES) -> Path:
    """Build the harness around a library with these options; raises OSError where it does not compile."""
    built = folder / "fuzzer"
    files = [str(HARNESS), *(str(sources / name) for name in SOURCES)]
    with hatch_build.generated(folder) as includes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", COMPILER)
        given = [*CHECKS, *options, *hatch_build.defined(includes), f"-I{sources}", *files, "-lm"]
        hatch_build.run_compiler([*given, "-o", str(built)])
    return built


def run(fuzzer: Path, *, seed: int, **limits: int) -> Fuzzed:
    """Fuzz from the kept corpus within limits by their names in libFuzzer; a finding is written beside the others."""
    seeds = fuzzer.parent / "seeds"
    for target in TEXTS:
        shutil.copytree(CORPUS / target, seeds / target, dirs_exist_ok=True)
    found = fuzzer.parent / "found"
    found.mkdir(exist_ok=True)
    FINDINGS.mkdir(exist_ok=True)
    given = {"seed": seed, "max_len": MAX_INPUT_BYTES, "print_final_stats": 1, "artifact_prefix": f"{FINDINGS}/"}
    flags = [f"-{name}={value}" for name, value in (given | limits).items()]
    # A shell starts the fuzzer, which would otherwise count the most memory of this process as its own.
    command = ["sh", "-c", '"$@"; exit $?', "sh", str(fuzzer), *flags, str(found), *(str(seeds / one) for one in TEXTS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    return Fuzzed(done.returncode, done.stdout + done.stderr)
