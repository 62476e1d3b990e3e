"""Cancellation, progress and memory of calls that a kernel runs."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from attention_core import DotProduct, Proportional, Stopped, Workers
from attention_core.native import forward
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS, run
from tests.sampling import product_sample

LATENCY_SECONDS = 0.05
"""Within which a call ends after it was cancelled."""

MIB = 1024 * 1024
MAX_PEAK = 16 * MIB
"""Memory of a call beside inputs and output, in bytes."""

every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)


def call(queries, keys, matrices=1, features=64):
    rng = np.random.default_rng(0)
    sizes = {"query": queries, "key": keys, "value": keys}
    return {name: rng.standard_normal((matrices, length, features), np.float32) for name, length in sizes.items()}


LARGE = {
    "many queries": (2048, 2048, 4),
    "one query of very many keys": (1, 150_000, 4),
}
"""Calls that take long enough to be looked after."""


@pytest.mark.parametrize(("kernel", "shape", "threads"), product_sample(3, KERNELS, LARGE, [1, 2]))
def test_progress_rises_to_the_end(kernel, shape, threads):
    told = []
    run(
        kernel,
        **call(*LARGE[shape], features=32),
        include=("output",),
        workers=Workers(threads),
        progress=lambda done, total: told.append((done, total)),
        should_stop=lambda: False,
    )
    done = [one for one, _ in told]
    (total,) = {one for _, one in told}
    assert done == sorted(set(done))
    assert done[-1] == total > 1
    assert done[0] > 0


@every_kernel
def test_progress_of_a_small_call_is_its_end(kernel):
    told = []
    run(kernel, **call(3, 5), include=("output",), progress=lambda *numbers: told.append(numbers))
    assert told == [(1, 1)]


@every_kernel
def test_rows_left_to_numpy_do_not_take_progress_back(kernel):
    given = {**call(40, 70, features=4), "score_model": DotProduct(), "normalizer": Proportional()}
    given["key"], given["query"] = np.clip(np.abs(given["key"]), 0, 2), np.ones_like(given["query"])
    given["query"][0, 0] = 3e37
    told = []
    result = run(kernel, **given, include=("output",), progress=lambda *numbers: told.append(numbers))
    assert np.isfinite(result.output).all()
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@every_kernel
def test_a_call_that_is_cancelled_before_it_begins_computes_nothing(kernel):
    with pytest.raises(Stopped, match="before the first tile"):
        run(kernel, **call(3, 5), include=("output",), should_stop=lambda: True)


class Broken(Exception):
    """Raised by a callback."""


@pytest.mark.parametrize("callback", ["should_stop", "progress"])
@pytest.mark.parametrize("threads", [1, 2])
@every_kernel
def test_what_a_callback_raises_comes_out(kernel, threads, callback):
    asked = []

    def fail(*_):
        asked.append(threading.get_ident())
        if callback == "progress" or len(asked) > 1:
            raise Broken
        return False

    began = time.monotonic()
    with pytest.raises(Broken):
        run(kernel, **call(4096, 4096, 4), include=("output",), workers=Workers(threads), **{callback: fail})
    assert time.monotonic() - began < 5
    before = threading.active_count()
    time.sleep(0.02)
    assert threading.active_count() <= before
    assert len(asked) == (1 if callback == "progress" else 2)


LONG_CALLS = {
    "many queries": (32_768, 32_768, 8),
    "few features": (65_536, 65_536, 2),
    "weights of long rows": (100, 100_000, 4),
}


@pytest.mark.alone
@pytest.mark.parametrize(("kernel", "shape", "threads"), product_sample(3, KERNELS, LONG_CALLS, [1, 2]))
def test_a_long_call_ends_soon_after_it_is_cancelled(kernel, shape, threads, report_figure, monkeypatch):
    # The system takes a tenth of a second to release a gigabyte of weights, which is none of the kernel's time.
    kept = []
    add_arrays = forward.add_arrays

    def add_and_keep(*given):
        kept.append(add_arrays(*given))
        return kept[-1]

    monkeypatch.setattr(forward, "add_arrays", add_and_keep)
    given = call(*LONG_CALLS[shape], features=8 if shape == "few features" else 64)
    include = ("weights",) if shape.startswith("weights") else ("output",)
    stopped = []
    # Longer calls would hold gigabytes of weights, which the system takes its time to provide.
    after = 0.03 if shape.startswith("weights") else 0.2
    begin = time.monotonic()

    def stop():
        if time.monotonic() - begin < after:
            return False
        stopped.append(time.monotonic())
        return True

    with pytest.raises(Stopped):
        run(kernel, **given, include=include, workers=Workers(threads), should_stop=stop)
    latency = time.monotonic() - stopped[0]
    assert len(kept) == 1
    report_figure(f"{kernel}, {shape}, {threads} threads: ended {latency * 1000:.1f} ms after it was cancelled")
    assert latency <= LATENCY_SECONDS


MEMORY = ("full", "causal", "window", "lengths", "allowed", "two matrices allowed", "bias")


def test_memory_of_a_call_is_a_few_blocks(project):
    found = peaks(project, KERNELS[0], 4096, ("full", "causal", "lengths"))
    assert max(found.values()) <= 4 * MIB, found


def test_memory_of_a_normalizer_of_whole_rows_is_a_few_blocks_of_rows(project):
    found = peaks(project, KERNELS[0], 4096, ("sparsemax",))
    assert found["sparsemax"] <= MAX_PEAK, found


@pytest.mark.soak
@pytest.mark.parametrize("kernel", KERNELS[:1])
def test_memory_at_thirty_thousand_squared(project, kernel, report_figure):
    found = peaks(project, kernel, 32_768, MEMORY)
    report_figure(f"{kernel}, 32 768², beside inputs and output: {max(found.values()) / MIB:.1f} MiB")
    assert max(found.values()) <= MAX_PEAK, found


def peaks(project, kernel, length, kinds):
    """Bytes by which a process grew in each call, less its outputs."""
    command = [sys.executable, "-m", "tests.attention_core.native.peak", kernel, str(length), *kinds]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(zip(kinds, map(int, ended.stdout.split()), strict=True))
