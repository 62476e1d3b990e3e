"""The client takes vectors as (batch, length, heads, features), and returns weights averaged over the heads."""

import numpy as np
import pytest

from attention_client import RequestRefused
from tests import oracle
from tests.attention_client.conftest import CallMethod
from tests.server import Server

SIZES = {"query": (2, 3, 4, 4), "key": (2, 3, 2, 4), "value": (2, 3, 2, 5), "past_key": (2, 2, 2, 4),
         "past_value": (2, 2, 2, 5)}  # fmt: skip


async def test_layout_and_mean_weights(server: Server, call: CallMethod) -> None:
    rng = np.random.default_rng(0)
    vectors = {name: rng.normal(size=size).round(2) for name, size in SIZES.items()}
    expected = oracle.attention({name: array.tolist() for name, array in vectors.items()} | {"layout": "bshd"})
    include = ("mean_weights", "output", "present")
    for progress in (None, lambda _: None):
        result = await call(server.url, "attend", **vectors, layout="bshd", include=include, progress=progress)
        for name in ("mean_weights", "output", "present_key", "present_value"):
            right = np.array(expected[name])
            assert getattr(result, name).shape == right.shape
            np.testing.assert_allclose(getattr(result, name), right, atol=1e-12)


async def test_another_rank_is_refused_at_its_argument(server: Server, call: CallMethod) -> None:
    with pytest.raises(RequestRefused, match="rank 4") as caught:
        await call(server.url, "attend", [[1.0]], [[1.0]], layout="bshd")
    assert caught.value.problem.errors[0].pointer == "/query"
