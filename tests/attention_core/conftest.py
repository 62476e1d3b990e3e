"""Fixtures of the tests of the core."""

from collections.abc import Iterator

import pytest

from attention_core.native import using_kernel


@pytest.fixture
def numpy_path() -> Iterator[None]:
    """Evaluate calls with NumPy, although there are compiled kernels."""
    with using_kernel("numpy"):
        yield
