"""Drawn formulas against plain Python on single pairs."""

import math
import random
from itertools import product

import numpy as np
import pytest

from attention_core.formulas import TilePositions
from attention_core.score_tile import Coverage, Tile
from tests.attention_core.formulas.binding import bind, given, score, whole_tile
from tests.attention_core.formulas.drawing import HEADS, SHAPES, D, Drawer, names_in, write
from tests.attention_core.formulas.reference import Evaluator
from tests.sampling import draws

NOISE = 1e-13
SHAPE = (2, HEADS, 5, 6)
OFFSET = 2


def quarters(rng, *shape):
    """Numbers that float64 adds and multiplies exactly, with ties and zeros."""
    return np.array([rng.randint(-8, 8) / 4 for _ in range(math.prod(shape))]).reshape(shape)


def says_nothing(expected, disturbed):
    """Whether a rounding error changes a value."""
    if isinstance(expected, bool):
        return expected != disturbed
    if expected != expected or math.isinf(expected):
        return not (expected == disturbed or (expected != expected and disturbed != disturbed))
    return not abs(expected - disturbed) <= 1e-8 * max(1.0, abs(expected))


def compare(tree, names_of, found):
    """How many of every third pair agree, and how many these are; fail for one that does not.

    Pairs of which a rounding error decides do not agree.
    """
    agreed, indices = 0, list(np.ndindex(found.shape))[::-3]
    for index in indices:
        names = names_of(index)
        expected = Evaluator(names).value(tree)
        if any(says_nothing(expected, Evaluator(names, NOISE, seed).value(tree)) for seed in range(5)):
            continue
        received = found[index]
        if isinstance(expected, bool):
            assert received == expected, (write(tree), index)
        else:
            same = received == expected or (received != received and expected != expected)
            assert same or abs(received - expected) <= 1e-6 * max(1, abs(expected)), (write(tree), index, expected)
        agreed += 1
    return np.array([agreed, len(indices)])


def test_score_models_are_what_plain_python_says_of_each_pair():
    rng, agreed = random.Random(0), np.zeros(2)
    for _ in range(draws(1200)):
        drawer = Drawer(rng, "score_model")
        tree, (parameters, by_head) = drawer.number(rng.randint(1, 4)), drawer.parameters()
        used = {name: value for name, value in parameters.items() if name in names_in(tree)}
        queries, keys = quarters(rng, 2, HEADS, 3, D), quarters(rng, 2, HEADS, 4, D)
        found = score(bind(write(tree), "score_model", given(used, by_head), heads=HEADS), queries, keys)
        assert found.shape == (2, HEADS, 3, 4)
        agreed += compare(tree, score_model_names(used, by_head, queries, keys), found)
    assert agreed[0] > 0.9 * agreed[1]


def score_model_names(parameters, by_head, queries, keys):
    def names_of(index):
        batch, head, row, column = index
        return {
            "q": queries[batch, head, row].tolist(),
            "k": keys[batch, head, column].tolist(),
            "D": float(D),
            **{name: value[head] if name in by_head else value for name, value in parameters.items()},
        }

    return names_of


def position_names(parameters, by_head, tile, scores=None):
    def names_of(index):
        batch, head, row, column = index
        i, j = row + tile.rows.start, column + tile.columns.start
        return {
            "i": float(i),
            "j": float(j),
            "p": float(i + OFFSET),
            "b": float(batch),
            "h": float(head),
            "Lq": float(SHAPE[-2]),
            "Lk": float(SHAPE[-1]),
            "score": None if scores is None else float(scores[index]),
            **{name: value[head] if name in by_head else value for name, value in parameters.items()},
        }

    return names_of


def test_score_modifiers_are_what_plain_python_says_of_each_pair():
    rng, agreed = random.Random(1), np.zeros(2)
    for _ in range(draws(800)):
        drawer = Drawer(rng, "score_modifier", SHAPE[-2:])
        tree, (parameters, by_head) = drawer.number(rng.randint(1, 4)), drawer.parameters()
        used = {name: value for name, value in parameters.items() if name in names_in(tree)}
        tile = Tile(slice(1, 4), slice(2, 6), np.asarray(OFFSET))
        scores = quarters(rng, *SHAPE[:2], 3, 4)
        bound = bind(write(tree), "score_modifier", given(used, by_head), heads=HEADS, shape=SHAPE)
        found = bound.modify(scores, TilePositions.of(tile))
        assert found.shape == scores.shape
        agreed += compare(tree, position_names(used, by_head, tile, scores), found)
    assert agreed[0] > 0.9 * agreed[1]


def draw_mask(rng):
    drawer = Drawer(rng, "mask", SHAPE[-2:])
    tree, (parameters, by_head) = drawer.truth(rng.randint(1, 4)), drawer.parameters()
    used = {name: value for name, value in parameters.items() if name in names_in(tree)}
    return tree, used, by_head, bind(write(tree), "mask", given(used, by_head), heads=HEADS, shape=SHAPE)


def test_masks_are_what_plain_python_says_of_each_pair():
    rng, agreed = random.Random(2), np.zeros(2)
    for _ in range(draws(800)):
        tree, used, by_head, bound = draw_mask(rng)
        tile = Tile(slice(1, 4), slice(2, 6), np.asarray(OFFSET))
        found = np.broadcast_to(bound.holds(TilePositions.of(tile)), (*SHAPE[:2], 3, 4))
        agreed += compare(tree, position_names(used, by_head, tile), found)
    assert agreed[0] > 0.9 * agreed[1]


def test_coverage_is_never_wrong_and_ranges_of_keys_are_those_that_hold():
    rng, decided, ranges = random.Random(3), 0, 0
    for _ in range(draws(2400)):
        tree, _, _, bound = draw_mask(rng)
        whole = TilePositions.of(whole_tile(SHAPE, OFFSET))
        holds = np.broadcast_to(bound.holds(whole), SHAPE)
        for _ in range(4):
            row, column = rng.randrange(SHAPE[-2]), rng.randrange(SHAPE[-1])
            rows, columns = (
                slice(row, rng.randint(row + 1, SHAPE[-2])),
                slice(column, rng.randint(column + 1, SHAPE[-1])),
            )
            coverage, part = bound.coverage(Tile(rows, columns, np.asarray(OFFSET))), holds[..., rows, columns]
            if coverage is not Coverage.PARTIAL:
                decided += 1
                assert part.all() if coverage is Coverage.FULL else not part.any(), (write(tree), rows, columns)
        seen = bound.key_range(whole)
        if seen is not None:
            ranges += 1
            keys = np.arange(SHAPE[-1])
            assert np.array_equal(np.broadcast_to((keys >= seen[0]) & (keys < seen[1]), SHAPE), holds), write(tree)
    assert decided > draws(1200)
    assert ranges > draws(300)


def test_tiles_and_heads_alone_are_parts_of_the_whole():
    rng = random.Random(4)
    for _ in range(draws(200)):
        tree, _, _, bound = draw_mask(rng)
        whole = np.broadcast_to(bound.holds(TilePositions.of(whole_tile(SHAPE, OFFSET))), SHAPE)
        leading = (slice(1, 2), slice(1, 2))
        tile = Tile(slice(2, 5), slice(1, 3), np.asarray(OFFSET))
        part = bound.slice_leading(leading)
        expected = whole[(*leading, tile.rows, tile.columns)]
        assert np.array_equal(np.broadcast_to(part.holds(TilePositions.of(tile)), expected.shape), expected), write(
            tree
        )


@pytest.mark.parametrize("kind", ["score_model", "score_modifier"])
def test_gradients_are_central_differences(kind):
    rng, generator, agreed, tried = random.Random(5), np.random.default_rng(5), 0, 0
    for _ in range(draws(600)):
        drawer = Drawer(rng, kind, SHAPE[-2:])
        tree, (parameters, by_head) = drawer.number(rng.randint(1, 3)), drawer.parameters()
        if any(stepped in write(tree) for stepped in ("//", "floor", "%")):
            # Steps that are narrower than the difference look like a slope.
            continue
        point = {
            name: np.asarray(value) + 0.1 * generator.standard_normal(np.shape(value))
            for name, value in parameters.items()
            if name in names_in(tree)
        }
        evaluate, gradients = gradient_problem(kind, write(tree), by_head, point, generator)
        for name, gradient in gradients().items():
            assert gradient.shape == np.shape(point[name]), (write(tree), name)
            direction = generator.standard_normal(gradient.shape)
            slopes = [central_difference(evaluate, point, name, direction, step) for step in (1e-5, 2.5e-6)]
            tried += 1
            # At a kink, a pole or beside an overflow differences say nothing.
            if not abs(slopes[0] - slopes[1]) <= 1e-5 * max(1, abs(slopes[1])):
                continue
            promised = float(np.sum(gradient * direction))
            assert abs(promised - slopes[1]) <= 1e-4 * max(1, abs(slopes[1])), (write(tree), name, promised, slopes)
            agreed += 1
    assert agreed > 0.6 * tried


def central_difference(evaluate, point, name, direction, step):
    ahead, behind = (evaluate(point | {name: point[name] + way * step * direction}) for way in (1, -1))
    return (ahead - behind) / (2 * step)


def gradient_problem(kind, text, by_head, point, generator):
    """A loss as a function of all inputs by name, and a function that returns its gradients; inputs join the point."""
    if kind == "score_model":
        point["q"], point["k"] = (generator.standard_normal((2, HEADS, length, D)) for length in (3, 4))
        upstream = generator.standard_normal((2, HEADS, 3, 4))
    else:
        point["score"] = generator.standard_normal(SHAPE)
        upstream = generator.standard_normal(SHAPE)
    positions = TilePositions.of(whole_tile(SHAPE, OFFSET))

    def bound_at(inputs):
        parameters = {name: value for name, value in inputs.items() if name not in ("q", "k", "score")}
        return bind(text, kind, given(parameters, by_head), heads=HEADS, shape=None if kind == "score_model" else SHAPE)

    def evaluate(inputs):
        bound = bound_at(inputs)
        with np.errstate(all="ignore"):
            if kind == "score_model":
                return float(np.sum(score(bound, inputs["q"], inputs["k"]) * upstream))
            return float(np.sum(bound.modify(inputs["score"], positions) * upstream))

    def gradients():
        bound = bound_at(point)
        if kind == "score_model":
            found = bound.backward_pairs(point["q"], point["k"], upstream)
            return {"q": found.queries, "k": found.keys, **found.parameters}
        found = bound.backward_modify(point["score"], positions, upstream)
        return {"score": found.score, **found.parameters}

    return evaluate, gradients


def test_blocks_of_pairs_give_what_one_block_gives(monkeypatch):
    rng = random.Random(6)
    for _ in range(draws(200)):
        drawer = Drawer(rng, "score_model")
        tree, (parameters, by_head) = drawer.number(rng.randint(2, 4)), drawer.parameters()
        used = given({name: value for name, value in parameters.items() if name in names_in(tree)}, by_head)
        queries, keys = quarters(rng, 2, HEADS, 7, D), quarters(rng, 2, HEADS, 5, D)
        upstream = quarters(rng, 2, HEADS, 7, 5)
        bound = bind(write(tree), "score_model", used, heads=HEADS)
        results = []
        for numbers in (1 << 18, 40):
            monkeypatch.setattr("attention_core.formulas.evaluation.PAIR_BLOCK_NUMBERS", numbers)
            gradient = bound.backward_pairs(queries, keys, upstream)
            results.append(
                [score(bound, queries, keys), gradient.queries, gradient.keys, *gradient.parameters.values()]
            )
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=write(tree))


def test_float32_scores_stay_in_float32_and_near_those_of_float64():
    rng = random.Random(7)
    for text in ("-sum(abs(q - k)) / c", "v @ tanh(W @ q + W @ k)", "cosine(q, k) * c", "where(sum(q * k) > 0, 1, 2)"):
        parameters = {name: value for name, value in Drawer(rng, "score_model").parameters()[0].items() if name in text}
        parameters = {name: np.ones(SHAPES[name]) for name in parameters if f"{name} " in f"{text} "}
        queries, keys = quarters(rng, 4, D), quarters(rng, 5, D)
        wide = score(bind(text, "score_model", parameters), queries, keys)
        narrow = bind(text, "score_model", parameters, dtype=np.float32)
        found = score(narrow, queries.astype(np.float32), keys.astype(np.float32))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wide, rtol=1e-5, atol=1e-6)
        gradient = narrow.backward_pairs(queries.astype(np.float32), keys.astype(np.float32), found)
        assert {gradient.queries.dtype, gradient.keys.dtype} == {np.dtype(np.float32)}


def test_every_kind_of_tree_is_drawn():
    rng, seen = random.Random(8), set()

    def note(tree):
        seen.add(tree[0])
        for one in tree[2] if tree[0] == "index" else () if tree[0] in ("name", "number") else tree[1]:
            note(one)

    for _, kind in product(range(400), ("score_model", "score_modifier", "mask")):
        note(Drawer(rng, kind).formula(4))
    assert {"index", "concat", "cosine", "clip", "where", "//", "**", "@", "max", "and", "not"} <= seen
