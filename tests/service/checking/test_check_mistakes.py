"""POST /v1/attention/check finds the mistake: every wrong kernel, sent to a real server."""

from itertools import islice

import numpy as np
import pytest

from attention_core.checking import MISTAKES
from service.explanation.texts import ADVICE
from tests.nested import exchange
from tests.sampling import every
from tests.service.checking.kernels import FIELDS, Kernel
from tests.service.checking.planting import BY_LENGTH, REQUESTS, TOLERANCES, WITH_FORMULAS, candidate_of, gives, plants
from tests.service.checking.wrong_kernels import WRONG
from tests.service.checking.wrong_kernels.masks import (
    BottomRightForTopLeft,
    NoLengths,
    NotItself,
    StrictUpperTriangle,
    TopLeftForBottomRight,
)
from tests.service.checking.wrong_kernels.scores import NoBias, NoCap, NoScale
from tests.service.checking.wrong_kernels.softmaxes import LogarithmToBaseTwo, ZeroByZero

EVERY_KERNEL = [
    pytest.param(name, kernel, id=kernel.__name__, marks=() if kernel is ways[0] else pytest.mark.soak)
    for name, ways in WRONG.items()
    for kernel in ways
]
"""Of each mistake the first way to make it is for every run, all of them for the soak."""

MIN_PLANTS = 6

EITHER = "; or "
"""Between mistakes that fit equally."""


async def check(client, request, candidate, **options):
    response = await client.post("/v1/attention/check", json={"request": request, "candidate": candidate} | options)
    assert response.status_code == 200, response.text
    return response.json()


def test_every_mistake_has_a_kernel_that_makes_it_and_advice():
    assert set(MISTAKES) == set(WRONG) == set(ADVICE)
    for text in ADVICE.values():
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh)
        assert text.en.isascii() or not any("\u4e00" <= letter <= "\u9fff" for letter in text.en)


def test_the_mistakes_of_the_contract_are_among_them():
    assert set(MISTAKES) >= {
        "scale missing",
        "scale doubled",
        "causal corner",
        "window off by one",
        "heads tiled instead of interleaved",
        "softcap after mask",
        "mask inverted",
        "base-2 logsumexp",
        "softmax over the wrong axis",
    }


@pytest.mark.parametrize("most", [MIN_PLANTS, pytest.param(None, marks=pytest.mark.soak, id="everywhere")])
@pytest.mark.parametrize(("mistake", "kernel"), EVERY_KERNEL)
async def test_a_planted_mistake_is_named(client, mistake, kernel, most):
    planted = 0
    for name, request, candidate in islice(plants(kernel), most):
        answer = await check(client, request, candidate)
        causes = (answer["likely_cause"] or "").split(EITHER)
        found = (name, request["dtype"], tuple(candidate), answer["passed"], mistake in causes)
        assert found == (name, request["dtype"], tuple(candidate), False, True), answer["likely_cause"]
        for other in causes:
            # A mistake that is named beside it gives the same numbers here: another wrong kernel shows it.
            assert other == mistake or gives(other, request, candidate), (other, *found)
            assert ADVICE[other].en in answer["advice"]["en"]
            assert ADVICE[other].zh in answer["advice"]["zh"]
        planted += 1
    assert planted >= MIN_PLANTS


ORDERS = {"heads and lengths swapped": "layout mistaken", "layout mistaken": "heads and lengths swapped"}
"""A mistake whose name says in which order the axes were sent, and the same one in the other order."""


@pytest.mark.parametrize("name", every(6, BY_LENGTH))
async def test_the_order_of_axes_changes_nothing_about_what_is_found(client, name):
    request, exchanged = REQUESTS[name.removeprefix("by length: ")], BY_LENGTH[name]
    kernels = [ways[0] for ways in WRONG.values() if not ways[0].takes_by_length]
    made = [(kernel, fields) for kernel in kernels if (fields := kernel(request).run()) is not None]
    for kernel, fields in made[:: max(1, len(made) // 5)]:
        candidate = candidate_of(fields, ("output",) if kernel.together == ("output",) else ("output", "weights"))
        expected = await check(client, request, candidate)
        found = await check(client, exchanged, candidate | {"output": exchange(candidate["output"])})
        causes = [ORDERS.get(cause, cause) for cause in (found["likely_cause"] or "").split(EITHER)]
        assert causes == (expected["likely_cause"] or "").split(EITHER), kernel
        for field in candidate:
            assert found["fields"][field]["max_abs_error"] == expected["fields"][field]["max_abs_error"]


async def test_the_advice_on_one_mistake_is_what_to_change(client):
    request = REQUESTS["heads: causal"]
    answer = await check(client, request, candidate_of(NoScale(request).run()))
    assert answer["advice"] == ADVICE["scale missing"].as_dict()


@pytest.mark.parametrize("turn", range(len(TOLERANCES)))
async def test_the_kernel_without_mistakes_passes_everywhere(client, turn):
    dtypes = list(TOLERANCES)
    for number, (name, plain) in enumerate(REQUESTS.items()):
        request = plain | {"dtype": dtypes[(number + turn) % len(dtypes)]}
        if number % len(dtypes) or name.endswith("huge"):
            continue
        answer = await check(client, request, candidate_of(Kernel(request).run()))
        assert answer["passed"], (name, request["dtype"], answer)
        assert answer["likely_cause"] is None


@pytest.mark.parametrize("dtype", TOLERANCES)
async def test_noise_is_nobodys_mistake(client, dtype):
    rng = np.random.default_rng(5)
    for number, (name, plain) in enumerate(REQUESTS.items()):
        if number % 12 or name.endswith("huge"):
            continue
        request = plain | {"dtype": dtype}
        right = Kernel(request).run()
        size = (0.05, 0.3)[number // 12 % 2]
        noisy = {field: array * (1 + size * rng.standard_normal(array.shape)) for field, array in right.items()}
        for fields in (("output",), FIELDS):
            answer = await check(client, request, candidate_of(noisy, fields))
            assert (name, answer["passed"], answer["likely_cause"]) == (name, False, None)


async def test_right_results_and_noise_of_requests_with_formulas_are_nobodys_mistake(client):
    rng = np.random.default_rng(6)
    for number, (name, plain) in enumerate(WITH_FORMULAS.items()):
        if number % 5:
            continue
        request = plain | {"dtype": list(TOLERANCES)[number // 5 % len(TOLERANCES)]}
        right = Kernel(request).run()
        answer = await check(client, request, candidate_of(right))
        assert (name, answer["passed"], answer["likely_cause"]) == (name, True, None)
        noisy = {field: array * (1 + 0.1 * rng.standard_normal(array.shape)) for field, array in right.items()}
        answer = await check(client, request, candidate_of(noisy, ("output", "weights")))
        assert (name, answer["passed"], answer["likely_cause"]) == (name, False, None)


@pytest.mark.parametrize(
    ("kernel", "mistake"),
    [
        (NoScale, "scale missing"),
        (NotItself, "causal off by one"),
        (NoLengths, "mask missing"),
        (NoBias, "bias missing"),
        (NoCap, "softcap missing"),
    ],
)
async def test_a_mistake_beside_formulas_is_named(client, kernel, mistake):
    planted = 0
    for name, request in WITH_FORMULAS.items():
        wrong, right = kernel(request).run(), Kernel(request).run()
        if planted < 5 and not np.allclose(wrong["output"], right["output"], atol=1e-3):
            answer = await check(client, request, candidate_of(wrong, ("output", "weights")))
            assert mistake in (answer["likely_cause"] or "").split(EITHER), (name, answer["likely_cause"])
            planted += 1
    assert planted == 5


UNGUARDED = [
    ("heads: causal", BottomRightForTopLeft, "causal corner", False),
    ("heads: causal", NotItself, "causal off by one", True),
    ("heads: causal", StrictUpperTriangle, "mask inverted", False),
    ("square: causal", StrictUpperTriangle, "mask inverted", True),
    ("grouped: causal, bottom right", TopLeftForBottomRight, "causal corner", False),
]


@pytest.mark.parametrize(("name", "kernel", "mistake", "empty"), UNGUARDED)
@pytest.mark.parametrize("fields", [("output",), ("weights",), FIELDS])
async def test_a_mistake_that_empties_rows_is_named_though_they_become_nan(
    client, name, kernel, mistake, empty, fields
):
    unguarded = type("Unguarded", (ZeroByZero, kernel), {})
    wrong = unguarded(REQUESTS[name]).run()
    assert np.isnan(wrong["output"]).any() == empty
    answer = await check(client, REQUESTS[name], candidate_of(wrong, fields))
    assert answer["likely_cause"] == mistake


@pytest.mark.parametrize("computed", ["float32", "float16"])
async def test_a_mistake_is_named_though_the_dtype_was_not_said(client, computed):
    for name in ("heads: nothing", "packed: causal", "grouped: softcap, bias"):
        plain = REQUESTS[name]
        wrong = NoScale(plain | {"dtype": computed}).run()
        answer = await check(client, plain, candidate_of(wrong, ("output", "weights")))
        assert answer["likely_cause"] == "scale missing"


async def test_a_mistake_is_named_with_no_tolerance_and_with_a_large_one(client):
    request = REQUESTS["heads: causal"]
    candidate = candidate_of(NoScale(request).run())
    for tolerances in ({"rtol": 0, "atol": 0}, {"rtol": 1e-2, "atol": 1e-2}):
        answer = await check(client, request, candidate, **tolerances)
        assert (answer["passed"], answer["likely_cause"]) == (False, "scale missing")
        assert {"rtol": answer["rtol"], "atol": answer["atol"]} == tolerances


FEW = {"query": [[1.0, 0.5, -1.0]], "key": [[2.0, 1.0, 0.5], [0.5, -1.0, 2.0]], "value": [[1.0], [-1.0]]}


@pytest.mark.parametrize("kernel", [NoScale, LogarithmToBaseTwo])
async def test_few_numbers_near_a_mistake_are_not_blamed_on_it(client, kernel):
    for field in {"output", "logsumexp"} & {*kernel.alone, "logsumexp"}:
        planted = kernel(FEW).run()[field]
        answer = await check(client, FEW, {field: (planted + 1e-3).tolist()})
        assert (answer["passed"], answer["likely_cause"]) == (False, None)


async def test_few_numbers_that_are_a_mistake_are_even_with_no_tolerance(client):
    request = FEW | {"dtype": "float32"}
    wrong = NoScale(request).run()
    for fields in (("output",), ("weights",), ("logsumexp",)):
        answer = await check(client, request, candidate_of(wrong, fields), rtol=0, atol=0)
        assert answer["likely_cause"] == "scale missing"
