"""A request that names a memory is answered with the bytes of one that sends its tensors."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, Workers
from attention_core.dtypes import DTYPES
from service.codecs.negotiate import JSON
from service.compute import (
    Body,
    InferenceOrder,
    Prepare,
    Run,
    Stopwatch,
    prepare_attention,
    prepare_check,
    prepare_gradients,
    prepare_infer,
)
from service.compute.compare import prepare_compare
from service.compute.explain import prepare_explain
from service.memories import (
    EVERYONE,
    EmbeddedStore,
    Memories,
    MemoryAccess,
    MemoryName,
    MemoryOptions,
    MemoryTensors,
    reserve_nothing,
)
from service.settings import Settings
from tests.calls import Combination, one_in
from tests.sampling import product_sample

SETTINGS = Settings(compute_threads=1)
NAME = MemoryName(EVERYONE, "of-the-test")
SAFETENSORS = "application/vnd.safetensors"
MEMBER = re.compile(rb'"memory":\{[^{}]*\},?')
"""What alone may differ: the answer says which version it read."""

PAIRS = [(score_model, normalizer) for score_model in SCORE_MODELS for normalizer in NORMALIZERS]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with Workers(1) as workers:
        yield Run(workers)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    kept = EmbeddedStore(tmp_path_factory.mktemp("memories"), has_upkeep=False)
    yield kept
    kept.close()


def answer(prepare: Prepare, document: Any, run: Run, store: EmbeddedStore | None = None, wanted: str = JSON) -> bytes:
    """The answer to a document, computed as a thread of the service does."""
    access = None
    if store is not None:
        access = MemoryAccess(Memories(store))
        access.in_thread(reserve_nothing)
    body = Body(orjson.dumps(document), wanted=wanted, memories=access)
    return prepare(body, SETTINGS).complete(run).content


def rounded(numbers: Any, dtype: str) -> np.ndarray:
    return DTYPES[dtype].round(np.asarray(numbers, dtype=np.float64))


def kept_in_a_memory(document: dict[str, Any], store: EmbeddedStore, layout: str = "bhsd") -> dict[str, Any]:
    """Put the past of a request, or else its keys and values; return the rest, to be sent."""
    rest, dtype = dict(document), document["dtype"]
    has_past = "past_key" in rest
    names = ("past_key", "past_value") if has_past else ("key", "value")
    key, value = (rounded(rest.pop(name), dtype) for name in names)
    store.put(NAME, MemoryTensors(key, value), MemoryOptions(dtype=dtype, layout=layout))
    return rest | {"memory": NAME.name} | ({"append": True} if has_past else {})


def assert_same(document: dict[str, Any], store: EmbeddedStore, run: Run, wanted: str = JSON) -> None:
    sent = answer(prepare_attention, document, run, wanted=wanted)
    rest = kept_in_a_memory(document, store)
    read = answer(prepare_attention, rest, run, store, wanted)
    assert NAME.name.encode() in read, "the answer names the memory"
    if wanted != JSON:
        # The header has another length: compare the bytes behind it.
        sent, read = (one[8 + int.from_bytes(one[:8], "little") :] for one in (sent, read))
    assert MEMBER.sub(b"", read) == sent, document


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(5, SCORE_MODELS, NORMALIZERS))
def test_every_combination_has_the_bytes_of_sent_tensors(
    score_model: str, normalizer: str, store: EmbeddedStore, run: Run
) -> None:
    """All layouts of heads, with the past as a memory that is appended to; all dtypes, masks, biases and positions."""
    combinations = one_in(3, score_model, normalizer)
    for index, one in enumerate(combinations[:: 1 + len(combinations) // 25]):
        assert_same(one.request(), store, run, SAFETENSORS if index % 4 == 3 else JSON)


@pytest.mark.soak
@pytest.mark.parametrize(("score_model", "normalizer"), PAIRS)
def test_a_third_of_all_combinations_have_the_bytes_of_sent_tensors(
    score_model: str, normalizer: str, store: EmbeddedStore, run: Run
) -> None:
    for one in one_in(3, score_model, normalizer):
        assert_same(one.request(), store, run)


def first_of(dtype: str, heads: str = "rank 2") -> dict[str, Any]:
    return Combination("scaled_dot_product", "softmax", "none", heads, dtype).request()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_other_endpoint_has_the_answer_of_sent_tensors(dtype: str, store: EmbeddedStore, run: Run) -> None:
    document = first_of(dtype)
    # What a memory keeps is rounded once and for all, also for a variant of a wider type.
    document |= {name: rounded(document[name], dtype).tolist() for name in ("key", "value")}
    rest = kept_in_a_memory(document, store)
    output = orjson.loads(answer(prepare_attention, document, run))["output"]

    def assert_equal(prepare: Prepare, **members: Any) -> None:
        [name] = [name for name, one in members.items() if one is None]
        sent = answer(prepare, members | {name: document}, run)
        assert MEMBER.sub(b"", answer(prepare, members | {name: rest}, run, store)) == sent

    assert_equal(prepare_explain, request=None, query_index=1, key_index=2)
    assert_equal(prepare_check, request=None, candidate={"output": output})
    every_gradient = ["output", "query", "key", "value", "score_model", "normalizer"]
    assert_equal(prepare_gradients, request=None, output_gradient=1, include=every_gradient)
    variants = [{"label": model, "overrides": {"score_model": model}} for model in ("dot_product", "gaussian")]
    variants.append({"label": "wide", "overrides": {"dtype": "float64"}})
    assert_equal(prepare_compare, base=None, variants=variants)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("asked", DTYPES)
def test_another_dtype_rounds_what_is_kept(dtype: str, asked: str, store: EmbeddedStore, run: Run) -> None:
    document = first_of(dtype)
    rest = kept_in_a_memory(document, store)
    kept = {name: rounded(document[name], dtype).tolist() for name in ("key", "value")}
    sent = answer(prepare_attention, document | kept | {"dtype": asked}, run)
    assert MEMBER.sub(b"", answer(prepare_attention, rest | {"dtype": asked}, run, store)) == sent


def heads_third(numbers: Any) -> Any:
    return np.swapaxes(np.asarray(numbers), 1, 2).tolist()


@pytest.mark.parametrize("kept", ["bhsd", "bshd"])
@pytest.mark.parametrize("asked", ["bhsd", "bshd"])
@pytest.mark.parametrize("appends", [False, True])
def test_the_layout_of_a_request_is_that_of_query_and_output(
    kept: str, asked: str, appends: bool, store: EmbeddedStore, run: Run
) -> None:
    """Keys and values keep the layout in which they were put, those that are appended too."""
    rng = np.random.default_rng(5)
    query, key, value = (rng.normal(size=(2, heads, length, 4)) for heads, length in ((4, 3), (2, 6), (2, 6)))
    document = {"query": query.tolist(), "dtype": "float64", "mask": {"causal": True}}
    sent = document | {"key": key.tolist(), "value": value.tolist()}
    sent["mask"] = {"causal": True, "offset": 4} if appends else document["mask"]
    expected = orjson.loads(answer(prepare_attention, sent, run))
    if asked == "bshd":
        document = document | {"query": heads_third(query), "layout": "bshd"}
        expected["output"] = heads_third(expected["output"])

    def laid_out(array: np.ndarray) -> np.ndarray:
        return array if kept == "bhsd" else np.ascontiguousarray(array.swapaxes(1, 2))

    first = 4 if appends else 6
    old = MemoryTensors(laid_out(key[:, :, :first]), laid_out(value[:, :, :first]))
    store.put(NAME, old, MemoryOptions(dtype="float64", layout=kept))
    document = document | {"memory": NAME.name}
    if appends:
        new = {"key": laid_out(key[:, :, 4:]).tolist(), "value": laid_out(value[:, :, 4:]).tolist()}
        document = document | new | {"append": True}
    received = orjson.loads(answer(prepare_attention, document, run, store))
    assert received.pop("memory")["keys"] == 6
    assert received == expected


def test_heads_without_a_batch_serve_grouped_heads_of_every_row(store: EmbeddedStore, run: Run) -> None:
    rng = np.random.default_rng(6)
    query, key, value = rng.normal(size=(3, 4, 2, 5)), rng.normal(size=(2, 6, 5)), rng.normal(size=(2, 6, 3))
    store.put(NAME, MemoryTensors(key, value), MemoryOptions())
    document = {"query": query.tolist(), "dtype": "float64"}
    sent = document | {"key": [key.tolist()], "value": [value.tolist()]}
    expected = orjson.loads(answer(prepare_attention, sent, run))
    received = orjson.loads(answer(prepare_attention, document | {"memory": NAME.name}, run, store))
    del received["memory"]
    assert received == expected


def test_labels_of_a_memory_are_those_of_its_keys(store: EmbeddedStore, run: Run, tmp_path: Path) -> None:
    key = np.eye(3)
    store.put(NAME, MemoryTensors(key, None, ["left", "middle", "right"]), MemoryOptions())
    document = {"query": [[0, 3, 1]], "memory": NAME.name, "include": ["ranking"]}

    def ranked(**members: Any) -> list[str]:
        answered = orjson.loads(answer(prepare_attention, document | members, run, store))
        return [one["label"] for one in answered["ranking"][0]]

    assert ranked() == ["middle", "right", "left"]
    assert ranked(labels={"key": ["a", "b", "c"]}) == ["b", "c", "a"], "the request may name them otherwise"
    appended = ranked(key=[[0, 9, 0]], append=True, labels={"key": ["new"]})
    assert appended == ["new", "middle", "right", "left"]
    assert ranked() == appended


INFERENCES: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "heads third": {"layout": "bshd"},
    "rotary": {"options": '{"position": "rotary"}'},
    "packed": {"query_heads": 2, "key_value_heads": 1},
    "half": {},
}


@pytest.mark.parametrize("appends", [False, True])
@pytest.mark.parametrize("name", INFERENCES)
def test_an_inference_has_the_numbers_of_sent_tensors_whether_its_form_is_known(
    name: str, appends: bool, store: EmbeddedStore, run: Run
) -> None:
    """The form of a request is kept from its second time on, without the numbers of its vectors and of the memory."""
    parameters = INFERENCES[name]
    dtype = "float16" if name == "half" else "float32"
    shape = (2, 6, 4) if name == "packed" else (1, 2, 6, 4)
    axis = 1 if name in ("heads third", "packed") else 2
    options = MemoryOptions(dtype=dtype, layout=parameters.get("layout", "bhsd"))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        # One key head serves both query heads of a packed query.
        query = rng.normal(size=(2, 6, 8) if name == "packed" else shape).astype(dtype)
        key, value = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        if name == "heads third":
            query, key, value = (np.ascontiguousarray(array.swapaxes(1, 2)) for array in (query, key, value))
        old, new = ([array.take(range(*ends), axis) for array in (key, value)] for ends in ((0, 4), (4, 6)))
        sent = parameters | ({"offset": 4} if appends else {})
        expected = inferred({"query": query, "key": key, "value": value}, sent, run)
        tensors = old if appends else [key, value]
        store.put(NAME, MemoryTensors(*tensors), options)
        brought = {"query": query} | (dict(zip(("key", "value"), new, strict=True)) if appends else {})
        received = inferred(brought, parameters | {"memory": NAME.name, "append": appends}, run, store)
        assert received == expected, f"time {seed}"


@pytest.mark.parametrize("name", ["plain", "causal", "heads third", "half"])
def test_every_step_of_a_decoding_loop_has_the_numbers_of_sent_tensors(
    name: str, store: EmbeddedStore, run: Run
) -> None:
    """The form of a step is kept from one number of keys to the next; notes on the order of axes are not."""
    parameters, dtype, rng = INFERENCES[name], "float16" if name == "half" else "float32", np.random.default_rng(0)
    axis = 1 if name == "heads third" else 2
    query, *kept = (rng.normal(size=(1, 4, 9, 4)).astype(dtype) for _ in range(3))
    if axis == 1:
        query, *kept = (np.ascontiguousarray(array.swapaxes(1, 2)) for array in (query, *kept))

    def named(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(("query", "key", "value"), arrays, strict=False))

    first = (array.take([0], axis) for array in kept)
    store.put(NAME, MemoryTensors(*first), MemoryOptions(dtype=dtype, layout=parameters.get("layout", "bhsd")))
    for before in range(1, 9):
        one = query.take([before], axis)
        tensors = [array.take(range(before), axis) for array in kept]
        expected = inferred(named(one, *tensors), parameters, run)
        reading = inferred(named(one), parameters | {"memory": NAME.name}, run, store)
        assert reading == expected, f"{before} keys"
        brought = named(one, *(array.take([before], axis) for array in kept))
        received = inferred(brought, parameters | {"memory": NAME.name, "append": True}, run, store)
        tensors = [array.take(range(before + 1), axis) for array in kept]
        expected = inferred(named(one, *tensors), parameters | {"offset": before}, run)
        assert received == expected, f"{before} keys and a new one"


def inferred(
    arrays: dict[str, np.ndarray], parameters: dict[str, Any], run: Run, store: EmbeddedStore | None = None
) -> tuple[str | None, bytes]:
    """The notes and the raw outputs of an inference with raw tensors."""
    datatypes = {"float16": "FP16", "float32": "FP32"}
    inputs = [
        {"name": name, "shape": array.shape, "datatype": datatypes[array.dtype.name],
         "parameters": {"binary_data_size": array.nbytes}}
        for name, array in arrays.items()
    ]  # fmt: skip
    head = orjson.dumps({"inputs": inputs, "parameters": parameters | {"binary_data_output": True}})
    content = head + b"".join(array.tobytes() for array in arrays.values())

    access = None
    if store is not None:
        access = MemoryAccess(Memories(store))
        access.in_thread(reserve_nothing)
    order = InferenceOrder("scaled_dot_product", str(len(head)))
    reply = prepare_infer(order, Stopwatch(), Body(content, memories=access), SETTINGS).complete(run)
    end = int(reply.headers["Inference-Header-Content-Length"])
    return orjson.loads(reply.content[:end]).get("parameters", {}).get("notes"), reply.content[end:]
