"""Notes on a call as a whole: which calls have one, which have none."""

import json
import warnings
from typing import Any

import httpx
import numpy as np
import pytest

from attention_core import (
    Alibi,
    Allowed,
    Causal,
    FormulaMask,
    Heads,
    KeyLengths,
    Positions,
    PrefixLengths,
    Rotary,
    ScoreModifier,
    Window,
    attend,
)

CORNER = "query 0 stands at key 0; bottom_right aligns the ends"


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape)


def vectors(batch: tuple[int, ...], queries: int, keys: int) -> dict[str, Any]:
    return {"query": ones(*batch, queries, 4), "key": ones(*batch, keys, 4), "value": ones(*batch, keys, 2)}


CAUSAL: list[tuple[dict[str, Any], bool]] = [
    (vectors((), 2, 5) | {"mask": Causal()}, True),
    (vectors((), 5, 2) | {"mask": Causal()}, True),
    (vectors((3,), 1, 5) | {"mask": Causal() & KeyLengths(np.array([1, 2, 3]))}, True),
    (vectors((), 3, 3) | {"mask": Causal()}, False),
    (vectors((), 2, 5) | {"mask": Causal(), "offset": 0}, False),
    (vectors((), 2, 5) | {"mask": Causal(), "offset": "bottom_right"}, False),
    (vectors((), 2, 5) | {"mask": Window(1, 0)}, False),
    (vectors((), 2, 5) | {"position": Alibi()}, False),
    (vectors((), 2, 2) | {"mask": Causal(), "past_key": ones(3, 4), "past_value": ones(3, 2)}, False),
    (vectors((), 0, 5) | {"mask": Causal()}, False),
]


@pytest.mark.parametrize(("call", "noted"), CAUSAL, ids=range(len(CAUSAL)))
def test_a_causal_mask_over_two_lengths_says_where_it_begins(call: dict[str, Any], noted: bool) -> None:
    notes = attend(**call).notes
    assert [note.endswith(CORNER) for note in notes if note.startswith("causal")] == [True] * noted


def test_one_query_or_key_is_counted_in_the_singular() -> None:
    [of_query] = attend(**vectors((), 1, 5), mask=Causal()).notes
    [of_key] = attend(**vectors((), 5, 1), mask=Causal()).notes
    assert of_query.startswith("causal with 1 query and 5 keys: ")
    assert of_key.startswith("causal with 5 queries and 1 key: ")
    [order] = attend(ones(1, 3, 1, 4), ones(1, 3, 1, 4)).notes
    assert "3 heads, 1 query and 1 key; if it is" in order


READINGS: list[tuple[dict[str, Any], str, list[int]]] = [
    (vectors((3,), 3, 5) | {"mask": Allowed(np.ones((3, 5), bool))}, "allowed", [3, 1, 5]),
    (vectors((3, 2), 3, 5) | {"mask": Causal() & Allowed(np.ones((3, 5), bool))}, "allowed", [3, 1, 1, 5]),
    (vectors((3,), 3, 5) | {"bias": ones(3, 5)}, "bias", [3, 1, 5]),
    (vectors((2, 2), 3, 5) | {"bias": ones(2, 3, 5)}, "bias", [2, 1, 3, 5]),
    (vectors((2, 2), 3, 5) | {"mask": Allowed(np.ones((2, 1, 5), bool))}, "allowed", [2, 1, 1, 5]),
]

CLEAR: list[dict[str, Any]] = [
    vectors((3,), 4, 5) | {"mask": Allowed(np.ones((4, 5), bool)), "bias": ones(4, 5)},
    vectors((3,), 3, 5) | {"bias": ones(3, 1, 5)},
    vectors((3,), 3, 5) | {"bias": ones(1, 5)},
    vectors((3,), 3, 5) | {"bias": ones(5)},
    vectors((), 3, 3) | {"bias": ones(3, 3)},
    vectors((1,), 1, 5) | {"bias": ones(1, 5)},
    vectors((2, 3), 4, 5) | {"bias": ones(3, 4, 5)},
    vectors((1, 1), 4, 5) | {"bias": ones(1, 4, 5)},
    vectors((2, 2, 2), 3, 5) | {"bias": ones(2, 3, 5)},
]


@pytest.mark.parametrize(("call", "name", "sent"), READINGS, ids=range(len(READINGS)))
def test_an_array_that_fits_in_two_ways_says_how_it_is_read(call: dict[str, Any], name: str, sent: list[int]) -> None:
    [note] = [note for note in attend(**call).notes if not note.startswith("causal")]
    assert note.startswith(f"{name} of shape ")
    assert note.endswith(f"send {sent}")


@pytest.mark.parametrize("call", CLEAR, ids=range(len(CLEAR)))
def test_an_array_that_fits_in_one_way_says_nothing(call: dict[str, Any]) -> None:
    assert attend(**call).notes == ()


def test_a_note_is_said_once() -> None:
    allowed = Allowed(np.ones((3, 5), bool))
    notes = attend(**vectors((3,), 3, 5), mask=Causal() & allowed & Causal() & allowed).notes
    assert [note.partition(" ")[0] for note in notes] == ["causal", "allowed"]


def test_what_the_note_says_to_send_is_the_other_reading() -> None:
    """With a mask per batch row in the shape that the note names, each row hides its own keys."""
    allowed = np.array([[True, False, True], [True, True, False], [False, True, True]])
    call = {"query": ones(3, 3, 4), "key": ones(3, 3, 4)}
    read = attend(**call, mask=Allowed(allowed))
    meant = attend(**call, mask=Allowed(allowed.reshape(3, 1, 3)))
    assert read.notes
    assert not meant.notes
    np.testing.assert_array_equal(read.weights > 0, np.broadcast_to(allowed, (3, 3, 3)))
    np.testing.assert_array_equal(meant.weights > 0, np.broadcast_to(allowed[:, None, :], (3, 3, 3)))


def by_length(queries: int, keys: int, heads: int, key_heads: int) -> dict[str, Any]:
    """Vectors as (batch, length, heads, features)."""
    return {"query": ones(2, queries, heads, 4), "key": ones(2, keys, key_heads, 4)}


ORDERS: list[tuple[dict[str, Any], bool]] = [
    (by_length(6, 6, 2, 2), True),
    (by_length(6, 3, 2, 2), True),
    (by_length(8, 8, 4, 2) | {"value": ones(2, 8, 2, 4)}, True),
    (by_length(2, 2, 6, 6), False),
    (by_length(4, 4, 4, 4), False),
    (by_length(6, 6, 3, 2), False),
    (by_length(8, 8, 1, 9), False),
    ({"query": ones(2, 6, 8), "key": ones(2, 6, 8), "heads": Heads(4, 4)}, False),
    ({"query": ones(6, 2, 4), "key": ones(6, 2, 4)}, False),
    (by_length(6, 6, 2, 2) | {"value": ones(2, 6, 2, 4), "past_key": ones(2, 6, 9, 4), "past_value": ones(2, 6, 9, 4)},
     False),
]  # fmt: skip


@pytest.mark.parametrize(("call", "noted"), ORDERS, ids=range(len(ORDERS)))
def test_more_heads_than_positions_say_which_axis_is_which(call: dict[str, Any], noted: bool) -> None:
    notes = attend(**call).notes
    assert ["transpose axes 1 and 2" in note for note in notes] == [True] * noted


BOTH = Positions(np.array([3, 4]), np.array([0, 1, 9]))
OF_QUERIES = Positions(np.array([3, 4]))
OF_KEYS = Positions(key=np.array([0, 1, 9]))
PREFIX = PrefixLengths(np.array([1]))
DOCUMENTS = {"doc": np.array([0, 0, 1])}

EFFECTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"mask": PREFIX}, ["prefix_lengths"]),
    ({"mask": PREFIX & KeyLengths(np.array([2]))}, ["prefix_lengths"]),
    ({"mask": PREFIX & Causal(), "offset": 0}, []),
    ({"mask": PREFIX & Window(1, 0)}, []),
    ({"mask": PREFIX & Window()}, ["prefix_lengths"]),
    ({"positions": BOTH}, ["positions.query", "positions.key"]),
    ({"positions": OF_QUERIES}, ["positions.query"]),
    ({"positions": OF_KEYS, "mask": Allowed(np.ones((2, 3), bool))}, ["positions.key"]),
    ({"positions": Positions()}, []),
    ({"positions": BOTH, "mask": Causal()}, []),
    ({"positions": BOTH, "mask": Window(1, 1)}, []),
    ({"positions": OF_KEYS, "mask": Window(None, 0)}, []),
    ({"positions": BOTH, "mask": Window()}, ["positions.query", "positions.key"]),
    ({"positions": BOTH, "position": Alibi()}, []),
    ({"positions": BOTH, "position": Rotary()}, []),
    ({"positions": OF_QUERIES, "mask": FormulaMask("j <= p")}, []),
    ({"positions": OF_QUERIES, "mask": FormulaMask("j <= i")}, ["positions.query"]),
    ({"positions": OF_QUERIES, "score_modifier": ScoreModifier("score - p + j")}, []),
    ({"positions": BOTH, "mask": FormulaMask("j <= p")}, ["positions.key", "mask.formula"]),
    ({"positions": BOTH, "mask": Causal() & FormulaMask("j <= p")}, ["mask.formula"]),
    ({"positions": BOTH, "mask": Causal() & FormulaMask("doc[j] == doc[i]", DOCUMENTS)}, []),
    ({"positions": BOTH, "mask": Causal() & FormulaMask("doc[2 - j] == doc[j]", DOCUMENTS)}, ["mask.formula"]),
    ({"positions": BOTH, "position": Alibi(), "score_modifier": ScoreModifier("score - j")}, ["score_modifier"]),
]


@pytest.mark.parametrize(("call", "named"), EFFECTS, ids=range(len(EFFECTS)))
def test_a_field_without_effect_and_an_index_beside_positions_are_noted(call: dict[str, Any], named: list[str]) -> None:
    notes = attend(**vectors((), 2, 3), **call).notes
    assert [note.replace(":", "").partition(" ")[0] for note in notes if not note.startswith("row")] == named


@pytest.mark.parametrize("place", range(4))
def test_a_field_that_is_noted_changes_nothing(place: int) -> None:
    """Without the field the call has the same weights."""
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"mask": PREFIX & Allowed(np.tri(2, 3) > 0)}, {"mask": Allowed(np.tri(2, 3) > 0)}),
        ({"positions": BOTH}, {"positions": None}),
        ({"positions": OF_QUERIES, "mask": FormulaMask("j <= i")}, {"positions": None}),
        ({"positions": OF_KEYS, "mask": FormulaMask("j <= p")}, {"positions": None}),
    ]
    call, field = cases[place]
    numbers: dict[str, Any] = {"query": np.arange(8.0).reshape(2, 4), "key": np.arange(12.0).reshape(3, 4) / 9}
    noted, plain = attend(**numbers, **call), attend(**numbers, **(call | field))
    assert any("no effect" in note for note in noted.notes)
    np.testing.assert_array_equal(noted.weights, plain.weights)


def test_notes_on_the_call_come_first_and_count_among_twenty() -> None:
    hidden = Causal() & Allowed(np.zeros((30, 40), bool))
    notes = attend(**vectors((), 30, 40), mask=hidden).notes
    assert notes[0].endswith(CORNER)
    assert [note.partition(":")[0] for note in notes[1:-1]] == [f"row {row}" for row in range(19)]
    assert notes[-1] == "and 11 more"


async def test_they_are_said_over_both_protocols(client: httpx.AsyncClient) -> None:
    request = {"query": [[1, 0]] * 2, "key": [[1, 2]] * 3, "mask": {"causal": True}}
    for _ in range(2):  # The second is answered from the cache.
        notes = (await client.post("/v1/attention", json=request)).json()["notes"]
        assert [note.endswith(CORNER) for note in notes] == [True]
    inputs = [
        {"name": name, "shape": [len(request[name]), 2], "datatype": "FP32", "data": request[name]}
        for name in ("query", "key")
    ]
    body = {"inputs": inputs, "parameters": {"causal": True}}
    answer = (await client.post("/v2/models/dot_product/infer", json=body)).json()
    assert json.loads(answer["parameters"]["notes"]) == notes


def test_a_row_without_a_key_beside_an_infinite_one_is_noted_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes = attend([[1.0]] * 3, [[1.0]], bias=np.array([[0.0], [-np.inf], [np.inf]])).notes
    assert notes == (
        "row 1: no visible key; weights and output are zero",
        "row 2: NaN or +infinity among the visible logits; weights and output are NaN",
    )
