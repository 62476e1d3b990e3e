"""Fixtures of the tests of kernels."""

import pytest

from attention_core.gradients import evaluate


@pytest.fixture
def no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call fail that a kernel leaves to NumPy on the way back; `backward_calls.by_numpy` is none."""
    monkeypatch.setattr(evaluate, "differentiate_rows", lambda *_: pytest.fail("NumPy differentiates"))
