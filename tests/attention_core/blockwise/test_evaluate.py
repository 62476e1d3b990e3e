"""The tiled path: where it stops, which tiles it skips, and which arrays it never allocates."""

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    Allowed,
    AttentionCall,
    Causal,
    DotProduct,
    Heads,
    Identity,
    KeyLengths,
    Segments,
    Softmax,
    Sparsemax,
    Stopped,
    Window,
    Workers,
    attend,
    evaluate,
    predict,
    resolve,
)
from attention_core.masks import All
from attention_core.score_tile import Coverage
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import tiled

SIZES = TileSizes(2, 4)
LENGTH = 8


def call(normalizer=None, mask=None, shape=(2, LENGTH, 3), **options):
    query = np.random.default_rng(1).standard_normal(shape)
    return resolve(
        AttentionCall(
            query=query, key=query, value=query, normalizer=normalizer, mask=mask, include=("output",), **options
        )
    )


class CountingModel(DotProduct):
    """Counts the pairs that are scored."""

    scored = 0

    def score_pairs(self, queries, keys, out=None):
        type(self).scored += queries[0].shape[-2] * keys[0].shape[-1]
        return super().score_pairs(queries, keys, out)


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setattr(CountingModel, "scored", 0)
    return CountingModel()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("normalizer", [Softmax(), Sparsemax()], ids=lambda one: one.name)
def test_should_stop_is_called_before_every_tile_and_stops_at_any(normalizer, threads):
    tiles = 2 * 4 * 2
    with Workers(threads) as workers:
        told = []
        asked = []
        tiled(call(normalizer), SIZES, workers, lambda: asked.append(1) is not None, lambda *one: told.append(one))
        assert len(asked) == tiles
        assert told == [(done, tiles) for done in range(1, tiles + 1)]
        for stop_at in range(tiles):
            answers = iter([False] * stop_at + [True] * tiles)
            told = []
            with pytest.raises(Stopped):
                tiled(call(normalizer), SIZES, workers, lambda a=answers: next(a), lambda d, _, t=told: t.append(d))
            assert told == list(range(1, len(told) + 1))
            assert stop_at - threads < len(told) <= stop_at


def test_skipped_tiles_count_as_done_without_a_call_of_should_stop():
    told, asked = [], []
    tiled(
        call(mask=Causal()), SIZES, should_stop=lambda: asked.append(1) is not None, progress=lambda *n: told.append(n)
    )
    assert told == [(done, 16) for done in range(1, 17)]
    assert len(asked) == 2 * (1 + 1 + 2 + 2)


@pytest.mark.parametrize(
    ("mask", "tiles"),
    [
        (None, 4 * 2),
        (Causal(), 1 + 1 + 2 + 2),
        (Window(1, 0), 1 + 1 + 2 + 1),
        (KeyLengths(np.array([3])), 4),
        (Segments(np.arange(8) // 4, np.arange(8) // 4), 4),
        (Allowed(np.arange(8) >= 6), 4),
        (Allowed(np.zeros((8, 1), bool)), 0),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("normalizer", [Softmax(), Sparsemax()], ids=lambda one: one.name)
def test_hidden_tiles_are_never_scored(mask, tiles, normalizer, counting):
    tiled(call(normalizer, mask, (LENGTH, 3), score_model=counting), SIZES)
    assert CountingModel.scored == tiles * SIZES.rows * SIZES.columns


@pytest.mark.parametrize("kind", ["causal", "window", "lengths", "segments"])
def test_a_tile_that_is_wholly_visible_builds_no_mask_and_no_mask_is_ever_a_matrix(kind, monkeypatch):
    mask = {
        "causal": Causal(),
        "window": Window(3, 0),
        "lengths": KeyLengths(np.array([41])),
        "segments": Segments(np.arange(64) // 30, np.arange(64) // 30),
    }[kind]
    built = []

    visible = type(mask).visible

    def spy(self, tile):
        assert self.coverage(tile) is not Coverage.FULL
        built.append(visible(self, tile))
        return built[-1]

    monkeypatch.setattr(type(mask), "visible", spy)
    tiled(call(mask=mask, shape=(64, 3)), TileSizes(8, 16))
    assert built
    assert max(array.size for array in built) <= 8 * 16
    assert sum(array.size for array in built) <= 64 * 64 / 2


def test_grouped_keys_are_never_repeated():
    rng = np.random.default_rng(3)
    query, key = rng.standard_normal((1, 6, 5, 2)), rng.standard_normal((1, 2, 7, 2))
    grouped = resolve(AttentionCall(query=query, key=key, value=key, include=("output",)))
    assert grouped.key is key
    assert grouped.value is key
    fields, _ = tiled(grouped, TileSizes(2, 3, 8))
    expected = attend(query, key, key).output
    np.testing.assert_allclose(fields["output"], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NORMALIZERS)
@pytest.mark.parametrize(("queries", "keys"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_attend_to_is_zeros(name, queries, keys):
    made = AttentionCall(
        query=np.ones((queries, 2)), key=np.ones((keys, 2)), value=np.ones((keys, 1)),
        normalizer=NORMALIZERS[name](), include=("output",),
    )  # fmt: skip
    fields, maximum = tiled(resolve(made), SIZES)
    assert fields["output"].tolist() == [[0.0]] * queries
    assert maximum.tolist() == [-np.inf] * queries


def test_attend_takes_the_tiled_path_for_large_calls_without_matrices():
    many = np.ones((600, 2))

    def steps(query, include):
        told = []
        attend(query, many, many, include=include, progress=lambda *one: told.append(one))
        path = predict(resolve(AttentionCall(query=query, key=many, value=many, include=include))).path
        return len(told), path

    for include in (("output",), ("logsumexp",), ("output", "logsumexp", "present"), ()):
        assert steps(many, include) == (6, "tiled"), include
        assert steps(many[:4], include) == (1, "dense"), include
    for include in (("weights",), ("output", "scores"), ("diagnostics",), ("output", "ranking")):
        assert steps(many, include) == (1, "dense"), include


def test_notes_and_present_and_packed_heads_come_back_as_from_the_dense_path():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((1, 400, 4))
    mask = All((Causal(), KeyLengths(np.array([300]))))
    options = {"mask": mask, "offset": -3, "heads": Heads(2, 2)}
    result = attend(vectors, vectors, vectors, include=("output", "present"), **options)
    expected = attend(vectors, vectors, vectors, include=("output", "present", "weights"), **options)
    assert result.notes == expected.notes
    assert len(result.notes) == 6
    np.testing.assert_allclose(result.output, expected.output, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(result.arrays["present_key"], expected.arrays["present_key"])


def test_a_passing_normalizer_keeps_its_infinities():
    key = np.ones((3, 1))
    key[1] = np.inf
    made = AttentionCall(
        query=np.ones((1, 1)), key=key, value=np.ones((3, 1)), normalizer=Identity(), include=("output",)
    )
    assert np.isposinf(tiled(resolve(made), SIZES)[0]["output"]).all()
    assert evaluate(resolve(made)).notes == ("row 0: NaN or +infinity among the visible logits",)
