"""A row's bits depend on the row, its visible keys, their positions and the options, and on nothing else."""

import dataclasses
import itertools

import numpy as np
import pytest

from attention_core import (
    Alibi,
    Allowed,
    Causal,
    KeyLengths,
    Positions,
    Segments,
    Sparsemax,
    Window,
    Workers,
    attend,
)
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, assert_same_bits, run

SEEDS = range(1000, 1008)
SOAK_SEEDS = range(2000, 2060)
THREADS = (2, 3, 8)
MATRICES = ("scores", "capped_scores", "logits", "weights")

drawn_calls = pytest.mark.parametrize(
    "seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.soak) for seed in SOAK_SEEDS)]
)
every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)


@pytest.fixture(scope="module")
def workers():
    return {threads: Workers(threads) for threads in THREADS}


def fields(drawn):
    is_softmax = type(drawn.arguments["normalizer"]).__name__ == "Softmax"
    return ("output", "logsumexp") if is_softmax else ("output",)


def of_batch(drawn, first, end):
    """The arguments of some of the batch rows."""
    masks = [KeyLengths(one.lengths[first:end]) if isinstance(one, KeyLengths) else one for one in drawn.masks]
    arrays = {name: drawn.arguments[name][first:end] for name in ("query", "key", "value")}
    return drawn.masked_by(masks, **arrays)


def of_head(drawn, head):
    """The arguments of one query head, as arrays without an axis of heads."""
    arguments = drawn.arguments
    arrays = {
        "query": arguments["query"][:, head],
        "key": arguments["key"][:, head // drawn.group],
        "value": arguments["value"][:, head // drawn.group],
    }
    model, normalizer = (_of_head(arguments[name], head, drawn) for name in ("score_model", "normalizer"))
    return drawn.changed(**arrays, score_model=model, normalizer=normalizer)


def _of_head(described, head, drawn):
    """A score model or a normalizer with the parameters of one head."""
    shared = {"query_weight": 2, "key_weight": 2, "weight": 2, "score_vector": 1, "bandwidth": 0, "sink": 0}
    if type(described).__name__ == "Trilinear":
        shared["weight"] = 1
    own = {
        one.name: value[head]
        for one in dataclasses.fields(described)
        if (value := getattr(described, one.name, None)) is not None
        and one.name in shared
        and np.ndim(value) > shared[one.name]
    }
    return dataclasses.replace(described, **own) if own else described


@drawn_calls
@every_kernel
def test_neither_fields_nor_threads_nor_neighbours_change_a_bit(kernel, seed, workers):
    drawn = draw(seed)
    names = fields(drawn)
    expected = run(kernel, **drawn.arguments, include=names)
    cases = {
        f"{threads} threads": run(kernel, **drawn.arguments, include=names, workers=workers[threads])
        for threads in THREADS
    }
    cases["all fields"] = run(kernel, **drawn.arguments, include=(*names, *MATRICES))
    cases["modified scores"] = run(kernel, **drawn.arguments, include=(*names, "modified"))
    modified, logits = cases["modified scores"].arrays["modified"], cases["all fields"].arrays["logits"]
    assert_same_bits(modified[~np.isneginf(logits)], logits[~np.isneginf(logits)], (seed, "modified"))
    for name in names:
        for case, result in cases.items():
            assert_same_bits(result.arrays[name], expected.arrays[name], (seed, case, name))
        rows = [run(kernel, **of_batch(drawn, b, b + 1), include=names).arrays[name] for b in range(drawn.batches)]
        assert_same_bits(np.concatenate(rows), expected.arrays[name], (seed, "batch", name))
        # Default slopes of ALiBi depend on the number of heads.
        if type(drawn.arguments["position"]).__name__ != "Alibi":
            head = seed % drawn.heads
            alone = run(kernel, **of_head(drawn, head), include=names).arrays[name]
            assert_same_bits(alone, expected.arrays[name][:, head], (seed, "head", name))
    for name in MATRICES:
        one = run(kernel, **drawn.arguments, include=(name,), workers=workers[2]).arrays[name]
        assert_same_bits(one, cases["all fields"].arrays[name], (seed, name))


def of_queries(drawn, first, end):
    """The arguments of some of the queries."""
    masks = []
    for one in drawn.masks:
        if isinstance(one, Segments):
            masks.append(Segments(one.query_segments[first:end], one.key_segments))
        elif isinstance(one, Allowed):
            masks.append(Allowed(one.allowed[first:end]))
        else:
            masks.append(one)
    bias = drawn.arguments["bias"]
    return drawn.masked_by(
        masks,
        query=drawn.arguments["query"][..., first:end, :],
        offset=(drawn.arguments["offset"] or 0) + first,
        bias=bias if bias is None or len(bias) == 1 else bias[first:end],
    )


@drawn_calls
@every_kernel
def test_other_queries_and_a_cache_change_no_bit(kernel, seed, workers):
    drawn = draw(seed)
    names = fields(drawn)
    expected = run(kernel, **drawn.arguments, include=names)
    ends = sorted({0, 1, drawn.queries // 3, drawn.queries})
    past = drawn.keys * (seed % 7) // 7
    key, value = drawn.arguments["key"], drawn.arguments["value"]
    cached = {
        "past_key": key[..., :past, :], "key": key[..., past:, :],
        "past_value": value[..., :past, :], "value": value[..., past:, :],
    }  # fmt: skip
    parts = [
        run(kernel, **{**of_queries(drawn, first, end), **(cached if past else {})}, include=names, workers=workers[2])
        for first, end in itertools.pairwise(ends)
    ]
    for name in names:
        axis = -2 if name == "output" else -1
        joined = np.concatenate([part.arrays[name] for part in parts], axis)
        assert_same_bits(joined, expected.arrays[name], (seed, name, ends, past))


@drawn_calls
@every_kernel
def test_how_a_mask_is_written_changes_no_bit(kernel, seed):
    """Named masks, the same pairs as one boolean matrix, and with more keys behind, all hidden and NaN."""
    drawn = draw(seed)
    names = fields(drawn)
    expected = run(kernel, **drawn.arguments, include=names)
    shape = (drawn.batches, drawn.heads, drawn.queries, drawn.keys)
    plain = attend(
        np.zeros((drawn.batches, 1, drawn.queries, 1)), np.zeros((drawn.batches, 1, drawn.keys, 1)),
        mask=drawn.arguments["mask"], offset=drawn.arguments["offset"], include=("logits",),
    )  # fmt: skip
    pairs = np.broadcast_to(~np.isneginf(plain.logits), shape)
    written = run(kernel, **drawn.changed(mask=Allowed(pairs)), include=names)
    further = 300
    more = {
        name: np.concatenate((array, np.full((*array.shape[:2], further, array.shape[-1]), np.nan, array.dtype)), -2)
        for name, array in ((name, drawn.arguments[name]) for name in ("key", "value"))
    }
    hidden = np.concatenate((pairs, np.zeros((*shape[:-1], further), bool)), -1)
    bias = drawn.arguments["bias"]
    if bias is not None and bias.shape[-1] > 1:
        more["bias"] = np.concatenate((bias, np.full((len(bias), further), np.nan)), -1)
    padded = run(kernel, **drawn.changed(mask=Allowed(hidden), **more), include=names)
    for name in names:
        assert_same_bits(written.arrays[name], expected.arrays[name], (seed, "matrix", name))
        assert_same_bits(padded.arrays[name], expected.arrays[name], (seed, "hidden keys", name))


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
@every_kernel
def test_alibi_counts_from_positions_one_by_one_as_from_an_offset(kernel, kv_heads, workers):
    """Whatever the other queries and batch rows are, in the forward pass and in the scores for rows in NumPy."""
    rng = np.random.default_rng(kv_heads)
    query, key, value = (
        rng.standard_normal((2, heads, length, 7), np.float32)
        for heads, length in ((6, 40), (kv_heads, 530), (kv_heads, 530))
    )
    offsets = np.array([300, -2])
    given = {"key": key, "value": value, "position": Alibi(), "mask": Causal()}
    for normalizer, field in ((None, "output"), (Sparsemax(), "logits")):
        options = {**given, "normalizer": normalizer, "include": (field,)}
        expected = run(kernel, **options, query=query, offset=offsets).arrays[field]
        places = offsets[:, None] + np.arange(40)
        order = rng.permutation(40)
        found = run(
            kernel, **options, query=query[:, :, order], workers=workers[2],
            positions=Positions(query=places[:, order], key=np.arange(530)),
        ).arrays[field]  # fmt: skip
        assert_same_bits(found, expected[:, :, order], (normalizer, "permuted"))
        each = [
            run(
                kernel, **{**options, "key": key[row : row + 1], "value": value[row : row + 1]},
                query=query[row : row + 1, :, 9:], positions=Positions(query=places[row, 9:]),
            ).arrays[field]
            for row in range(2)
        ]  # fmt: skip
        assert_same_bits(np.concatenate(each), expected[:, :, 9:], (normalizer, "alone"))


WINDOW = Causal() & Window(left=300, right=None)


@pytest.mark.parametrize("mask", [None, Causal(), WINDOW], ids=["full", "causal", "window"])
@pytest.mark.parametrize("keys", [70, 2100])
@every_kernel
def test_decoding_key_by_key_is_prefill(kernel, keys, mask, workers):
    rng = np.random.default_rng(keys)
    query, key, value = (rng.standard_normal((2, keys, size), np.float32) for size in (16, 16, 17))
    rows = (0, 1, keys // 2, keys - 2, keys - 1)
    whole = run(kernel, query=query, key=key, value=value, mask=mask, include=("output",), workers=workers[2]).output
    for row in rows:
        end = keys if mask is None else row + 1
        past = end - 1
        cache = {"past_key": key[:, :past], "past_value": value[:, :past]} if past else {}
        new = {"query": query[:, row : row + 1], "key": key[:, past:end], "value": value[:, past:end]}
        step = run(kernel, **new, **cache, mask=mask, offset=row, include=("output",), workers=workers[8])
        assert_same_bits(step.output[:, 0], whole[:, row], (keys, row))


@pytest.mark.parametrize("seed", range(3000, 3006))
@every_kernel
def test_half_types_are_rounded_float32(kernel, seed):
    """A dtype is a rounding of inputs and results: float16 has the bits of float32 on the same numbers."""
    drawn = draw(seed)
    arrays = {name: drawn.arguments[name].astype(np.float16) for name in ("query", "key", "value")}
    half = run(kernel, **drawn.changed(**arrays), dtype="float16", include=("output",)).output
    wide = {name: array.astype(np.float32) for name, array in arrays.items()}
    single = run(kernel, **drawn.changed(**wide), dtype="float32", include=("output",)).output
    with np.errstate(over="ignore"):
        assert_same_bits(half, single.astype(np.float16), seed)


def test_draws_reach_every_part():
    drawn = [draw(seed) for seed in (*SEEDS, *SOAK_SEEDS)]
    names = ("score_model", "normalizer")
    kinds = {type(one.arguments[name]).__name__ for one in drawn for name in names}
    assert len(kinds) == 8 + 5
    assert {type(mask) for one in drawn for mask in one.masks} == {Causal, Window, KeyLengths, Segments, Allowed}
    assert len({one.keys for one in drawn}) == 13
