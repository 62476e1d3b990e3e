"""Weights and values of other batch rows: which order is found, and from which fields."""

import numpy as np
import pytest

from attention_core import AttentionCall, attend
from attention_core.checking import Check
from attention_core.checking.batch_orders import MAX_BATCH_ROWS, common_orders, find_order, simple_orders

NAME = "weights of the wrong batch row"

ORDERS = {
    "rotated by one": [1, 2, 3, 0],
    "rotated by two": [2, 3, 0, 1],
    "the second for all": [1, 1, 1, 1],
    "the last for all": [3, 3, 3, 3],
    "the first for all": [0, 0, 0, 0],
    "any": [1, 1, 0, 2],
}


def cause(vectors, candidate):
    return Check.of(AttentionCall(*vectors), candidate).run().likely_cause


def random_call(leading, queries):
    rng = np.random.default_rng(0)
    vectors = [rng.standard_normal((*leading, length, 4)) for length in (queries, 5, 5)]
    return vectors, attend(*vectors)


@pytest.mark.parametrize("decimals", [None, 4])
@pytest.mark.parametrize("leading", [(4,), (4, 2)])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_weights_of_other_batch_rows_are_named_by_every_choice_of_fields(order, leading, decimals):
    vectors, right = random_call(leading, queries=3)
    value = vectors[2]
    moved = right.weights[order]
    candidates = [
        {"output": moved @ value},
        {"output": right.weights @ value[order]},
        {"weights": right.weights, "output": moved @ value},
        {"weights": moved, "output": moved @ value},
    ]
    if len(set(order)) < 4:
        candidates += [{"weights": moved}, {"weights": moved, "output": right.output}]
    for candidate in candidates:
        rounded = {name: field if decimals is None else np.round(field, decimals) for name, field in candidate.items()}
        assert cause(vectors, rounded) == NAME, candidate.keys()


def test_permuted_weights_alone_are_rows_in_another_order():
    vectors, right = random_call((4,), queries=1)
    assert cause(vectors, {"weights": right.weights[[1, 2, 3, 0]]}) == "rows in another order"


def test_a_large_batch_is_compared_with_the_common_orders_only():
    vectors, right = random_call((MAX_BATCH_ROWS + 1,), queries=1)
    assert cause(vectors, {"output": np.roll(right.weights, 1, axis=0) @ vectors[2]}) == NAME
    assert cause(vectors, {"output": right.weights[[1] * len(right.weights)] @ vectors[2]}) is None


def test_orders_are_distinct_and_never_the_right_one():
    for batch in (1, 2, 3, 5):
        orders = [tuple(order) for order in simple_orders(batch)]
        assert len(set(orders)) == len(orders)
        assert tuple(range(batch)) not in orders
        assert orders[: len(common_orders(batch))] == [tuple(order) for order in common_orders(batch)]


def test_a_simple_order_is_preferred_and_counts_as_chosen_among_fewer():
    errors = np.array([[1.0, 0.9, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    rows = np.arange(3)
    rotated = find_order(3, lambda order: errors[order, rows])
    assert rotated.rows.tolist() == [1, 2, 0]
    errors[:, 1] = [0.0, 1.0, 1.0]
    free = find_order(3, lambda order: errors[order, rows])
    assert free.rows.tolist() == [1, 0, 0]
    assert free.choices == pytest.approx(3 * np.log10(3))
    assert rotated.choices < free.choices


def test_no_order_is_found_where_each_row_is_nearest_to_itself():
    assert find_order(3, lambda order: (order != np.arange(3)) * 1.0) is None
    assert find_order(1, lambda order: np.zeros(1)) is None
