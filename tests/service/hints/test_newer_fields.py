"""Wrong requests about layouts, masks of keys, positions, scaled angles and gradients: answers say what to change.

The tests pin the words that say what to change; sizes are small enough to be read.
"""

import json
from typing import Any

import httpx
import numpy as np
import pytest

ATTENTION = "/v1/attention"
GRADIENTS = "/v1/attention/gradients"
MERGE = "/v1/attention/merge"
CHECK = "/v1/attention/check"

Request = dict[str, Any]


def ones(*shape: int) -> Any:
    """Nested lists of ones."""
    return np.ones(shape).tolist()


ROWS: Request = {"query": ones(2, 3, 4), "key": ones(2, 5, 4), "value": ones(2, 5, 4)}
"""B = 2, Lq = 3, Lk = 5."""

HEADS: Request = {"query": ones(2, 4, 3, 8), "key": ones(2, 4, 5, 8), "value": ones(2, 4, 5, 8)}
BY_LENGTH: Request = {"query": ones(2, 3, 4, 8), "key": ones(2, 5, 4, 8), "value": ones(2, 5, 4, 8), "layout": "bshd"}


def masked(**fields: Any) -> Request:
    """ROWS with a mask."""
    return ROWS | {"mask": fields}


def scaled(scaling: Any, **rotary: Any) -> Request:
    """ROWS with rotary positions."""
    return ROWS | {"position": {"name": "rotary", **({} if scaling is None else {"scaling": scaling}), **rotary}}


def yarn(**fields: Any) -> Request:
    """ROWS with angles scaled by yarn."""
    return scaled({"kind": "yarn", "factor": 2, "original_max_position_embeddings": 16, **fields})


def gradients(**fields: Any) -> Request:
    """A request for gradients."""
    return {"request": ROWS, "output_gradient": 1.0, **fields}


def partials(output: Any, logsumexp: Any, **fields: Any) -> Request:
    """Two equal partials."""
    return {"partials": [{"output": output, "logsumexp": logsumexp}] * 2, **fields}


WRONG: list[tuple[str, Request, str, str]] = [
    (
        ATTENTION,
        masked(key_lengths=[1, 2, 3]),
        "/mask/key_lengths",
        "shape [2], one number for each batch row, or shape [2, 3], one for each of its queries; received shape [3]",
    ),
    (
        ATTENTION,
        masked(prefix_lengths=[1]),
        "/mask/prefix_lengths",
        "shape [2], one number for each batch row; received",
    ),
    (ATTENTION, masked(prefix_lengths=3), "/mask/prefix_lengths", "one length for each batch row"),
    (
        ATTENTION,
        masked(key_allowed=[True] * 4),
        "/mask/key_allowed",
        "shape [5], one element for each key, or [2, 5], a list for each batch row; received shape [4]",
    ),
    (ATTENTION, masked(key_allowed=[[True] * 4] * 2), "/mask/key_allowed", "[2, 3, 5], (batch, queries, keys): axis 0"),
    (ATTENTION, masked(key_allowed=[[[True] * 5]] * 2), "/mask/key_allowed", "by head go to mask.allowed"),
    (ATTENTION, masked(key_allowed=[0, 0, 0, -1e9, 0]), "/mask/key_allowed/0", "Numbers to be added go to bias."),
    (ATTENTION, masked(key_allowed=True), "/mask/key_allowed", "one boolean for each key"),
    (
        ATTENTION,
        masked(allowed=[[True] * 5] * 2),
        "/mask/allowed",
        "mask.key_allowed; here (B, Lk) is sent as shape [2, 1, 5]",
    ),
    (ATTENTION, HEADS | {"bias": ones(2, 5)}, "/bias", "(B, Lk) is sent as shape [2, 1, 1, 5]"),
    (ATTENTION, HEADS | {"bias": ones(2, 3, 5)}, "/bias", "(B, Lq, Lk), is sent as shape [2, 1, 3, 5]"),
    (ATTENTION, ROWS | {"positions": [0, 1, 2]}, "/positions", "by name, positions.query and positions.key"),
    (ATTENTION, ROWS | {"query_positions": [0, 1, 2]}, "/query_positions", "Here it is positions.query"),
    (ATTENTION, ROWS | {"positions": {"key": [1, 2]}}, "/positions/key", "shape [5], one element for each key"),
    (
        ATTENTION,
        BY_LENGTH | {"value": ones(2, 5, 2, 8)},
        "/value",
        "expected 4 heads, as many as key has; received 2, since value has shape [2, 5, 2, 8], (batch, length, heads,",
    ),
    (ATTENTION, BY_LENGTH | {"bias": ones(2, 3, 4, 5)}, "/bias", "[2, 4, 3, 5], (batch, heads, queries, keys)"),
    (ATTENTION, ROWS | {"include": ["mean_weights"]}, "/include/0", "or rank 3 with heads; received scores of rank 3"),
    (ATTENTION, HEADS | {"include": ["weights_mean"]}, "/include/0", "mean_weights"),
    (
        ATTENTION,
        yarn(max_position_embeddings=8),
        "/position/scaling/max_position_embeddings",
        "position.scaling.original_max_position_embeddings of rotary",
    ),
    (
        ATTENTION,
        yarn(original_context_length=8),
        "/position/scaling/original_context_length",
        "Here it is position.scaling.original_max_position_embeddings of rotary.",
    ),
    (ATTENTION, yarn(rope_type="yarn"), "/position/scaling/rope_type", "Here it is position.scaling.kind of rotary."),
    (ATTENTION, yarn(attn_factor=1), "/position/scaling/attn_factor", "position.scaling.attention_factor of rotary is"),
    (ATTENTION, yarn(extrapolation_factor=1), "/position/scaling/extrapolation_factor", "leave it out"),
    (ATTENTION, yarn(alpha=8), "/position/scaling/alpha", '"kind": "ntk"'),
    (ATTENTION, yarn(low_freq_factor=1), "/position/scaling/low_freq_factor", "it belongs to llama3"),
    (ATTENTION, scaled("linear"), "/position/scaling", '"scaling": {"kind": "linear"}'),
    (ATTENTION, scaled([{"kind": "yarn"}]), "/position/scaling", '"scaling": {"kind": "yarn"}'),
    (
        ATTENTION,
        scaled(None, max_position_embeddings=8),
        "/position/max_position_embeddings",
        "position.scaling.original_max_position_embeddings of rotary",
    ),
    (
        ATTENTION,
        ROWS | {"position": {"name": "alibi", "scaling": {}}},
        "/position/scaling",
        "place is position.scaling of rotary",
    ),
    (ATTENTION, ROWS | {"grad_output": 1}, "/grad_output", "Here it is 'output_gradient', beside 'request' in POST"),
    (GRADIENTS, gradients(include=["grad_query"]), "/include/0", "Did you mean 'query'?"),
    (GRADIENTS, gradients(include=["dv"]), "/include/0", "Did you mean 'value'?"),
    (GRADIENTS, gradients(include=["scale"]), "/include/0", "It comes with 'score_model'."),
    (GRADIENTS, gradients(include=["mask"]), "/include/0", "Use one of these names."),
    (GRADIENTS, gradients(include=["grad"]), "/include/0", "Name the inputs whose gradients to return"),
    (ATTENTION, ROWS | {"include": ["modified_scores"]}, "/include/0", '"include": ["modified"]'),
    (MERGE, {"partials": [{"output": [[1]], "lse": [0]}]}, "/partials/0/lse", 'send "log_base": 2 beside it'),
    (MERGE, {"partials": [{"v_a": [[1]], "logsumexp": [0]}]}, "/partials/0/v_a", "Here it is 'output'."),
    (MERGE, {"partials": [{"output": [[1]], "s_a": [0]}]}, "/partials/0/s_a", "Here it is 'logsumexp'"),
    (MERGE, {"partials": [{"output": [[1]], "logsumexp": [0], "weights": []}]}, "/partials/0/weights", "Leave it out"),
    (MERGE, {"partials": {"a": {"output": [[1]], "logsumexp": [0]}}}, "/partials", "in a list, without their names"),
    (
        GRADIENTS,
        {"request": BY_LENGTH, "output_gradient": ones(2, 4, 3, 8)},
        "/output_gradient",
        "the shape of the output, [2, 3, 4, 8], (batch, length, heads, features)",
    ),
    (
        CHECK,
        {"request": HEADS, "candidate": {"weights": ones(2, 3, 5)}},
        "/candidate/weights",
        "averaged over the heads",
    ),
    (
        CHECK,
        {"request": HEADS, "candidate": {"mean_weights": ones(2, 3, 5)}},
        "/candidate/mean_weights",
        "It is not checked",
    ),
    (MERGE, partials(ones(2, 3, 4, 8), ones(2, 4, 3)), "/partials/0/logsumexp", 'send the layout "bshd"'),
    (MERGE, partials(ones(2, 3, 4, 8), ones(2, 3, 4), layout="bshd"), "/partials/0/logsumexp", "leave out the layout"),
    (
        MERGE,
        partials(ones(2, 3, 4), ones(2, 3), layout="bshd"),
        "/partials/0/output",
        "expected rank 4, (batch, length",
    ),
    (MERGE, partials(ones(2, 3, 4), ones(2, 3), layout="sbhd"), "/layout", "bhsd, bshd"),
    (
        MERGE,
        partials(ones(2, 3, 4), ones(2, 3), base=2),
        "/base",
        "Known fields are dtype, layout, log_base, partials.",
    ),
    (
        MERGE,
        {"partials": [{"output": ones(2, 3), "logsumexp": ones(2), "layout": "bshd"}]},
        "/partials/0/layout",
        "Its place is 'layout', beside partials.",
    ),
]


@pytest.mark.parametrize(
    ("path", "request_", "pointer", "said"), WRONG, ids=[f"{n} {pointer}" for n, (_, _, pointer, _) in enumerate(WRONG)]
)
async def test_the_answer_says_where_and_what_to_change(
    client: httpx.AsyncClient, path: str, request_: Request, pointer: str, said: str
) -> None:
    problem = await refused(client, path, request_)
    assert problem["errors"][0]["pointer"] == pointer
    assert said in problem["detail"]


async def refused(client: httpx.AsyncClient, path: str, request: Request) -> dict[str, Any]:
    """The problem document of a refusal."""
    response = await client.post(path, json=request)
    assert response.status_code == 422, response.text
    return response.json()


@pytest.mark.parametrize("path", [GRADIENTS, f"{GRADIENTS}/estimate"])
@pytest.mark.parametrize("name", ["grad_output", "dout", "output_grad", "upstream", "grad_out", "d_output", "dO"])
async def test_other_names_of_the_output_gradient_are_known(client: httpx.AsyncClient, path: str, name: str) -> None:
    problem = await refused(client, path, {"request": ROWS, name: 1.0})
    assert problem["errors"][0]["pointer"] == f"/{name}"
    assert "Did you mean 'output_gradient'?" in problem["errors"][0]["detail"]


async def test_the_note_on_the_order_of_axes_is_for_requests_without_a_layout(client: httpx.AsyncClient) -> None:
    request = {"query": ones(2, 6, 2, 4), "key": ones(2, 6, 2, 4)}
    for layout, notes in ((None, 1), ("bhsd", 0), ("bshd", 0)):
        answer = (await client.post(ATTENTION, json=request | {"layout": layout})).json()
        assert len(answer["notes"]) == notes, layout


async def test_inference_requests_name_inputs_and_parameters(client: httpx.AsyncClient) -> None:
    inputs = [
        {"name": name, "shape": list(np.shape(rows)), "datatype": "FP64", "data": np.ravel(rows).tolist()}
        for name, rows in ROWS.items()
    ]
    path = "/v2/models/scaled_dot_product/infer"
    problem = await refused(client, path, {"inputs": inputs, "outputs": [{"name": "mean_weights"}]})
    assert "or rank 3 with the parameters query_heads, key_value_heads; received" in problem["detail"]
    positions = {"name": "query_positions", "shape": [3], "datatype": "INT64", "data": [0, 1, 2]}
    problem = await refused(client, path, {"inputs": [*inputs, positions], "parameters": {"offset": 1}})
    assert "beside the inputs query_positions, key_positions, which say" in problem["detail"]
    options = json.dumps(yarn(max_position_embeddings=8)["position"])
    problem = await refused(client, path, {"inputs": inputs, "parameters": {"options": f'{{"position": {options}}}'}})
    assert "position.scaling.original_max_position_embeddings of rotary in the parameter options" in problem["detail"]


async def test_outputs_of_either_layout_are_merged(client: httpx.AsyncClient) -> None:
    """With as many heads as queries the shapes of both layouts are equal, so that the layout has to be said."""
    rng = np.random.default_rng(7)
    query, key, value = (rng.normal(size=(2, length, 3, 4)) for length in (3, 6, 6))
    shared = {"layout": "bshd", "include": ["output", "logsumexp"]}

    async def attend(keys: slice) -> dict[str, Any]:
        vectors = {"query": query.tolist(), "key": key[:, keys].tolist(), "value": value[:, keys].tolist()}
        return (await client.post(ATTENTION, json=vectors | shared)).json()

    whole, parts = await attend(slice(None)), [await attend(slice(2)), await attend(slice(2, 6))]
    sent = [{name: part[name] for name in ("output", "logsumexp")} for part in parts]
    merged = (await client.post(MERGE, json={"partials": sent, "layout": "bshd"})).json()
    np.testing.assert_allclose(merged["output"], whole["output"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(merged["logsumexp"], whole["logsumexp"], rtol=0, atol=1e-14)
    unsaid = (await client.post(MERGE, json={"partials": sent})).json()
    assert np.abs(np.subtract(unsaid["output"], whole["output"])).max() > 1e-3
