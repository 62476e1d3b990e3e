"""The dense path in query blocks: cancellation, progress and bounded scratch memory."""

import numpy as np
import pytest

from attention_core import AttentionCall, Stopped, attend, dense, memory, resolve
from tests import calls, core_calls

ADDITIVE = calls.Combination("additive", "softmax", "everything", "rank 2", "float64")


pytestmark = pytest.mark.usefixtures("numpy_path")


def test_should_stop_is_called_before_every_block_and_progress_after_it(monkeypatch):
    monkeypatch.setattr(memory, "MAX_QUERY_BLOCK_NUMBERS", 1)
    query, key = np.ones((5, 2)), np.ones((3, 2))
    told = []
    attend(query, key, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    for block in range(5):
        answers = iter([False] * block + [True])
        told = []
        with pytest.raises(Stopped):
            attend(
                query,
                key,
                should_stop=lambda answers=answers: next(answers),
                progress=lambda done, total, told=told: told.append(done),
            )
        assert told == list(range(1, block + 1))


def test_scratch_stays_near_the_block_size():
    model = core_calls.core_call(ADDITIVE.request()).score_model
    query, key = np.ones((3000, calls.FEATURES)), np.ones((3000, calls.key_features("additive")))
    call = resolve(AttentionCall(query=query, key=key, score_model=model))
    blocks = dense.query_blocks(call)
    rows = [block.stop - block.start for block in blocks]
    assert sum(rows) == 3000
    assert max(rows) * 3000 * call.score_model.scratch_per_score(call.features) <= memory.MAX_QUERY_BLOCK_NUMBERS
    assert len(blocks) > 1
