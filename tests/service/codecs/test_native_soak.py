"""Every float32 there is by the library that this machine prefers, and an eighth of them by the other."""

import numpy as np
import pytest

from service.codecs.json.native import library
from tests.service.codecs.libraries import RUNNABLE
from tests.service.codecs.number_texts import by_orjson, written


@pytest.mark.soak
@pytest.mark.parametrize(("name", "step"), [(name, 1 if name == [*RUNNABLE][-1] else 8) for name in RUNNABLE])
def test_every_float32_there_is(name, step, monkeypatch):
    monkeypatch.setattr(library, "_library", library.open_library(name))
    infinity = 0x7F80_0000
    for first in range(0, infinity, step << 20):
        numbers = np.arange(first, min(first + (1 << 20), infinity), dtype=np.uint32).view(np.float32)
        assert written(numbers) == by_orjson(numbers), f"from the bits {first:#x} on"
