"""Gradients are those of automatic differentiation by PyTorch and JAX."""

import itertools
import json
import random
import subprocess

import numpy as np
import pytest

from tests import calls
from tests.attention_core.gradients.judge import DEFAULTS, gradients_of, named, sent

LIBRARIES = ("torch", "jax")
NORMALIZERS = ("softmax", "sigmoid", "relu", "proportional", "none")
"""Those that both libraries can differentiate by a formula of theirs."""

TOLERANCE = 1e-9
"""Relative to the largest gradient of each input, absolute below 1; all sides compute in float64."""

FUSED_TOLERANCE = {"torch": TOLERANCE, "jax": 1e-5}
"""The attention of JAX has a softmax in float32, whatever its inputs are."""

LAYOUTS = {
    "rank 2": ((), (), ()),
    "heads": ((2, 3), (2, 3), (2, 3)),
    "grouped": ((2, 4), (2, 2), (2, 2)),
    "one row of keys": ((3,), (1,), (1,)),
    "keys without batch": ((2, 2), (), ()),
}

OPTIONS = {
    "none": {},
    "causal": {"mask": {"causal": True}},
    "window, softcap": {"mask": {"window": {"left": 1, "right": 2}}, "softcap": 1.5},
    "bias": {},
}


def case_of(score_model, normalizer, layout, option, seed):
    """A wire document and a gradient of its output, and the same as `autograd` reads it."""
    rng = random.Random(seed)

    def draw():
        return rng.gauss(0, 1)

    features = calls.key_features(score_model)
    sizes = ((calls.QUERIES, calls.FEATURES), (calls.KEYS, features), (calls.KEYS, calls.VALUE_FEATURES))
    vectors = {
        name: calls.matrix(draw, *leading, *size)
        for name, leading, size in zip(("query", "key", "value"), LAYOUTS[layout], sizes, strict=True)
    }
    request = vectors | OPTIONS[option]
    if option == "bias":
        request["bias"] = calls.matrix(draw, calls.QUERIES, 1)
    if normalizer in calls.POSITIVE:
        request["bias"] = [calls.LIFT]
    request["score_model"] = {"name": score_model, **calls.MODEL_PARAMETERS[score_model][-1](draw)}
    parameters = calls.NORMALIZER_PARAMETERS[normalizer]
    request["normalizer"] = {"name": normalizer, **DEFAULTS.get(normalizer, {}), **parameters[-1]}
    output = gradients_of(request, np.float64(1)).output
    upstream = np.random.default_rng(seed).standard_normal(output.shape)
    case = {
        "score_model": score_model,
        "formula": request["score_model"].get("formula"),
        "normalizer": normalizer,
        "softcap": request.get("softcap"),
        "visible": visible(request.get("mask", {})).astype(int).tolist(),
        "inputs": sent(request),
        "output_gradient": upstream.tolist(),
    }
    return request, upstream, case


def visible(mask):
    """Which keys a query may see, by the definitions of the masks."""
    row, column = np.arange(calls.QUERIES)[:, None], np.arange(calls.KEYS)
    shown = np.ones((calls.QUERIES, calls.KEYS), bool)
    if mask.get("causal"):
        shown &= column <= row
    if mask.get("window"):
        shown &= (row - mask["window"]["left"] <= column) & (column <= row + mask["window"]["right"])
    return shown


def answers_of(library, cases, project):
    command = [project / ".venv-peers" / "bin" / "python", "-m", "tests.attention_core.gradients.autograd", library]
    ended = subprocess.run(command, cwd=project, input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout)


def assert_close(found, answer, case, tolerance=TOLERANCE):
    np.testing.assert_allclose(found.output, answer["output"], rtol=tolerance, atol=tolerance, err_msg=str(case))
    ours = named(found)
    for name, theirs in answer["gradients"].items():
        expected = np.array(theirs)
        assert ours[name].shape == expected.shape, (case, name)
        largest = max(1, float(np.abs(expected).max()))
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=tolerance * largest, err_msg=f"{case} {name}")


@pytest.mark.soak
@pytest.mark.parametrize("library", LIBRARIES)
def test_gradients_are_those_of_automatic_differentiation(library, project):
    # Every two values of two axes meet; JAX takes a tenth of a second for each case.
    every = itertools.product(
        *map(list, (enumerate(axis) for axis in (calls.SCORE_MODELS, NORMALIZERS, LAYOUTS, OPTIONS)))
    )
    points = [[name for _, name in point] for point in every if sum(place for place, _ in point) % 4 == 0]
    made = [case_of(*point, seed) for seed, point in enumerate(points)]
    answers = answers_of(library, [case for _, _, case in made], project)
    for point, (request, upstream, case), answer in zip(points, made, answers, strict=True):
        found = gradients_of(request, upstream)
        assert set(answer["gradients"]) == set(case["inputs"]) == set(named(found)), point
        assert_close(found, answer, point)


@pytest.mark.soak
@pytest.mark.parametrize("library", LIBRARIES)
def test_gradients_are_those_of_the_attention_of_the_library(library, project):
    rng, made = np.random.default_rng(11), []
    for heads, causal, with_bias in itertools.product(((4, 4), (4, 2), (4, 1)), (False, True), (False, True)):
        if causal and with_bias and library == "torch":
            continue  # PyTorch takes one of them
        query = rng.standard_normal((2, heads[0], 70, 8))
        key, value = (rng.standard_normal((2, heads[1], 70, 8)) for _ in range(2))
        inputs = {"query": query, "key": key, "value": value}
        if with_bias:
            inputs["bias"] = rng.standard_normal((2, heads[0], 70, 70))
        nested = {name: array.tolist() for name, array in inputs.items()}
        upstream = rng.standard_normal(query.shape)
        request = nested | {"mask": {"causal": causal}, "score_model": {"name": "scaled_dot_product", "scale": 0.3}}
        request["normalizer"] = {"name": "softmax"}
        case = {"inputs": nested, "output_gradient": upstream.tolist(), "fused": {"causal": causal, "scale": 0.3}}
        made.append(((heads, causal, with_bias), request, upstream, case))
    answers = answers_of(library, [case for *_, case in made], project)
    for (point, request, upstream, _), answer in zip(made, answers, strict=True):
        assert_close(gradients_of(request, upstream), answer, point, FUSED_TOLERANCE[library])
