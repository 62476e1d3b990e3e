"""Hypothesis strategies for what explain, compare, check and gradients are asked: attention requests whose parts fit,
and questions about them that fit too; and for partial results that fit.  Whatever they draw, the service must answer
200.
"""

import math
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tests import oracle
from tests.nested import shape
from tests.service.layouts import nested
from tests.service.open_inference.inference import as_inference
from tests.service.strategies import DTYPES, NORMALIZERS, Request, attention_requests, name_of, optional, together


@st.composite
def explain_requests(draw: st.DrawFn, **restricted: Any) -> Request:
    """A pair of any attention request."""
    request = draw(attention_requests(**restricted))
    inputs = oracle.Inputs(request)
    fields = st.fixed_dictionaries(
        {
            "request": st.just(request),
            "query_index": st.integers(0, inputs.queries - 1),
            "key_index": st.integers(0, inputs.keys - 1),
        }
    )
    index = st.tuples(*(st.integers(0, size - 1) for size in inputs.leading)).map(list)
    return draw(together(fields, optional(index=index), optional(language=st.sampled_from(("en", "zh")))))


KEEPING_ITS_SHAPE = {
    "softcap": st.sampled_from((None, 0.5, 2)),
    "mask": st.sampled_from((None, {"allowed": None}, {"causal": True}, {"window": None}, {"offset": 2})),
    "bias": st.none(),
    "labels": st.none(),
    "dtype": st.sampled_from((None, *DTYPES)),
    "decimals": st.sampled_from((None, 0, 3)),
    "position": st.none(),
}
"""Overrides that fit whatever the base is."""


@st.composite
def compare_requests(draw: st.DrawFn, **restricted: Any) -> Request:
    """Any attention request, and one to three changes that it allows."""
    base = draw(attention_requests(**restricted))
    unsigned = name_of(base.get("normalizer"), "softmax") == "proportional"
    normalizers = [name for name, one in NORMALIZERS.items() if not one.needs_non_negative]
    # Another normalizer may have no logsumexp to include; without include there is no top_k.
    changed = st.fixed_dictionaries(
        {"normalizer": st.sampled_from(normalizers), "include": st.none(), "top_k": st.none()}
    )
    left_out = {"position"} if unsigned else set()
    if any(given is not None for given in (base.get("positions") or {}).values()):
        # An offset beside positions is refused.
        left_out.add("mask")
    fields = {name: values for name, values in KEEPING_ITS_SHAPE.items() if name not in left_out}
    overrides = st.fixed_dictionaries({}, optional=fields)
    count = draw(st.integers(1, 3))
    labels = draw(st.lists(st.text(min_size=1, max_size=5).filter(lambda label: label != "base"), min_size=count,
                           max_size=count, unique=True))  # fmt: skip
    each = nested(overrides | together(overrides, changed), (count,))
    return {"base": base, "variants": [{"label": a, "overrides": b} for a, b in zip(labels, draw(each), strict=True)]}


@st.composite
def check_requests(draw: st.DrawFn, **restricted: Any) -> Request:
    """Any attention request, and the oracle's answer to it or another of the same shape."""
    request = draw(attention_requests(**restricted))
    answer = oracle.attention(request)
    names = [name for name in ("output", "weights", "scores", "logsumexp") if name in answer]
    taken = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    wrong = {name: nested(st.integers(-3, 3), shape(answer[name])) for name in taken}
    right = {name: st.just(without_infinities(answer[name])) for name in taken}
    fields = {"request": st.just(request), "candidate": st.fixed_dictionaries(right) | st.fixed_dictionaries(wrong)}
    tolerances = together(optional(rtol=st.sampled_from((0, 1e-3))), optional(atol=st.sampled_from((0, 1e-6, 1))))
    return draw(together(st.fixed_dictionaries(fields), tolerances))


GRADIENTS = ("output", "query", "key", "value", "past_key", "past_value", "bias", "score_model", "normalizer")


@st.composite
def gradients_requests(draw: st.DrawFn, **restricted: Any) -> Request:
    """Any attention request with values whose normalizer has a slope, and a gradient of its output."""
    request = draw(attention_requests(**restricted))
    assume(name_of(request.get("normalizer"), "softmax") != "hardmax")
    request = {**request, "value": request.get("value") or request["key"]}
    output = oracle.attention({**request, "include": None})["output"]
    upstream = draw(st.sampled_from((1, -0.5, 0)) | nested(st.integers(-3, 3), shape(output)))
    there = [
        name for name in GRADIENTS if name in ("output", "score_model", "normalizer") or request.get(name) is not None
    ]
    chosen = draw(optional(include=st.lists(st.sampled_from(there), unique=True)))
    return {"request": request, "output_gradient": upstream} | chosen


EXTENDED = st.integers(-3000, 3000).map(lambda n: n / 1000) | st.sampled_from((None, "NaN", "Infinity", 700, -700))
"""What outputs and logsumexps may hold."""
LOG_BASES = st.sampled_from(("e", 2, None))


@st.composite
def merge_requests(draw: st.DrawFn) -> Request:
    """One to four partial results of one shape, made of any numbers."""
    shape_of_output = tuple(draw(st.lists(st.integers(1, 3), min_size=2, max_size=4)))
    partial = st.fixed_dictionaries(
        {"output": nested(EXTENDED, shape_of_output), "logsumexp": nested(EXTENDED, shape_of_output[:-1])},
        optional={"log_base": LOG_BASES},
    )
    partials = draw(st.lists(partial, min_size=1, max_size=4))
    return {"partials": partials} | draw(optional(dtype=st.sampled_from(DTYPES), log_base=LOG_BASES))


def without_infinities(nested_numbers: Any) -> Any:
    """Nested lists as they are sent: null for minus infinity."""
    if isinstance(nested_numbers, list):
        return [without_infinities(item) for item in nested_numbers]
    return None if nested_numbers == -math.inf else nested_numbers


@st.composite
def inference_requests(draw: st.DrawFn, score_model: str) -> Request:
    """Any attention request, in the words of the Open Inference Protocol."""
    request = draw(attention_requests(score_models=[score_model]))
    _, tensors, parameters = as_inference(request, through_options=draw(st.booleans()))
    inputs = [tensor.as_json(nested=draw(st.booleans())) for tensor in tensors]
    return draw(together(st.just({"inputs": inputs, "parameters": parameters}), optional(id=st.text(max_size=3))))
