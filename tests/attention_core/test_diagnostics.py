"""Diagnostics and ranking, against the oracle and by hand."""

import numpy as np
import pytest

from attention_core import NORMALIZERS, Allowed, DotProduct, Identity, Relu, Sigmoid, attend, evaluate, resolve
from tests import calls, core_calls, oracle

COMBINATIONS = [
    one
    for one in calls.combinations()
    if one.dtype == "float64" and one.score_model == "scaled_dot_product" and one.setting in ("none", "everything")
]
NAMES = ("entropy", "effective_keys", "max_weight", "top_key", "softmax_sensitivity", "received_weight")


def test_diagnostics_equal_the_oracle():
    for one in COMBINATIONS:
        request = one.request()
        found = evaluate(resolve(core_calls.core_call(request, include=("diagnostics",)))).diagnostics
        expected = oracle.attention(request)["diagnostics"]
        for name in NAMES:
            received = getattr(found, name)
            if expected[name] is None:
                assert received is None, (one, name)
                continue
            wanted = np.array(
                [-1 if leaf is None else leaf for leaf in np.array(expected[name], object).ravel()], float
            )
            np.testing.assert_allclose(received.ravel(), wanted, rtol=1e-9, atol=1e-9, err_msg=f"{one} {name}")
    assert {one.normalizer for one in COMBINATIONS} == set(NORMALIZERS)


def test_the_founding_example():
    query, key = (
        [[2.0, 1, 1, 0]],
        [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    )
    found = attend(query, key, include=("diagnostics",)).diagnostics
    assert found.entropy[0] == pytest.approx(0.9112, abs=5e-5)
    assert found.effective_keys[0] == pytest.approx(2.487, abs=5e-4)
    assert found.top_key.tolist() == [0]


@pytest.mark.parametrize("normalizer", [Sigmoid(), Relu(), Identity()], ids=lambda one: one.name)
def test_weights_that_are_no_distribution_have_no_entropy(normalizer):
    found = attend([[1.0]], [[1.0], [2.0]], normalizer=normalizer, include=("diagnostics",)).diagnostics
    assert found.entropy is found.effective_keys is found.softmax_sensitivity is None
    assert found.top_key.tolist() == [1]


def test_a_row_without_a_visible_key():
    mask = Allowed(np.array([[True, False], [False, False]]))
    found = attend([[1.0], [1.0]], [[1.0], [2.0]], mask=mask, include=("diagnostics",)).diagnostics
    assert found.entropy.tolist() == [0, 0]
    assert found.effective_keys.tolist() == [1, 0]
    assert found.max_weight.tolist() == [1, 0]
    assert found.top_key.tolist() == [0, -1]


def test_the_top_key_is_never_a_hidden_one():
    found = attend(
        [[1.0]], [[-1.0], [-2.0], [-3.0]],
        normalizer=Identity(), mask=Allowed(np.array([False, True, True])), include=("diagnostics",),
    ).diagnostics  # fmt: skip
    assert found.top_key.tolist() == [1]
    assert found.max_weight.tolist() == [-2]


def ranked(**options):
    ranking = attend(
        [[1.0]], [[1.0], [3.0], [2.0], [3.0]], score_model=DotProduct(), include=("ranking",), **options
    ).ranking
    return ranking.keys[0, : ranking.counts[0]].tolist(), ranking


def test_ranking_is_by_weight_descending_ties_by_key():
    keys, ranking = ranked()
    assert keys == [1, 3, 2, 0]
    assert ranking.scores[0].tolist() == [3, 3, 2, 1]
    assert (np.diff(ranking.weights[0]) <= 0).all()


def test_ranking_names_visible_keys_only_and_at_most_top_k():
    mask = Allowed(np.array([True, False, True, True]))
    assert ranked(mask=mask)[0] == [3, 2, 0]
    assert ranked(mask=mask, top_k=2)[0] == [3, 2]
    assert ranked(mask=mask, top_k=9)[0] == [3, 2, 0]
    assert ranked(mask=Allowed(np.zeros(4, bool)))[0] == []


def test_ties_stay_in_the_order_of_their_keys_however_many_there_are():
    key = np.arange(400).reshape(-1, 1) % 3
    mask = Allowed(np.arange(400) % 7 > 0)
    ranking = attend([[1.0]], key, score_model=DotProduct(), mask=mask, include=("ranking",)).ranking
    expected = sorted((j for j in range(400) if j % 7), key=lambda j: (-(j % 3), j))
    assert ranking.keys[0, : ranking.counts[0]].tolist() == expected
