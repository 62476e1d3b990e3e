"""Vectors as (batch, length, heads, features): the numbers of (batch, heads, length, features), in their own order."""

from dataclasses import dataclass

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Alibi,
    AttentionCall,
    Causal,
    Heads,
    InvalidValue,
    KeyLengths,
    Rotary,
    ShapeMismatch,
    UnknownName,
    Workers,
    attend,
    differentiate,
    resolve,
)
from attention_core.call import LAYOUTS
from attention_core.native import using_kernel
from attention_core.native.leading import contiguous
from tests import calls, core_calls, oracle
from tests.attention_core.gradients.judge import assert_gradients
from tests.attention_core.judge import judge
from tests.attention_core.native.kernels import KERNELS, assert_same_bits, run
from tests.nested import exchange
from tests.sampling import every, product_sample

VECTORS = ("query", "key", "value", "past_key", "past_value")

HEADS = ("heads", "grouped", "one key head", "grouped cache")
"""Those of `calls.HEADS` whose vectors all have rank 4."""


@dataclass(frozen=True)
class ByLength:
    """A combination whose vectors are sent as (batch, length, heads, features)."""

    same: calls.Combination

    def __getattr__(self, name):
        return getattr(self.same, name)

    def request(self):
        document = self.same.request()
        exchanged = {name: exchange(document[name]) for name in VECTORS if name in document}
        return document | exchanged | {"layout": "bshd"}


def by_length(*coordinates):
    return ByLength(calls.Combination(*coordinates))


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(4, SCORE_MODELS, NORMALIZERS))
def test_every_path_equals_the_oracle(score_model, normalizer):
    turn = list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    dtype = calls.DTYPES[turn // 4 % len(calls.DTYPES)]
    judge(
        [
            by_length(score_model, normalizer, setting, heads, dtype)
            for row, setting in enumerate(calls.SETTINGS)
            for column, heads in enumerate(HEADS)
            if (row + column + turn // 4) % 8 == 0
        ]
    )


def test_present_is_that_of_the_oracle():
    request = by_length("dot_product", "softmax", "causal", "grouped cache", "float64").request()
    call, expected = core_calls.core_call(request), oracle.attention(request)
    result = attend(**{name: getattr(call, name) for name in (*VECTORS, "layout", "mask")}, include=("present",))
    for name in ("present_key", "present_value"):
        np.testing.assert_array_equal(result.arrays[name], expected[name])
        assert result.arrays[name].flags.c_contiguous
    assert result.present_key.shape == (1, calls.KEYS, 2, calls.FEATURES)


LONG: dict[str, dict] = {
    "plain": {},
    "causal": {"mask": Causal()},
    "cache": {"past": 70, "mask": Causal() & KeyLengths(np.array([300, 120])), "dtype": "float32"},
    "rotary": {"position": Rotary(), "dtype": "float16"},
    "alibi": {"position": Alibi(), "offset": "bottom_right", "dtype": "bfloat16"},
}


def long_vectors(options):
    """Vectors of 300 keys as they are sent in the default layout, and the other options."""
    rng = np.random.default_rng(3)
    options = dict(options)
    past = options.pop("past", 0)
    sizes = {"query": (4, 190, 16), "key": (2, 300 - past, 16), "value": (2, 300 - past, 24)}
    if past:
        sizes |= {"past_key": (2, past, 16), "past_value": (2, past, 24)}
    return {name: rng.normal(size=(2, *size)) for name, size in sizes.items()}, options


def other(vectors):
    return {name: np.ascontiguousarray(array.swapaxes(1, 2)) for name, array in vectors.items()} | {"layout": "bshd"}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("kernel", every(2, (*KERNELS, "numpy")))
def test_long_sequences_have_the_same_bits_in_both_layouts(kernel, name):
    """NumPy takes the tiled path."""
    vectors, options = long_vectors(LONG[name])
    include = ("output", "logsumexp", "present")
    expected = run(kernel, **vectors, **options, include=include)
    with Workers(2) as workers:
        received = run(kernel, **other(vectors), **options, include=include, workers=workers)
    assert_same_bits(received.logsumexp, expected.logsumexp, name)
    for field in ("output", "present_key", "present_value"):
        assert_same_bits(received.arrays[field], expected.arrays[field].swapaxes(1, 2), field)


def test_vectors_are_read_where_they_are():
    vectors, _ = long_vectors(LONG["plain"])
    sent = other(vectors)
    call = resolve(AttentionCall(**sent))
    for name in vectors:
        assert getattr(call, name).shape == vectors[name].shape
        assert np.shares_memory(contiguous(getattr(call, name)), sent[name])


def test_the_default_may_be_named():
    vectors, options = long_vectors(LONG["cache"])
    assert LAYOUTS == ("bhsd", "bshd")
    expected, received = attend(**vectors, **options), attend(**vectors, **options, layout="bhsd")
    assert_same_bits(received.output, expected.output, "output")
    assert received.notes == expected.notes


@pytest.mark.parametrize("kernel", [KERNELS[0], "numpy"])
@pytest.mark.parametrize("name", ["causal", "cache", "rotary"])
def test_gradients_come_in_the_layout_that_was_sent(kernel, name):
    vectors, options = long_vectors(LONG[name])
    upstream = np.random.default_rng(4).normal(size=(2, 4, 190, 24))
    with using_kernel(kernel):
        expected = differentiate(**vectors, **options, output_gradient=upstream)
        received = differentiate(**other(vectors), **options, output_gradient=upstream.swapaxes(1, 2))
    for field in ("output", *vectors):
        of_field, right = getattr(received, field), getattr(expected, field)
        assert of_field.shape == right.swapaxes(1, 2).shape
        np.testing.assert_array_equal(of_field, right.swapaxes(1, 2), err_msg=field)
    for field in ("past_key", "past_value"):
        assert (getattr(received, field) is None) == (field not in vectors)


@pytest.mark.parametrize(
    ("setting", "heads"), [("causal", "grouped cache"), pytest.param("rotary", "grouped", marks=pytest.mark.soak)]
)
def test_gradients_are_those_of_the_oracle(setting, heads):
    assert_gradients(by_length("additive", "softmax", setting, heads, "float64").request(), seed=5)


def test_gradients_of_a_past_beside_packed_heads_have_its_own_axis_of_heads():
    rng = np.random.default_rng(6)
    call = {"query": (2, 4, 12), "key": (2, 5, 6), "value": (2, 5, 10), "past_key": (2, 2, 3, 3)}
    vectors = {name: rng.normal(size=size) for name, size in {**call, "past_value": (2, 2, 3, 5)}.items()}
    found = differentiate(**vectors, heads=Heads(4, 2), output_gradient=rng.normal(size=(2, 4, 20)))
    for name, array in vectors.items():
        assert getattr(found, name).shape == array.shape, name


def ones(*shape):
    return np.ones(shape)


RANK_4 = {"query": ones(2, 5, 4, 3), "key": ones(2, 7, 2, 3), "value": ones(2, 7, 2, 6)}

WRONG = [
    ({"layout": "bsdh"}, UnknownName, ("layout",), "bhsd, bshd"),
    ({"layout": "bnsh"}, UnknownName, ("layout",), "'bhsd'"),
    ({"query": ones(5, 4, 3)}, ShapeMismatch, ("query",), "rank 4"),
    ({"key": ones(7, 3), "value": ones(7, 6)}, ShapeMismatch, ("key",), "because of layout='bshd'"),
    ({"value": ones(7, 6)}, ShapeMismatch, ("value",), "shape [7, 6]"),
    ({"past_key": ones(2, 2, 3), "past_value": ones(2, 3, 2, 6)}, ShapeMismatch, ("past_key",), "rank 4"),
    ({"past_key": ones(2, 3, 2, 3), "past_value": ones(3, 2, 6)}, ShapeMismatch, ("past_value",), "rank 4"),
    ({"heads": Heads(4, 2)}, InvalidValue, ("layout",), "received 'bshd', (B, L, H, D)"),
    ({"query": ones(2, 5, 12), "heads": Heads(4, 2)}, InvalidValue, ("layout",), "Leave out layout where the heads"),
    ({"key": ones(2, 7, 3, 3), "value": ones(2, 7, 3, 6)}, ShapeMismatch, ("key",),
     "received 3, since key has shape [2, 7, 3, 3], (batch, length, heads, features)"),
    ({"past_key": ones(2, 2, 3, 3), "past_value": ones(2, 2, 3, 6)}, ShapeMismatch, ("past_key",),
     "[2, past length, 2, 3]; received shape [2, 2, 3, 3], (batch, length, heads, features)"),
    ({"past_key": ones(2, 3, 2, 3), "past_value": ones(2, 4, 2, 6)}, ShapeMismatch, ("past_value",),
     "received 4, since past_value has shape [2, 4, 2, 6], (batch, length, heads, features)"),
    ({"value": ones(2, 6, 2, 6), "past_key": ones(2, 3, 2, 3), "past_value": ones(2, 3, 2, 6)}, ShapeMismatch,
     ("value",), "7, since key has shape [2, 7, 2, 3], (batch, length, heads, features); received 6, since value"),
    ({"value": ones(2, 7, 1, 6)}, ShapeMismatch, ("value",), "received 1, since value has shape [2, 7, 1, 6], (batch"),
    ({"key": ones(3, 7, 2, 3), "value": ones(3, 7, 2, 6)}, ShapeMismatch, ("key",),
     "expected the number of batch rows of query, 2, or 1; received 3, since key has shape [3, 7, 2, 3], (batch"),
    ({"bias": ones(2, 5, 4, 7)}, ShapeMismatch, ("bias",), "shape [2, 4, 5, 7], (batch, heads, queries, keys)"),
    ({"query": ones(2, 5, 4, 0), "key": ones(2, 7, 2, 0)}, ShapeMismatch, ("query",), "received shape [2, 5, 4, 0]"),
    ({"value": np.where(np.arange(6) == 4, 1e9, ones(2, 7, 2, 6)), "dtype": "float16"},
     InvalidValue, ("value", 0, 0, 0, 4), "float16"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "path", "said"), WRONG, ids=range(len(WRONG)))
def test_wrong_layouts_are_refused_where_they_are_wrong(changes, error, path, said):
    with pytest.raises(error) as caught:
        attend(**{**RANK_4, "layout": "bshd", **changes})
    assert caught.value.path == path
    assert said in str(caught.value)


def test_what_fits_in_the_other_layout_is_told_so():
    with pytest.raises(ShapeMismatch, match="everything fits: send layout='bshd', or transpose axes 1 and 2"):
        attend(**RANK_4)
    with pytest.raises(ShapeMismatch, match=r"Read as .batch, heads, length, features. everything fits: leave out"):
        attend(**{name: array.swapaxes(1, 2) for name, array in RANK_4.items()}, layout="bshd")


def test_an_output_gradient_has_the_shape_of_the_output():
    for shape in ((2, 4, 5, 6), (2, 5, 24)):
        with pytest.raises(ShapeMismatch, match=r"the shape of the output, \[2, 5, 4, 6\], .batch, length, heads"):
            differentiate(**RANK_4, layout="bshd", output_gradient=ones(*shape))


def test_a_stated_layout_has_no_note_on_the_order_of_the_axes():
    vectors = {"query": ones(2, 6, 2, 4), "key": ones(2, 6, 2, 4)}
    assert "send layout bshd" in attend(**vectors).notes[0]
    for layout in LAYOUTS:
        assert attend(**vectors, layout=layout).notes == ()


def test_shapes_of_packed_vectors_and_past_are_named_as_they_were_sent():
    packed = {"query": ones(2, 5, 12), "key": ones(2, 7, 6), "heads": Heads(4, 2)}
    with pytest.raises(ShapeMismatch, match=r"6, since value has shape \[2, 6, 8\], \(batch, length, heads · f"):
        attend(**packed, value=ones(2, 6, 8))
    past = {"past_key": ones(2, 2, 3, 3), "past_value": ones(2, 2, 3, 4)}
    with pytest.raises(ShapeMismatch, match=r"7, since key has shape \[2, 7, 6\], .*; received 6, since value has"):
        attend(**packed, value=ones(2, 6, 8), **past)
