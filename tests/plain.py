"""The plainest NumPy evaluation in a given precision: no tricks, no blocks, nothing of the project.

How far it is from the float64 truth is how far anything else in that precision may be: the bound is twice its error
plus one unit in the last place of the largest number.  Nothing is guessed.
"""

import numpy as np

from tests import formulas, oracle

COMPUTE = {"float64": np.float64, "float32": np.float32, "float16": np.float32, "bfloat16": np.float32}
DIGITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}


def attention(request):
    """Return the fields of `oracle.attention` as arrays, every step computed in the request's compute type."""
    name = request.get("dtype") or "float64"
    inputs = oracle.Inputs(request)
    with np.errstate(all="ignore"):
        fields = _fields(inputs, COMPUTE[name])
    store = np.vectorize(oracle.ROUND[name], otypes=[np.float64]) if name in ("float16", "bfloat16") else lambda x: x
    return {field: array if field == "logsumexp" else store(array) for field, array in fields.items()}


def extended(request):
    """Return the fields in extended precision, rounded to float64: the reference where the oracle takes minutes."""
    with np.errstate(all="ignore"):
        fields = _fields(oracle.Inputs(request), np.longdouble)
    return {field: array.astype(np.float64) for field, array in fields.items()}


def bound(reference, plain, dtype):
    """How far a path may be from the float64 reference, given the plain evaluation in its precision; finite numbers."""
    if not reference.size:
        return 0.0
    error = np.max(np.abs(plain.astype(np.float64) - reference))
    _, exponent = np.frexp(np.max(np.abs(reference)))
    return 2 * error + 2.0 ** (exponent - 1 - DIGITS[dtype])


def _fields(inputs, dtype):
    query, key = np.array(inputs.query, dtype), np.repeat(np.array(inputs.key, dtype), inputs.group, _head_axis(inputs))
    offsets = _offsets(inputs)
    query, key = _turn(inputs, query, np.arange(inputs.queries) + offsets), _turn(inputs, key, np.arange(inputs.keys))
    scores = SCORE_MODELS[inputs.score_model["name"]](Parameters(inputs, dtype), query, key)
    softcap = inputs.request.get("softcap")
    capped = scores if softcap is None else dtype(softcap) * np.tanh(scores / dtype(softcap))
    modified = _modified(inputs, _biased(inputs, capped))
    logits = np.where(_visible(inputs, scores.shape), modified, dtype(-np.inf))
    weights, logsumexp = NORMALIZERS[inputs.normalizer["name"]](inputs.normalizer, logits)
    weights = np.where(np.isneginf(logits).all(-1, keepdims=True), 0, weights).astype(dtype)
    fields = {"scores": scores, "capped_scores": capped, "modified": modified, "logits": logits, "weights": weights}
    if logsumexp is not None:
        fields["logsumexp"] = logsumexp.astype(dtype)
    if inputs.value is not None:
        value = np.array(inputs.value, dtype)
        output = weights @ (np.repeat(value, inputs.group, 1) if inputs.group > 1 else value)
        if inputs.packed:
            output = output.swapaxes(1, 2).reshape(output.shape[0], inputs.queries, -1)
        fields["output"] = output
    return fields


def _head_axis(inputs):
    return 1 if inputs.group > 1 else 0


class Parameters:
    """A score model's parameters as arrays, those with a head axis shaped to broadcast over (B, Hq, …)."""

    def __init__(self, inputs, dtype):
        self.model, self.dtype = inputs.score_model, dtype

    def tensor(self, name):
        return np.array(self.model[name], self.dtype)

    def number(self, name, default):
        value = np.array(default if self.model.get(name) is None else self.model[name], self.dtype)
        return value[:, None, None] if value.ndim else value

    def has(self, name):
        return self.model.get(name) is not None


def _offsets(inputs):
    """Offsets of every query: (…, Lq) that broadcasts over the leading axes."""
    batches = inputs.leading[0] if inputs.leading else 1
    index = [(b,) if inputs.leading else () for b in range(batches)]
    offsets = np.array([[inputs.offset(one, i) for i in range(inputs.queries)] for one in index])
    return offsets.reshape(*offsets.shape[:1], *(1,) * (len(inputs.leading) - 1), -1) if inputs.leading else offsets[0]


def _turn(inputs, vectors, places):
    position = inputs.position
    if not position or position["name"] != "rotary":
        return vectors
    half = vectors.shape[-1] // 2
    wide = np.promote_types(vectors.dtype, np.float64).type
    angles = places[..., None] * wide(position.get("base") or 10000) ** (-np.arange(half).astype(wide) / half)
    cosines, sines = np.cos(angles).astype(vectors.dtype), np.sin(angles).astype(vectors.dtype)
    pairs = (
        (slice(0, None, 2), slice(1, None, 2)) if position.get("interleaved") else (slice(0, half), slice(half, None))
    )
    one, other = vectors[..., pairs[0]], vectors[..., pairs[1]]
    turned = np.empty((*np.broadcast_shapes(one.shape, angles.shape)[:-1], 2 * half), vectors.dtype)
    turned[..., pairs[0]] = one * cosines - other * sines
    turned[..., pairs[1]] = one * sines + other * cosines
    return turned


def _biased(inputs, capped):
    logits, dtype = capped, capped.dtype.type
    if inputs.request.get("bias") is not None:
        bias = np.array(_with_infinities(inputs.request["bias"]), dtype)
        logits = np.where(np.isneginf(bias), dtype(-np.inf), logits + bias)
    if inputs.position and inputs.position["name"] == "alibi":
        distance = np.abs((np.arange(inputs.queries) + _offsets(inputs))[..., None] - np.arange(inputs.keys))
        heads = range(inputs.leading[1]) if inputs.has_heads else range(1)
        wide = np.promote_types(dtype, np.float64)
        slopes = np.array([oracle.slope(inputs, (0, head) if inputs.has_heads else ()) for head in heads], wide)
        logits = logits - ((slopes[:, None, None] if inputs.has_heads else slopes[0]) * distance).astype(dtype)
    return logits


def _modified(inputs, biased):
    modifier = inputs.request.get("score_modifier")
    if modifier is None:
        return biased
    rank = len(inputs.leading)
    i, j = np.arange(inputs.queries)[:, None], np.arange(inputs.keys)
    places = {"i": i, "j": j, "p": i + _offsets(inputs)[..., None], "Lq": inputs.queries, "Lk": inputs.keys}
    places["b"] = np.arange(inputs.leading[0]).reshape(-1, *(1,) * (rank + 1)) if rank else 0
    places["h"] = np.arange(inputs.leading[1])[:, None, None] if inputs.has_heads else 0
    heads = inputs.leading[1] if inputs.has_heads else None
    modified = formulas.of_matrices(modifier["formula"], modifier.get("parameters"), places, heads, biased)
    return np.where(np.isneginf(biased), biased, modified)


def _visible(inputs, full):
    pairs = np.ndindex(*full)
    places = {}
    flags = np.empty(full, bool)
    for pair in pairs:
        *index, i, j = pair
        index = tuple(index)
        place = places.setdefault((index, i), i + inputs.offset(index, i))
        flags[pair] = oracle.visible(inputs, full, index, i, j, place)
    return flags


def _dot(query, key):
    return query @ key.swapaxes(-1, -2)


def _scaled_dot(own, query, key):
    wide = np.promote_types(query.dtype, np.float64).type
    return _dot(query, key) * own.number("scale", 1 / np.sqrt(wide(query.shape[-1])))


def _additive(own, query, key):
    hidden = (query @ own.tensor("query_weight").swapaxes(-1, -2))[..., :, None, :]
    hidden = hidden + (key @ own.tensor("key_weight").swapaxes(-1, -2))[..., None, :, :]
    if own.has("hidden_bias"):
        hidden = hidden + own.tensor("hidden_bias")[..., None, None, :]
    return (np.tanh(hidden) * own.tensor("score_vector")[..., None, None, :]).sum(-1)


def _cosine(own, query, key):
    norms = [np.sqrt((one * one).sum(-1)) for one in (query, key)]
    product = norms[0][..., :, None] * norms[1][..., None, :]
    return np.where(product == 0, 0, _dot(query, key) / product).astype(query.dtype) * own.number("scale", 1)


def _differences(query, key):
    return query[..., :, None, :] - key[..., None, :, :]


def _trilinear(own, query, key):
    for_query, for_key, for_product = np.split(own.tensor("weight"), 3, axis=-1)
    scores = (query * for_query[..., None, :]).sum(-1)[..., :, None] + (key * for_key[..., None, :]).sum(-1)[
        ..., None, :
    ]
    return scores + _dot(query * for_product[..., None, :], key)


SCORE_MODELS = {
    "scaled_dot_product": _scaled_dot,
    "dot_product": lambda own, query, key: _dot(query, key),
    "additive": _additive,
    "bilinear": lambda own, query, key: _dot(query @ own.tensor("weight"), key),
    "cosine": _cosine,
    "gaussian": lambda own, query, key: (
        -(_differences(query, key) ** 2).sum(-1) / (query.dtype.type(2) * own.number("bandwidth", 1) ** 2)
    ),
    "laplacian": lambda own, query, key: -np.abs(_differences(query, key)).sum(-1) / own.number("bandwidth", 1),
    "trilinear": _trilinear,
}


def _softmax(normalizer, logits):
    dtype = logits.dtype.type
    temperature = dtype(normalizer.get("temperature") or 1)
    sink = np.array(-np.inf if normalizer.get("sink") is None else normalizer["sink"], dtype)
    sink = sink[:, None, None] if sink.ndim else sink
    largest = logits.max(-1, keepdims=True, initial=-np.inf)
    shift = np.where(np.isneginf(largest), 0, largest)
    powers = np.exp((logits - shift) / temperature)
    total = powers.sum(-1, keepdims=True) + np.exp(sink - shift / temperature)
    logsumexp = np.log(total) + shift / temperature
    return powers / total, logsumexp[..., 0]


def _proportional(normalizer, logits):
    shares = np.where(np.isneginf(logits), 0, logits)
    total = shares.sum(-1, keepdims=True)
    return np.where(total == 0, 0, shares / total), None


def _entmax(alpha):
    """Bisection in the logits' own precision."""

    def weights(normalizer, logits):
        own = logits.dtype.type(alpha or normalizer.get("alpha") or 1.5)
        if own == 1:
            return _softmax({}, logits)[0], None
        scaled = (own - 1) * (logits - logits.max(-1, keepdims=True))
        low, high = np.full_like(scaled[..., :1], -1), np.zeros_like(scaled[..., :1])
        for _ in range(100):
            middle = (low + high) / 2
            enough = (np.maximum(scaled - middle, 0) ** (1 / (own - 1))).sum(-1, keepdims=True) >= 1
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        powers = np.maximum(scaled - low, 0) ** (1 / (own - 1))
        return powers / powers.sum(-1, keepdims=True), None

    return weights


def _hardmax(normalizer, logits):
    return (np.arange(logits.shape[-1]) == logits.argmax(-1)[..., None]).astype(logits.dtype), None


NORMALIZERS = {
    "softmax": _softmax,
    "proportional": _proportional,
    "sparsemax": _entmax(2),
    "entmax": _entmax(None),
    "sigmoid": lambda normalizer, logits: (
        1 / (1 + np.exp(-(logits + logits.dtype.type(normalizer.get("bias") or 0)))),
        None,
    ),
    "relu": lambda normalizer, logits: (
        np.maximum(logits, 0) / np.maximum((~np.isneginf(logits)).sum(-1, keepdims=True), 1).astype(logits.dtype),
        None,
    ),
    "hardmax": _hardmax,
    "none": lambda normalizer, logits: (np.where(np.isneginf(logits), 0, logits), None),
}


def _with_infinities(nested):
    if isinstance(nested, list):
        return [_with_infinities(item) for item in nested]
    return -np.inf if nested is None else nested
