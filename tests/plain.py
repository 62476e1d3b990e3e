"""The plainest NumPy evaluation in a given precision: no tricks, no blocks, nothing of the project.

How far it is from the float64 truth says how far anything else in that precision may be: `tests.bounds`.
"""

import functools

import numpy as np

from tests import formulas, oracle

COMPUTE = {"float64": np.float64, "float32": np.float32, "float16": np.float32, "bfloat16": np.float32}
DIGITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}


def attention(request):
    """Return the fields of `oracle.attention` as arrays, every step computed in the request's compute type."""
    return stored(oracle.Inputs(request))


def stored(inputs, first_feature=0, scores=None):
    """Return the fields of inputs that are read, rounded to the storage type.

    :param first_feature: feature with which sums of `bounds.SUMS_OF_FEATURES` begin; those before it come last.  With
        an odd one the scale is applied to the queries, else to the products.
    :param scores: scores to begin with, in the compute type; default those of the score model.
    """
    name = inputs.request.get("dtype") or "float64"
    with np.errstate(all="ignore"):
        fields = _fields(inputs, COMPUTE[name], first_feature, scores)
        store = STORE.get(name, np.asarray)
        return {field: array if field == "logsumexp" else store(array) for field, array in fields.items()}


def _bfloat16(numbers):
    """Numbers of float32 to the nearest of 8 significant bits, ties to even."""
    bits = numbers.view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(numbers), nearest.view(np.float32), numbers)


STORE = {"float16": lambda numbers: numbers.astype(np.float16).astype(numbers.dtype), "bfloat16": _bfloat16}


def extended(request):
    """Return the fields in extended precision, rounded to float64: the reference where the oracle takes minutes."""
    with np.errstate(all="ignore"):
        fields = _fields(oracle.Inputs(request), np.longdouble)
    return {field: array.astype(np.float64) for field, array in fields.items()}


def scores_of(inputs, dtype, first_feature):
    """Return the scores of inputs that are read, (…, Lq, Lk); `first_feature` as in `stored`."""
    query, key = np.array(inputs.query, dtype), np.repeat(np.array(inputs.key, dtype), inputs.group, _head_axis(inputs))
    of_queries, of_keys = _places(inputs, "query", inputs.queries), _places(inputs, "key", inputs.keys)
    query, key = _turn(inputs, query, of_queries), _turn(inputs, key, of_keys)
    if first_feature:
        query, key = (np.roll(vectors, -first_feature, axis=-1) for vectors in (query, key))
    return SCORE_MODELS[inputs.score_model["name"]](Parameters(inputs, dtype, first_feature), query, key)


def _fields(inputs, dtype, first_feature=0, scores=None):
    scores = scores_of(inputs, dtype, first_feature) if scores is None else scores
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
        fields["output"] = output.swapaxes(1, 2) if inputs.heads_third else output
    if inputs.has_heads:
        fields["mean_weights"] = weights.mean(axis=1, dtype=dtype)
    return fields


def _head_axis(inputs):
    return 1 if inputs.group > 1 else 0


class Parameters:
    """A score model's parameters as arrays, those with a head axis shaped to broadcast over (B, Hq, …)."""

    def __init__(self, inputs, dtype, first_feature):
        self.model, self.dtype, self.first_feature = inputs.score_model, dtype, first_feature

    def tensor(self, name):
        return np.array(self.model[name], self.dtype)

    def thirds(self, name):
        """Three vectors for each feature, in one parameter, in the order of the features of query and key."""
        return [np.roll(third, -self.first_feature, axis=-1) for third in np.split(self.tensor(name), 3, axis=-1)]

    def number(self, name, default):
        value = np.array(default if self.model.get(name) is None else self.model[name], self.dtype)
        return value[:, None, None] if value.ndim else value

    def has(self, name):
        return self.model.get(name) is not None


def _places(inputs, side, length):
    """Positions of queries or keys: (…, length) that broadcasts over the leading axes."""
    batches = inputs.leading[0] if inputs.leading else 1
    at = inputs.query_position if side == "query" else inputs.key_position
    places = np.array([[at((b,) if inputs.leading else (), i) for i in range(length)] for b in range(batches)])
    return places.reshape(batches, *(1,) * (len(inputs.leading) - 1), -1) if inputs.leading else places[0]


def _turn(inputs, vectors, places):
    position = inputs.position
    if not position or position["name"] != "rotary":
        return vectors
    dims = position.get("dims") or vectors.shape[-1]
    half = dims // 2
    wide = np.promote_types(vectors.dtype, np.float64).type
    steps, length = angles(position.get("scaling") or {}, wide(position.get("base") or 10000), half, wide)
    turns = places[..., None] * steps
    cosines, sines = ((length * part(turns)).astype(vectors.dtype) for part in (np.cos, np.sin))
    pairs = (
        (slice(0, dims, 2), slice(1, dims, 2)) if position.get("interleaved") else (slice(0, half), slice(half, dims))
    )
    one, other = vectors[..., pairs[0]], vectors[..., pairs[1]]
    leading = np.broadcast_shapes(one.shape, turns.shape)[:-1]
    turned = np.broadcast_to(vectors, (*leading, vectors.shape[-1])).copy()
    turned[..., pairs[0]] = one * cosines - other * sines
    turned[..., pairs[1]] = one * sines + other * cosines
    return turned


def angles(scaling, base, half, wide):
    """Angle of each pair, and the factor of turned vectors."""
    kind, s, pair = scaling.get("kind"), wide(scaling.get("factor", 1)), np.arange(half).astype(wide)
    if kind == "ntk":
        base = base * s ** (wide(half) / wide(half - 1))
    plain = base ** (-pair / half)
    if kind in (None, "ntk"):
        return plain, wide(1)
    if kind == "linear":
        return plain / s, wide(1)
    longest, pi = wide(scaling["original_max_position_embeddings"]), 4 * np.arctan(wide(1))
    if kind == "llama3":
        low, high = wide(scaling.get("low_freq_factor", 1)), wide(scaling.get("high_freq_factor", 4))
        share, length = (longest * plain / (2 * pi) - low) / (high - low), wide(1)
    else:
        turns = np.array([scaling.get("beta_fast", 32), scaling.get("beta_slow", 1)]).astype(wide)
        first, last = half * np.log(longest / (turns * 2 * pi)) / np.log(base)
        if scaling.get("truncate", True):
            first, last = np.floor(first), np.ceil(last)
        first, last = max(first, 0), min(last, 2 * half - 1)
        share, length = 1 - (pair - first) / (last - first or wide("0.001")), wide(scaling.get("attention_factor", 0))
        both = [wide(scaling.get(name, 0)) for name in ("mscale", "mscale_all_dim")]
        grown = [1 + one * np.log(s) / 10 for one in (both if all(both) else (wide(1), wide(0)))]
        length = length or grown[0] / grown[1]
    share = np.clip(share, 0, 1)
    return share * plain + (1 - share) * plain / s, length


def _biased(inputs, capped):
    logits, dtype = capped, capped.dtype.type
    if inputs.request.get("bias") is not None:
        bias = np.array(_with_infinities(inputs.request["bias"]), dtype)
        logits = np.where(np.isneginf(bias), dtype(-np.inf), logits + bias)
    if inputs.position and inputs.position["name"] == "alibi":
        of_queries, of_keys = _places(inputs, "query", inputs.queries), _places(inputs, "key", inputs.keys)
        distance = np.abs(of_queries[..., None] - of_keys[..., None, :])
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
    places = {
        "i": i,
        "j": j,
        "p": _places(inputs, "query", inputs.queries)[..., None],
        "Lq": inputs.queries,
        "Lk": inputs.keys,
    }
    places["b"] = np.arange(inputs.leading[0]).reshape(-1, *(1,) * (rank + 1)) if rank else 0
    places["h"] = np.arange(inputs.leading[1])[:, None, None] if inputs.has_heads else 0
    heads = inputs.leading[1] if inputs.has_heads else None
    modified = formulas.of_matrices(modifier["formula"], modifier.get("parameters"), places, heads, biased)
    return np.where(np.isneginf(biased), biased, modified)


@functools.lru_cache(maxsize=1)
def _visible(inputs, full):
    """Which pairs are visible; the same inputs are asked for again in each order of the features."""
    pairs = np.ndindex(*full)
    places = {}
    flags = np.empty(full, bool)
    for pair in pairs:
        *index, i, j = pair
        index = tuple(index)
        place = places.setdefault((index, i), inputs.query_position(index, i))
        flags[pair] = oracle.visible(inputs, full, index, i, j, place)
    return flags


def _dot(query, key):
    return query @ key.swapaxes(-1, -2)


def _scaled_dot(own, query, key):
    wide = np.promote_types(query.dtype, np.float64).type
    scale = own.number("scale", 1 / np.sqrt(wide(query.shape[-1])))
    if own.first_feature % 2:
        # As kernels do: the queries are scaled, which rounds elsewhere.
        return _dot(query * np.asarray(scale, query.dtype), key)
    return _dot(query, key) * scale


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
    for_query, for_key, for_product = own.thirds("weight")
    scores = (query * for_query[..., None, :]).sum(-1)[..., :, None] + (key * for_key[..., None, :]).sum(-1)[
        ..., None, :
    ]
    return scores + _dot(query * for_product[..., None, :], key)


class _Written:
    """A number (…, q, k, 1) or a vector (…, q, k, n) of each pair, or a matrix, with the operators of a formula."""

    def __init__(self, array, rank=0):
        self.array, self.rank = array, rank

    def _with(self, combine, other):
        if not isinstance(other, _Written):
            return _Written(combine(self.array, self.array.dtype.type(other)), self.rank)
        return _Written(combine(self.array, other.array), max(self.rank, other.rank))

    def __neg__(self):
        return _Written(-self.array, self.rank)

    def __add__(self, other):
        return self._with(np.add, other)

    def __sub__(self, other):
        return self._with(np.subtract, other)

    def __mul__(self, other):
        return self._with(np.multiply, other)

    def __truediv__(self, other):
        return self._with(np.divide, other)

    def __pow__(self, other):
        return self._with(np.power, other)

    __radd__, __rmul__ = __add__, __mul__

    def __matmul__(self, other):
        if self.rank == 2:
            return _Written(other.array @ self.array.swapaxes(-1, -2), 1)
        if other.rank == 2:
            return _Written(self.array @ other.array, 1)
        return _summed(self * other)


def _summed(vector):
    return _Written(vector.array.sum(-1, keepdims=True))


def _written_cosine(a, b):
    product = np.sqrt(_summed(a * a).array) * np.sqrt(_summed(b * b).array)
    return _Written(np.where(product == 0, 0, _summed(a * b).array / product).astype(product.dtype))


WRITTEN = {
    **{
        name: lambda one, function=function: _Written(function(one.array), one.rank)
        for name, function in {"abs": np.abs, "tanh": np.tanh, "sqrt": np.sqrt, "square": np.square}.items()
    },
    "sum": _summed,
    "dot": lambda a, b: _summed(a * b),
    "cosine": _written_cosine,
    "norm1": lambda one: _summed(_Written(np.abs(one.array), 1)),
    "concat": lambda *parts: _Written(np.concatenate(np.broadcast_arrays(*(part.array for part in parts)), axis=-1), 1),
}
"""The functions that the formulas of `tests.written` use."""


def _expression(own, query, key):
    """Every step of the formula for every pair, as Python reads it."""
    names = {"q": _Written(query[..., :, None, :], 1), "k": _Written(key[..., None, :, :], 1)}
    names["D"] = _Written(np.array([query.shape[-1]], query.dtype))
    for name, value in (own.model.get("parameters") or {}).items():
        per_head = isinstance(value, dict)
        array = np.array(value["per_head"] if per_head else value, query.dtype)
        rank = array.ndim - per_head
        heads = (-1, 1) if per_head else ()
        places = {0: (1, 1), 1: (1, *array.shape[-1:]), 2: array.shape[-2:]}[rank]
        names[name] = _Written(array.reshape(*heads, *places), rank)
    found = eval(own.model["formula"], {"__builtins__": {}}, {**WRITTEN, **names})
    leading = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    shape = np.broadcast_shapes(found.array.shape[:-1], (*leading, query.shape[-2], key.shape[-2]))
    return np.broadcast_to(found.array[..., 0], shape)


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
    "expression": _expression,
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
