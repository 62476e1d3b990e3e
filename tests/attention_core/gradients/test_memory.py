"""Resident memory of the backward pass, measured in a process of its own."""

import subprocess
import sys

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS

MIB = 1024 * 1024
LENGTH = 8192
"""A matrix of float32 scores would be 256 MiB."""

UNCOUNTED = 8 * MIB
"""Memory that no prediction counts: libraries that load late, and the allocator's."""

FEW = ["scaled_dot_product:softmax", "gaussian:softmax", "dot_product:entmax", "dot_product:proportional"]
"""Combinations that hold the most memory, and the usual one."""

ALL = [
    *(f"{model}:softmax" for model in SCORE_MODELS),
    *(f"dot_product:{name}" for name in NORMALIZERS if name != "hardmax"),
]


@pytest.mark.soak
@pytest.mark.parametrize("pairs", [FEW, ALL], ids=["few", "all"])
def test_no_matrix_is_ever_whole(pairs, project, report_figure):
    command = [sys.executable, "-m", "tests.attention_core.gradients.peak", str(LENGTH), *pairs]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [tuple(map(int, line.split())) for line in ended.stdout.splitlines()]
    measured = {pair: grown for pair, (grown, _) in zip(pairs, lines, strict=True)}
    report_figure(f"peak of the backward pass at {LENGTH} × {LENGTH}: {max(measured.values()) / MIB:.1f} MiB")
    assert max(measured.values()) <= 96 * MIB, measured
    for pair, (grown, predicted) in zip(pairs, lines, strict=True):
        assert grown <= predicted + UNCOUNTED, (pair, grown, predicted)
