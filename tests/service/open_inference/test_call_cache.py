"""An inference of a cached form, with other raw tensors, gets the same bytes as one that is validated itself."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import Workers
from service.codecs.open_inference.framing import Limits, lead_of
from service.compute import Body, Run, call_cache
from service.compute.call_cache import CALLS
from service.compute.open_inference import InferenceOrder, prepare_infer
from service.compute.statistics import Stopwatch
from service.errors import ServiceError
from service.settings import Settings
from tests.sampling import draws
from tests.service.open_inference.equality import without_what_json_alone_has
from tests.service.open_inference.inference import HEADER, Tensor, as_inference, body_of
from tests.service.strategies import attention_requests

SETTINGS = Settings(compute_threads=1)
RUN = Run(Workers(1))

LIMITS = Limits(SETTINGS.max_json_bytes, SETTINGS.max_json_depth)

NUMBERS = st.sampled_from((0.0, 1, -1, 0.5, 3, 1e-30, 700.5, -6e4, np.nan, np.inf, -np.inf))

VALUE = Tensor("value", "FP32", np.array([[1.0], [2]]))

PACKED = [Tensor("query", "FP32", np.ones((1, 2, 4))), Tensor("key", "FP32", np.ones((1, 3, 4)))]

PAIR = [Tensor("query", "FP32", np.ones((1, 2))), Tensor("key", "FP32", np.array([[1.0, 2], [3, 4]]))]


def answer(model, content, headers):
    """Return the bytes and headers of the answer, or the error."""
    length = headers[HEADER]
    lead = lead_of(length)
    body, order = Body(bytes(lead) + content), InferenceOrder(model, length, lead)
    try:
        prepared = prepare_infer(order, Stopwatch(), body, SETTINGS)
        reply = prepared.complete(RUN)
    except ServiceError as error:
        return type(error), str(error), getattr(error, "violations", None)
    return prepared.operations, prepared.bytes, reply.content, reply.headers


def uncached(monkeypatch, *request):
    with monkeypatch.context() as patch:
        patch.setattr(call_cache, "MAX_RAW_BYTES", -1)
        return answer(*request)


def cache_info():
    return CALLS.inferences.cache_info()


@pytest.mark.draws
def test_any_request_is_answered_alike_with_and_without_the_cache(monkeypatch, report_figure):
    cached = []

    @settings(max_examples=draws(80))
    @given(attention_requests(), st.data())
    def same(request, data):
        asked = without_what_json_alone_has(request)
        thin = data.draw(st.sampled_from((True, True, False)))
        if thin:
            asked["dtype"] = data.draw(st.sampled_from(("float32", "float64")))
            asked = {name: member for name, member in asked.items() if name not in ("position", "score_model")}
        model, tensors, parameters = as_inference(asked, through_options=data.draw(st.booleans()))
        vectors = {tensor.name for tensor in tensors} & set(call_cache.VECTORS)
        if thin:
            tensors = [tensor for tensor in tensors if tensor.name in vectors]
        binary = {tensor.name for tensor in tensors} - data.draw(st.sampled_from((set(), set(), {"key"})))
        asked_for = {"parameters": parameters | {"binary_data_output": data.draw(st.booleans())}}
        for _ in range(2):
            content, headers = body_of(tensors, binary, **asked_for)
            before = cache_info()
            expected = uncached(monkeypatch, model, content, headers)
            assert cache_info() == before
            for _ in range(2):
                assert answer(model, content, headers) == expected
            # The same JSON before other numbers.
            for tensor in tensors:
                if tensor.name in vectors & binary:
                    tensor.array = np.array([data.draw(NUMBERS) for _ in range(tensor.array.size)]).reshape(
                        tensor.array.shape
                    )
        found = CALLS.find_inference(*lookup_of(model, content, headers))
        cached.append(found is not None)

    same()
    report_figure(f"{sum(cached)} of {len(cached)} random inferences have a cached form")
    # The draws depend on the modules that are loaded; of few it may be one in seven.
    assert sum(cached) >= len(cached) / 10


def lookup_of(model, content, headers):
    """Return the arguments of `find_inference`."""
    length = int(headers[HEADER])
    return model, content[:length], memoryview(content)[length:], LIMITS, 1


def test_a_cached_form_is_not_validated_again(monkeypatch):
    answer("dot_product", *body_of(PAIR, {"query", "key"}))
    monkeypatch.setattr(call_cache, "read_inference", None)
    other = [PAIR[0], Tensor("key", "FP32", np.array([[5.0, 6], [7, -8]]))]
    content = json.loads(answer("dot_product", *body_of(other, {"query", "key"}))[2])
    [scores] = [output["data"] for output in content["outputs"] if output["name"] == "scores"]
    assert scores == [11, -1]


@pytest.mark.parametrize(
    ("tensors", "binary", "members"),
    [
        ([Tensor(one.name, "FP16", one.array) for one in PAIR], {"query", "key"}, {}),
        (PAIR, {"query", "key"}, {"parameters": {"options": '{"position": "rotary"}'}}),
        (PAIR, {"query"}, {}),
        ([*PAIR, Tensor("bias", "FP32", np.ones((1, 2)))], {"query", "key", "bias"}, {}),
        ([*PAIR, VALUE], {"query", "key"}, {}),
        ([*PAIR, VALUE], {"query", "key", "value"}, {"outputs": [{"name": "present_key"}]}),
        (PACKED, {"query", "key"}, {"parameters": {"options": '{"heads": {"query": 2, "key_value": 2}}'}}),
        ([PAIR[0], Tensor("key", "FP32", np.ones((2, 3)))], {"query", "key"}, {}),
    ],
    ids=[
        "rounded",
        "rotated",
        "numbers in the JSON",
        "numbers beside the vectors",
        "a value in the JSON",
        "vectors that are answered",
        "heads that are unpacked",
        "refused",
    ],
)
def test_a_call_that_depends_on_the_numbers_is_not_kept(tensors, binary, members):
    content, headers = body_of(tensors, binary, **members)
    assert CALLS.find_inference(*lookup_of("dot_product", content, headers)) is None
    wrong = tensors[1].array.shape[-1] != tensors[0].array.shape[-1]
    assert isinstance(answer("dot_product", content, headers)[0], type if wrong else int)


def test_large_forms_and_large_requests_are_not_kept():
    large = [Tensor(one.name, "FP32", np.ones((call_cache.MAX_RAW_BYTES // 8, 2))) for one in PAIR]
    wordy = {"id": "i" * call_cache.MAX_FORM_BYTES}
    before = cache_info()
    for tensors, members in ((large, {}), (PAIR, wordy)):
        content, headers = body_of(tensors, {"query", "key"}, **members)
        assert CALLS.find_inference(*lookup_of("dot_product", content, headers)) is None
    assert cache_info() == before
    assert before.maxsize == call_cache.MAX_ENTRIES
    _, call, _ = CALLS.find_inference(*lookup_of("dot_product", *body_of(PAIR, {"query", "key"})))
    assert call.query.tolist() == PAIR[0].array.tolist()
    model, head, raw, *rest = lookup_of("dot_product", *body_of(PAIR, {"query", "key"}))
    kept = CALLS.inferences(model, head, len(raw), *rest).call
    zeros = np.frombuffer(call_cache.ZEROS, np.uint8)
    assert all(np.shares_memory(array, zeros) for array in (kept.query, kept.key))


def test_too_many_or_too_few_raw_bytes_are_refused_for_a_cached_form():
    content, headers = body_of(PAIR, {"query", "key"})
    right = answer("dot_product", content, headers)
    assert isinstance(right[2], bytes)
    for wrong in (content + struct.pack("<f", 1), content[:-4]):
        kind, detail, _ = answer("dot_product", wrong, headers)
        assert issubclass(kind, ServiceError)
        assert "behind" in detail
    assert answer("dot_product", content, headers) == right


@pytest.mark.parametrize("number", [0.1, 3, 1e39, None], ids=["rounded", "whole", "beyond float32", "not a number"])
def test_an_inference_in_json_is_answered_alike_with_and_without_the_cache(monkeypatch, number):
    def asked(id_, first):
        key = {"name": "key", "shape": [2, 2], "datatype": "FP32", "data": [[1.0, 2], [3, 4]]}
        query = {"name": "query", "shape": [1, 2], "datatype": "FP32", "data": [first, 2.5]}
        body = Body(json.dumps({"id": id_, "inputs": [query, key]}).encode())
        try:
            prepared = prepare_infer(InferenceOrder("dot_product"), Stopwatch(), body, SETTINGS)
            return prepared.operations, prepared.bytes, prepared.complete(RUN).content
        except ServiceError as error:
            return type(error), str(error), getattr(error, "violations", None)

    with monkeypatch.context() as patch:
        patch.setattr(call_cache, "MAX_NUMBERS", -1)
        expected = asked("second", number)
    first = asked("first", 7.0)
    assert json.loads(first[2])["id"] == "first"
    hits = CALLS.json_inferences.cache_info().hits
    assert asked("second", number) == expected
    assert CALLS.json_inferences.cache_info().hits == hits + (number is not None)
