"""The checked calls of inferences that read memories, kept by the form of the memory."""

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest

from service.compute import Body, InferenceOrder, Stopwatch, prepare_infer
from service.compute.memory_forms import MAX_MEMORY_FORMS, CachedMemoryRequest
from service.memories import EVERYONE, EmbeddedStore, Memories, MemoryAccess, MemoryName, MemoryOptions, MemoryTensors
from service.settings import Settings

KEYS, FEATURES = 32, 8


class Form(int):
    """A form whose hash is computed in Python, where threads take turns."""

    def __hash__(self) -> int:
        return int(self)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns after each few bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_forms_are_forgotten_while_other_threads_look_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedMemoryRequest, "_check", lambda *_: None)
    cached: Any = CachedMemoryRequest(*[None] * 3, fits_any_length=True, forms={})  # type: ignore[arg-type]

    def look_up(seed: int) -> set[None]:
        numbers = random.Random(seed)
        return {
            cached._find(SimpleNamespace(form=Form(numbers.randrange(3 * MAX_MEMORY_FORMS))), 1) for _ in range(20_000)
        }

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(look_up, range(4))) == [{None}] * 4


@pytest.mark.parametrize("position", [None, "rotary"])
def test_a_memory_that_is_converted_is_reserved_once(tmp_path: Path, position: str | None) -> None:
    """Also by the first request of its form, whose check comes before its call."""
    store = EmbeddedStore(tmp_path, has_upkeep=False)
    rows = np.ones((KEYS, FEATURES), np.float32)
    store.put(MemoryName(EVERYONE, "kept"), MemoryTensors(rows, rows, None, "float32"), MemoryOptions("float32"))
    query = np.ones((1, FEATURES))
    parameters: dict[str, Any] = {"memory": "kept", "binary_data_output": True}
    if position is not None:
        parameters["options"] = orjson.dumps({"position": {"name": position}}).decode()
    tensor = {
        "name": "query",
        "shape": query.shape,
        "datatype": "FP64",
        "parameters": {"binary_data_size": 8 * FEATURES},
    }
    head = orjson.dumps({"inputs": [tensor], "parameters": parameters})
    for _ in range(2):
        reserved: list[int] = []
        access = MemoryAccess(Memories(store))
        access.in_thread(reserved.append)
        order = InferenceOrder("scaled_dot_product", str(len(head)))
        prepare_infer(order, Stopwatch(), Body(head + query.tobytes(), memories=access), Settings(compute_threads=1))
        assert sum(reserved) == KEYS * 2 * FEATURES * 8
    store.close()
