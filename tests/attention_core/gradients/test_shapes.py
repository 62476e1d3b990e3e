"""Every gradient has the shape in which its input was sent, and is the slope of the oracle there."""

import itertools
import random

import numpy as np
import pytest

from attention_core import Heads, ScaledDotProduct, Softmax, differentiate
from attention_core.native import available_kernels, using_kernel
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients, gradients_of, named
from tests.attention_core.native.kernels import EACH_KERNEL
from tests.calls import Layout
from tests.sampling import product_sample

LAYOUTS = {
    "packed, a past": Layout((2,), (2,), (2,), heads=(4, 2), past=2),
    "packed, a past, one batch row of keys": Layout((2,), (1,), (1,), heads=(4, 2), past=2),
    "packed, one row of queries": Layout((1,), (2,), (2,), heads=(2, 2), past=1),
    "packed, one row of values": Layout((2,), (2,), (1,), heads=(2, 1)),
    "grouped, a past of one batch row": Layout((2, 4), (1, 2), (1, 2), past=2),
    "grouped, one row of queries": Layout((1, 4), (2, 2), (2, 2), past=2),
    "grouped, one row of values": Layout((2, 4), (2, 2), (1, 2)),
    "a past of one batch row": Layout((2,), (1,), (1,), past=2),
    "a past without batch": Layout((2, 2), (), (), past=3),
    "values without batch": Layout((2,), (2,), ()),
    "values with a batch of their own": Layout((1,), (1,), (3,), past=1),
    "queries without batch": Layout((), (2, 2), (2, 2), past=1),
    "three leading axes": Layout((2, 1, 2), (1, 3, 1), (2, 3, 2)),
}

QUERIES, KEYS = calls.QUERIES, calls.KEYS

BIASES = {
    "none": None,
    "rank 0": lambda leading: (),
    "rank 0 in a list": lambda leading: (1,),
    "keys": lambda leading: (KEYS,),
    "queries": lambda leading: (QUERIES, 1),
    "one row": lambda leading: (1, KEYS),
    "one matrix": lambda leading: (QUERIES, KEYS),
    "ones": lambda leading: (*(1,) * len(leading), 1, 1),
    "whole": lambda leading: (*leading, QUERIES, KEYS),
    "last leading axis": lambda leading: (*leading[-1:], 1, KEYS),
}

OPTIONS = {
    "none": lambda batch: {},
    "causal": lambda batch: {"mask": {"causal": True, "offset": "bottom_right"}},
    "rotary, an offset each": lambda batch: {"position": {"name": "rotary"}, "mask": {"offset": list(range(batch))}},
    "alibi, key lengths": lambda batch: {
        "position": {"name": "alibi"}, "mask": {"key_lengths": [KEYS - 1 - row for row in range(batch)]},
    },
}  # fmt: skip


def request_of(layout, option, bias, seed, score_model="scaled_dot_product"):
    """A wire document with parameters for each head where there are heads, and shared ones elsewhere."""
    rng = random.Random(seed)

    def draw():
        return rng.gauss(0, 1)

    query_heads, key_heads = layout.heads or (1, 1)
    new, features = KEYS - layout.past, calls.key_features(score_model)
    document = {
        "query": calls.matrix(draw, *layout.query, QUERIES, calls.FEATURES * query_heads),
        "key": calls.matrix(draw, *layout.key, new, features * key_heads),
        "value": calls.matrix(draw, *layout.value, new, calls.VALUE_FEATURES * key_heads),
    }
    if layout.heads:
        document["heads"] = {"query": query_heads, "key_value": key_heads}
    if layout.past:
        axes = (key_heads,) if layout.heads else ()
        document["past_key"] = calls.matrix(draw, *layout.key, *axes, layout.past, features)
        document["past_value"] = calls.matrix(draw, *layout.value, *axes, layout.past, calls.VALUE_FEATURES)
    batch = np.broadcast_shapes(layout.query[:1], layout.key[:1])
    leading = (*batch, query_heads) if layout.heads else tuple(layout.leading)
    document |= OPTIONS[option](leading[0] if leading else 1)
    if BIASES[bias] is not None:
        document["bias"] = calls.matrix(draw, *BIASES[bias](leading))
    heads = leading[1] if len(leading) == 2 else None
    make = calls.HEAD_PARAMETERS[score_model] if heads and seed % 2 else None
    parameters = make(draw, heads) if make else calls.MODEL_PARAMETERS[score_model][-1](draw)
    sink = calls.matrix(draw, heads) if heads and seed % 3 else 0.5
    document["score_model"] = {"name": score_model, **parameters}
    return document | {"normalizer": {"name": "softmax", "temperature": 1.5, "sink": sink}}


@pytest.mark.parametrize(("layout", "option", "bias"), product_sample(7, LAYOUTS, OPTIONS, BIASES))
def test_every_gradient_is_a_slope_in_the_shape_that_was_sent(layout, option, bias):
    places = (list(LAYOUTS).index(layout), list(OPTIONS).index(option), list(BIASES).index(bias))
    seed = int(np.ravel_multi_index(places, (len(LAYOUTS), len(OPTIONS), len(BIASES))))
    assert_gradients(request_of(LAYOUTS[layout], option, bias, seed), seed)


@pytest.mark.parametrize(("layout", "score_model"), product_sample(5, LAYOUTS, calls.SCORE_MODELS))
def test_the_parameters_of_every_score_model_keep_their_shapes(layout, score_model):
    seed = list(LAYOUTS).index(layout) + 31 * list(calls.SCORE_MODELS).index(score_model)
    assert_gradients(request_of(LAYOUTS[layout], "none", "keys", seed, score_model), seed)


KERNELS = ["numpy", *available_kernels()[0]]


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_shapes_are_those_that_were_sent_with_every_kernel(layout, kernel):
    for number, (option, bias) in enumerate(itertools.product(OPTIONS, BIASES)):
        request = request_of(LAYOUTS[layout], option, bias, number)
        with using_kernel(kernel):
            found = named(gradients_of(request, np.float64(1)))
        for name, array in found.items():
            *inside, last = name.split(".")
            place = request[inside[0]] if inside else request
            assert array.shape == np.shape(place[last]), (option, bias, name)


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_a_past_keeps_its_head_axis_beside_packed_heads(kernel):
    rng = np.random.default_rng(5)
    query, key, value = (rng.standard_normal((2, length, 10)) for length in (4, 3, 3))
    past = {name: rng.standard_normal((2, 2, 6, 5)) for name in ("past_key", "past_value")}
    with using_kernel(kernel):
        packed = differentiate(query, key, value, 1.0, heads=Heads(2, 2), **past)
        apart = differentiate(
            *(array.reshape(2, -1, 2, 5).swapaxes(1, 2) for array in (query, key, value)), 1.0, **past
        )
    assert packed.past_key.shape == packed.past_value.shape == (2, 2, 6, 5)
    for name in past:
        np.testing.assert_array_equal(getattr(packed, name), getattr(apart, name))
    for name in ("output", "query", "key", "value"):
        expected = getattr(apart, name).swapaxes(1, 2)
        np.testing.assert_array_equal(getattr(packed, name), expected.reshape(2, expected.shape[1], 10))


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_one_number_stands_for_the_whole_gradient_of_the_output(kernel):
    rng = np.random.default_rng(6)
    query, key, value = (rng.standard_normal((2, 3, length, 4), np.float32) for length in (5, 7, 7))
    options = {"score_model": ScaledDotProduct(0.7), "normalizer": Softmax(1.5, sink=np.array([0.1, 0.2, 0.3]))}
    with using_kernel(kernel):
        alone = differentiate(query, key, value, -0.5, **options)
        whole = differentiate(query, key, value, np.full((2, 3, 5, 4), -0.5, np.float32), **options)
    for name, array in named(whole).items():
        np.testing.assert_array_equal(named(alone)[name], array, err_msg=name)


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_notes_are_those_of_the_forward_pass(kernel):
    hidden = {"query": [[1.0], [1.0]], "key": [[1.0], [2.0]], "value": [[1.0], [2.0]]}
    request = hidden | {"mask": {"allowed": [[True, True], [False, False]]}}
    with using_kernel(kernel):
        assert gradients_of(request, np.float64(1)).notes == ("row 1: no visible key; weights and output are zero",)
        broken = hidden | {"bias": [[0.0, 0.0], [float("inf"), 0.0]]}
        assert gradients_of(broken, np.float64(1)).notes == (
            "row 1: NaN or +infinity among the visible logits; weights and output are NaN",
        )
