"""Resident memory of the way back, measured in a process of its own."""

import subprocess
import sys

from attention_core import NORMALIZERS, SCORE_MODELS

MIB = 1024 * 1024
LENGTH = 8192
"""A matrix of float32 scores would be 256 MiB."""


def test_no_matrix_is_ever_whole(project, report_figure):
    normalizers = [name for name in NORMALIZERS if name != "hardmax"]
    pairs = [f"{model}:softmax" for model in SCORE_MODELS] + [f"dot_product:{name}" for name in normalizers]
    command = [sys.executable, "-m", "tests.attention_core.gradients.peak", str(LENGTH), *pairs]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    measured = dict(zip(pairs, map(int, ended.stdout.split()), strict=True))
    report_figure(f"peak of the way back at {LENGTH} × {LENGTH}: {max(measured.values()) / MIB:.1f} MiB")
    assert max(measured.values()) <= 96 * MIB, measured
