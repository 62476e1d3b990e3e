"""A request of a cached form gets the same bytes as one that is validated itself."""

import copy
import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import Workers
from service.compute import Body, Run, call_cache, prepare_attention
from service.compute.call_cache import CALLS
from service.errors import ServiceError
from service.settings import Settings
from tests.sampling import draws
from tests.service.strategies import attention_requests
from tests.service.wrong_requests import BASE, WRONG_REQUESTS

SETTINGS = Settings(compute_threads=1)
RUN = Run(Workers(1))

WRONG = [wrong for wrong in WRONG_REQUESTS if wrong.path == "/v1/attention"]

SMALL = {"query": [[1.0, 2]], "key": [[0.5, 3.0], [1, -1]], "value": [[1], [2]]}


def answer(request):
    """Return the bytes of the answer, or the error."""
    try:
        prepared = prepare_attention(Body(json.dumps(request).encode()), SETTINGS)
        return prepared.operations, prepared.bytes, prepared.complete(RUN).content
    except ServiceError as error:
        return type(error), str(error), getattr(error, "violations", None)


def uncached(request, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(call_cache, "MAX_NUMBERS", -1)
        return answer(request)


def with_other_numbers(request, draw):
    """Return a request of the same form."""

    def changed(member):
        return [changed(one) for one in member] if isinstance(member, list) else draw(NUMBERS)

    return request | {name: changed(request[name]) for name in call_cache.VECTORS if request.get(name) is not None}


def with_vectors_alone(request):
    """Return a request without lists of numbers beside the vectors, and without a position, which rotates these."""

    def holds_numbers(member):
        if isinstance(member, dict):
            return any(map(holds_numbers, member.values()))
        return isinstance(member, list) and not any(isinstance(one, str) for one in member)

    kept = {name for name, member in request.items() if not holds_numbers(member)} - {"position"}
    return {name: member for name, member in request.items() if name in kept or name in call_cache.VECTORS}


NUMBERS = st.sampled_from((0, 1, -1, 0.5, 3, 1e-300, 700.5, -1e308))


@pytest.mark.draws
def test_any_request_is_answered_alike_with_and_without_the_cache(monkeypatch, report_figure):
    hits = []

    @settings(max_examples=draws(50))
    @given(attention_requests(), st.data())
    def same(request, data):
        thin = with_vectors_alone(request)
        for one in (request, thin, with_other_numbers(thin, data.draw)):
            before = CALLS.documents.cache_info()
            expected = uncached(one, monkeypatch)
            assert CALLS.documents.cache_info() == before
            assert answer(one) == expected
        hits.append(CALLS.documents.cache_info().hits > before.hits)

    same()
    report_figure(f"{sum(hits)} of {len(hits)} random requests without further tensors have a cached form")
    assert sum(hits) > len(hits) / 2


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.id)
def test_a_wrong_request_is_refused_alike_with_and_without_the_cache(wrong, monkeypatch):
    answer(BASE)
    expected = uncached(wrong.request, monkeypatch)
    assert issubclass(expected[0], ServiceError)
    assert [answer(wrong.request) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_cached_form_is_not_validated_again(monkeypatch, dtype):
    form = SMALL | {"dtype": dtype}
    answer(form)
    monkeypatch.setattr(call_cache, "resolve_document", None)
    other = copy.deepcopy(form)
    other["query"] = [[7, -2.5]]
    content = orjson.loads(answer(other)[2])
    assert content["scores"] == [[pytest.approx((3.5 - 7.5) / 2**0.5), pytest.approx((7 + 2.5) / 2**0.5)]]


def test_numbers_are_rounded_to_the_type_of_the_form_and_refused_beyond_it(monkeypatch):
    form = SMALL | {"dtype": "float32"}
    fitting, beyond = form | {"query": [[0.1, 1e38]]}, form | {"query": [[0.1, 1e39]]}
    assert answer(form)
    assert answer(fitting) == uncached(fitting, monkeypatch)
    assert answer(beyond) == uncached(beyond, monkeypatch)
    assert answer(beyond)[2][0].pointer == "/query/0/1"


def test_large_forms_and_large_requests_are_not_kept():
    labels = {"key": ["a" * (call_cache.MAX_FORM_BYTES // 2), "b" * (call_cache.MAX_FORM_BYTES // 2)]}
    before = CALLS.documents.cache_info()
    for one in (SMALL | {"labels": labels}, SMALL | {"query": [[1.0, 2]] * call_cache.MAX_NUMBERS}):
        assert answer(one) == answer(one)
        assert isinstance(answer(one)[2], bytes)
    assert CALLS.documents.cache_info() == before
    assert before.maxsize == call_cache.MAX_ENTRIES


def test_requests_that_differ_in_anything_but_numbers_have_forms_of_their_own():
    variants = [
        SMALL,
        SMALL | {"value": None},
        SMALL | {"value": [[1, 2], [2, 3]]},
        SMALL | {"key": [[1, 2]], "value": [[1]]},
        SMALL | {"softcap": 1},
        SMALL | {"softcap": 1.5},
        SMALL | {"include": ["output"]},
        SMALL | {"include": []},
        SMALL | {"labels": {"key": ["a", "b"]}, "include": ["ranking"]},
        SMALL | {"labels": {"key": ["b", "a"]}, "include": ["ranking"]},
        SMALL | {"decimals": 1},
        SMALL | {"score_model": "dot_product"},
        SMALL | {"score_model": {"name": "scaled_dot_product", "scale": 2}},
        SMALL | {"mask": {"causal": True}},
    ]
    answers = [answer(one) for one in variants]
    assert [answer(one) for one in variants] == answers
    assert len(set(answers)) == len(variants)


@pytest.mark.parametrize(
    "request_",
    [SMALL | {"dtype": "float16"}, SMALL | {"position": "rotary"}, SMALL | {"bias": [[1, 2]]},
     SMALL | {"dtype": "float32", "position": "rotary"}],
    ids=["rounded twice", "rotated", "with numbers beside the vectors", "rounded and rotated"],
)  # fmt: skip
def test_a_call_that_depends_on_the_numbers_is_not_kept(request_):
    document = {name: np.asarray(member, float) if isinstance(member, list) else member
                for name, member in request_.items()}  # fmt: skip
    assert CALLS.find(document, 1) is None
