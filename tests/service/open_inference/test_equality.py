"""V2 answers what /v1/attention answers, bit for bit, however a request is framed."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.open_inference.equality import DRAWN, assert_bits, without_what_json_alone_has
from tests.service.open_inference.inference import FIELDS, as_inference, body_of, outputs_of
from tests.service.strategies import SCORE_MODELS, attention_requests


@pytest.mark.parametrize("score_model", SCORE_MODELS)
@DRAWN
@given(data=st.data())
async def test_any_request_is_answered_as_v1_answers_it(
    app_client: httpx.AsyncClient, score_model: str, data: st.DataObject
) -> None:
    asked = without_what_json_alone_has(data.draw(attention_requests(score_models=[score_model])))
    model, tensors, parameters = as_inference(asked, through_options=data.draw(st.booleans()))
    names = [name for field in asked.get("include") or () for name in FIELDS[field]]
    outputs = data.draw(st.permutations(names))
    binary = data.draw(st.sets(st.sampled_from([tensor.name for tensor in tensors])))
    members: dict[str, Any] = {"parameters": parameters | {"binary_data_output": data.draw(st.booleans())}}
    if outputs:
        choices = [data.draw(st.sampled_from(({}, {"binary_data": True}, {"binary_data": False}))) for _ in outputs]
        members["outputs"] = [{"name": name, "parameters": one} for name, one in zip(outputs, choices, strict=True)]
    content, headers = body_of(tensors, binary, **members)
    received = outputs_of(await app_client.post(f"/v2/models/{model}/infer", content=content, headers=headers))
    response = await app_client.post("/v1/attention", json=asked)
    assert response.status_code == 200, response.text
    expected = {name: array for name, array in response.json().items() if name in FIELDS or name.startswith("present")}
    assert set(received) == set(expected)
    assert not outputs or list(received) == outputs
    for name, array in received.items():
        assert_bits(array, expected[name], name)
