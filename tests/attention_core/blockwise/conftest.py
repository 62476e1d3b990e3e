"""The tiled path is NumPy's: calls of these tests do not go to a compiled kernel."""

import pytest


@pytest.fixture(autouse=True)
def _numpy(numpy_path: None) -> None:
    """Evaluate every call with NumPy."""
