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
from numpy.typing import NDArray

from attention_core import AttentionCall, Workers, evaluate, predict, resolve
from attention_core.call import Layout
from service.codecs.open_inference.framing import Limits
from service.compute import Body, InferenceOrder, Prepared, Run, Stopwatch, prepare_infer
from service.compute.call_cache import CALLS
from service.compute.memory_forms import MAX_MEMORY_FORMS, PRICE_STEPS, CachedMemoryRequest, keys_of_price
from service.errors import TooLarge
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


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
def test_steps_of_one_form_have_the_bits_and_about_the_price_of_sent_tensors(
    tmp_path: Path, layout: Layout, dtype: str
) -> None:
    """Over borders of the numbers of keys that share a price, of spans, and behind other writers."""
    store, rng = EmbeddedStore(tmp_path, has_upkeep=False), np.random.default_rng(0)
    memories, settings = Memories(store), Settings(compute_threads=2)
    axis = 2 if layout == "bhsd" else 1

    def vectors(count: int) -> NDArray[Any]:
        shape = (1, 2, count, 16) if layout == "bhsd" else (1, count, 2, 16)
        return rng.standard_normal(shape).astype(dtype)

    key, value = vectors(2040), vectors(2040)
    options = MemoryOptions(dtype, layout, durability="relaxed")
    store.put(MemoryName(EVERYONE, "kept"), MemoryTensors(key, value, None, dtype), options)
    for step in range(40):
        query, *new = vectors(1), vectors(1), vectors(1)
        if step % 7 == 3:
            more = vectors(3), vectors(3)
            store.append(MemoryName(EVERYONE, "kept"), MemoryTensors(*more, None, dtype))
            key, value = (np.concatenate(pair, axis) for pair in zip((key, value), more, strict=True))
        key, value = (np.concatenate(pair, axis) for pair in zip((key, value), new, strict=True))
        head, raw = inference_on("kept", query, *new, layout=layout)
        access = MemoryAccess(memories)
        access.in_thread(lambda _: None)
        order = InferenceOrder("scaled_dot_product", str(len(head)))
        prepared = prepare_infer(order, Stopwatch(), Body(head + raw, memories=access), settings)
        sent = resolve(AttentionCall(query, key, value, dtype=dtype, layout=layout, include=("output",)))
        exact = predict(sent, 2).operations
        assert exact <= prepared.operations <= exact * (1 + 1 / PRICE_STEPS) + exact / 100
        with Workers(2) as workers:
            answer = prepared.complete(Run(workers)).content
        assert answer.endswith(evaluate(sent).output.tobytes())
    store.close()


def test_a_memory_that_is_replaced_has_the_price_of_its_own_keys(tmp_path: Path) -> None:
    """Of the first number of keys once more too, and beside 2¹⁷ scores, from which on a call is tiled."""
    store, rng = EmbeddedStore(tmp_path, has_upkeep=False), np.random.default_rng(0)
    memories, settings = Memories(store), Settings(compute_threads=2)
    query = rng.standard_normal((1, 2, 1, 16)).astype("float32")
    head, raw = inference_on("kept", query, layout="bhsd")
    for keys in (5000, 100, 5000, 65_500, 65_600, 65_500):
        key = np.zeros((1, 2, keys, 16), "float32")
        store.put(MemoryName(EVERYONE, "kept"), MemoryTensors(key, key, None, "float32"), MemoryOptions("float32"))
        access = MemoryAccess(memories)
        access.in_thread(lambda _: None)
        order = InferenceOrder("scaled_dot_product", str(len(head)))
        prepared = prepare_infer(order, Stopwatch(), Body(head + raw, memories=access), settings)
        exact = predict(resolve(AttentionCall(query, key, key, dtype="float32", include=("output",))), 2).operations
        assert exact <= prepared.operations <= exact * (1 + 1 / PRICE_STEPS) + exact / 100, keys
    store.close()


def test_what_a_memory_has_become_is_priced_before_it_is_appended_to(tmp_path: Path) -> None:
    """Between the check of a request and its append another one has replaced the memory by a much larger one."""
    store, rng = EmbeddedStore(tmp_path, has_upkeep=False), np.random.default_rng(0)
    memories, settings = Memories(store), Settings(compute_threads=2, max_operations=1_000_000)
    query, *new = (rng.standard_normal((1, 2, 1, 16)).astype("float32") for _ in range(3))
    head, raw = inference_on("kept", query, *new, layout="bhsd")
    name, options = MemoryName(EVERYONE, "kept"), MemoryOptions("float32")

    def put(keys: int) -> None:
        key = np.zeros((1, 2, keys, 16), "float32")
        store.put(name, MemoryTensors(key, key, None, "float32"), options)

    def prepared() -> Prepared:
        access = MemoryAccess(memories)
        access.in_thread(lambda _: None)
        order = InferenceOrder("scaled_dot_product", str(len(head)))
        return prepare_infer(order, Stopwatch(), Body(head + raw, memories=access), settings)

    put(100)
    waiting = prepared()
    put(50_000)
    with Workers(2) as workers, pytest.raises(TooLarge, match="operations"):
        waiting.complete(Run(workers))
    assert store.describe(name).keys == 50_000
    store.close()


def test_a_request_that_first_met_few_keys_keeps_its_checked_call_later(tmp_path: Path) -> None:
    """As a loop that begins with a single key."""
    store, rng = EmbeddedStore(tmp_path, has_upkeep=False), np.random.default_rng(0)
    memories, settings = Memories(store), Settings(compute_threads=1)
    query = rng.standard_normal((1, 2, 1, 16)).astype("float32")
    head, raw = inference_on("few", query, layout="bhsd")
    limits, resolved = Limits(settings.max_json_bytes, settings.max_json_depth), []
    for keys in (1, 50, 80):
        key = rng.standard_normal((1, 2, keys, 16)).astype("float32")
        store.put(MemoryName(EVERYONE, "few"), MemoryTensors(key, key, None, "float32"), MemoryOptions("float32"))
        access = MemoryAccess(memories)
        access.in_thread(lambda _: None)
        order = InferenceOrder("scaled_dot_product", str(len(head)))
        prepare_infer(order, Stopwatch(), Body(head + raw, memories=access), settings)
        known = CALLS.find_memory_inference("scaled_dot_product", head, memoryview(raw), limits)
        assert known is not None
        resolved.append({form.call.key_length for form in known.forms.values() if form is not None})
    assert resolved[1] == resolved[2] == {50}
    store.close()


def test_a_price_serves_at_most_a_64th_more_keys() -> None:
    for keys in (*range(1, 5000), 10**6 + 1, 2**40 - 1):
        shared = keys_of_price(keys)
        assert keys in shared
        assert keys <= shared[-1] <= keys * (1 + 1 / PRICE_STEPS)
        assert all(keys_of_price(other) == shared for other in (shared[0], shared[-1]))


def inference_on(name: str, query: NDArray[Any], *new: NDArray[Any], layout: str) -> tuple[bytes, bytes]:
    """Return the JSON and the raw tensors of an inference, which appends keys and values if they are given."""
    tensors = dict(zip(("query", "key", "value") if new else ("query",), (query, *new), strict=True))
    inputs = [
        {
            "name": one,
            "shape": array.shape,
            "datatype": {2: "FP16", 4: "FP32"}[array.itemsize],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for one, array in tensors.items()
    ]
    parameters = {"memory": name, "append": bool(new), "binary_data_output": True}
    parameters["options"] = orjson.dumps({"layout": layout}).decode()
    document = {"inputs": inputs, "outputs": [{"name": "output"}], "parameters": parameters}
    return orjson.dumps(document), b"".join(array.tobytes() for array in tensors.values())
