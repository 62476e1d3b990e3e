"""What JSON cannot say: numbers that are none, and axes of no length."""

from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest

from tests.service.safetensors.fitting import numbers
from tests.service.safetensors.stored import BOTH, loaded, saved, whole


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
async def test_nan_and_infinities_travel_bit_exact(client: httpx.AsyncClient, dtype: Any) -> None:
    """Each of them in a key that is seen and in one that is not, in values, in the bias and in the answer."""
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], np.float64)
    # The identity leaves values as they are: each query sees one key, with weight 1.
    query, key = np.eye(5) * 100, np.eye(5)
    allowed = np.eye(5, dtype=np.bool_)
    values = np.stack([odd, odd[::-1]], axis=-1).astype(dtype)
    tensors = {"query": query.astype(dtype), "key": key.astype(dtype), "value": values, "mask.allowed": allowed}
    request = {"include": ["output", "weights", "present", "logits"]}
    document, arrays = loaded(await client.post("/v1/attention", content=saved(tensors, request), headers=BOTH))
    assert document["notes"] == []
    assert (arrays["weights"] == np.eye(5)).all()
    assert arrays["present_value"].tobytes() == values.tobytes()
    finite = np.isfinite(values.astype(np.float64))
    np.testing.assert_array_equal(arrays["output"].astype(np.float64), values.astype(np.float64))
    assert finite.any()
    assert np.isneginf(arrays["logits"][~allowed].astype(np.float64)).all()


async def test_what_is_hidden_has_no_influence_whatever_it_is(client: httpx.AsyncClient) -> None:
    """NaN and infinities in keys and values that no query may see."""
    plain = {"query": numbers(3, 4), "key": numbers(5, 4), "value": numbers(5, 2)}
    hidden = {name: array.copy() for name, array in plain.items()}
    hidden["key"][3:], hidden["value"][3:] = np.array([[np.nan], [np.inf]]), np.array([[-np.inf], [np.nan]])
    answers = []
    for tensors in (plain, hidden):
        content = saved(tensors | {"mask.key_lengths": np.uint8([3])}, {"include": ["weights", "output", "logsumexp"]})
        answers.append(loaded(await client.post("/v1/attention", content=content, headers=BOTH))[1])
    for name, array in answers[0].items():
        assert array.tobytes() == answers[1][name].tobytes(), name
        assert np.isfinite(array).all()


async def test_what_is_seen_poisons_its_row_alone(client: httpx.AsyncClient) -> None:
    tensors = {
        "query": numbers(3, 4),
        "key": numbers(5, 4),
        "value": numbers(5, 2),
        "mask.allowed": np.ones((3, 5), bool),
    }
    tensors["key"][4, 0] = np.nan
    tensors["mask.allowed"][:2, 4] = False
    arrays = loaded(await client.post("/v1/attention", content=saved(tensors), headers=BOTH))[1]
    assert np.isfinite(arrays["output"][:2]).all()
    assert np.isnan(arrays["output"][2]).all()


async def test_infinities_can_be_merged(client: httpx.AsyncClient) -> None:
    tensors = {
        "partials.0.output": np.zeros((2, 3)),
        "partials.0.logsumexp": np.full(2, -np.inf),
        "partials.1.output": numbers(2, 3, dtype=np.float64),
        "partials.1.logsumexp": np.array([1.0, -np.inf]),
    }
    arrays = loaded(await client.post("/v1/attention/merge", content=saved(tensors), headers=BOTH))[1]
    np.testing.assert_array_equal(arrays["output"][0], tensors["partials.1.output"][0])
    assert arrays["logsumexp"].tolist() == [1.0, -np.inf]


# --- axes of no length ------------------------------------------------------------------------------------------------

EMPTY = {"no queries": (0, 3, 4, 5), "no keys": (2, 0, 4, 5), "neither": (0, 0, 4, 5), "no values": (2, 3, 4, 0)}
ALL = [
    *("scores", "capped_scores", "modified", "logits", "weights", "output", "logsumexp"),
    *("diagnostics", "ranking", "present"),
]


@pytest.mark.parametrize("leading", [(), (2,), (0,), (2, 3), (2, 0)])
@pytest.mark.parametrize("case", EMPTY)
async def test_an_axis_may_have_no_length(client: httpx.AsyncClient, case: str, leading: tuple[int, ...]) -> None:
    queries, keys, features, values = EMPTY[case]
    tensors = {
        "query": numbers(*leading, queries, features),
        "key": numbers(*leading, keys, features),
        "value": numbers(*leading, keys, values),
    }
    answer = whole(await client.post("/v1/attention", content=saved(tensors, {"include": ALL}), headers=BOTH))
    assert answer["weights"].shape == (*leading, queries, keys)
    assert answer["output"].shape == (*leading, queries, values)
    assert not answer["output"].any() or keys
    if not keys:
        assert np.isneginf(answer["logsumexp"]).all()
        assert (answer["diagnostics"]["top_key"] == -1).all()
    inner = {"query_index": 0, "key_index": 0}
    for path, prefix, rest, more in (
        ("estimate", "", {}, {}),
        ("explain", "request.", inner, {}),
        ("check", "request.", {}, {"candidate.output": answer["output"], "candidate.weights": answer["weights"]}),
        ("compare", "base.", {"variants": [{"label": "other", "overrides": {"softcap": 1}}]}, {}),
    ):
        content = saved({f"{prefix}{name}": array for name, array in tensors.items()} | more, rest)
        response = await client.post(f"/v1/attention/{path}", content=content, headers=BOTH)
        there_is_none = path == "explain" and not (queries and keys and all(leading))
        assert response.status_code == (422 if there_is_none else 200), (path, response.text)
        if path == "check":
            assert loaded(response)[0]["passed"]
    partials = {f"partials.{i}.{name}": answer[name] for i in range(2) for name in ("output", "logsumexp")}
    response = await client.post("/v1/attention/merge", content=saved(partials, {"dtype": "float32"}), headers=BOTH)
    assert loaded(response)[1]["output"].shape == answer["output"].shape
