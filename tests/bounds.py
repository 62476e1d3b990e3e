"""How far a result may be from the truth: as the plainest evaluation in its precision is, and nothing is guessed.

The bound is twice the error of `tests.plain` plus one unit in the last place of the largest number.
"""

import numpy as np

from tests import oracle, plain

SUMS_OF_FEATURES = ("dot_product", "scaled_dot_product", "cosine", "gaussian", "laplacian", "trilinear")
"""Score models that sum over the features that queries and keys share, in an order that is anyone's choice."""

MAX_ORDERS = 8
"""Orders of the features in which `worst` makes the plain evaluation."""

DRAWN_SIDES = 4
"""Times that `worst` draws to which side each score is off."""


def bound(reference, simple, dtype):
    """How far a path may be from the float64 reference, given the plain evaluation in its precision; finite numbers."""
    if not reference.size:
        return 0.0
    error = np.max(np.abs(simple.astype(np.float64) - reference))
    _, exponent = np.frexp(np.max(np.abs(reference)))
    return 2 * error + 2.0 ** (exponent - 1 - plain.DIGITS[dtype])


def worst(requests, reference):
    """Return the fields of the plain evaluation, each number as far off as in the worst order of the features.

    Of sums of the same numbers one may be right by luck, and which one that is depends on the BLAS and the processor.
    So may the weights be: they count with scores that each are as far off as in the worst order, to either side, too.

    :param requests: one request, or the same one written in several ways.
    :param reference: right fields by name, which are the fields that are returned.
    """
    evaluations = []
    for request in requests:
        inputs, compute = oracle.Inputs(request), plain.COMPUTE[request.get("dtype") or "float64"]
        features = np.shape(inputs.query)[-1] if _treats_features_alike(inputs.score_model) else 1
        orders = range(min(features, MAX_ORDERS))
        evaluations += [plain.stored(inputs, first) for first in orders]
        if "scores" in reference:
            with np.errstate(all="ignore"):
                scores = np.stack([plain.scores_of(inputs, compute, first) for first in orders])
            evaluations += [plain.stored(inputs, 0, one) for one in _as_far_off(scores, np.array(reference["scores"]))]
    fields = {}
    for name in evaluations[0].keys() & reference.keys():
        numbers = evaluations[0][name]
        candidates = np.stack([np.broadcast_to(one[name], numbers.shape) for one in evaluations])
        with np.errstate(invalid="ignore"):
            errors = np.nan_to_num(np.abs(candidates.astype(float) - np.array(reference[name], float)))
        fields[name] = np.take_along_axis(candidates, errors.argmax(axis=0)[None], axis=0)[0]
    return fields


def _as_far_off(scores, right):
    """Yield the right scores with the largest error that each has in some order, to a side that is drawn.

    :param scores: those of every order, (orders, …).
    :param right: (…).
    """
    rng = np.random.default_rng(scores.size)
    with np.errstate(invalid="ignore"):
        errors = np.nan_to_num(np.abs(scores.astype(float) - right.astype(float)).max(axis=0))
    for _ in range(DRAWN_SIDES):
        yield (right.astype(float) + errors * rng.choice((-1, 1), errors.shape)).astype(scores.dtype)


def _treats_features_alike(model):
    """Whether another order of the features changes a score by rounding alone."""
    if model["name"] != "expression":
        return model["name"] in SUMS_OF_FEATURES
    each_head = [value["per_head"][0] for value in (model.get("parameters") or {}).values() if isinstance(value, dict)]
    shared = [value for value in (model.get("parameters") or {}).values() if not isinstance(value, dict)]
    return not any(map(np.ndim, [*each_head, *shared])) and "[" not in model["formula"]
