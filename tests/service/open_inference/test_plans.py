"""A request whose JSON is known, with other raw tensors behind it, gets the very answer of a look from end to end."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import Workers
from service.codecs.open_inference.framing import lead_of
from service.compute import Body, Run, inference_plans
from service.compute.open_inference import InferenceOrder, prepare_infer
from service.compute.statistics import Stopwatch
from service.errors import ServiceError
from service.settings import Settings
from tests.service.open_inference.inference import HEADER, Tensor, as_inference, body_of
from tests.service.open_inference.test_equality import without_what_json_alone_has
from tests.service.strategies import attention_requests

SETTINGS = Settings(compute_threads=1)
RUN = Run(Workers(1))

NUMBERS = st.sampled_from((0.0, 1, -1, 0.5, 3, 1e-30, 700.5, -6e4, np.nan, np.inf, -np.inf))

VALUE = Tensor("value", "FP32", np.array([[1.0], [2]]))

PACKED = [Tensor("query", "FP32", np.ones((1, 2, 4))), Tensor("key", "FP32", np.ones((1, 3, 4)))]

PAIR = [Tensor("query", "FP32", np.ones((1, 2))), Tensor("key", "FP32", np.array([[1.0, 2], [3, 4]]))]


def answer(model, content, headers):
    """Return the bytes that a request is answered, or what is wrong with it."""
    length = headers[HEADER]
    lead = lead_of(length)
    body, order = Body(bytes(lead) + content), InferenceOrder(model, length, lead)
    try:
        prepared = prepare_infer(order, Stopwatch(), body, SETTINGS)
        reply = prepared.complete(RUN)
    except ServiceError as error:
        return type(error), str(error), getattr(error, "violations", None)
    return prepared.operations, prepared.bytes, reply.content, reply.headers


def unplanned(monkeypatch, *request):
    with monkeypatch.context() as patch:
        patch.setattr(inference_plans, "MOST_RAW", -1)
        return answer(*request)


def known():
    return inference_plans._plan.cache_info()


def test_any_request_is_answered_alike_with_and_without_a_plan(monkeypatch, report_figure):
    planned = []

    @settings(max_examples=80, derandomize=True, database=None, deadline=None)
    @given(attention_requests(), st.data())
    def same(request, data):
        asked = without_what_json_alone_has(request)
        thin = data.draw(st.sampled_from((True, True, False)))
        if thin:
            asked["dtype"] = data.draw(st.sampled_from(("float32", "float64")))
            asked = {name: member for name, member in asked.items() if name not in ("position", "score_model")}
        model, tensors, parameters = as_inference(asked, through_options=data.draw(st.booleans()))
        vectors = {tensor.name for tensor in tensors} & set(inference_plans.VECTORS)
        if thin:
            tensors = [tensor for tensor in tensors if tensor.name in vectors]
        binary = {tensor.name for tensor in tensors} - data.draw(st.sampled_from((set(), set(), {"key"})))
        asked_for = {"parameters": parameters | {"binary_data_output": data.draw(st.booleans())}}
        for _ in range(2):
            content, headers = body_of(tensors, binary, **asked_for)
            before = known()
            expected = unplanned(monkeypatch, model, content, headers)
            assert known() == before
            for _ in range(2):
                assert answer(model, content, headers) == expected
            # The same JSON before other numbers.
            for tensor in tensors:
                if tensor.name in vectors & binary:
                    tensor.array = np.array([data.draw(NUMBERS) for _ in range(tensor.array.size)]).reshape(
                        tensor.array.shape
                    )
        place = inference_plans.inference_plan_of(*planning(model, content, headers))
        planned.append(place is not None)

    same()
    report_figure(f"{sum(planned)} of {len(planned)} random inferences have a plan")
    assert sum(planned) > len(planned) / 5


def planning(model, content, headers):
    """Return what a plan is asked for with."""
    length = int(headers[HEADER])
    limits = inference_plans.Limits(SETTINGS.max_json_bytes, SETTINGS.max_json_depth)
    return model, content[:length], memoryview(content)[length:], limits, 1


def test_a_known_form_is_not_looked_at_again(monkeypatch):
    answer("dot_product", *body_of(PAIR, {"query", "key"}))
    monkeypatch.setattr(inference_plans, "read_inference", None)
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
        "turned",
        "numbers in the JSON",
        "numbers beside the vectors",
        "a value in the JSON",
        "vectors that are answered",
        "heads that are unpacked",
        "refused",
    ],
)
def test_what_depends_on_numbers_has_no_plan(tensors, binary, members):
    content, headers = body_of(tensors, binary, **members)
    assert inference_plans.inference_plan_of(*planning("dot_product", content, headers)) is None
    wrong = tensors[1].array.shape[-1] != tensors[0].array.shape[-1]
    assert isinstance(answer("dot_product", content, headers)[0], type if wrong else int)


def test_what_is_kept_is_small():
    large = [Tensor(one.name, "FP32", np.ones((inference_plans.MOST_RAW // 8, 2))) for one in PAIR]
    wordy = {"id": "i" * inference_plans.MOST_BYTES}
    before = known()
    for tensors, members in ((large, {}), (PAIR, wordy)):
        content, headers = body_of(tensors, {"query", "key"}, **members)
        assert inference_plans.inference_plan_of(*planning("dot_product", content, headers)) is None
    assert known() == before
    assert before.maxsize == inference_plans.PLANS
    plan = inference_plans.inference_plan_of(*planning("dot_product", *body_of(PAIR, {"query", "key"})))
    assert all(np.shares_memory(array, inference_plans.ZEROS) for array in (plan.call.query, plan.call.key))


def test_of_wrong_bytes_nothing_is_taken_for_planned():
    content, headers = body_of(PAIR, {"query", "key"})
    right = answer("dot_product", content, headers)
    assert isinstance(right[2], bytes)
    for wrong in (content + struct.pack("<f", 1), content[:-4]):
        kind, detail, _ = answer("dot_product", wrong, headers)
        assert issubclass(kind, ServiceError)
        assert "behind" in detail
    assert answer("dot_product", content, headers) == right
