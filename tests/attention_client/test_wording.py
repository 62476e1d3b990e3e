"""Errors speak of arguments, whatever protocol a call uses."""

from typing import Any

import numpy as np
import pytest

from attention_client import InvalidRequest, Partial
from attention_client.wording import reword
from tests.attention_client.conftest import CallMethod
from tests.server import Server

QUERY, KEY, VALUE = np.ones((2, 3, 4)), np.ones((2, 5, 4)), np.ones((2, 5, 2))
BY_LENGTH = {"query": np.ones((2, 3, 4, 8)), "key": np.ones((2, 5, 4, 8)), "value": np.ones((2, 5, 4, 8))}
YARN = {"name": "rotary", "scaling": {"kind": "yarn", "factor": 2, "original_max_position_embeddings": 8}}

WORDS = [
    ("goes to the input allowed.", "goes to mask={'allowed': ...}."),
    ("beside the inputs query_positions, key_positions, which say", "beside positions, which say"),
    ("or rank 3 with the parameters query_heads, key_value_heads; received", "or rank 3 with heads; received"),
    ("because of the parameter layout: \"bshd\"; received", "because of layout='bshd'; received"),
    ("leave out the parameter layout.", "leave out layout."),
    ("the parameters window_left, window_right, both", "mask={'window': ...}, both"),
    ("the inputs query_segments, key_segments.", "mask={'query_segments': ...}, mask={'key_segments': ...}."),
    ("the input or parameter offset: \"bottom_right\".", "mask={'offset': 'bottom_right'}."),
    ("the parameter causal: true beside", "mask={'causal': True} beside"),
    ("the input or parameter sink: 0 beside normalizer: \"softmax\".", "normalizer={'name': 'softmax', 'sink': 0}."),
    ("the parameter normalizer: \"relu\"", "normalizer='relu'"),
    ("the input alibi_slopes of the position alibi", "position={'name': 'alibi', 'slopes': ...}"),
    ("the input score_vector of the model additive", "score_model={'name': 'additive', 'score_vector': ...}"),
    ("the model gaussian or the model, which the path names", "score_model='gaussian' or score_model"),
    ("the datatype BF16, or the datatype of query", "dtype='bfloat16', or dtype"),
    ("with the output present_key and present_value.", "with include=['present']."),
    ("received mask.key_alowed in the parameter options. Did you mean 'key_allowed'? The place in options is "
     "/mask/key_alowed.", "received mask.key_alowed. Did you mean 'key_allowed'?"),
    ("an input parameter of the formula", "an input parameter of the formula"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "said"), WORDS, ids=range(len(WORDS)))
def test_names_of_the_protocol_become_arguments(sent: str, said: str) -> None:
    assert reword(sent) == said


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"mask": {"key_allowed": [True] * 4}}, "/mask/key_allowed", "mask={'allowed': ...}"),
    ({"mask": {"key_alowed": [True] * 5}}, "/mask/key_alowed", "received mask.key_alowed. Did you mean"),
    ({"positions": {"query": [0, 1, 2]}, "mask": {"offset": 1}}, "/mask/offset", "nothing beside positions, which"),
    ({"position": YARN | {"scaling": {"kind": "yarn", "factor": 2}}},
     "/position/scaling/original_max_position_embeddings", "which yarn needs; received nothing"),
    ({"position": YARN | {"scaling": YARN["scaling"] | {"max_position_embeddings": 8}}},
     "/position/scaling/max_position_embeddings", "position.scaling.original_max_position_embeddings of rotary;"),
    ({"include": ["mean_weights"]}, "/include/0", "or rank 3 with heads; received scores of rank 3. Ask for include=["),
    ({"layout": "bshd"}, "/query", "because of layout='bshd'; received rank 3"),
    (BY_LENGTH, "/key", "send layout='bshd', or transpose"),
    (BY_LENGTH | {"layout": "bshd", "heads": {"query": 4, "key_value": 4}}, "/layout", "and heads where they are not"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "pointer", "said"), REFUSED, ids=[f"{n}" for n in range(len(REFUSED))])
async def test_refusals_of_an_inference_name_arguments(
    server: Server, call: CallMethod, wrong: dict[str, Any], pointer: str, said: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await call(server.url, "attend", **({"query": QUERY, "key": KEY, "value": VALUE} | wrong))
    [violation] = raised.value.errors
    assert violation.pointer == pointer
    assert said in violation.detail == raised.value.detail
    assert "parameter" not in violation.detail


async def test_pointers_of_larger_requests_lead_to_arguments(server: Server, call: CallMethod) -> None:
    wrong: dict[str, Any] = {"query": QUERY, "key": KEY, "value": VALUE, "mask": {"prefix_lengths": [1]}}
    asked: dict[str, dict[str, Any]] = {
        "gradients": {"output_gradient": 1.0},
        "estimate_gradients": {"output_gradient": 1.0},
        "check": {"candidate": {"output": VALUE}},
        "explain": {"index": [0], "query_index": 0, "key_index": 0},
        "estimate": {},
    }
    for method, more in asked.items():
        with pytest.raises(InvalidRequest) as raised:
            await call(server.url, method, **wrong, **more)
        assert raised.value.errors[0].pointer == "/mask/prefix_lengths", method


async def test_floats_without_a_fraction_are_positions(server: Server, call: CallMethod) -> None:
    found = await call(server.url, "attend", QUERY, KEY, VALUE, positions={"query": [0.0, 1, 2]}, mask={"causal": True})
    same = await call(server.url, "attend", QUERY, KEY, VALUE, mask={"causal": True})
    np.testing.assert_array_equal(found.weights, same.weights)


async def test_outputs_of_the_layout_bshd_are_merged(server: Server, call: CallMethod) -> None:
    """With as many heads as queries both layouts have the same shapes."""
    rng = np.random.default_rng(3)
    query, key, value = (rng.normal(size=(1, length, 3, 2)) for length in (3, 6, 6))
    asked: dict[str, Any] = {"layout": "bshd", "include": ["output", "logsumexp"]}
    whole = await call(server.url, "attend", query, key, value, **asked)
    parts = [
        await call(server.url, "attend", query, key[:, keys], value[:, keys], **asked)
        for keys in (slice(2), slice(2, 6))
    ]
    merged = await call(server.url, "merge", parts, layout="bshd")
    np.testing.assert_allclose(merged.output, whole.output, rtol=0, atol=1e-14)
    with pytest.raises(InvalidRequest, match="send the layout"):
        await call(server.url, "merge", [Partial(np.ones((1, 5, 3, 2)), np.ones((1, 3, 5)))])
