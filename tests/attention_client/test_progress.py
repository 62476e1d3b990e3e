"""A call with progress has the same result and the same errors as one without."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_client import (
    AttentionClient,
    ConnectionFailed,
    InvalidArgument,
    Progress,
    ProgressBar,
    Retry,
    ShapeMismatch,
    TooLarge,
    UnreadableAnswer,
)
from attention_core import attend
from tests.attention_client.conftest import CallMethod
from tests.attention_client.equality import DRAWN, ML_DTYPES, NOT_FINITE, as_arguments, assert_same_bits, fields_of
from tests.attention_client.scripted import answer, scripted
from tests.sampling import draws
from tests.server import Server
from tests.service.strategies import attention_requests

STREAM = {"Content_Type": "text/event-stream"}
RESULT = {"weights": [[0.25, 0.75]], "score_model": {"name": "dot_product"}, "notes": []}


def check_progress(progress: Progress) -> None:
    assert 0 <= progress.done <= progress.total


@settings(DRAWN, max_examples=draws(20))
@given(data=st.data())
def test_progress_does_not_change_the_result(server: Server, data: st.DataObject) -> None:
    asked = data.draw(attention_requests())
    arguments = as_arguments(asked, data.draw)
    reported: list[Progress] = []
    with AttentionClient(server.url) as client:
        plain = client.attend(**arguments, include=fields_of(asked))
        watched = client.attend(**arguments, include=fields_of(asked), progress=reported.append)
    assert set(watched.arrays) == set(plain.arrays)
    for name, array in plain.arrays.items():
        assert_same_bits(watched.arrays[name], array, name)
    assert (watched.score_model, watched.dtype, watched.notes) == (plain.score_model, plain.dtype, plain.notes)
    assert watched.request_id


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_nan_and_infinity_arrive_unchanged(server: Server, call: CallMethod, dtype: str) -> None:
    generator = np.random.default_rng(5)
    query, key, value = (generator.choice(NOT_FINITE, size=(2, 4, 3)) for _ in range(3))
    query[0] = generator.normal(size=(4, 3))
    include = ("scores", "logits", "weights", "output", "logsumexp", "present")
    options = {"dtype": dtype, "include": include, "bias": np.array([0.0, -np.inf, 1, 2])}
    result = await call(server.url, "attend", query, key, value, progress=check_progress, **options)
    for name, array in attend(query, key, value, **options).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


async def test_an_empty_call_with_progress_keeps_its_shape(server: Server, call: CallMethod) -> None:
    query, key, value = np.ones((2, 0, 4)), np.ones((2, 3, 4)), np.ones((2, 3, 5))
    result = await call(server.url, "attend", query, key, value, progress=check_progress)
    assert result.output.shape == (2, 0, 5)


async def test_progress_counts_tiles(server: Server, call: CallMethod) -> None:
    query = np.random.default_rng(1).normal(size=(4, 1500, 16))
    options = {"score_model": "laplacian", "include": ["output"]}
    reported: list[Progress] = []
    result = await call(server.url, "attend", query, query, query, progress=reported.append, **options)
    counted = [one.done for one in reported]
    assert counted
    assert counted == sorted(counted)
    assert {one.total for one in reported} == {reported[0].total}
    assert 0 < counted[-1] <= reported[-1].total
    assert_same_bits(result.output, (await call(server.url, "attend", query, query, query, **options)).output)


async def test_a_check_reports_progress(server: Server, call: CallMethod) -> None:
    query = np.random.default_rng(2).normal(size=(3, 4))
    claim = {"candidate": {"weights": np.full((3, 3), 0.5)}}
    watched = await call(server.url, "check", query, query, progress=check_progress, **claim)
    assert watched == await call(server.url, "check", query, query, **claim)
    assert not watched["passed"]


async def test_errors_with_progress_are_those_without(server: Server, call: CallMethod) -> None:
    query, key = np.ones((3, 4)), np.ones((3, 5))
    with pytest.raises(ShapeMismatch) as mismatch:
        await call(server.url, "attend", query, key, progress=check_progress)
    assert mismatch.value.errors[0].pointer == "/key"
    with pytest.raises(InvalidArgument, match="which are arrays"):
        await call(server.url, "attend", query, query, progress=check_progress, include=["diagnostics"])
    with pytest.raises(InvalidArgument, match="within the range of float16"):
        await call(server.url, "attend", query * 1e5, query, progress=check_progress, dtype="float16")


def stream(*events: tuple[str, Any]) -> bytes:
    return b": still there\n\n" + b"".join(
        f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        for name, data in events
    )


QUERY = np.ones((1, 2))
ONCE = {"retry": Retry(attempts=1)}


@pytest.mark.parametrize("pause", [0.0, 0.001])
async def test_events_may_arrive_in_any_pieces(call: CallMethod, pause: float) -> None:
    events = stream(("progress", {"done": 1, "total": 4}), ("unknown", {}), ("result", RESULT))
    reported: list[Progress] = []
    with scripted(answer(200, events, **STREAM), seconds_between_bytes=pause) as server:
        result = await call(server.url, "attend", QUERY, QUERY, progress=reported.append)
    assert reported == [Progress(1, 4, None)]
    assert result.weights.tolist() == [[0.25, 0.75]]
    assert server.received[0].headers["accept"] == "text/event-stream"


async def test_an_error_in_the_stream_is_typed(call: CallMethod) -> None:
    about = {"type": "/problems/too-large", "status": 413, "detail": "too much", "instance": "id-1"}
    with scripted(answer(200, stream(("error", about)), **STREAM)) as server, pytest.raises(TooLarge) as refused:
        await call(server.url, "attend", QUERY, QUERY, progress=check_progress)
    assert refused.value.request_id == "id-1"


async def test_a_stream_that_ends_early_is_requested_again(call: CallMethod) -> None:
    cut, whole = (answer(200, stream(*events), **STREAM) for events in ((), (("result", RESULT),)))
    with scripted(cut, whole) as server:
        result = await call(server.url, "attend", QUERY, QUERY, progress=check_progress)
    assert result.score_model == "dot_product"
    with scripted(cut) as server, pytest.raises(ConnectionFailed, match="before the result"):
        await call(server.url, "attend", QUERY, QUERY, progress=check_progress, client_options=ONCE)


@pytest.mark.parametrize(
    "event",
    [
        ("progress", "{"),
        ("progress", []),
        ("progress", {"done": 1}),
        ("error", {"detail": "no status"}),
        ("result", {"weights": "none"}),
        ("result", {}),
    ],
)
async def test_a_malformed_event_raises_unreadable_answer(call: CallMethod, event: tuple[str, Any]) -> None:
    with scripted(answer(200, stream(event), **STREAM)) as server, pytest.raises(UnreadableAnswer):
        await call(server.url, "attend", QUERY, QUERY, progress=check_progress)


def test_a_bar_is_drawn_in_one_line() -> None:
    drawn = io.StringIO()
    bar = ProgressBar(drawn)
    for progress in (Progress(1, 4, 2.0), Progress(4, 4, 0.0)):
        bar(progress)
    first, second = drawn.getvalue().split("\r")[1:]
    assert first.startswith("[" + "#" * 7 + " " * 23 + "] 1/4 tiles, 2.0 s left")
    assert not first.endswith("\n")
    assert second.startswith("[" + "#" * 30 + "] 4/4 tiles")
    assert second.endswith("\n")
