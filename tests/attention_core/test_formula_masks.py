"""Mask formulas equal the masks that they spell out, bit by bit, on every path and with every kernel."""

import tracemalloc

import numpy as np
import pytest

from attention_core import (
    Allowed,
    AttentionCall,
    Causal,
    FormulaMask,
    InvalidValue,
    KeyLengths,
    ScoreModifier,
    Segments,
    Softmax,
    Sparsemax,
    UnknownName,
    Window,
    attend,
    differentiate,
    evaluate,
    predict,
    resolve,
)
from attention_core.explanation import explain
from attention_core.native import scanned_masks, using_kernel
from attention_core.native.visibility import visibility
from attention_core.score_tile import Coverage, Tile
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import tiled
from tests.attention_core.native.kernels import KERNELS

RNG = np.random.default_rng(11)
QUERIES, KEYS = 21, 26
QUERY = RNG.normal(size=(2, 4, QUERIES, 8))
KEY, VALUE = RNG.normal(size=(2, 2, 2, KEYS, 8))
DOCUMENT = np.sort(RNG.integers(0, 4, (2, KEYS)))
OFFSETS = np.array([3, -2])

PREFIX = np.arange(KEYS) < 5
CAUSAL = np.arange(KEYS) <= (np.arange(QUERIES)[:, None] + OFFSETS[:, None, None])[:, None]

NAMED = {
    "causal": (Causal(), FormulaMask("j <= p")),
    "window": (Window(4, 2), FormulaMask("p - 4 <= j <= p + 2")),
    "causal window": (Causal() & Window(6, None), FormulaMask("j <= p and p - j < width", {"width": 7})),
    "two masks": (Causal() & Window(6, None), FormulaMask("j <= p") & FormulaMask("p - j < 7")),
    "lengths": (KeyLengths(np.array([9, KEYS])), FormulaMask("j < lengths[b]", {"lengths": np.array([9, KEYS])})),
    "causal by name": (
        Causal() & KeyLengths(np.array([9, 0])),
        Causal() & FormulaMask("j < n[b]", {"n": np.array([9, 0])}),
    ),
    "prefix": (Allowed(CAUSAL | PREFIX), FormulaMask("j <= p or j < 5")),
    "segments": (
        Segments(DOCUMENT[:, :QUERIES], DOCUMENT),
        FormulaMask("doc[b, i] == doc[b, j]", {"doc": DOCUMENT}),
    ),
    "segments that return": (
        Segments(np.arange(QUERIES) % 3, np.arange(KEYS) % 3),
        FormulaMask("doc[i] == doc[j]", {"doc": np.arange(KEYS) % 3}),
    ),
    "nothing": (Allowed(np.zeros((1, 1), bool)), FormulaMask("i < 0")),
    "everything": (Allowed(np.ones((1, 1), bool)), FormulaMask("not j < 0")),
}
"""Masks by name, and as formulas."""

FIELDS = ("logits", "weights", "output", "logsumexp")


def options(mask, **others):
    return {"mask": mask, "offset": OFFSETS, "include": FIELDS, **others}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_a_formula_equals_the_mask_it_spells_out(name, kernel, dtype):
    named, formula = NAMED[name]
    with using_kernel(kernel):
        expected = attend(QUERY, KEY, VALUE, **options(named, dtype=dtype))
        received = attend(QUERY, KEY, VALUE, **options(formula, dtype=dtype))
    for field in FIELDS:
        np.testing.assert_array_equal(received.arrays[field], expected.arrays[field], err_msg=field)
    assert received.notes[-1:] == expected.notes[-1:]


@pytest.mark.parametrize("normalizer", [Softmax(), Sparsemax()], ids=lambda one: one.name)
@pytest.mark.parametrize("sizes", [TileSizes(4, 6), TileSizes(21, 5, 2), TileSizes(5, 26, 4)], ids=str)
@pytest.mark.parametrize("name", NAMED)
def test_a_formula_equals_the_mask_it_spells_out_in_tiles(name, sizes, normalizer):
    include = ("output", "logsumexp") if normalizer.name == "softmax" else ("output",)
    expected, received = (
        tiled(
            resolve(AttentionCall(QUERY, KEY, VALUE, **options(mask, normalizer=normalizer, include=include))), sizes
        )[0]
        for mask in NAMED[name]
    )
    # Sums of whole rows begin at the first tile that is not empty, which a formula may not know to be so.
    rounding = 0 if normalizer.name == "softmax" else 1e-13
    for field in include:
        np.testing.assert_allclose(received[field], expected[field], rounding, rounding, err_msg=field)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_gradients_under_a_formula_equal_those_under_the_mask(name, kernel):
    upstream = RNG.normal(size=(2, 4, QUERIES, 8))
    with using_kernel(kernel):
        expected, received = (
            differentiate(QUERY, KEY, VALUE, upstream, mask=mask, offset=OFFSETS) for mask in NAMED[name]
        )
    for field in ("output", "query", "key", "value"):
        np.testing.assert_array_equal(getattr(received, field), getattr(expected, field), err_msg=field)


SCANNED = {
    **{name: (formula,) for name, (_, formula) in NAMED.items() if isinstance(formula, FormulaMask)},
    "dilated": (FormulaMask("(p - j) % 3 == 0 and j <= p"),),
    "window and first keys": (FormulaMask("j <= p and (p - j < 4 or j < 2)"),),
    "by head": (FormulaMask("j <= p + 3 * h or b == 1"),),
}


@pytest.mark.parametrize("side", [4, 256])
@pytest.mark.parametrize("knows_ranges", [True, False])
@pytest.mark.parametrize("name", SCANNED)
def test_a_kernel_reads_what_the_formula_says(name, knows_ranges, side, monkeypatch):
    """Whether a range is found in the formula, or in the tiles."""
    if not knows_ranges:
        monkeypatch.setattr(FormulaMask, "find_key_range", lambda self, tile: None)
    monkeypatch.setattr(scanned_masks, "MAX_LEAF_SIDE", side)
    monkeypatch.setattr(scanned_masks, "MIN_LEAF_SIDE", 2)
    (mask,) = SCANNED[name]
    call = resolve(AttentionCall(QUERY, KEY, VALUE, mask=mask, offset=OFFSETS))
    whole = Tile(slice(0, QUERIES), slice(0, KEYS), call.offset)
    expected = np.broadcast_to(call.mask.visible(whole), call.score_shape)
    seen = visibility(call)
    received = np.ones(call.score_shape, bool)
    if seen.ranges is not None:
        first, end = (np.broadcast_to(bound, call.score_shape[:-1])[..., None] for bound in seen.ranges)
        received &= (first <= np.arange(KEYS)) & (np.arange(KEYS) < end)
    if seen.allowed is not None:
        received &= seen.allowed
    np.testing.assert_array_equal(received, expected)
    is_range = all("10" not in row.strip("0") and "01" not in row.strip("0") for row in _rows(expected))
    assert (seen.allowed is None) == is_range


def _rows(flags):
    return ["".join("01"[int(flag)] for flag in row) for row in flags.reshape(-1, flags.shape[-1])]


def test_a_formula_that_would_take_long_to_scan_is_left_to_numpy(monkeypatch):
    call = resolve(AttentionCall(QUERY, KEY, VALUE, mask=FormulaMask("(p - j) % 3 == 0")))
    assert visibility(call) is not None
    monkeypatch.setattr(scanned_masks, "MAX_SCAN_OPERATIONS", 1000)
    assert visibility(call) is None
    received, expected = (
        attend(QUERY, KEY, VALUE, mask=mask)
        for mask in (call.mask, Allowed(np.subtract.outer(np.arange(QUERIES), np.arange(KEYS)) % 3 == 0))
    )
    np.testing.assert_allclose(received.output, expected.output, rtol=1e-12, atol=1e-13)


def test_empty_tiles_are_not_evaluated(monkeypatch):
    evaluated = []
    visible = FormulaMask.visible

    def watched(self, tile):
        evaluated.append(tile)
        return visible(self, tile)

    monkeypatch.setattr(FormulaMask, "visible", watched)
    vectors = RNG.normal(size=(64, 4))
    call = resolve(
        AttentionCall(vectors, vectors, vectors, mask=FormulaMask("j <= p and p - j < 8"), include=("output",))
    )
    found, _ = tiled(call, TileSizes(8, 8))
    assert len(evaluated) == 8 + 7
    assert all(call.mask.coverage(tile) is Coverage.PARTIAL for tile in evaluated)
    expected = attend(vectors, vectors, vectors, mask=Causal() & Window(7, None)).output
    np.testing.assert_allclose(found["output"], expected, rtol=1e-12)


def test_a_bias_of_minus_infinity_and_a_formula_hide_alike():
    bias = np.where(np.arange(KEYS) % 2, 0.0, -np.inf)
    expected = attend(QUERY, KEY, VALUE, bias=bias, mask=Causal()).output
    received = attend(QUERY, KEY, VALUE, mask=FormulaMask("j % 2 == 1 and j <= p")).output
    np.testing.assert_allclose(received, expected, rtol=1e-12, atol=1e-15)


def test_nan_in_hidden_keys_and_values_has_no_influence():
    key, value = KEY.copy(), VALUE.copy()
    key[:, :, 20:], value[:, :, 20:] = np.nan, np.inf
    mask = FormulaMask("j < 20")
    received, expected = attend(QUERY, key, value, mask=mask), attend(QUERY, KEY, VALUE, mask=mask)
    np.testing.assert_array_equal(received.output, expected.output)


def test_explain_names_the_formula_among_what_hides_a_key():
    mask = Causal() & FormulaMask("p - j < 3")
    call = resolve(AttentionCall(QUERY[0, 0], KEY[0, 0], mask=mask))
    assert explain(call, (), 5, 1).masked_by == ("formula",)
    assert explain(call, (), 5, 8).masked_by == ("causal",)
    assert explain(call, (), 5, 4).masked_by == ()


@pytest.mark.parametrize(
    ("mask", "error", "path"),
    [
        (FormulaMask("j <="), InvalidValue, ("mask", "formula")),
        (FormulaMask("p - j"), InvalidValue, ("mask", "formula")),
        (FormulaMask("kv_idx <= p"), UnknownName, ("mask", "formula")),
        (FormulaMask("score > 0"), InvalidValue, ("mask", "formula")),
        (FormulaMask("j < n"), UnknownName, ("mask", "formula")),
        (FormulaMask("j < p", {"n": 2}), InvalidValue, ("mask", "parameters", "n")),
        (FormulaMask("doc[i] == 1", {"doc": np.ones(QUERIES - 1)}), InvalidValue, ("mask", "formula")),
    ],
)
def test_a_wrong_formula_is_an_error_with_the_path(mask, error, path):
    with pytest.raises(error) as raised:
        attend(QUERY, KEY, VALUE, mask=mask)
    assert raised.value.path == path
    if path[-1] == "formula":
        assert "column" in raised.value.detail


@pytest.mark.parametrize("modifier", [None, ScoreModifier("score - slope * (p - j)", {"slope": 0.01})])
@pytest.mark.parametrize("kernel", ["numpy", *KERNELS[:1]])
def test_a_long_call_makes_no_matrix_of_pairs(kernel, modifier):
    length = 8192
    vectors = RNG.standard_normal((length, 4), dtype=np.float32)
    mask = FormulaMask("j <= p and (p - j < 64 or j < 4)")
    call = resolve(AttentionCall(vectors, vectors, vectors, mask=mask, include=("output",), score_modifier=modifier))
    with using_kernel(kernel):
        tracemalloc.start()
        try:
            evaluate(call)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    limit = predict(call).bytes
    # A byte for each pair would be 64 MiB, which is what a kernel may read.
    assert peak <= limit
    if kernel == "numpy" or modifier is not None:
        assert peak < length * length / 4
