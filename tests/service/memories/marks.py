"""Markers of tests of stores."""

import pytest

EMBEDDED_ONLY = pytest.mark.parametrize("kind", ["embedded"])
"""The marker of tests that look into the files of an embedded store."""


def of_each_kind(name, *, embedded, redis, soak):
    """Return the marker of a test with a parameter: its values in `make test`, and the one that `make soak` adds."""
    values = [
        pytest.param("embedded", embedded, id=f"embedded-{embedded}"),
        pytest.param("redis", redis, id=f"redis-{redis}", marks=pytest.mark.redis),
        pytest.param("embedded", soak, id=f"embedded-{soak}", marks=pytest.mark.soak),
        pytest.param("redis", soak, id=f"redis-{soak}", marks=[pytest.mark.redis, pytest.mark.soak]),
    ]
    return pytest.mark.parametrize(("kind", name), values)
