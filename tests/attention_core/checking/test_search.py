"""What the search does where a mistake cannot even be computed."""

import numpy as np

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
