"""The backward pass of kernels for projected products, distances and additive scores, as in `test_backward`."""

import numpy as np
import pytest

from attention_core import (
    Additive,
    Allowed,
    Bilinear,
    Causal,
    Cosine,
    Gaussian,
    Laplacian,
    Proportional,
    Relu,
    Trilinear,
    Window,
    Workers,
    differentiate,
)
from attention_core.native import available_kernels, using_kernel
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients
from tests.attention_core.native.backward_calls import (
    LAYOUTS,
    LONG,
    OPTIONS,
    WIDE,
    by_numpy,
    everything,
    judge_equal,
    vectors,
)
from tests.attention_core.native.kernels import EACH_KERNEL
from tests.sampling import every, product_sample

KERNELS = list(available_kernels()[0])
NORMALIZERS = ("softmax", "sigmoid", "relu", "none", "proportional")
SAMPLED_ONE_IN = 24
"""Combinations of settings and heads for each that is tried."""

UNITS = 21


def score_models(features, heads=()):
    """Score models beside dot products, with parameters for all heads or for each."""
    rng = np.random.default_rng(features)
    return {
        "bilinear": Bilinear(rng.standard_normal((*heads, features, features)) / features),
        "cosine": Cosine(rng.standard_normal(heads) + 3 if heads else 3.0),
        "trilinear": Trilinear(rng.standard_normal((*heads, 3 * features)) / features**0.5),
        "gaussian": Gaussian(rng.random(heads) + 3 if heads else 3.0),
        "laplacian": Laplacian(rng.random(heads) + 6 if heads else 6.0),
        "additive": Additive(
            rng.standard_normal((*heads, UNITS, features)) / features**0.5,
            rng.standard_normal((*heads, UNITS, features)) / features**0.5,
            rng.standard_normal((*heads, UNITS)),
            rng.standard_normal((*heads, UNITS)),
        ),
    }


MODELS = list(score_models(1))
MODEL_OPTIONS = {
    "plain": {},
    "temperature, sinks, causal": {**OPTIONS["temperature, sinks"], **OPTIONS["causal"]},
    "soft cap, temperature": OPTIONS["soft cap, temperature"],
    "soft cap, window": {"softcap": 3.0, **OPTIONS["window"]},
    "allowed": OPTIONS["allowed"],
    "alibi": OPTIONS["alibi"],
    "bias of pairs for all": OPTIONS["bias of pairs for all"],
    "sigmoid": OPTIONS["sigmoid"],
    "relu": {"normalizer": Relu(), "bias": np.array([9.0]), "mask": Window(70, 10), "offset": 100},
    "none": OPTIONS["none"],
    "proportional": {"normalizer": Proportional(), "bias": np.array([900.0])},
}
PARAMETERS = {"of all heads": (), "of each head": (4,)}
"""Leading axes of parameters."""


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(
    ("model", "option", "layout", "kernel", "heads"),
    every(29, product_sample(3, MODELS, MODEL_OPTIONS, LAYOUTS, KERNELS, PARAMETERS, soak_step=3)),
)
def test_gradients_are_those_of_numpy(model, option, layout, kernel, heads):
    model = score_models(LAYOUTS[layout][0][-1], PARAMETERS[heads])[model]
    options = {"score_model": model, **MODEL_OPTIONS[option]}
    for dtype, tolerance in (("float64", 1e-11), ("float32", 5e-4))[: 1 if option == "relu" else 2]:
        arrays = vectors(layout, dtype)
        # NumPy's own float32 is off by more where gradients cancel.
        expected = everything(by_numpy(*(array.astype("float64") for array in arrays), **options))
        with using_kernel(kernel):
            found = everything(differentiate(*arrays, **options))
        assert set(found) == set(expected)
        for name, gradient in found.items():
            assert gradient.shape == expected[name].shape, name
            assert gradient.dtype == dtype, name
            size = max(np.abs(expected[name]).max(), 1.0)
            np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=tolerance * size, err_msg=name)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(("model", "kernel"), product_sample(2, MODELS, KERNELS))
def test_bits_depend_on_neither_threads_nor_batch(model, kernel):
    arrays = vectors("grouped heads", "float32")
    options = {"score_model": score_models(WIDE)[model], "mask": Causal(), "offset": 250, "softcap": 3.0}
    with using_kernel(kernel):
        together = differentiate(*arrays, **options)
        for threads in (2, 3):
            with Workers(threads) as workers:
                judge_equal(together, differentiate(*arrays, workers=workers, **options))
        for row in range(2):
            alone = differentiate(*(array[row : row + 1] for array in arrays), **options)
            for name in ("output", "query", "key", "value"):
                np.testing.assert_array_equal(getattr(together, name)[row : row + 1], getattr(alone, name), name)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(("model", "broken", "kernel"), product_sample(3, MODELS, (np.nan, np.inf), KERNELS))
def test_hidden_numbers_have_no_influence(model, broken, kernel):
    query, key, value, upstream = vectors("heads", "float32")
    allowed = np.ones((150, LONG), bool)
    allowed[:, [3, 225, 469]] = False
    allowed[77] = False
    options = {"score_model": score_models(34)[model], "mask": Allowed(allowed)}
    with using_kernel(kernel):
        whole = differentiate(query, key, value, upstream, **options)
        key[:, :, [3, 469]], value[:, :, 225, 2], query[:, :, 77, 1] = broken, broken, broken
        found = everything(differentiate(query, key, value, upstream, **options))
    for name, gradient in everything(whole).items():
        if name.startswith("score_model"):
            # Zeros in the place of hidden numbers are summed with the others.
            np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-3, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], gradient, err_msg=name)


@pytest.mark.parametrize(
    ("model", "place", "kernel"), product_sample(4, MODELS, ("query", "key", "output_gradient"), KERNELS)
)
def test_visible_non_finite_numbers_reach_what_they_reach_with_numpy(model, place, kernel):
    names = ("query", "key", "value", "output_gradient")
    arrays = dict(zip(names, vectors("shared keys"), strict=True))
    arrays[place][:, 1, 120, 1] = np.nan
    options = {"mask": Causal(), "offset": 40, "score_model": score_models(8)[model]}
    with using_kernel(kernel):
        found = everything(differentiate(**arrays, **options))
    for name, expected in everything(by_numpy(**arrays, **options)).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("model", ["gaussian", "laplacian"])
def test_distances_keep_their_digits_far_from_zero(model, kernel):
    arrays = vectors("heads", "float32")
    arrays[0], arrays[1] = ((array + 4096).astype("float32") for array in arrays[:2])
    options = {"score_model": score_models(34)[model]}
    with using_kernel(kernel):
        found = differentiate(*arrays, **options)
        exact = differentiate(*(array.astype("float64") for array in arrays), **options)
    for name in ("query", "key"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=0, atol=2e-5)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("model", ["gaussian", "laplacian", "cosine"])
def test_equal_vectors_and_zero_vectors_have_the_slope_of_numpy(model, kernel):
    query, key, value, upstream = vectors("heads")
    key[:, :, :100], query[:, :, 7], key[:, :, 200] = query[:, :, :100], 0, 0
    options = {"score_model": score_models(34)[model]}
    expected = everything(by_numpy(query, key, value, upstream, **options))
    with using_kernel(kernel):
        found = everything(differentiate(query, key, value, upstream, **options))
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("score_model", "normalizer", "kernel"), product_sample(5, MODELS, NORMALIZERS, KERNELS))
def test_gradients_are_slopes_of_the_oracle(score_model, normalizer, kernel):
    kind = (score_model, normalizer, "float64")
    chosen = [one for one in calls.combinations() if (one.score_model, one.normalizer, one.dtype) == kind]
    first = NORMALIZERS.index(normalizer) + KERNELS.index(kernel) + MODELS.index(score_model)
    with using_kernel(kernel):
        for one in chosen[first::SAMPLED_ONE_IN]:
            assert_gradients(one.request(), one.seed)
