"""Formulas of the built-in score models, masks and positions, and what a compiled kernel takes them for."""

import math
import random
import tracemalloc

import numpy as np
import pytest

from attention_core import Alibi, Causal, KeyLengths, Segments, Window
from attention_core.formulas import PerHead, TilePositions
from attention_core.interfaces import FeatureSizes
from attention_core.score_tile import Coverage, Tile
from attention_core.scores import (
    Additive,
    Bilinear,
    Cosine,
    DotProduct,
    Gaussian,
    Laplacian,
    ScaledDotProduct,
    Trilinear,
)
from tests.attention_core.formulas.binding import bind, given, score, whole_tile
from tests.attention_core.formulas.drawing import HEADS, D, Drawer, names_in, write
from tests.sampling import draws

GENERATOR = np.random.default_rng(11)
WEIGHTS = {name: GENERATOR.standard_normal(shape) for name, shape in {"W": (5, 4), "V": (5, 4), "M": (4, 4)}.items()}
VECTORS = {name: GENERATOR.standard_normal(size) for name, size in {"v": 5, "c": 5, "w": 12}.items()}
SCALES = np.array([0.5, 1.5, 2.5])

MODELS = [
    ("dot_product", "dot(q, k)", {}, DotProduct(), "dot"),
    ("dot_product", "q @ k", {}, DotProduct(), "dot"),
    ("scaled_dot_product", "sum(q * k) / sqrt(D)", {}, ScaledDotProduct(), "dot"),
    ("scaled_dot_product", "s * sum(q * k)", {"s": PerHead(SCALES)}, ScaledDotProduct(SCALES), "dot"),
    ("scaled_dot_product", "mean(k * q) * 2", {}, ScaledDotProduct(0.5), "dot"),
    (
        "additive",
        "v @ tanh(W @ q + V @ k + c)",
        WEIGHTS | VECTORS,
        Additive(WEIGHTS["W"], WEIGHTS["V"], VECTORS["v"], VECTORS["c"]),
        "additive",
    ),
    (
        "additive",
        "sum(v * tanh(A @ concat(q, k)))",
        {"v": VECTORS["v"], "A": np.concatenate([WEIGHTS["W"], WEIGHTS["V"]], axis=1)},
        Additive(WEIGHTS["W"], WEIGHTS["V"], VECTORS["v"]),
        "additive",
    ),
    ("bilinear", "q @ M @ k", WEIGHTS, Bilinear(WEIGHTS["M"]), "dot"),
    ("bilinear", "dot(q, M @ k)", WEIGHTS, Bilinear(WEIGHTS["M"]), "dot"),
    ("cosine", "s * cosine(q, k)", {"s": 3.0}, Cosine(3.0), "dot"),
    ("cosine", "s * dot(q, k) / (norm(q) * norm(k))", {"s": 3.0}, Cosine(3.0), "dot"),
    ("cosine", "-(q @ k) / norm(q) / -norm(k) / s", {"s": PerHead(SCALES)}, Cosine(1 / SCALES), "dot"),
    ("cosine", "1 / norm(k) * (s / norm(q)) * sum(k * q)", {"s": 3.0}, Cosine(3.0), "dot"),
    ("cosine", "4 * mean(q * k) / sqrt(sum(q ** 2) * (k @ k))", {}, Cosine(), "dot"),
    ("cosine", "dot(q / norm(q), s * k / norm(k))", {"s": 3.0}, Cosine(3.0), "dot"),
    ("cosine", "(q / norm(q)) @ k / norm(k)", {}, Cosine(), "dot"),
    ("gaussian", "-sum((q - k) ** 2) / (2 * s ** 2)", {"s": 1.5}, Gaussian(1.5), "squared_distance"),
    ("gaussian", "-norm(k - q) ** 2 / 2 / s / s", {"s": PerHead(SCALES)}, Gaussian(SCALES), "squared_distance"),
    ("gaussian", "-sum(square((q - k) / s)) / 2", {"s": 1.5}, Gaussian(1.5), "squared_distance"),
    ("laplacian", "-sum(abs(q - k)) / s", {"s": PerHead(SCALES)}, Laplacian(SCALES), "absolute_distance"),
    ("laplacian", "-norm1(q - k)", {}, Laplacian(), "absolute_distance"),
    ("trilinear", "w @ concat(q, k, q * k)", VECTORS, Trilinear(VECTORS["w"]), "dot"),
]
IDS = [f"{name}: {text}" for name, text, *_ in MODELS]


def used_in(text, parameters):
    words = set("".join(letter if letter.isalnum() else " " for letter in text).split())
    return {name: value for name, value in parameters.items() if name in words}


def inputs(dtype):
    return (GENERATOR.standard_normal((2, 3, length, 4)).astype(dtype) for length in (6, 7))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "text", "parameters", "model", "kind"), MODELS, ids=IDS)
def test_a_built_in_score_model_is_its_formula(name, text, parameters, model, kind, dtype):
    queries, keys = inputs(dtype)
    bound = bind(text, "score_model", used_in(text, parameters), dtype=dtype, heads=3, features=(4, 4))
    named = model.bind(FeatureSizes(4, 4, 3), np.dtype(dtype))
    assert named.name == name
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        score(bound, queries, keys), named.compute_scores(queries, keys), rtol=tolerance, atol=10 * tolerance
    )
    upstream = GENERATOR.standard_normal((2, 3, 6, 7)).astype(dtype)
    found, expected = bound.backward_pairs(queries, keys, upstream), named.backward(queries, keys, upstream)
    for one, other in ((found.queries, expected.queries), (found.keys, expected.keys)):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=100 * tolerance, atol=100 * tolerance)


@pytest.mark.parametrize(("name", "text", "parameters", "model", "kind"), MODELS, ids=IDS)
def test_a_formula_of_a_built_in_is_what_a_kernel_has(name, text, parameters, model, kind):
    queries, keys = inputs(float)
    bound = bind(text, "score_model", used_in(text, parameters), heads=3, features=(4, 4))
    pair = bound.pair_function(queries, keys, project)
    assert pair is not None
    assert pair.kind == kind
    np.testing.assert_allclose(evaluate(pair), score(bound, queries, keys), rtol=1e-12, atol=1e-12)


def project(rows, weight):
    assert rows.flags.c_contiguous
    assert weight.flags.c_contiguous
    return rows @ weight.swapaxes(-1, -2)


def evaluate(pair):
    """The pair function, as its description says."""
    queries, keys = pair.queries[..., :, None, :], pair.keys[..., None, :, :]
    vector = 1.0
    if pair.score_vector is not None:
        vector = pair.score_vector if pair.score_vector.ndim == 1 else pair.score_vector[:, None, None, :]
    summands = {
        "dot": lambda: queries * keys,
        "squared_distance": lambda: np.square(queries - keys),
        "absolute_distance": lambda: np.abs(queries - keys),
        "additive": lambda: vector * np.tanh(queries + keys),
    }[pair.kind]()
    scale = np.asarray(pair.scale)
    scores = summands.sum(axis=-1) * (scale[:, None, None] if scale.ndim else scale)
    if pair.query_terms is None:
        return scores
    return scores + pair.query_terms[..., :, None] + pair.key_terms[..., None, :]


def test_whatever_a_kernel_takes_is_the_formula():
    rng, recognised = random.Random(0), 0
    for _ in range(draws(2000)):
        drawer = Drawer(rng, "score_model")
        tree, (parameters, by_head) = drawer.number(rng.randint(1, 3)), drawer.parameters()
        used = given({name: value for name, value in parameters.items() if name in names_in(tree)}, by_head)
        queries, keys = (GENERATOR.standard_normal((2, HEADS, length, D)) for length in (3, 4))
        bound = bind(write(tree), "score_model", used, heads=HEADS)
        pair = bound.pair_function(queries, keys, project)
        if pair is None:
            continue
        recognised += 1
        expected = score(bound, queries, keys)
        with np.errstate(all="ignore"):
            received = evaluate(pair)
        finite = np.isfinite(expected)
        np.testing.assert_allclose(received[finite], expected[finite], rtol=1e-8, atol=1e-8, err_msg=write(tree))
    assert recognised > draws(60)


def test_a_key_that_differs_by_head_is_no_pair_function_where_heads_share_keys():
    queries, keys = GENERATOR.standard_normal((2, 4, 3, 4)), GENERATOR.standard_normal((2, 2, 5, 4))
    by_key, by_query = ("sum(q * tanh(k * w))", "sum(abs(q - k)) / w")
    assert bind(by_query, "score_model", {"w": PerHead(np.ones(4))}, heads=4, features=(4, 4)).pair_function(
        queries, keys, project
    )
    bound = bind(by_key, "score_model", {"w": PerHead(np.ones((4, 4)))}, heads=4, features=(4, 4))
    assert bound.pair_function(queries, keys, project) is None
    assert bound.pair_function(queries, queries, project) is not None


def test_a_factor_beyond_the_numbers_is_left_to_numpy():
    queries, keys = inputs(float)
    for divisor in (0.0, 1e-320):
        bound = bind("-sum(abs(q - k)) / s", "score_model", {"s": divisor}, features=(4, 4))
        assert bound.pair_function(queries, keys, project) is None


LENGTHS_OF_BOTH = (
    "dot(q, k) / (norm(q) * norm(k))",
    "sum(q * k) / sqrt(dot(q, q)) / norm(k)",
    "q @ k / norm(k) / norm(q)",
)


@pytest.mark.parametrize("text", LENGTHS_OF_BOTH)
def test_a_product_over_lengths_is_nan_beside_a_zero_vector_alone(text):
    queries, keys = GENERATOR.standard_normal((5, 4)), GENERATOR.standard_normal((6, 4))
    queries[1], keys[2], keys[4, 1] = 0, 0, np.inf
    bound = bind(text, "score_model", features=(4, 4))
    with np.errstate(all="ignore"):
        expected = queries @ keys.T / (np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(keys, axis=1))
        expected[:, 4] = np.nan
        pair = evaluate(bound.pair_function(queries, keys, project))
    assert np.isnan(expected[1]).all()
    np.testing.assert_allclose(score(bound, queries, keys), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pair, expected, rtol=1e-12, atol=1e-12)
    assert np.isfinite(score(bind("cosine(q, k)", "score_model", features=(4, 4)), queries, keys[:3])).all()


@pytest.mark.parametrize("text", LENGTHS_OF_BOTH)
def test_lengths_beyond_the_numbers_leave_a_product_what_it_is(text):
    queries, keys = (GENERATOR.standard_normal((length, 4)).astype(np.float32) for length in (5, 6))
    bound = bind(text, "score_model", dtype=np.float32, features=(4, 4))
    expected = score(bound, queries, keys)
    for by_query, by_key in ((1e30, 1e30), (1e-30, 1e-25), (3e37, 1e-3)):
        scaled = score(bound, queries * np.float32(by_query), keys * np.float32(by_key))
        np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["q @ k / sum(q)", "q @ k / norm(q + 1)", "q @ k / (norm(q) * norm(k) + 1)", "q @ k * norm(k)", "q @ k / norm1(k)"],
)
def test_other_divisors_stay_with_the_whole(text):
    """Of a vector over 0 one element may be 0/0, where the whole is infinite."""
    bound = bind(text, "score_model", features=(2, 2))
    assert not any(step.operation == "direction" for step in bound.graph.steps)
    assert bound.plan.kernel_form is None


def test_a_part_of_a_vector_of_pairs_is_not_overwritten_while_the_whole_is_needed():
    text = "sum(concat(q, k) * tanh(concat(k, q))) + max(tanh(concat(k, q)))"
    queries, keys = GENERATOR.standard_normal((3, 3)), GENERATOR.standard_normal((4, 3))
    left = np.concatenate(np.broadcast_arrays(queries[:, None], keys[None]), axis=-1)
    right = np.tanh(np.concatenate(np.broadcast_arrays(keys[None], queries[:, None]), axis=-1))
    expected = (left * right).sum(axis=-1) + right.max(axis=-1)
    np.testing.assert_allclose(score(bind(text, "score_model"), queries, keys), expected)


SHAPE = (2, 3, 70, 90)
SEGMENTS = np.sort(GENERATOR.integers(0, 4, 90))
LENGTHS = np.array([50, 77])

MASKS = [
    ("j <= p", {}, Causal()),
    ("j <= p and p - j <= 20", {}, Window(20, 0)),
    ("abs(p - j) < 8", {}, Window(7, 7)),
    ("not (j > p + 5 or j < p - 3)", {}, Window(3, 5)),
    ("j < lengths[b]", {"lengths": LENGTHS}, KeyLengths(LENGTHS)),
    ("doc[i] == doc[j]", {"doc": SEGMENTS}, Segments(SEGMENTS[:70], SEGMENTS)),
    ("doc[j] == doc[i] and j <= p", {"doc": SEGMENTS}, Segments(SEGMENTS[:70], SEGMENTS) & Causal()),
]


@pytest.mark.parametrize(("text", "parameters", "mask"), MASKS, ids=[text for text, *_ in MASKS])
@pytest.mark.parametrize("offset", [0, 20, -9])
def test_a_named_mask_is_its_formula(text, parameters, mask, offset):
    bound, named = bind(text, "mask", parameters, heads=3, shape=SHAPE), mask.bind(SHAPE)
    whole = whole_tile(SHAPE, offset)
    expected = np.broadcast_to(named.visible(whole), SHAPE)
    assert np.array_equal(np.broadcast_to(bound.holds(TilePositions.of(whole)), SHAPE), expected)
    first, end = bound.key_range(TilePositions.of(whole)) or (None, None)
    if "abs" not in text:
        keys = np.arange(SHAPE[-1])
        assert np.array_equal(np.broadcast_to((keys >= first) & (keys < end), SHAPE), expected)
    decided = 0
    for row, column in np.ndindex(7, 9):
        tile = Tile(slice(10 * row, 10 * row + 10), slice(10 * column, 10 * column + 10), np.asarray(offset))
        coverage = bound.coverage(tile)
        decided += coverage is not Coverage.PARTIAL
        assert coverage in (named.coverage(tile), Coverage.PARTIAL)
    assert decided > 25


def test_coverage_decides_blocks_as_flex_attention_does():
    bound = bind("i // 64 == j // 64", "mask", shape=(512, 512))
    blocks = [
        [bound.coverage(Tile(slice(i, i + 64), slice(j, j + 64), np.asarray(0))) for j in range(0, 512, 64)]
        for i in range(0, 512, 64)
    ]
    expected = [[Coverage.FULL if i == j else Coverage.EMPTY for j in range(8)] for i in range(8)]
    assert blocks == expected


def test_remainders_of_fractions_come_near_the_divisor():
    bound = bind("p / 2 % 1 < 0.25", "mask", shape=(8, 8))
    assert bound.coverage(whole_tile((8, 8))) is Coverage.PARTIAL
    assert bound.coverage(Tile(slice(2, 3), slice(0, 8), np.asarray(0))) is Coverage.FULL
    assert bound.coverage(Tile(slice(3, 4), slice(0, 8), np.asarray(0))) is Coverage.EMPTY


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("sum(-q * k)", "-dot(q, k)"),
        ("sum(-(q * -k) / 4)", "dot(q, k) / 4"),
        ("dot(-abs(q - k), w)", "-sum(w * abs(k - q))"),
        ("sum(2 * q * w / s * k)", "dot(w * q, k) * 2 / s"),
        ("sum(q * q * k)", "dot(square(q), k)"),
        ("dot(q - k, q - k)", "norm(q - k) ** 2"),
        ("mean(-concat(q, k))", "-(sum(q) + sum(k)) / 6"),
        ("sum(concat(w, w) * concat(q, k) * -2)", "-2 * (dot(w, q) + dot(w, k))"),
        ("sum(B @ concat(q, k))", "sum(B @ concat(q, k * 1))"),
        ("cosine(-q, k)", "-dot(q / norm(q), k / norm(k))"),
        ("sum(sum(q * k) * w)", "sum(w) * dot(q, k)"),
    ],
)
def test_rewritten_reductions_keep_their_value(text, same):
    parameters = {"w": [0.5, -1.0, 2.0], "s": 3.0, "B": GENERATOR.standard_normal((4, 6))}
    queries, keys = GENERATOR.standard_normal((5, 3)), GENERATOR.standard_normal((6, 3))
    one, other = (bind(each, "score_model", used_in(each, parameters)) for each in (text, same))
    expected = [explained(one, query, key) for query in queries for key in keys]
    np.testing.assert_allclose(score(one, queries, keys).ravel(), expected, rtol=1e-9)
    np.testing.assert_allclose(score(other, queries, keys).ravel(), expected, rtol=1e-9)


def explained(bound, query, key):
    """The score of one pair by the formula as it is written, which explanations compute."""
    return bound.explain_score(query, key, 0).score


def test_prefix_and_causal_are_one_range():
    bound = bind("j <= p or j < prefix[b]", "mask", {"prefix": [30, 2]}, heads=3, shape=SHAPE)
    seen = bound.key_range(TilePositions.of(whole_tile(SHAPE)))
    assert np.array_equal(np.broadcast_to(seen[1], (2, 1, 70, 1))[..., 0, 0], [[30], [2]])


def test_a_union_with_a_gap_is_no_range():
    bound = bind("j < 3 or j > p", "mask", shape=(8, 8))
    assert bound.key_range(TilePositions.of(whole_tile((8, 8)))) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_alibi_is_its_formula_to_the_last_bit(dtype):
    shape = (2, 8, 6, 7)
    alibi = Alibi().bind(FeatureSizes(4, 4, 8))
    scores, tile = GENERATOR.standard_normal(shape).astype(dtype), whole_tile(shape, 3)
    expected = scores + alibi.score_bias(tile).astype(dtype)
    for text, slopes in (
        ("score - slope[h] * abs(p - j)", alibi.slopes),
        ("score - slope * abs(p - j)", PerHead(alibi.slopes)),
    ):
        bound = bind(text, "score_modifier", {"slope": slopes}, dtype=dtype, heads=8, shape=shape)
        found = bound.modify(scores, TilePositions.of(tile))
        assert found.dtype == dtype
        assert np.array_equal(found, expected)


def test_positions_are_exact_where_offsets_may_be():
    shape, offset = (3, 4), 1 << 52
    bound = bind("p - j == offset", "mask", {"offset": float(offset)}, shape=shape)
    assert np.array_equal(bound.holds(TilePositions.of(whole_tile(shape, offset))), np.eye(3, 4, dtype=bool))


def test_scoring_holds_no_vector_for_each_pair_of_a_tile():
    queries, keys = GENERATOR.standard_normal((256, 64)), GENERATOR.standard_normal((1024, 64))
    bound = bind("-sum(abs(q - k) ** 1.5)", "score_model", features=(64, 64))
    upstream = np.ones((256, 1024))
    pairs = 256 * 1024 * 64 * 8
    for function in (lambda: score(bound, queries, keys), lambda: bound.backward_pairs(queries, keys, upstream)):
        tracemalloc.start()
        function()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < pairs / 8


def test_what_depends_on_one_side_alone_is_computed_once_for_all_pairs():
    bound = bind("exp(norm(q)) + tanh(M @ k) @ w + dot(q, k)", "score_model", {"M": np.eye(3), "w": [1.0, 2, 3]})
    queries, keys = GENERATOR.standard_normal((5, 3)), GENERATOR.standard_normal((6, 3))
    of_queries, of_keys = bound.project_queries(queries), bound.project_keys(keys)
    assert [array.shape for array in of_queries] == [(5, 3), (5, 3, 1), (5, 1)]
    assert [array.shape for array in of_keys] == [(6, 3), (1, 3, 6), (1, 6)]
    expected = np.exp(np.linalg.norm(queries, axis=1))[:, None] + np.tanh(keys) @ [1, 2, 3] + queries @ keys.T
    np.testing.assert_allclose(bound.score_pairs(of_queries, of_keys), expected)


def test_a_formula_of_one_side_or_of_none_scores_every_pair():
    queries, keys = np.ones((2, 5, 3)), np.ones((6, 3))
    for text, expected in (("sum(q)", 3.0), ("sum(k) - 1", 2.0), ("1 / 4", 0.25), ("s", 7.0)):
        bound = bind(text, "score_model", used_in(text, {"s": 7.0}))
        assert np.array_equal(score(bound, queries, keys), np.full((2, 5, 6), expected))
        gradient = bound.backward_pairs(queries, keys, np.ones((2, 5, 6)))
        assert gradient.queries.shape == (2, 5, 3)
        assert gradient.keys.shape == (2, 6, 3)


def test_empty_tiles_have_empty_scores_and_zero_gradients():
    bound = bind("-sum(abs(q - k)) / s", "score_model", {"s": 2.0})
    for lengths in ((0, 4), (4, 0)):
        queries, keys = (np.ones((2, length, 3)) for length in lengths)
        assert score(bound, queries, keys).shape == (2, *lengths)
        gradient = bound.backward_pairs(queries, keys, np.ones((2, *lengths)))
        assert gradient.parameters["s"] == 0
        assert not gradient.queries.any()
        assert not gradient.keys.any()


@pytest.mark.parametrize(
    ("text", "at", "slope"),
    [
        ("abs(sum(q))", 0.0, 0.0),
        ("relu(sum(q))", 0.0, 0.0),
        ("maximum(sum(q), 0)", 0.0, 0.0),
        ("norm(q)", 0.0, 0.0),
        ("sqrt(sum(q))", 0.0, 0.0),
        ("sum(q) ** 0.5", 0.0, 0.0),
        ("cosine(q, k)", 0.0, 0.0),
        ("where(sum(q) > 0, log(sum(q)), 5)", 0.0, 0.0),
        ("floor(sum(q))", 0.5, 0.0),
        ("sign(sum(q))", 0.5, 0.0),
        ("sum(q) % 2", 5.5, 1.0),
        ("max(q)", 2.0, 1 / 3),
        ("exp(sum(q)) * 0 + sum(q)", 1.0, 1.0),
    ],
)
def test_slopes_at_kinks_are_finite(text, at, slope):
    bound = bind(text, "score_model")
    queries = np.full((1, 3), at / (3 if "max(q)" not in text else 1))
    gradient = bound.backward_pairs(queries, np.ones((1, 3)), np.ones((1, 1)))
    np.testing.assert_allclose(gradient.queries, np.full((1, 3), slope))


@pytest.mark.parametrize("text", ["dot(1 / q, 1 / k)", "sum(1 / (q * k))", "exp(sum(1 / (k * k))) * sum(1 / q)"])
def test_pairs_without_gradient_pass_on_none_of_their_infinities(text):
    queries, keys = GENERATOR.standard_normal((4, 3)), GENERATOR.standard_normal((5, 3))
    bound, upstream = bind(text, "score_model"), np.ones((4, 5))
    upstream[2], upstream[:, 3] = 0, 0
    expected = bound.backward_pairs(queries, keys, upstream)
    queries[2, 1], keys[3, 0] = 0, 0
    found = bound.backward_pairs(queries, keys, upstream)
    others = [0, 1, 3]
    np.testing.assert_allclose(found.queries[others], expected.queries[others])
    np.testing.assert_allclose(found.keys[[*others[:2], 2, 4]], expected.keys[[*others[:2], 2, 4]])
    assert not found.queries[2].any()
    assert not found.keys[3].any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("0 / 0", math.nan),
        ("log(-1)", math.nan),
        ("log(0)", -math.inf),
        ("-7 // 2", -4.0),
        ("-7 % 3", 2.0),
        ("7 % -3", -2.0),
        ("0 ** 0", 1.0),
        ("2 ** 5000", math.inf),
        ("1e999", math.inf),
        ("9" * 400, math.inf),
        ("where(log(-1) == log(-1), 1, 2)", 2.0),
        ("where(log(-1) != 0, 1, 2)", 1.0),
        ("where(1 < 2 < 3, 1, 2)", 1.0),
        ("where(1 < 3 < 2, 1, 2)", 2.0),
        ("minimum(1, log(-1))", math.nan),
        ("clip(5, 0, 3)", 3.0),
        ("sign(-0.5)", -1.0),
        ("2 ** -1 ** 2", 0.5),
        ("-2 ** 2", -4.0),
        ("sigmoid(-800)", 0.0),
        ("softplus(800)", 800.0),
        ("where(not False and True, pi, e)", math.pi),
    ],
)
def test_constants_follow_ieee_754_and_python(text, expected):
    ones = np.ones((1, 3))
    found = score(bind(text, "score_model"), ones, ones).item()
    assert found == pytest.approx(expected, nan_ok=True)
