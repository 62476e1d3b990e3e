"""Fixtures of the tests of kernels."""

from collections.abc import Iterator

import pytest

from attention_core.gradients import evaluate
from attention_core.native import plans, request


@pytest.fixture(autouse=True)
def small_calls_are_split(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each span of a few rows be a task however little it costs, which otherwise only large calls do."""
    monkeypatch.setattr(request, "MIN_SHARED_OPERATIONS", 0)
    plans.forget_plans()
    yield
    plans.forget_plans()


@pytest.fixture
def no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call fail that a kernel leaves to NumPy on the way back; `backward_calls.by_numpy` is none."""
    monkeypatch.setattr(evaluate, "differentiate_rows", lambda *_: pytest.fail("NumPy differentiates"))
