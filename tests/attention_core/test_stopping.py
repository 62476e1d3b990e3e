"""The tiled path stops at every call of should_stop and reports every tile, for all masks and numbers of threads."""

import numpy as np
import pytest

from attention_core import (
    Allowed,
    AttentionCall,
    Causal,
    Entmax,
    KeyLengths,
    Proportional,
    Segments,
    Softmax,
    Sparsemax,
    Stopped,
    Window,
    Workers,
    resolve,
)
from attention_core.blockwise import evaluate_tiled
from attention_core.tile_sizes import TileSizes

SIZES, LENGTH = TileSizes(3, 2), 8
TILES = 2 * 3 * 4
NORMALIZERS = {"streamed": Softmax(), "in units": Proportional(), "whole": Sparsemax(), "bisected": Entmax(1.3)}
MASKS = {
    "none": (None, TILES),
    "causal": (Causal(), 2 * (2 + 3 + 4)),
    "window": (Window(0, 0), 2 * (2 + 2 + 1)),
    "key lengths": (KeyLengths(np.array([1, 6])), 3 + 3 * 3),
    "segments": (Segments(np.arange(8) // 4, np.arange(8) // 4), 2 * (2 + 4 + 2)),
    "allowed": (Allowed(np.arange(8) >= 6), 2 * 3),
    "nothing": (Allowed(np.zeros((1, 1), bool)), 0),
}
"""The mask, and the number of tiles with a visible pair."""


def call(normalizer, mask):
    vectors = np.random.default_rng(1).random((2, LENGTH, 3))
    made = AttentionCall(
        query=vectors, key=vectors, value=vectors, normalizer=NORMALIZERS[normalizer], mask=MASKS[mask][0],
        include=("output",),
    )  # fmt: skip
    return resolve(made)


def run(normalizer, mask, threads, should_stop=None, progress=None):
    with Workers(threads) as workers:
        return evaluate_tiled(call(normalizer, mask), SIZES, workers, should_stop, progress)[0]["output"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_it_stops_at_every_asking_and_at_no_other_time(normalizer, mask, threads):
    asked = []
    run(normalizer, mask, threads, lambda: asked.append(0) is not None)
    assert len(asked) == MASKS[mask][1]
    for stop_at in range(len(asked)):
        # Asked again, it takes its answer back: once is enough.
        answers, given, told = iter(range(TILES)), [], []

        def should_stop(answers=answers, given=given, stop_at=stop_at):
            given.append(next(answers) == stop_at)
            return given[-1]

        with pytest.raises(Stopped):
            run(normalizer, mask, threads, should_stop, lambda done, total, told=told: told.append((done, total)))
        assert stop_at < len(given) <= (stop_at + 1 if threads == 1 else len(asked))
        assert sum(given) == 1
        assert told == [(done, TILES) for done in range(1, len(told) + 1)]
        assert len(told) < TILES


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_every_tile_is_counted_once_whether_it_is_skipped_or_not(normalizer, mask, threads):
    told = []
    watched = run(normalizer, mask, threads, progress=lambda *step: told.append(step))
    assert told == [(done, TILES) for done in range(1, TILES + 1)]
    np.testing.assert_array_equal(watched, run(normalizer, mask, 1))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_after_it_was_stopped_nothing_lingers(normalizer, threads):
    with Workers(threads) as workers:
        with pytest.raises(Stopped):
            evaluate_tiled(call(normalizer, "causal"), SIZES, workers, lambda: True, None)
        again = evaluate_tiled(call(normalizer, "causal"), SIZES, workers, lambda: False, None)[0]["output"]
    np.testing.assert_array_equal(again, run(normalizer, "causal", 1))
