"""The compiled reader and writer under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import hatch_build
from tests.fuzz import native
from tests.service.codecs.libraries import RUNNABLE

SEED = 2026

pytestmark = [pytest.mark.clang, pytest.mark.fuzzer]


@pytest.mark.soak
@pytest.mark.parametrize("options", RUNNABLE.values(), ids=RUNNABLE)
def test_the_corpus_and_what_is_nearest_to_it_finds_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    fuzzed = native.run(native.build(tmp_path, options), seed=SEED, runs=5_000)
    assert fuzzed.returncode == 0, fuzzed.output[-3000:]
    assert fuzzed.statistics["number_of_executed_units"] >= 5_000


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("read.c", "if (array->shape[axis] != lengths[axis])", "if (false)"),
        ("number.h", "mantissa = (mantissa + (mantissa & 1)) >> 1;", "mantissa >>= 1;"),
        ("write.c", "to[-1] = ']';", "*to++ = ']';"),
    ],
)
def test_a_defect_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, right: str, wrong: str) -> None:
    monkeypatch.setattr(native, "FINDINGS", tmp_path / "findings")
    sources = tmp_path / "sources"
    shutil.copytree(hatch_build.SOURCES, sources, ignore=shutil.ignore_patterns("*.so"))
    text = (sources / file).read_text()
    assert right in text
    (sources / file).write_text(text.replace(right, wrong))
    fuzzed = native.run(native.build(tmp_path, (), sources), seed=SEED, runs=20_000)
    assert fuzzed.returncode != 0


@pytest.mark.soak
@pytest.mark.parametrize("options", RUNNABLE.values(), ids=RUNNABLE)
def test_half_a_minute_of_inputs_finds_nothing(
    tmp_path: Path, options: tuple[str, ...], report_figure: Callable[[str], None]
) -> None:
    fuzzed = native.run(native.build(tmp_path, options), seed=SEED, max_total_time=30)
    counted = fuzzed.statistics
    name = "libFuzzer, wide" if options else "libFuzzer"
    report_figure(f"{name}: {counted['number_of_executed_units']} inputs, {counted['average_exec_per_sec']} a second")
    assert fuzzed.returncode == 0, fuzzed.output[-3000:]
    assert counted["number_of_executed_units"] > 20_000
