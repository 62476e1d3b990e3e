"""What only binary forms can carry reaches every endpoint, and none of them fails on it."""

from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import draws
from tests.service.open_inference.equality import DRAWN
from tests.service.safetensors.stored import BOTH, SEND, saved
from tests.service.strategies import NORMALIZERS, SCORE_MODELS

ODD = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 1e30, 6e4])
ALL = [
    *("scores", "capped_scores", "modified", "logits", "weights", "output", "logsumexp"),
    *("diagnostics", "ranking", "present"),
]

PARAMETERS: dict[str, dict[str, np.ndarray]] = {
    "additive": {"query_weight": np.ones((2, 3)), "key_weight": np.ones((2, 3)), "score_vector": np.ones(2)},
    "bilinear": {"weight": np.ones((3, 3))},
    "trilinear": {"weight": np.ones(9)},
}


@st.composite
def odd_requests(draw: st.DrawFn, score_model: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors that may hold anything, and the rest of a request."""
    dtype = draw(st.sampled_from([np.float64, np.float32, np.float16]))
    queries, keys = draw(st.integers(0, 2)), draw(st.integers(0, 3))

    def odd(*shape: int, of: Any = dtype) -> np.ndarray:
        count = int(np.prod(shape))
        drawn = draw(st.lists(ODD, min_size=count, max_size=count))
        with np.errstate(over="ignore"):
            return np.array(drawn, np.float64).astype(of).reshape(shape)

    tensors = {"query": odd(queries, 3), "key": odd(keys, 3), "value": odd(keys, 2)}
    if draw(st.booleans()):
        tensors["bias"] = odd(queries, keys, of=np.float32)
    tensors |= {f"score_model.{name}": array for name, array in PARAMETERS.get(score_model, {}).items()}
    normalizer = draw(st.sampled_from(list(NORMALIZERS)))
    include = [name for name in ALL if name != "logsumexp" or normalizer == "softmax"]
    request: dict[str, Any] = {"score_model": score_model, "normalizer": normalizer, "include": include}
    request |= draw(st.sampled_from([{}, {"softcap": 2.0}, {"position": "alibi"}, {"mask": {"causal": True}}]))
    return tensors, request


@pytest.mark.parametrize("score_model", SCORE_MODELS)
@settings(max_examples=draws(25))
@given(data=st.data())
async def test_every_endpoint_answers_or_refuses(
    app_client: httpx.AsyncClient, score_model: str, data: st.DataObject
) -> None:
    tensors, request = data.draw(odd_requests(score_model))
    answers = [await app_client.post("/v1/attention", content=saved(tensors, request), headers=headers)
               for headers in (BOTH, SEND, SEND | {"Accept": "image/svg+xml"})]  # fmt: skip
    inside = {name: {f"{name}.{path}": array for path, array in tensors.items()} for name in ("request", "base")}
    candidate = {"candidate.weights": np.zeros((len(tensors["query"]), len(tensors["key"])))}
    for path, content in {
        "estimate": saved(tensors, request),
        "explain": saved(inside["request"], {"request": request, "query_index": 0, "key_index": 0}),
        "check": saved(inside["request"] | candidate, {"request": request}),
        "compare": saved(inside["base"], {"base": request, "variants": [{"label": "a", "overrides": {"bias": None}}]}),
    }.items():
        answers.append(await app_client.post(f"/v1/attention/{path}", content=content, headers=BOTH))
    for response in answers:
        assert response.status_code in (200, 422), (response.url, response.text)
    assert answers[0].status_code == answers[1].status_code


@DRAWN
@given(data=st.data())
async def test_anything_can_be_merged(app_client: httpx.AsyncClient, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    tensors = {}
    for position in range(count):
        for name, shape in (("output", (2, 2)), ("logsumexp", (2,))):
            size = int(np.prod(shape))
            drawn = data.draw(st.lists(ODD, min_size=size, max_size=size))
            tensors[f"partials.{position}.{name}"] = np.array(drawn).reshape(shape)
    response = await app_client.post("/v1/attention/merge", content=saved(tensors), headers=BOTH)
    assert response.status_code == 200, response.text
