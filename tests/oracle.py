"""Attention from the definitions, in three plain loops over Python floats: slow, obvious, and independent.

It shares no code with what it judges: no NumPy, nothing of the project.  It speaks the wire's names, so one oracle
judges the core, the service and the worked examples.  Sums are exact (`math.fsum`).  Null stands for minus infinity.
"""

import itertools
import math
import struct

INFINITY = math.inf


def attention(request):
    """Return scores, logits, weights, output (with a value) and logsumexp (softmax) of a request as nested lists."""
    query, key, value = (_rounded(request.get(name), request.get("dtype")) for name in ("query", "key", "value"))
    leading = _broadcast(shape(query)[:-2], shape(key)[:-2])
    queries, keys = shape(query)[-2], shape(key)[-2]
    score_model, normalizer = (
        named(request.get("score_model"), "scaled_dot_product"),
        named(request.get("normalizer"), "softmax"),
    )
    scores, logits, weights, logsumexp = {}, {}, {}, {}
    for index in itertools.product(*map(range, leading)):
        for i in range(queries):
            row = (*index, i)
            scores[row] = [score(score_model, at(query, row), at(key, (*index, j))) for j in range(keys)]
            logits[row] = [_logit(request, scores[row][j], (*leading, queries, keys), (*row, j)) for j in range(keys)]
            weights[row], logsumexp[row] = normalize(normalizer, logits[row])
    result = {
        "scores": _nest(scores, (*leading, queries)),
        "logits": _nest(logits, (*leading, queries)),
        "weights": _nest(weights, (*leading, queries)),
    }
    if normalizer["name"] == "softmax":
        result["logsumexp"] = _nest(logsumexp, (*leading, queries))
    if value is not None:
        result["output"] = _output(value, weights, logits, leading, queries, keys)
    return result


def score(model, q, k):
    """a(q, k) of one pair."""
    return SCORE_MODELS[model["name"]](model, q, k)


def _dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def _additive(model, q, k):
    total = []
    for u, v in enumerate(model["score_vector"]):
        inner = _dot(model["query_weight"][u], q) + _dot(model["key_weight"][u], k)
        if model.get("hidden_bias") is not None:
            inner += model["hidden_bias"][u]
        total.append(v * math.tanh(inner))
    return math.fsum(total)


def _scaled(model, q, k):
    scale = model.get("scale")
    return _dot(q, k) * (1 / math.sqrt(len(q)) if scale is None else scale)


SCORE_MODELS = {
    "scaled_dot_product": _scaled,
    "dot_product": lambda model, q, k: _dot(q, k),
    "additive": _additive,
}


def normalize(normalizer, logits):
    """Weights of one row, and its logsumexp; −∞ is a key that is not there."""
    visible = [z for z in logits if z != -INFINITY]
    if not visible:
        return [0.0] * len(logits), -INFINITY
    if any(math.isnan(z) or z == INFINITY for z in visible):
        return [0.0 if z == -INFINITY else math.nan for z in logits], math.nan
    return NORMALIZERS[normalizer["name"]](normalizer, logits, visible)


def _softmax(normalizer, logits, visible):
    temperature = normalizer.get("temperature") or 1.0
    largest = max(visible)
    powers = [0.0 if z == -INFINITY else math.exp((z - largest) / temperature) for z in logits]
    total = math.fsum(powers)
    return [power / total for power in powers], largest / temperature + math.log(total)


def _proportional(normalizer, logits, visible):
    if min(visible) < 0:
        raise ValueError("negative logit under proportional")
    largest = max(visible) or 1.0
    total = math.fsum(z / largest for z in visible)
    return [0.0 if z == -INFINITY or total == 0 else z / largest / total for z in logits], None


NORMALIZERS = {"softmax": _softmax, "proportional": _proportional}


def _logit(request, raw, full, position):
    """Bias, then every mask; a hidden key is −∞ whatever it scores."""
    mask = request.get("mask") or {}
    bias = request.get("bias")
    added = 0.0
    if bias is not None:
        added = _aligned(bias, full, position)
        if added is None or added == -INFINITY:
            return -INFINITY
    if mask.get("allowed") is not None and not _aligned(mask["allowed"], full, position):
        return -INFINITY
    i, j = position[-2:]
    if mask.get("causal") and j > i + (mask.get("offset") or 0):
        return -INFINITY
    return raw + added


def _output(value, weights, logits, leading, queries, keys):
    whole = _broadcast(leading, shape(value)[:-2])
    rows = {}
    for index in itertools.product(*map(range, whole)):
        for i in range(queries):
            row = (*_shrink(index, leading), i)
            seen = [j for j in range(keys) if logits[row][j] != -INFINITY]
            columns = range(shape(value)[-1])
            rows[(*index, i)] = [_sum(weights[row][j] * at(value, (*index, j))[c] for j in seen) for c in columns]
    return _nest(rows, (*whole, queries))


def _sum(addends):
    addends = list(addends)
    return math.fsum(addends) if all(map(math.isfinite, addends)) else sum(addends)


def shape(nested):
    """Shape of nested lists, read along the first elements."""
    return (len(nested), *shape(nested[0])) if isinstance(nested, list) else ()


def at(nested, index):
    """The sub-list at an index whose leading axes may be broadcast: surplus axes dropped, length 1 read at 0."""
    vector_rank = 1
    index = index[len(index) - (len(shape(nested)) - vector_rank) :]
    for step in index:
        nested = nested[step if len(nested) > 1 else 0]
    return nested


def _aligned(nested, full, position):
    """The element of an array that broadcasts, right-aligned, to the shape `full`."""
    for step in position[len(full) - len(shape(nested)) :]:
        nested = nested[step if len(nested) > 1 else 0]
    return nested


def _broadcast(a, b):
    padded = itertools.zip_longest(reversed(a), reversed(b), fillvalue=1)
    sizes = [y if x == 1 else x for x, y in padded]
    return tuple(reversed(sizes))


def _shrink(index, leading):
    """The index into axes `leading` that an index into wider axes broadcasts from."""
    own = index[len(index) - len(leading) :]
    return tuple(step if size > 1 else 0 for step, size in zip(own, leading, strict=True))


def _nest(rows, sizes):
    """Nested lists from a dict of index → row."""

    def build(prefix):
        if len(prefix) == len(sizes):
            return rows[prefix]
        return [build((*prefix, n)) for n in range(sizes[len(prefix)])]

    return build(())


def named(model, default):
    """A score model or normalizer as an object: null is the default, a bare name has default parameters."""
    if model is None:
        return {"name": default}
    return {"name": model} if isinstance(model, str) else model


def _rounded(nested, dtype):
    """Inputs as the storage type holds them."""
    if nested is None or dtype in (None, "float64"):
        return nested
    if isinstance(nested, list):
        return [_rounded(item, dtype) for item in nested]
    return struct.unpack("f", struct.pack("f", nested))[0]
