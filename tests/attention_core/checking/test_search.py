"""The search passes over mistakes that cannot be computed."""

import numpy as np
import pytest

from attention_core import AttentionCall, Proportional, attend
from attention_core.checking import Check
from attention_core.scores import DotProduct


def test_a_mistake_that_its_normalizer_refuses_is_not_the_cause():
    """Without the bias these logits are negative, of which there are no proportions."""
    call = {"query": [[1.0]], "key": [[-1.0], [-2.0]], "bias": np.array([[3.0, 3.0]])}
    options = {"score_model": DotProduct(), "normalizer": Proportional()}
    weights = attend(**call, **options).weights
    arrays = {name: np.asarray(array) for name, array in call.items()}
    result = Check.of(AttentionCall(**arrays, **options), {"weights": np.add(weights, [[0.1, -0.1]])}).run()
    assert not result.passed
    assert result.likely_cause is None


@pytest.mark.parametrize("value_rank", [2, 3, 4])
@pytest.mark.parametrize("key_rank", [2, 3, 4])
@pytest.mark.parametrize("query_rank", [2, 3, 4])
def test_vectors_of_any_ranks_are_searched(query_rank, key_rank, value_rank):
    """Leading axes broadcast, so that a mistake may not expect them of each vector alike."""
    rng = np.random.default_rng(0)
    ranks = {"query": query_rank, "key": key_rank, "value": value_rank}
    vectors = {name: rng.normal(size=(1, 2, 3, 4)[4 - rank :]) for name, rank in ranks.items()}
    sent = AttentionCall(**vectors, bias=rng.normal(size=(3, 3)))
    right = attend(**vectors, include=("scores", "weights", "output"))
    candidate = {name: rng.normal(size=getattr(right, name).shape) for name in ("scores", "weights", "output")}
    assert not Check.of(sent, candidate).run().passed
