"""A call that tells how far it is comes to the same result, and to the same errors."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import attend
from service.client import (
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
from tests.server import Server
from tests.service.client.conftest import Ask
from tests.service.client.scripted import answer, scripted
from tests.service.client.test_equality import DRAWN, ML_DTYPES, NOT_FINITE, as_arguments, assert_same_bits, fields_of
from tests.service.strategies import attention_requests

STREAM = {"Content_Type": "text/event-stream"}
RESULT = {"weights": [[0.25, 0.75]], "score_model": {"name": "dot_product"}, "notes": []}


def unheard(progress: Progress) -> None:
    assert 0 <= progress.done <= progress.total


@settings(DRAWN, max_examples=20)
@given(data=st.data())
def test_whatever_is_asked_the_result_is_the_same(server: Server, data: st.DataObject) -> None:
    asked = data.draw(attention_requests())
    arguments = as_arguments(asked, data.draw)
    news: list[Progress] = []
    with AttentionClient(server.url) as client:
        plain = client.attend(**arguments, include=fields_of(asked))
        watched = client.attend(**arguments, include=fields_of(asked), progress=news.append)
    assert set(watched.arrays) == set(plain.arrays)
    for name, array in plain.arrays.items():
        assert_same_bits(watched.arrays[name], array, name)
    assert (watched.score_model, watched.dtype, watched.notes) == (plain.score_model, plain.dtype, plain.notes)
    assert watched.request_id


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_numbers_that_are_none_arrive_as_they_are(server: Server, ask: Ask, dtype: str) -> None:
    generator = np.random.default_rng(5)
    query, key, value = (generator.choice(NOT_FINITE, size=(2, 4, 3)) for _ in range(3))
    query[0] = generator.normal(size=(4, 3))
    include = ("scores", "logits", "weights", "output", "logsumexp", "present")
    options = {"dtype": dtype, "include": include, "bias": np.array([0.0, -np.inf, 1, 2])}
    result = await ask(server.url, "attend", query, key, value, progress=unheard, **options)
    for name, array in attend(query, key, value, **options).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


async def test_nothing_to_attend_to_keeps_its_shape(server: Server, ask: Ask) -> None:
    query, key, value = np.ones((2, 0, 4)), np.ones((2, 3, 4)), np.ones((2, 3, 5))
    result = await ask(server.url, "attend", query, key, value, progress=unheard)
    assert result.output.shape == (2, 0, 5)


async def test_tiles_are_counted(server: Server, ask: Ask) -> None:
    query = np.random.default_rng(1).normal(size=(4, 1500, 16))
    options = {"score_model": "laplacian", "include": ["output"]}
    news: list[Progress] = []
    result = await ask(server.url, "attend", query, query, query, progress=news.append, **options)
    counted = [one.done for one in news]
    assert counted
    assert counted == sorted(counted)
    assert {one.total for one in news} == {news[0].total}
    assert 0 < counted[-1] <= news[-1].total
    assert_same_bits(result.output, (await ask(server.url, "attend", query, query, query, **options)).output)


async def test_a_check_may_be_watched(server: Server, ask: Ask) -> None:
    query = np.random.default_rng(2).normal(size=(3, 4))
    claim = {"candidate": {"weights": np.full((3, 3), 0.5)}}
    watched = await ask(server.url, "check", query, query, progress=unheard, **claim)
    assert watched == await ask(server.url, "check", query, query, **claim)
    assert not watched["passed"]


async def test_errors_are_those_of_any_call(server: Server, ask: Ask) -> None:
    query, key = np.ones((3, 4)), np.ones((3, 5))
    with pytest.raises(ShapeMismatch) as mismatch:
        await ask(server.url, "attend", query, key, progress=unheard)
    assert mismatch.value.errors[0].pointer == "/key"
    with pytest.raises(InvalidArgument, match="which are arrays"):
        await ask(server.url, "attend", query, query, progress=unheard, include=["diagnostics"])
    with pytest.raises(InvalidArgument, match="within the range of float16"):
        await ask(server.url, "attend", query * 1e5, query, progress=unheard, dtype="float16")


def stream(*events: tuple[str, Any]) -> bytes:
    return b": still there\n\n" + b"".join(
        f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        for name, data in events
    )


QUERY = np.ones((1, 2))
ONCE = {"retry": Retry(attempts=1)}


@pytest.mark.parametrize("pause", [0.0, 0.001])
async def test_events_may_come_in_any_pieces(ask: Ask, pause: float) -> None:
    told = stream(("progress", {"done": 1, "total": 4}), ("unknown", {}), ("result", RESULT))
    news: list[Progress] = []
    with scripted(answer(200, told, **STREAM), seconds_between_bytes=pause) as server:
        result = await ask(server.url, "attend", QUERY, QUERY, progress=news.append)
    assert news == [Progress(1, 4, None)]
    assert result.weights.tolist() == [[0.25, 0.75]]
    assert server.received[0].headers["accept"] == "text/event-stream"


async def test_an_error_in_the_stream_is_typed(ask: Ask) -> None:
    about = {"type": "/problems/too-large", "status": 413, "detail": "too much", "instance": "id-1"}
    with scripted(answer(200, stream(("error", about)), **STREAM)) as server, pytest.raises(TooLarge) as refused:
        await ask(server.url, "attend", QUERY, QUERY, progress=unheard)
    assert refused.value.request_id == "id-1"


async def test_a_stream_that_ends_early_is_asked_for_again(ask: Ask) -> None:
    cut, whole = (answer(200, stream(*events), **STREAM) for events in ((), (("result", RESULT),)))
    with scripted(cut, whole) as server:
        result = await ask(server.url, "attend", QUERY, QUERY, progress=unheard)
    assert result.score_model == "dot_product"
    with scripted(cut) as server, pytest.raises(ConnectionFailed, match="before the result"):
        await ask(server.url, "attend", QUERY, QUERY, progress=unheard, made=ONCE)


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
async def test_what_cannot_be_read_is_said_to_be_so(ask: Ask, event: tuple[str, Any]) -> None:
    with scripted(answer(200, stream(event), **STREAM)) as server, pytest.raises(UnreadableAnswer):
        await ask(server.url, "attend", QUERY, QUERY, progress=unheard)


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
