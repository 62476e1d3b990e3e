"""POST /v1/attention/merge: keys divided at random, attended to over HTTP and merged, are the whole."""

import json
import math
from decimal import Decimal

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.compute import Body
from service.compute.merge import prepare_merge
from service.errors import TooLarge
from service.settings import Settings
from tests.compare import assert_close
from tests.sampling import draws
from tests.service.wrong_merges import PART

DRAWN = settings(max_examples=draws(60))
SEEDS = st.integers(0, 2**32 - 1)
KEYS, QUERIES = 7, 3
SCORE_MODELS = ("scaled_dot_product", "dot_product", "cosine", "gaussian", "laplacian")


async def ask(client: httpx.AsyncClient, path, request):
    response = await client.post(path, json=request)
    assert response.status_code == 200, response.text
    return response.json()


async def partial(client, request):
    """What /v1/attention leaves to be merged, as it writes it."""
    answer = await ask(client, "/v1/attention", request | {"include": ["output", "logsumexp"]})
    return {name: answer[name] for name in ("output", "logsumexp")}


async def merge(client, partials, **fields):
    merged = await ask(client, "/v1/attention/merge", {"partials": partials, **fields})
    assert list(merged) == ["output", "logsumexp", *(["log_base"] if "log_base" in fields else [])]
    return merged


LN_BASE = {"e": 1.0, 2: math.log(2)}
"""Natural logarithm of each base that a logsumexp may have."""


def in_base(sent, log_base):
    """A partial with its logsumexp, natural so far, to another base."""
    changed = np.array([math.nan if one is None else one for one in np.ravel(sent["logsumexp"])], dtype=float)
    shape = np.shape(sent["logsumexp"])
    numbers = np.where(np.isnan(changed), None, changed / LN_BASE[log_base]).reshape(shape)
    return sent | {"logsumexp": numbers.tolist()}


def divided(rng, leading):
    """A request, and its keys in one to five parts, of which one alone knows the sink; some rows see nothing."""
    sizes = {"query": (*leading, QUERIES, 2), "key": (*leading, KEYS, 2), "value": (*leading, KEYS, 3)}
    scale = rng.choice([1, 30, 1000])
    arrays = {name: rng.standard_normal(size) * (scale if name == "query" else 1) for name, size in sizes.items()}
    allowed = rng.random((QUERIES, KEYS)) < rng.choice([0.1, 0.6, 1])
    sink = float(rng.standard_normal()) if rng.random() < 0.5 else None
    shared = {"score_model": str(rng.choice(SCORE_MODELS)), "softcap": float(rng.choice([3, 50]))}
    parts = int(rng.integers(1, 6))
    owner = rng.integers(parts, size=KEYS)

    def asked(own, knows_sink):
        # JSON has no empty axis: who owns no key is sent one and sees none.
        kept, seen = (own, allowed[:, own]) if own.any() else (slice(0, 1), np.zeros((QUERIES, 1), dtype=bool))
        normalizer = {"name": "softmax", "temperature": 2.0, "sink": sink if knows_sink else None}
        own_arrays = {name: array[..., kept, :] for name, array in arrays.items() if name != "query"}
        lists = {name: array.tolist() for name, array in (own_arrays | {"query": arrays["query"]}).items()}
        return lists | shared | {"normalizer": normalizer, "mask": {"allowed": seen.tolist()}}

    whole = asked(np.ones(KEYS, dtype=bool), True)
    knowing = int(rng.integers(parts))
    return whole, [asked(owner == part, part == knowing) for part in range(parts)]


@DRAWN
@given(seed=SEEDS, leading=st.sampled_from([(), (2,), (2, 3)]))
async def test_any_division_of_the_keys_merges_into_the_whole(client, seed, leading):
    rng = np.random.default_rng(seed)
    whole, parts = divided(rng, leading)
    expected = await partial(client, whole)
    pieces = [await partial(client, part) for part in parts]
    merged = await merge(client, [pieces[i] for i in rng.permutation(len(pieces))])
    assert_close(merged["output"], expected["output"], 1e-12)
    assert_close(merged["logsumexp"], expected["logsumexp"], 1e-12 * max(1, largest(expected["logsumexp"])))


@DRAWN
@given(seed=SEEDS, leading=st.sampled_from([(), (2,), (2, 3)]), merged_base=st.sampled_from([None, "e", 2]))
async def test_partials_of_mixed_bases_merge_into_the_whole(client, seed, leading, merged_base):
    rng = np.random.default_rng(seed)
    whole, parts = divided(rng, leading)
    expected = await partial(client, whole)
    pieces = []
    for part in parts:
        own = (None, "e", 2)[int(rng.integers(3))]
        sent = in_base(await partial(client, part), own or merged_base or "e")
        pieces.append(sent if own is None else sent | {"log_base": own})
    fields = {} if merged_base is None else {"log_base": merged_base}
    merged = await merge(client, pieces, **fields)
    assert merged.get("log_base") == merged_base
    bound = 1e-12 * max(1, largest(expected["logsumexp"]))
    assert_close(merged["output"], expected["output"], bound * 8)
    assert_close(merged["logsumexp"], in_base(expected, merged_base or "e")["logsumexp"], bound)
    again = await merge(client, [merged, merged], **fields)
    assert_close(again["output"], merged["output"], bound)


def largest(nested):
    """The largest magnitude among nested numbers; null does not count."""
    if isinstance(nested, list):
        return max(map(largest, nested))
    return 0 if nested is None else abs(nested)


@DRAWN
@given(seed=SEEDS)
async def test_what_was_merged_can_be_merged_again(client, seed):
    rng = np.random.default_rng(seed)
    pieces = [await partial(client, part) for part in divided(rng, ())[1]]
    cut = int(rng.integers(1, len(pieces) + 1))
    at_once = await merge(client, pieces)
    in_steps = await merge(client, [await merge(client, pieces[:cut]), *pieces[cut:]])
    assert_close(in_steps["output"], at_once["output"], 1e-12)
    assert_close(in_steps["logsumexp"], at_once["logsumexp"], 1e-12 * max(1, largest(at_once["logsumexp"])))


async def test_one_partial_comes_back_as_it_was_sent_to_the_last_bit(client):
    whole, _ = divided(np.random.default_rng(5), (2,))
    sent = await partial(client, whole)
    assert await merge(client, [sent]) == sent


async def test_a_query_that_saw_nothing_anywhere_is_zeros_and_null(client):
    nothing = {"query": [[1], [2]], "key": [[1]], "value": [[3]], "mask": {"allowed": [[False], [True]]}}
    empty = await partial(client, nothing)
    assert empty["logsumexp"] == [None, 2]
    merged = await merge(client, [empty, empty, empty])
    assert merged["output"] == [[0], [3]]
    assert merged["logsumexp"][0] is None
    assert merged["logsumexp"][1] == pytest.approx(2 + math.log(3))


OVERFLOWING = {"query": [[1e200], [1.0]], "value": [[1], [2]], "score_model": "dot_product"}


@pytest.mark.parametrize("keys", [([[1e200], [1]], [[1], [2]]), ([[1], [2]], [[-1e200], [1e200]])])
async def test_nan_and_infinity_come_back_and_poison_their_row_alone(client, keys):
    expected = await partial(client, OVERFLOWING | {"key": [*keys[0], *keys[1]], "value": [[1], [2], [1], [2]]})
    assert expected["output"][0] == ["NaN"]
    pieces = [await partial(client, OVERFLOWING | {"key": own}) for own in keys]
    assert any("NaN" in piece["output"][0] for piece in pieces)
    merged = await merge(client, pieces)
    assert merged["logsumexp"][0] == expected["logsumexp"][0]
    assert_close(merged["output"], expected["output"], 1e-12)
    again = await merge(client, [merged, pieces[0]])
    assert again["output"][0] == ["NaN"]


ROUNDED_TO = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half a unit in the last place, relative to the number."""


MAX_DIGITS = {"float64": 17, "float32": 9, "float16": 5, "bfloat16": 4}
"""Decimal digits that are enough to read a number back, and the most that are written."""


@pytest.mark.parametrize("dtype", ROUNDED_TO)
async def test_the_output_is_rounded_once_and_the_logsumexp_stays_in_the_type_computed_in(client, dtype):
    rng = np.random.default_rng(3)
    pieces = [
        {"output": rng.uniform(0.5, 1, (40, 5)).tolist(), "logsumexp": rng.uniform(0, 2, 40).tolist()} for _ in range(3)
    ]
    exact = await merge(client, pieces)
    merged = await merge(client, pieces, dtype=dtype)
    for row, exact_row in zip(merged["output"], exact["output"], strict=True):
        for number, unrounded in zip(row, exact_row, strict=True):
            assert abs(read(number, dtype) - unrounded) <= unrounded * ROUNDED_TO[dtype]
            assert len(Decimal(repr(number)).normalize().as_tuple().digits) <= MAX_DIGITS[dtype]
    computed_in = np.float64 if dtype == "float64" else np.float32
    assert merged["logsumexp"] == [float(str(computed_in(number))) for number in exact["logsumexp"]]


def read(number, dtype):
    """A number as the dtype reads it: JSON writes the shortest decimal that comes back."""
    if dtype == "bfloat16":
        mantissa, exponent = math.frexp(number)
        return math.ldexp(round(mantissa * 256), exponent - 8)
    return float(np.dtype(dtype).type(number))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
async def test_parts_in_a_narrow_type_merge_as_well_as_it_can_hold_them(client, dtype):
    rng = np.random.default_rng(8)
    whole, parts = divided(rng, (2,))
    expected = await partial(client, whole)
    merged = await merge(client, [await partial(client, part | {"dtype": dtype}) for part in parts], dtype=dtype)
    # Inputs, outputs of the parts and the merged output are rounded, each moving the scores or the result a little.
    largest_score = float(np.abs(np.array(whole["query"])).max()) * 4
    assert_close(merged["output"], expected["output"], 8 * (1 + largest_score) * ROUNDED_TO[dtype])


@pytest.mark.parametrize("limit", ["max_operations", "max_result_bytes", "bytes_in_flight"])
def test_a_merge_beyond_the_limits_is_refused_before_it_starts(limit):
    body = Body(json.dumps({"partials": [PART, PART]}).encode())
    found = prepare_merge(body, Settings()).operations
    exact = {"max_operations": found, "max_result_bytes": 6 * 20, "bytes_in_flight": (4 * 6 + 2 * 4) * 8}[limit]
    prepare_merge(body, Settings(**{limit: exact}))
    with pytest.raises(TooLarge, match=str(exact - 1)):
        prepare_merge(body, Settings(**{limit: exact - 1}))


@pytest.mark.parametrize("position", [None, {"name": "alibi", "slopes": 0.5}, "rotary"])
@pytest.mark.parametrize("mask", [{"causal": True}, {"window": {"left": 3, "right": 1}}])
async def test_parts_whose_offset_counts_from_their_first_key_merge_into_the_whole(client, position, mask):
    rng = np.random.default_rng(13)
    query, key, value = (rng.standard_normal((12, 4)) for _ in range(3))

    def asked(keys, offset):
        arrays = {"query": query, "key": key[keys], "value": value[keys]}
        return {name: array.tolist() for name, array in arrays.items()} | {
            "mask": mask | {"offset": offset},
            "position": position,
        }

    expected = await partial(client, asked(slice(0, 12), 2))
    pieces = [await partial(client, asked(slice(start, stop), 2 - start)) for start, stop in ((0, 5), (5, 6), (6, 12))]
    merged = await merge(client, pieces)
    assert_close(merged["output"], expected["output"], 1e-12)
    assert_close(merged["logsumexp"], expected["logsumexp"], 1e-12)
