"""The kernel for aarch64 in an emulator: the ladder and the bits."""

import itertools

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, Workers
from tests import calls, plain
from tests.attention_core.judge import judge
from tests.attention_core.native import test_same_bits, test_stored
from tests.attention_core.native.emulated import build, emulated
from tests.attention_core.native.stored import STORED
from tests.attention_core.native.test_long_ladder import PAIRS, SPARSE, sized

pytestmark = [pytest.mark.soak, pytest.mark.aarch64, pytest.mark.qemu]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with emulated(build(tmp_path_factory.mktemp("aarch64"))) as started:
        yield started


@pytest.fixture(scope="module")
def workers():
    return {threads: Workers(threads) for threads in test_same_bits.THREADS}


@pytest.mark.parametrize("normalizer", sorted(set(NORMALIZERS) - SPARSE))
def test_the_kernel_equals_the_oracle_within_the_derived_bound(driver, normalizer):
    before = driver.calls
    for score_model in SCORE_MODELS:
        judge(calls.quarter(score_model, normalizer), kernels=("aarch64",))
    assert driver.calls > before + 100


@pytest.mark.parametrize("point", list(itertools.product(PAIRS, (16, 33)))[::23])
def test_lengths_beside_the_edges_of_panels_blocks_and_spans(driver, point):
    judge(sized(*point), plain.extended, kernels=("aarch64",))


@pytest.mark.parametrize("seed", range(5000, 5006))
def test_rows_have_the_same_bits_in_every_call(driver, seed, workers):
    test_same_bits.test_neither_fields_nor_threads_nor_neighbours_change_a_bit("aarch64", seed, workers)
    test_same_bits.test_other_queries_and_a_cache_change_no_bit("aarch64", seed, workers)
    test_same_bits.test_how_a_mask_is_written_changes_no_bit("aarch64", seed)


@pytest.mark.parametrize("dtype", STORED)
def test_numbers_in_two_bytes_are_read_in_place(driver, dtype):
    test_stored.test_every_number_is_read_exactly("aarch64", dtype, 33, None)
    for seed in test_stored.SEEDS:
        test_stored.test_numbers_in_two_bytes_give_the_bits_of_the_same_in_four("aarch64", seed, dtype)
