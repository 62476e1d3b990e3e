"""Grouped heads, packed heads and caches: equivalent calls give the same numbers."""

import numpy as np
import pytest

from attention_core import Alibi, Causal, Heads, InvalidValue, KeyLengths, Rotary, ShapeMismatch, Softmax, attend

RNG = np.random.default_rng(11)
BATCH, QUERY_HEADS, KEY_HEADS, QUERIES, KEYS, FEATURES, VALUE_FEATURES = 2, 6, 2, 4, 7, 4, 3
QUERY = RNG.standard_normal((BATCH, QUERY_HEADS, QUERIES, FEATURES))
KEY = RNG.standard_normal((BATCH, KEY_HEADS, KEYS, FEATURES))
VALUE = RNG.standard_normal((BATCH, KEY_HEADS, KEYS, VALUE_FEATURES))
FIELDS = ("scores", "weights", "output", "logsumexp")


def packed(array):
    batch, heads, length, features = array.shape
    return array.swapaxes(1, 2).reshape(batch, length, heads * features)


def test_grouped_heads_equal_repeated_heads():
    grouped = attend(QUERY, KEY, VALUE, include=FIELDS)
    times = QUERY_HEADS // KEY_HEADS
    repeated = attend(QUERY, KEY.repeat(times, axis=1), VALUE.repeat(times, axis=1), include=FIELDS)
    for field in FIELDS:
        np.testing.assert_array_equal(grouped.arrays[field], repeated.arrays[field])


def test_a_query_head_reads_the_key_head_of_its_group():
    head = attend(QUERY[:, 4], KEY[:, 1], VALUE[:, 1])
    np.testing.assert_allclose(attend(QUERY, KEY, VALUE).output[:, 4], head.output, rtol=0, atol=1e-15)


def test_packed_equals_unpacked():
    heads = Heads(QUERY_HEADS, KEY_HEADS)
    from_packed = attend(packed(QUERY), packed(KEY), packed(VALUE), heads=heads, include=(*FIELDS, "present"))
    unpacked = attend(QUERY, KEY, VALUE, include=(*FIELDS, "present"))
    for field in ("scores", "weights", "logsumexp", "present_key", "present_value"):
        np.testing.assert_array_equal(from_packed.arrays[field], unpacked.arrays[field])
    np.testing.assert_array_equal(from_packed.output, packed(unpacked.output))
    assert from_packed.output.shape == (BATCH, QUERIES, QUERY_HEADS * VALUE_FEATURES)


@pytest.mark.parametrize("position", [None, Rotary(), Alibi()], ids=["none", "rotary", "alibi"])
@pytest.mark.parametrize("normalizer", [Softmax(), Softmax(sink=0.5)], ids=["softmax", "sink"])
def test_decoding_step_by_step_with_a_cache_equals_the_whole(position, normalizer):
    query = RNG.standard_normal((BATCH, QUERY_HEADS, KEYS, FEATURES))
    options = {"mask": Causal(), "position": position, "normalizer": normalizer}
    whole = attend(query, KEY, VALUE, **options)
    past_key, past_value = KEY[:, :, :0], VALUE[:, :, :0]
    for step in range(KEYS):
        now = slice(step, step + 1)
        result = attend(
            query[:, :, now],
            KEY[:, :, now],
            VALUE[:, :, now],
            past_key=past_key,
            past_value=past_value,
            include=("output", "weights", "present"),
            **options,
        )
        np.testing.assert_allclose(result.output, whole.output[:, :, now], rtol=0, atol=1e-14)
        np.testing.assert_allclose(result.weights, whole.weights[:, :, now, : step + 1], rtol=0, atol=1e-14)
        past_key, past_value = result.present_key, result.present_value
    np.testing.assert_array_equal(past_key, KEY)
    np.testing.assert_array_equal(past_value, VALUE)


def test_the_offset_defaults_to_the_length_of_the_past():
    cache = {"past_key": KEY[:, :, :5], "past_value": VALUE[:, :, :5]}
    new = {"query": QUERY[:, :, :2], "key": KEY[:, :, 5:], "value": VALUE[:, :, 5:], "mask": Causal()}
    by_default = attend(**new, **cache).weights
    np.testing.assert_array_equal(by_default, attend(**new, **cache, offset=5).weights)
    np.testing.assert_array_equal(by_default, attend(**new, **cache, offset="bottom_right").weights)
    assert (attend(**new, **cache, offset=0).weights[..., 2:] == 0).all()


def test_key_lengths_count_past_and_new_together():
    cache = {"past_key": KEY[:, :, :5], "past_value": VALUE[:, :, :5]}
    lengths = KeyLengths(np.array([6, 3]))
    split = attend(QUERY, KEY[:, :, 5:], VALUE[:, :, 5:], mask=lengths, **cache)
    whole = attend(QUERY, KEY, VALUE, mask=lengths)
    np.testing.assert_array_equal(split.output, whole.output)


def test_past_is_rounded_like_everything_else():
    past = {"past_key": KEY[:, :, :5], "past_value": VALUE[:, :, :5]}
    present = attend(QUERY, KEY[:, :, 5:], VALUE[:, :, 5:], dtype="float16", include=("present",), **past)
    np.testing.assert_array_equal(present.present_key, KEY.astype(np.float16))


WRONG = {
    "heads that do not divide": ((QUERY, KEY[:, [0, 1, 0, 1]], VALUE[:, [0, 1, 0, 1]]), {}, ShapeMismatch, "key"),
    "fewer query heads": ((QUERY[:, :1], KEY, VALUE), {}, ShapeMismatch, "key"),
    "other value heads": ((QUERY, KEY, VALUE[:, :1]), {}, ShapeMismatch, "value"),
    "heads with rank 4": ((QUERY, KEY, VALUE), {"heads": Heads(6, 2)}, ShapeMismatch, "query"),
    "heads with rank 2": ((QUERY[0, 0], KEY[0, 0]), {"heads": Heads(1, 1)}, ShapeMismatch, "query"),
    "uneven packing": ((packed(QUERY), packed(KEY)), {"heads": Heads(5, 2)}, ShapeMismatch, "query"),
    "no heads": ((packed(QUERY), packed(KEY)), {"heads": Heads(6, 0)}, InvalidValue, "heads.key_value"),
    "past key alone": ((QUERY, KEY, VALUE), {"past_key": KEY}, InvalidValue, "past_value"),
    "past value alone": ((QUERY, KEY, VALUE), {"past_value": VALUE}, InvalidValue, "past_key"),
    "past without value": ((QUERY, KEY), {"past_key": KEY, "past_value": VALUE}, InvalidValue, "value"),
    "past of other features": (
        (QUERY, KEY, VALUE),
        {"past_key": KEY[..., :2], "past_value": VALUE},
        ShapeMismatch,
        "past_key",
    ),
    "past of other heads": (
        (QUERY, KEY, VALUE),
        {"past_key": KEY, "past_value": VALUE[:, :1]},
        ShapeMismatch,
        "past_value",
    ),
    "pasts of two lengths": (
        (QUERY, KEY, VALUE),
        {"past_key": KEY, "past_value": VALUE[:, :, :3]},
        ShapeMismatch,
        "past_value",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name):
    arrays, options, kind, argument = WRONG[name]
    with pytest.raises(kind) as caught:
        attend(*arrays, **options)
    assert caught.value.argument == argument
