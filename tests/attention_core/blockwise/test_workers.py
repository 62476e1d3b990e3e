"""Threads: the same results, at most the given number active, and process-wide settings restored."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from attention_core import AttentionCall, Causal, Sparsemax, Workers, attend, resolve
from attention_core.blockwise import blas
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import tiled

LONG = np.random.default_rng(1).standard_normal((2, 700, 8))


@pytest.mark.parametrize("normalizer", [None, Sparsemax()], ids=["softmax", "sparsemax"])
def test_the_number_of_threads_changes_no_number(normalizer):
    options = {"mask": Causal(), "normalizer": normalizer, "include": ("output",)}
    alone = attend(LONG, LONG, LONG, **options).output
    for threads in (1, 2, 5):
        with Workers(threads) as workers:
            np.testing.assert_array_equal(attend(LONG, LONG, LONG, workers=workers, **options).output, alone)


TIMEOUT_SECONDS = 30
"""Timeout for events that always happen, on a busy machine."""


def test_helpers_do_join():
    seen, met = set(), threading.Barrier(3)

    def work(_):
        seen.add(threading.get_ident())
        met.wait(TIMEOUT_SECONDS)

    with Workers(3) as workers:
        workers.run(work)
    assert len(seen) == 3
    assert threading.get_ident() in seen


def test_calls_at_the_same_time_share_the_threads_and_all_come_right():
    call = resolve(AttentionCall(query=LONG, key=LONG, value=LONG, mask=Causal(), include=("output",)))
    expected = tiled(call, TileSizes(32, 64))[0]["output"]
    with Workers(3) as workers, ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda _: tiled(call, TileSizes(32, 64), workers)[0]["output"], range(18)))
        assert workers._active_threads == 0
    for one in found:
        np.testing.assert_array_equal(one, expected)


def test_a_helper_leaves_when_another_call_needs_the_thread():
    entered, second = threading.Barrier(3), threading.Event()
    left = []

    def first_work(thread):
        if threading.current_thread() is caller:
            entered.wait(TIMEOUT_SECONDS)
            second.wait(TIMEOUT_SECONDS)
            return
        entered.wait(TIMEOUT_SECONDS)
        while workers.may_continue(thread) and not second.wait(0.005):
            pass
        left.append(not second.is_set())

    def second_work(_):
        # Only the caller has come: the helper was at work elsewhere, and goes home now.
        arrived.append(threading.get_ident())
        until = time.monotonic() + TIMEOUT_SECONDS / 2
        while not left and time.monotonic() < until:
            time.sleep(0.005)

    arrived = []
    with Workers(2) as workers:
        caller = threading.Thread(target=workers.run, args=(first_work,))
        caller.start()
        entered.wait(TIMEOUT_SECONDS)
        workers.run(second_work)
        second.set()
        caller.join()
        assert workers._active_threads == 0
    assert left == [True]
    assert arrived == [threading.get_ident()]


def test_helpers_make_room_for_a_thread_that_does_other_work():
    seen, met = set(), threading.Barrier(3)

    def meet(_):
        seen.add(threading.get_ident())
        met.wait(TIMEOUT_SECONDS)

    def work(_):
        seen.add(threading.get_ident())
        time.sleep(0.05)

    def occupy(workers, inside):
        with workers.count_calling_thread():
            inside()

    with Workers(3) as workers:
        occupy(workers, lambda: workers.run(meet))
        assert len(seen) == 3, "the calling thread counts once"
        seen.clear()
        other = threading.Event()
        busy = [threading.Thread(target=occupy, args=(workers, lambda: other.wait(TIMEOUT_SECONDS))) for _ in range(2)]
        for thread in busy:
            thread.start()
        while workers._active_threads < 2:
            time.sleep(0.001)
        workers.run(work)
        assert seen == {threading.get_ident()}, "both other threads have work of their own"
        other.set()
        for thread in busy:
            thread.join()
        assert workers._active_threads == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_thread_raises_reaches_the_caller_and_the_workers_go_on(threads):
    failures = iter([ZeroDivisionError("first")])

    def should_stop():
        for failure in failures:
            raise failure
        return False

    call = resolve(AttentionCall(query=LONG, key=LONG, value=LONG, include=("output",)))
    with Workers(threads) as workers:
        with pytest.raises(ZeroDivisionError, match="first"):
            tiled(call, TileSizes(32, 64), workers, should_stop)
        assert workers._active_threads == 0
        assert tiled(call, TileSizes(32, 64), workers)[0]["output"].shape == LONG.shape


def test_one_blas_thread_while_tiles_are_at_work_and_as_many_as_before_afterwards():
    switch = blas.find_thread_functions()
    if switch is None:
        pytest.skip("this NumPy is not built with OpenBLAS")
    get, put = switch
    before = get()
    try:
        put(2)
        with ExitStack() as longer:
            with blas.one_blas_thread():
                longer.enter_context(blas.one_blas_thread())
                assert get() == 1
            assert get() == 1, "the other is still at work"
        assert get() == 2
        asked = []
        attend(LONG, LONG, LONG, include=("output",), should_stop=lambda: asked.append(get()) is not None)
        assert set(asked) == {1}
        assert get() == 2
        attend(LONG, LONG, LONG, include=("weights",), should_stop=lambda: asked.append(get()) is not None)
        assert asked[-1] == 2
    finally:
        put(before)


def test_floating_point_warnings_are_as_before():
    before = np.geterr()
    with Workers(2) as workers:
        attend(LONG * np.inf, LONG, LONG, include=("output",), workers=workers)
    assert np.geterr() == before
