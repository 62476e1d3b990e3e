"""The plainest NumPy evaluation in a given precision: no tricks, no blocks, nothing of the project.

How far it is from the float64 truth is how far anything else in that precision may be: the bound is twice its error
plus one unit in the last place of the largest number.  Nothing is guessed.
"""

import numpy as np

from tests import oracle


def attention(request, dtype):
    """Return the fields of `oracle.attention` as arrays, every step computed in `dtype`."""
    query, key = (np.array(request[name], dtype) for name in ("query", "key"))
    with np.errstate(all="ignore"):
        scores = SCORE_MODELS[oracle.named(request.get("score_model"), "scaled_dot_product")["name"]](
            request, query, key
        )
        logits = scores.copy()
        if request.get("bias") is not None:
            bias = np.array(_with_infinities(request["bias"]), dtype)
            logits = np.where(np.isneginf(bias), dtype(-np.inf), logits + bias)
        logits = np.where(_visible(request, scores.shape), logits, dtype(-np.inf))
        normalizer = oracle.named(request.get("normalizer"), "softmax")
        weights, logsumexp = NORMALIZERS[normalizer["name"]](normalizer, logits)
        fields = {"scores": scores, "logits": logits, "weights": weights}
        if logsumexp is not None:
            fields["logsumexp"] = logsumexp
        if request.get("value") is not None:
            fields["output"] = weights @ np.array(request["value"], dtype)
    return fields


def bound(reference, plain):
    """How far a path may be from the float64 reference, given the plain evaluation in its precision; finite numbers."""
    if not reference.size:
        return 0.0
    error = np.max(np.abs(plain.astype(np.float64) - reference))
    largest = np.max(np.abs(reference)).astype(plain.dtype)
    return 2 * error + float(np.spacing(largest))


def _visible(request, shape):
    mask = request.get("mask") or {}
    visible = np.ones(shape, bool)
    if mask.get("allowed") is not None:
        visible &= np.array(mask["allowed"])
    if mask.get("causal"):
        visible &= np.arange(shape[-1]) <= np.arange(shape[-2])[:, None] + (mask.get("offset") or 0)
    return visible


def _scaled(request, query, key):
    scale = (request.get("score_model") or {}).get("scale") if isinstance(request.get("score_model"), dict) else None
    return query @ key.swapaxes(-1, -2) * query.dtype.type(query.shape[-1] ** -0.5 if scale is None else scale)


def _additive(request, query, key):
    model = {name: np.array(value, query.dtype) for name, value in request["score_model"].items() if name != "name"}
    hidden = (query @ model["query_weight"].T)[..., :, None, :] + (key @ model["key_weight"].T)[..., None, :, :]
    return np.tanh(hidden + model.get("hidden_bias", query.dtype.type(0))) @ model["score_vector"]


SCORE_MODELS = {
    "scaled_dot_product": _scaled,
    "dot_product": lambda request, query, key: query @ key.swapaxes(-1, -2),
    "additive": _additive,
}


def _softmax(normalizer, logits):
    temperature = logits.dtype.type(normalizer.get("temperature") or 1)
    largest = logits.max(-1, keepdims=True, initial=-np.inf)
    empty = np.isneginf(largest)
    powers = np.exp((logits - np.where(empty, 0, largest)) / temperature)
    total = powers.sum(-1, keepdims=True)
    logsumexp = np.where(empty, -np.inf, np.log(total) + largest / temperature)[..., 0]
    return np.where(empty, 0, powers / total).astype(logits.dtype), logsumexp.astype(logits.dtype)


def _proportional(normalizer, logits):
    shares = np.where(np.isneginf(logits), 0, logits)
    total = shares.sum(-1, keepdims=True)
    return np.where(total == 0, 0, shares / total).astype(logits.dtype), None


NORMALIZERS = {"softmax": _softmax, "proportional": _proportional}


def _with_infinities(nested):
    if isinstance(nested, list):
        return [_with_infinities(item) for item in nested]
    return -np.inf if nested is None else nested
