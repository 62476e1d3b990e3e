"""Markers of tests of stores."""

import pytest

EMBEDDED_ONLY = pytest.mark.parametrize("kind", ["embedded"])
"""The marker of tests that look into the files of an embedded store."""
