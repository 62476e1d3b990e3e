"""Descriptions of fields say what the service does: the defaults that it takes, and the shapes that it answers with."""

import copy
import re
from itertools import chain

import httpx
import numpy as np

from attention_core.call import LAYOUTS, RESULT_FIELDS
from service.schemas.attention import AttentionRequest
from service.schemas.field_descriptions import FieldDescription
from service.schemas.results import AttentionResponse, DiagnosticsResponse
from tests.promises.readme import codes

SMALL = {"query": [[1]], "key": [[1]], "value": [[1]]}
SIZES = {"…": (2, 2), "B": (2,), "Lq": (3,), "Lk": (4,), "Dk": (5,), "Dv": (6,)}


def described(model: type[AttentionRequest | AttentionResponse | DiagnosticsResponse]) -> dict[str, FieldDescription]:
    fields = {name: info.description for name, info in model.model_fields.items()}
    return {name: one for name, one in fields.items() if isinstance(one, FieldDescription)}


async def test_the_defaults_of_a_request_are_those_that_it_is_described_with(client: httpx.AsyncClient) -> None:
    descriptions = described(AttentionRequest)
    assert list(descriptions) == list(AttentionRequest.model_fields)
    defaults = {name: one.default for name, one in descriptions.items() if one.default is not None}
    answer = (await client.post("/v1/attention", json=SMALL)).json()
    shown = {name: codes(text.en)[0] for name, text in defaults.items() if codes(text.en)}
    assert shown == {
        "score_model": answer["score_model"]["name"],
        "normalizer": answer["normalizer"]["name"],
        "dtype": answer["dtype"],
        "layout": LAYOUTS[0],
        "append": "false",
    }
    for text in (defaults["include"].zh, defaults["include"].en):
        assert {name for name in RESULT_FIELDS if name in text} == set(RESULT_FIELDS) & set(answer)


async def test_results_have_the_shapes_that_they_are_described_with(client: httpx.AsyncClient) -> None:
    arrays = {"query": np.ones((2, 2, 3, 5)), "key": np.ones((2, 2, 4, 5)), "value": np.ones((2, 2, 4, 6))}
    body = {name: array.tolist() for name, array in arrays.items()} | {"include": list(RESULT_FIELDS)}
    answer = (await client.post("/v1/attention", json=body)).json()
    always = {"score_model", "normalizer", "dtype", "memory", "notes"}
    assert set(described(AttentionResponse)) == set(AttentionResponse.model_fields) - always
    assert set(described(DiagnosticsResponse)) == set(DiagnosticsResponse.model_fields)
    for name, one in (described(AttentionResponse) | described(DiagnosticsResponse)).items():
        if name not in ("diagnostics", "ranking"):
            [axes] = re.findall(r"^\((.+)\)$", one.shape)
            received = np.shape(answer[name] if name in answer else answer["diagnostics"][name])
            assert received == tuple(chain.from_iterable(SIZES[axis] for axis in axes.split(", "))), name


def test_a_copy_of_a_description_is_equal_to_it() -> None:
    description = AttentionRequest.model_fields["softcap"].description
    again = copy.deepcopy(description)
    assert isinstance(again, FieldDescription)
    assert isinstance(description, FieldDescription)
    assert (again, again.about, again.default) == (description, description.about, description.default)
