"""Every error has a type, and points to the argument that is wrong."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_client import (
    AsyncAttentionClient,
    AttentionClient,
    AttentionServiceError,
    Conflict,
    InsufficientStorage,
    InvalidArgument,
    InvalidRequest,
    MalformedRequest,
    MemoriesUnavailable,
    MemoryDamaged,
    NotAuthorized,
    NotFound,
    PreconditionFailed,
    RequestRefused,
    Retry,
    ServiceBusy,
    ServiceFailed,
    ShapeMismatch,
    TooLarge,
    UnknownName,
)
from attention_core import Causal
from service.problems import PROBLEMS
from tests.attention_client.conftest import CallMethod
from tests.attention_client.scripted import problem, scripted
from tests.server import Server, running_server

QUERY, KEY, VALUE = np.ones((2, 3, 4)), np.ones((2, 5, 4)), np.ones((2, 5, 2))

REFUSED: list[tuple[dict[str, Any], type[RequestRefused], list[str]]] = [
    ({"key": np.ones((2, 5, 3))}, ShapeMismatch, ["/key"]),
    ({"value": np.ones((2, 4, 2))}, ShapeMismatch, ["/value"]),
    ({"past_key": KEY}, InvalidRequest, [""]),
    ({"score_model": {"name": "bilinear", "weight": np.ones((4, 3))}}, ShapeMismatch, ["/score_model/weight"]),
    ({"score_model": {"name": "gaussian", "bandwidth": -1}}, InvalidRequest, ["/score_model/bandwidth"]),
    ({"score_model": {"name": "gaussian", "bandwith": 1}}, UnknownName, ["/score_model/bandwith"]),
    ({"normalizer": "sofmax"}, UnknownName, ["/normalizer/name"]),
    ({"normalizer": {"name": "softmax", "temperature": 0}}, InvalidRequest, ["/normalizer/temperature"]),
    ({"normalizer": {"name": "sigmoid", "bias": "x"}}, InvalidRequest, ["/normalizer/bias"]),
    ({"mask": {"window": {"left": -1}}}, InvalidRequest, ["/mask/window/left"]),
    ({"mask": {"windw": 3}}, UnknownName, ["/mask/windw"]),
    ({"mask": {"key_lengths": [3, 9]}}, InvalidRequest, ["/mask/key_lengths"]),
    ({"mask": {"query_segments": np.zeros(3, int)}}, InvalidRequest, [""]),
    ({"bias": np.ones(7)}, ShapeMismatch, ["/bias"]),
    ({"score_modifier": {"formula": "score + x"}}, UnknownName, ["/score_modifier/formula"]),
    ({"mask": {"formula": "j - p"}}, InvalidRequest, ["/mask/formula"]),
    ({"mask": {"formula": "j < width", "width": 2}}, UnknownName, ["/mask/width"]),
    ({"mask": "j <= p"}, InvalidRequest, ["/mask"]),
    ({"position": {"name": "alibi", "slopes": np.ones(3)}}, ShapeMismatch, ["/position/slopes"]),
    ({"position": {"name": "rotary", "base": -1}}, InvalidRequest, ["/position/base"]),
    ({"heads": {"query": 0, "key_value": 1}}, InvalidRequest, ["/heads/query"]),
    ({"softcap": -1}, InvalidRequest, ["/softcap"]),
    ({"include": ["output", "logsumexp"], "normalizer": "relu"}, InvalidRequest, ["/include/1"]),
    ({"include": ["present", "output"], "value": None}, InvalidRequest, ["/include/0"]),
    ({"softcap": -1, "normalizer": {"name": "softmax", "temperature": 0}}, InvalidRequest,
     ["/normalizer/temperature", "/softcap"]),
    ({"score_model": "none_such"}, NotFound, []),
    ({"bias": np.ones(5, bool)}, MalformedRequest, []),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "pointers"), REFUSED, ids=[",".join(case[0]) for case in REFUSED])
async def test_a_refusal_has_its_type_and_pointers(
    server: Server, call: CallMethod, wrong: dict[str, Any], kind: type[RequestRefused], pointers: list[str]
) -> None:
    with pytest.raises(kind) as raised:
        await call(server.url, "attend", **({"query": QUERY, "key": KEY, "value": VALUE} | wrong))
    error = raised.value
    assert type(error) is kind
    assert [one.pointer for one in error.errors] == pointers
    assert error.detail.startswith(error.errors[0].detail if pointers else error.detail)
    assert error.status == PROBLEMS[str(error.slug)].status
    assert re.fullmatch(r"[A-Za-z0-9._-]+", str(error.request_id))
    assert str(error).startswith(f"{error.status} {error.slug}")


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"query": [[1.0, 2.0], [1.0]]}, "/query"),
    ({"key": [["a", "b"]]}, "/key"),
    ({"value": np.ones((2, 5, 2), complex)}, "/value"),
    ({"query": np.where(np.arange(24).reshape(2, 3, 4) == 17, 1e39, 1.0), "dtype": "float32"}, "/query/1/1/1"),
    ({"key": KEY * 70000, "dtype": "float16"}, "/key/0/0/0"),
    ({"value": VALUE * 3.4e38, "dtype": "bfloat16"}, "/value/0/0/0"),
    ({"dtype": "float8"}, "/dtype"),
    ({"mask": Causal()}, "/mask"),
    ({"mask": {"allowed": [[True], [True, False]]}}, "/mask/allowed"),
    ({"mask": {"allowed": np.ones(5)}}, "/mask/allowed"),
    ({"mask": {"key_allowed": [1, 1, 1, 0, 0]}}, "/mask/key_allowed"),
    ({"mask": {"key_lengths": [True, False]}}, "/mask/key_lengths"),
    ({"positions": {"query": [0, 1.5, 2]}}, "/positions/query/1"),
    ({"positions": {"key": [0, 1, 2, 3, np.inf]}}, "/positions/key/4"),
    ({"bias": object()}, "/bias"),
    ({"score_model": {"scale": 2}}, "/score_model"),
    ({"score_model": {"formula": "q @ k"}}, "/score_model"),
    ({"score_modifier": lambda score: score}, "/score_modifier"),
    ({"key": None}, "/key"),
    ({"key": None, "value": None, "append": True}, "/append"),
    ({"memory": "a", "key": None}, "/value"),
    ({"memory": "a"}, "/key"),
    ({"memory": "a", "key": None, "append": True}, "/key"),
    ({"memory": "a", "append": True, "past_key": KEY}, "/past_key"),
    ({"memory": "a/b", "key": None, "value": None}, "/memory"),
    ({"memory": 7, "key": None, "value": None}, "/memory"),
    ({"memory": ("a", "b", "c"), "key": None, "value": None}, "/memory"),
    ({"memory": ("a", 'v"\r\nEvil: 1'), "append": True}, "/memory/version"),
    ({"score_modifier": {"formula": "score * a", "parameters": {"a": np.inf}}}, "/score_modifier/parameters/a"),
    ({"mask": {"formula": "a[j] > i", "parameters": {"a": [1, np.nan, 1, 1, 1]}}}, "/mask/parameters/a/1"),
    ({"include": []}, "/include"),
    ({"include": ["output", "ranking"]}, "/include/1"),
]


@pytest.mark.parametrize(("wrong", "pointer"), ARGUMENTS, ids=[case[1] for case in ARGUMENTS])
async def test_an_argument_that_cannot_be_sent_raises_before_sending(
    call: CallMethod, wrong: dict[str, Any], pointer: str
) -> None:
    with scripted() as server, pytest.raises(InvalidArgument) as raised:
        await call(server.url, "attend", **({"query": QUERY, "key": KEY, "value": VALUE} | wrong))
    assert raised.value.pointer == pointer
    assert isinstance(raised.value, ValueError)
    assert not server.received


async def test_an_unknown_argument_is_a_type_error(call: CallMethod) -> None:
    with pytest.raises(TypeError, match="softcapp"):
        await call("http://127.0.0.1:1", "attend", QUERY, KEY, softcapp=2.0)


@pytest.mark.parametrize("slug", PROBLEMS)
async def test_every_problem_of_the_service_has_its_type(call: CallMethod, slug: str) -> None:
    types = {401: NotAuthorized, 403: NotAuthorized, 400: MalformedRequest, 404: NotFound, 413: TooLarge,
             422: InvalidRequest, 429: ServiceBusy, 503: ServiceBusy, 500: ServiceFailed}  # fmt: skip
    named = {
        "shape-mismatch": ShapeMismatch,
        "unknown-name": UnknownName,
        "precondition-failed": PreconditionFailed,
        "conflict": Conflict,
        "insufficient-storage": InsufficientStorage,
        "memory-damaged": MemoryDamaged,
        "memories-unavailable": MemoriesUnavailable,
    }
    status = int(PROBLEMS[slug].status)
    expected = named.get(slug, types.get(status, AttentionServiceError))
    with scripted(problem(status, slug)) as server, pytest.raises(expected) as raised:
        await call(server.url, "attend", QUERY, KEY, call_options={"retry": Retry(attempts=1)})
    assert f"about {slug}" in str(raised.value)
    assert raised.value.request_id == "id-1"
    if isinstance(raised.value, RequestRefused):
        assert (raised.value.slug, raised.value.status) == (slug, status)
        assert raised.value.__class__ is (expected if slug in named or status in types else RequestRefused)
    else:
        assert slug == "deadline-exceeded"


@pytest.mark.soak
async def test_a_body_over_the_limit_raises_too_large_with_the_limit(tmp_path: Path, call: CallMethod) -> None:
    with running_server(tmp_path, MAX_BODY_BYTES="3000") as small:
        with pytest.raises(TooLarge, match="3000"):
            await call(small.url, "attend", np.ones((50, 4)), np.ones((50, 4)))
        assert (await call(small.url, "attend", QUERY, KEY)).weights.shape == (2, 3, 5)


@pytest.mark.soak
async def test_prefix_key_and_ids_are_sent(tmp_path: Path, call: CallMethod) -> None:
    call_options = {"request_id": "my-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    with running_server(tmp_path, "--root-path", "/attention") as behind:
        for url in (f"{behind.url}/attention", f"{behind.url}/attention/"):
            result = await call(url, "attend", QUERY, KEY, call_options=call_options)
            assert result.request_id == "my-1"
            with pytest.raises(ShapeMismatch) as raised:
                await call(url, "attend", QUERY, KEY[..., :3], call_options=call_options)
            assert raised.value.request_id == "my-1"
    with scripted(problem(403, "forbidden")) as server, pytest.raises(NotAuthorized):
        await call(
            f"{server.url}/attention",
            "attend",
            QUERY,
            KEY,
            call_options=call_options,
            client_options={"api_key": "secret"},
        )
    [received] = server.received
    assert received.line == "POST /attention/v2/models/scaled_dot_product/infer HTTP/1.1"
    assert received.headers["authorization"] == "Bearer secret"
    assert received.headers["traceparent"] == call_options["traceparent"]


@pytest.mark.parametrize(
    "call_options", [{"request_id": "a b"}, {"request_id": "x\r\nEvil: 1"}, {"traceparent": "00-zz"}], ids=str
)
async def test_malformed_ids_are_refused(call: CallMethod, call_options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        await call("http://127.0.0.1:1", "attend", QUERY, KEY, call_options=call_options)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "", "http:///v1"])
@pytest.mark.parametrize("client", [AttentionClient, AsyncAttentionClient])
def test_an_address_that_is_no_url_is_refused(client: Any, url: str) -> None:
    with pytest.raises(InvalidArgument):
        client(url)


async def test_the_name_of_a_score_model_is_quoted_in_the_path(call: CallMethod) -> None:
    with scripted(problem(404, "not-found")) as server, pytest.raises(NotFound):
        await call(server.url, "attend", QUERY, KEY, score_model="../../v1/x?y#z")
    assert server.received[0].line == "POST /v2/models/..%2F..%2Fv1%2Fx%3Fy%23z/infer HTTP/1.1"
