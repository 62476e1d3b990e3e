"""Resident memory of long calls, measured in a process of its own."""

import subprocess
import sys

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS

MIB = 1024 * 1024
QUERIES, KEYS = 256, 8192
INTERPRETER_BYTES = 2 * MIB
"""Memory that the interpreter allocates by itself, in bytes."""


def peaks(queries, pairs, project):
    """What each call was measured to hold and predicted to."""
    command = [sys.executable, "-m", "tests.attention_core.blockwise.peak", str(queries), str(KEYS), *pairs]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [tuple(map(int, line.split())) for line in ended.stdout.splitlines()]
    assert len(lines) == len(pairs)
    return dict(zip(pairs, lines, strict=True))


@pytest.mark.soak
def test_eight_thousand_keys_need_a_few_tiles(project, report_figure):
    # The first call pays for modules that are loaded late.
    pairs = ["scaled_dot_product:entmax", *(f"{model}:{name}" for model in SCORE_MODELS for name in NORMALIZERS)]
    found = peaks(QUERIES, pairs, project)
    assert len(found) == len(SCORE_MODELS) * len(NORMALIZERS)
    report_figure(
        f"peak of {QUERIES} × {KEYS} scores, every score model and normalizer: {max(found.values())[0] / MIB:.1f} MiB"
    )
    for pair, (measured, predicted) in found.items():
        # One matrix of float32 scores would be 8 MiB.
        assert measured <= 6 * MIB, pair
        assert measured <= predicted + INTERPRETER_BYTES, pair


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_memory_does_not_grow_with_the_queries(score_model, normalizer, project):
    ((measured, predicted),) = peaks(KEYS, [f"{score_model}:{normalizer}"], project).values()
    assert measured <= 12 * MIB
    assert measured <= predicted + INTERPRETER_BYTES
