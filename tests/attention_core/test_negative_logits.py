"""Proportional refuses a negative logit and names its index in the whole matrix, on every path and in every block."""

import re
from dataclasses import replace

import numpy as np
import pytest

from attention_core import (
    AttentionCall,
    Causal,
    DotProduct,
    InvalidValue,
    Proportional,
    Workers,
    attend,
    dense,
    evaluate,
    memory,
    resolve,
)
from attention_core.blockwise import evaluate_tiled
from attention_core.explanation import explain
from attention_core.tile_sizes import TileSizes

LEADING, QUERIES, KEYS = (2, 3), 6, 5
PLACES = [((0, 0), 0, 0), ((1, 2), 5, 4), ((0, 1), 3, 2), ((1, 0), 4, 0)]


def sent(index, query_index, key_index, include=("output",)):
    """A call whose one negative logit is −7."""
    query, key = np.zeros((*LEADING, QUERIES, KEYS)), np.ones((*LEADING, KEYS, KEYS))
    query[(*index, query_index, key_index)] = -7
    key[...] = np.eye(KEYS)
    return AttentionCall(
        query=query, key=key, value=key, score_model=DotProduct(), normalizer=Proportional(), include=include
    )


def refusal(index, query_index, key_index):
    row = [*index, query_index]
    return re.escape(f"received -7.0 in row {row}, key {key_index}. ")


@pytest.mark.parametrize("include", [("output",), ("weights",)])
@pytest.mark.parametrize("rows", [1, 2, 4, QUERIES])
@pytest.mark.parametrize("place", PLACES)
def test_dense_names_the_row_of_the_whole(place, rows, include, monkeypatch):
    call = resolve(sent(*place, include))
    per_query = call.scores_per_query * call.score_model.scratch_per_score(call.features)
    monkeypatch.setattr(memory, "MAX_QUERY_BLOCK_NUMBERS", rows * per_query)
    assert len(dense.query_blocks(call)) == -(-QUERIES // rows)
    with pytest.raises(InvalidValue, match=refusal(*place)):
        evaluate(call)


@pytest.mark.parametrize("sizes", [TileSizes(3, 2), TileSizes(9, 9, 9)])
@pytest.mark.parametrize("place", [((1, 2), 5, 4), ((0, 1), 3, 2), ((1, 0), 4, 1)])
def test_a_tile_that_a_mask_cuts_names_the_row_of_the_whole(place, sizes):
    call = resolve(replace(sent(*place), mask=Causal()))
    with Workers(1) as workers, pytest.raises(InvalidValue, match=refusal(*place)):
        evaluate_tiled(call, sizes, workers, None, None)


@pytest.mark.parametrize("sizes", [TileSizes(1, 1), TileSizes(4, 2, 2), TileSizes(9, 9, 9)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_tiled_names_the_row_of_the_whole(place, threads, sizes):
    with Workers(threads) as workers, pytest.raises(InvalidValue, match=refusal(*place)):
        evaluate_tiled(resolve(sent(*place)), sizes, workers, None, None)


@pytest.mark.parametrize("place", PLACES)
def test_an_explanation_names_the_row_of_the_whole(place):
    index, query_index, _ = place
    for key_index in range(KEYS):
        with pytest.raises(InvalidValue, match=refusal(*place)):
            explain(resolve(sent(*place)), index, query_index, key_index)


@pytest.mark.parametrize("place", PLACES)
def test_an_explanation_minds_no_other_row(place):
    index, query_index, _ = place
    call = resolve(sent(*place))
    for other in np.ndindex(*LEADING):
        for row in range(QUERIES):
            if (other, row) != (index, query_index):
                assert explain(call, other, row, 1).weight == 0


def test_without_leading_axes_the_row_is_a_number():
    query = np.array([[1.0], [1.0], [-2.0]])
    key = np.array([[0.0], [3.0]])
    options = {"score_model": DotProduct(), "normalizer": Proportional()}
    with pytest.raises(InvalidValue, match=r"received -6\.0 in row 2, key 1\. "):
        attend(query, key, **options)
    with pytest.raises(InvalidValue, match=r"received -6\.0 in row 2, key 1\. "):
        explain(resolve(AttentionCall(query=query, key=key, **options)), (), 2, 0)


def test_a_hidden_negative_logit_is_accepted():
    query, key = np.ones((3, 1)), np.array([[2.0], [1.0], [-5.0]])
    options = {"score_model": DotProduct(), "normalizer": Proportional(), "mask": Causal()}
    expected = [[1, 0, 0], [2 / 3, 1 / 3, 0]]
    np.testing.assert_allclose(attend(query[:2], key, **options).weights, expected, rtol=1e-15)
    with pytest.raises(InvalidValue, match=r"row 2, key 2\. "):
        attend(query, key, **options)
