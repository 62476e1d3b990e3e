"""Attention from the definitions, in plain loops over decimal numbers: slow, obvious, and independent.

It shares no code with what it judges: no NumPy, nothing of the project.  It speaks the wire's names, so one oracle
judges the core, the service and the worked examples.  It computes in forty digits from the numbers as sent to the
result, which is rounded once.  Null stands for minus infinity.
"""

import functools
import itertools
import math
import struct
from decimal import Decimal

from tests import formula_oracle, formulas
from tests.digits import PI, exact, held, in_forty_digits, tanh, turned_by
from tests.nested import aligned, at, broadcast, exchange, join, nest, rank, shape, shrink, unpack

INFINITY = math.inf


@in_forty_digits
def attention(request):
    """Return every field that the request can have, as nested lists, whether it was included or not."""
    inputs = Inputs(request)
    rows = {}
    for index in itertools.product(*map(range, inputs.leading)):
        for i in range(inputs.queries):
            rows[(*index, i)] = Row(inputs, index, i)
    sizes = (*inputs.leading, inputs.queries)
    result = {
        name: nest({at: getattr(row, name) for at, row in rows.items()}, sizes)
        for name in ("scores", "capped_scores", "modified", "logits", "weights", "logsumexp")
        if name != "logsumexp" or inputs.normalizer["name"] == "softmax"
    }
    result["diagnostics"] = diagnostics(inputs, rows, sizes)
    if inputs.has_heads:
        result["mean_weights"] = _mean_weights(inputs, rows)
    if inputs.value is not None:
        result["output"] = _output(inputs, rows)
        result["present_key"], result["present_value"] = inputs.key, inputs.value
    if inputs.heads_third:
        result |= {
            name: exchange(result[name]) for name in ("output", "present_key", "present_value") if name in result
        }
    return result


class Inputs:
    """A request read: heads unpacked, past and new keys together, inputs rounded, defaults filled in."""

    def __init__(self, request):
        self.request = request
        self.mask = request.get("mask") or {}
        dtype = request.get("dtype")
        heads = request.get("heads")
        names = ("query", "key", "value", "past_key", "past_value")
        query, key, value, past_key, past_value = (rounded(request.get(name), dtype) for name in names)
        if heads:
            query, key = unpack(query, heads["query"]), unpack(key, heads["key_value"])
            value = value and unpack(value, heads["key_value"])
        self.heads_third = request.get("layout") == "bshd"
        if self.heads_third:
            query, key, value, past_key, past_value = map(exchange, (query, key, value, past_key, past_value))
        self.past = shape(past_key)[-2] if past_key else 0
        self.query, self.key, self.value = query, join(past_key, key), join(past_value, value)
        self.packed = bool(heads)
        self.queries, self.keys = shape(query)[-2], shape(self.key)[-2]
        self.group = 1
        leading_key = shape(self.key)[:-2]
        if len(shape(query)) == len(shape(self.key)) == 4:
            self.group = shape(query)[1] // leading_key[1]
            leading_key = (leading_key[0], leading_key[1] * self.group)
        self.leading = broadcast(shape(query)[:-2], leading_key)
        self.has_heads = len(self.leading) == 2
        self.score_model = named(request.get("score_model"), "scaled_dot_product")
        self.normalizer = named(request.get("normalizer"), "softmax")
        self.exact_key = exact(self.key)
        self.exact_model = exact(self.score_model)
        self.position = named(request.get("position"), None)

    def key_index(self, index):
        """The leading index of the key (and value) that a query at this leading index reads."""
        return (index[0], index[1] // self.group) if self.group > 1 else index

    def batch(self, index):
        """The batch row of a leading index."""
        return index[0] if index else 0

    def head(self, index):
        """The query head of a leading index, None without a head axis."""
        return index[1] if self.has_heads else None

    def length(self, index, i):
        """How many keys query i may look at."""
        lengths = self.mask.get("key_lengths")
        if lengths is None:
            return self.keys
        own = lengths[self.batch(index)]
        return own[i] if isinstance(own, list) else own

    def offset(self, index, i):
        """The position of query 0 among the keys."""
        offset = self.mask.get("offset")
        if offset is None:
            return self.past
        if offset == "bottom_right":
            return self.length(index, i) - self.queries
        return offset[self.batch(index)] if isinstance(offset, list) else offset

    def query_position(self, index, i):
        """Where query i stands."""
        own = (self.request.get("positions") or {}).get("query")
        return i + self.offset(index, i) if own is None else self._of_row(own, index)[i]

    def key_position(self, index, j):
        """Where key j stands."""
        own = (self.request.get("positions") or {}).get("key")
        return j if own is None else self._of_row(own, index)[j]

    def _of_row(self, own, index):
        """The list of a batch row, or the one that all share."""
        return own[self.batch(index)] if isinstance(own[0], list) else own


class Row:
    """One query against all keys."""

    @in_forty_digits
    def __init__(self, inputs, index, i):
        position = inputs.query_position(index, i)
        head = inputs.head(index)
        query = turn(inputs.position, exact(at(inputs.query, (*index, i))), position)
        keys = [at(inputs.exact_key, (*inputs.key_index(index), j)) for j in range(inputs.keys)]
        turned = [turn(inputs.position, key, inputs.key_position(index, j)) for j, key in enumerate(keys)]
        model = _of_this_head(inputs.exact_model, head)
        scores = [held(SCORE_MODELS[model["name"]](model, query, key)) for key in turned]
        capped_scores = [cap(inputs.request.get("softcap"), one) for one in scores]
        pairs = [(*index, i, j) for j in range(inputs.keys)]
        modified = [
            modify(inputs, bias(inputs, capped, pair, position), pair, position)
            for pair, capped in zip(pairs, capped_scores, strict=True)
        ]
        logits = [logit(inputs, one, pair, position) for pair, one in zip(pairs, modified, strict=True)]
        self.exact_weights, logsumexp = _normalize(inputs.normalizer, logits, head)
        self.scores, self.capped_scores, self.modified, self.logits, self.weights = (
            [float(number) for number in numbers]
            for numbers in (scores, capped_scores, modified, logits, self.exact_weights)
        )
        self.logsumexp = None if logsumexp is None else float(logsumexp)
        self.seen = [j for j, z in enumerate(self.logits) if z != -INFINITY]


def cap(softcap, raw):
    """The soft cap."""
    return raw if softcap is None else Decimal(softcap) * tanh(raw / Decimal(softcap))


def bias(inputs, capped, pair, p):
    """Bias and ALiBi; None for a bias of −∞, which hides the key whatever it scores."""
    *index, _, j = pair
    given = inputs.request.get("bias")
    added = 0 if given is None else aligned(given, (*inputs.leading, inputs.queries, inputs.keys), pair)
    if added is None or added == -INFINITY:
        return None
    added = Decimal(added)
    if inputs.position and inputs.position["name"] == "alibi":
        added -= _slope(inputs, tuple(index)) * abs(p - inputs.key_position(tuple(index), j))
    return held(capped + added)


def modify(inputs, biased, pair, p):
    """The score modifier; a key that a bias of −∞ hides stays hidden."""
    if biased is None:
        return Decimal(-INFINITY)
    modifier = inputs.request.get("score_modifier")
    if modifier is None:
        return biased
    index = pair[:-2]
    found = formulas.of_pair(
        modifier["formula"], modifier.get("parameters"), places(inputs, pair, p), inputs.head(index), biased
    )
    return held(Decimal(found))


def places(inputs, pair, p):
    """The positions of a pair, as formulas call them."""
    *index, i, j = pair
    index = tuple(index)
    own = {"i": i, "j": j, "p": p, "b": inputs.batch(index), "h": inputs.head(index) or 0}
    return own | {"Lq": inputs.queries, "Lk": inputs.keys}


def logit(inputs, modified, pair, p):
    """Every mask; a hidden key is −∞ whatever it scores."""
    *index, i, j = pair
    full = (*inputs.leading, inputs.queries, inputs.keys)
    return modified if visible(inputs, full, tuple(index), i, j, p) else Decimal(-INFINITY)


def visible(inputs, full, index, i, j, p):
    """Every mask allows the pair."""
    mask, batch = inputs.mask, inputs.batch(index)
    window = mask.get("window") or {}
    left, right = window.get("left"), window.get("right")
    k = inputs.key_position(index, j)
    in_prefix = mask.get("prefix_lengths") is not None and j < mask["prefix_lengths"][batch]
    of_keys = mask.get("key_allowed")
    segments = mask.get("query_segments"), mask.get("key_segments")
    if segments[0] is not None:
        of_query, of_key = (own[batch] if isinstance(own[0], list) else own for own in segments)
        if of_query[i] != of_key[j]:
            return False
    if mask.get("formula") is not None:
        own = places(inputs, (*index, i, j), p)
        if not formulas.of_pair(mask["formula"], mask.get("parameters"), own, inputs.head(index)):
            return False
    return (
        (mask.get("allowed") is None or aligned(mask["allowed"], full, (*index, i, j)))
        and (of_keys is None or (of_keys[batch] if isinstance(of_keys[0], list) else of_keys)[j])
        and (in_prefix or not (mask.get("causal") and k > p))
        and (in_prefix or left is None or k >= p - left)
        and (in_prefix or right is None or k <= p + right)
        and j < inputs.length(index, i)
    )


@in_forty_digits
def slope(inputs, index):
    """The ALiBi slope of a head."""
    return float(_slope(inputs, index))


def _slope(inputs, index):
    slopes = inputs.position.get("slopes")
    if isinstance(slopes, list):
        return Decimal(slopes[inputs.head(index)])
    if slopes is not None:
        return Decimal(slopes)
    return _slopes(inputs.leading[1] if inputs.has_heads else 1)[inputs.head(index) or 0]


@functools.cache
def _slopes(heads):
    power = 1
    while power * 2 <= heads:
        power *= 2
    ladder = [2 ** (Decimal(-8 * h) / power) for h in range(1, power + 1)]
    finer = [2 ** (Decimal(-8 * h) / (2 * power)) for h in range(1, 2 * power + 1)]
    return ladder + finer[::2]


def turn(position, vector, place):
    """Rotary turning of one vector, pair by pair; features behind `dims` stay."""
    if not position or position["name"] != "rotary":
        return vector
    dims = position.get("dims") or len(vector)
    half, turned = dims // 2, list(vector)
    steps, length = angles(position.get("scaling"), position.get("base") or 10000, dims)
    for m in range(half):
        one, other = (2 * m, 2 * m + 1) if position.get("interleaved") else (m, m + half)
        cosine, sine = turned_by(place, steps[m])
        a, b = vector[one], vector[other]
        turned[one] = (a * cosine - b * sine) * length
        turned[other] = (a * sine + b * cosine) * length
    return turned


def angles(scaling, base, dims):
    """The angle of each pair, and what turned vectors are multiplied by."""
    return _angles(tuple(sorted((scaling or {"kind": "none"}).items())), base, dims)


@functools.cache
def _angles(scaling, base, dims):
    own = {name: value if isinstance(value, str | bool) else Decimal(value) for name, value in scaling}
    kind, s, base = own["kind"], own.get("factor"), Decimal(base)
    if kind == "ntk":
        base *= s ** (Decimal(dims) / (dims - 2))
    plain = [base ** (Decimal(-2 * m) / dims) for m in range(dims // 2)]
    if kind in ("none", "ntk"):
        return plain, Decimal(1)
    if kind == "linear":
        return [angle / s for angle in plain], Decimal(1)
    longest = own["original_max_position_embeddings"]
    if kind == "llama3":
        low, high = own.get("low_freq_factor", Decimal(1)), own.get("high_freq_factor", Decimal(4))
        wave = [2 * PI / angle for angle in plain]
        shares = [(longest / length - low) / (high - low) for length in wave]
    else:
        ends = [
            dims * (longest / (turns * 2 * PI)).ln() / (2 * base.ln())
            for turns in (own.get("beta_fast", Decimal(32)), own.get("beta_slow", Decimal(1)))
        ]
        if own.get("truncate", True):
            ends = [Decimal(math.floor(ends[0])), Decimal(math.ceil(ends[1]))]
        first, last = max(ends[0], Decimal(0)), min(ends[1], Decimal(dims - 1))
        last += Decimal("0.001") if first == last else 0
        shares = [1 - (m - first) / (last - first) for m in range(dims // 2)]
    shares = [min(max(share, Decimal(0)), Decimal(1)) for share in shares]
    mixed = [share * angle + (1 - share) * angle / s for share, angle in zip(shares, plain, strict=True)]
    return mixed, _attention_factor(own, s) if kind == "yarn" else Decimal(1)


def _attention_factor(own, s):
    if own.get("attention_factor"):
        return own["attention_factor"]
    if own.get("mscale") and own.get("mscale_all_dim"):
        return (1 + s.ln() * own["mscale"] / 10) / (1 + s.ln() * own["mscale_all_dim"] / 10)
    return 1 + s.ln() / 10


@in_forty_digits
def score(model, q, k, head=None):
    """a(q, k) of one pair."""
    own = _of_this_head(exact(model), head)
    return float(held(SCORE_MODELS[model["name"]](own, exact(q), exact(k))))


def _of_this_head(model, head):
    ranks = RANKS.get(model["name"], {})
    return {name: _of_head(value, ranks.get(name, 0), head) for name, value in model.items()}


RANKS = {
    "additive": {"query_weight": 2, "key_weight": 2, "score_vector": 1, "hidden_bias": 1},
    "bilinear": {"weight": 2},
    "trilinear": {"weight": 1},
}
"""Ranks of tensor parameters without a head axis; one more axis is that of the heads."""


def _of_head(value, own_rank, head):
    if isinstance(value, dict):
        return {name: one["per_head"][head] if isinstance(one, dict) else one for name, one in value.items()}
    return value[head] if isinstance(value, list) and rank(value) > own_rank else value


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _norm(a):
    return _dot(a, a).sqrt()


def _cosine(model, q, k):
    if not all(one.is_finite() for one in (*q, *k)):
        return Decimal("NaN")
    if not any(q) or not any(k):
        return Decimal(0)
    scale = model.get("scale")
    return (1 if scale is None else scale) * _dot(q, k) / (_norm(q) * _norm(k))


def _additive(model, q, k):
    whole = Decimal(0)
    for u, v in enumerate(model["score_vector"]):
        inner = _dot(model["query_weight"][u], q) + _dot(model["key_weight"][u], k)
        if model.get("hidden_bias") is not None:
            inner += model["hidden_bias"][u]
        whole += v * tanh(inner)
    return whole


def _scaled(model, q, k):
    scale = model.get("scale")
    return _dot(q, k) / Decimal(len(q)).sqrt() if scale is None else _dot(q, k) * scale


SCORE_MODELS = {
    "scaled_dot_product": _scaled,
    "dot_product": lambda model, q, k: _dot(q, k),
    "additive": _additive,
    "bilinear": lambda model, q, k: sum(
        x * w * y for x, row in zip(q, model["weight"], strict=True) for w, y in zip(row, k, strict=True)
    ),
    "cosine": _cosine,
    "gaussian": lambda model, q, k: (
        -sum((x - y) ** 2 for x, y in zip(q, k, strict=True)) / (2 * (model.get("bandwidth") or 1) ** 2)
    ),
    "laplacian": lambda model, q, k: (
        -sum(abs(x - y) for x, y in zip(q, k, strict=True)) / (model.get("bandwidth") or 1)
    ),
    "expression": lambda model, q, k: formula_oracle.score(model["formula"], model.get("parameters") or {}, q, k),
    "trilinear": lambda model, q, k: _dot(model["weight"], [*q, *k, *(x * y for x, y in zip(q, k, strict=True))]),
}


@in_forty_digits
def normalize(normalizer, logits, head=None):
    """Weights of one row, and its logsumexp (None but for softmax); −∞ is a key that is not there."""
    weights, logsumexp = _normalize(normalizer, exact(logits), head)
    return [float(weight) for weight in weights], None if logsumexp is None else float(logsumexp)


def _normalize(normalizer, logits, head):
    name = normalizer["name"]
    there = [z for z in logits if z != -INFINITY]
    sink = exact(_of_head(normalizer.get("sink"), 0, head))
    if not there:
        return [Decimal(0)] * len(logits), Decimal(-INFINITY) if sink is None else sink
    if name != "none" and any(z.is_nan() or z == INFINITY for z in there):
        largest = math.nan if any(z.is_nan() for z in there) else INFINITY
        return [Decimal(0 if z == -INFINITY else math.nan) for z in logits], largest
    weights, logsumexp = NORMALIZERS[name]({**normalizer, "sink": sink}, there)
    weights = iter(weights)
    return [Decimal(0) if z == -INFINITY else next(weights) for z in logits], logsumexp


def _softmax(normalizer, logits):
    temperature, sink = Decimal(normalizer.get("temperature") or 1), normalizer.get("sink")
    exponents = [z / temperature for z in logits]
    largest = max(exponents if sink is None else [*exponents, sink])
    # (z − max z)/T and not z/T − max: the difference of two large quotients would lose its digits.
    shift = max(logits)
    powers = [((z - shift) / temperature + (shift / temperature - largest)).exp() for z in logits]
    denominator = sum(powers if sink is None else [*powers, (sink - largest).exp()])
    return [power / denominator for power in powers], largest + denominator.ln()


def _proportional(normalizer, logits):
    if min(logits) < 0:
        raise ValueError("negative logit under proportional")
    whole = sum(logits)
    return [z / whole if whole else Decimal(0) for z in logits], None


SMALLEST_STEP = Decimal("1e-30")


def _entmax(alpha, logits):
    """Solve Σ [(α − 1) z − τ]₊^(1/(α − 1)) = 1 for the threshold τ: Newton's method, and halving where it leaps out."""
    if alpha == 1:
        return _softmax({}, logits)[0]
    rate = Decimal(alpha) - 1
    scaled = [rate * (z - max(logits)) for z in logits]
    low, high, threshold = Decimal(-1), Decimal(0), Decimal(-1)
    for _ in range(200):
        over = [x - threshold for x in scaled if x > threshold]
        slopes = [x ** (1 / rate - 1) for x in over]
        excess = sum(x * slope for x, slope in zip(over, slopes, strict=True)) - 1
        low, high = (threshold, high) if excess >= 0 else (low, threshold)
        step = rate * excess / sum(slopes)
        if abs(step) < SMALLEST_STEP:
            break
        threshold = threshold + step if low < threshold + step < high else (low + high) / 2
    powers = [max(x - threshold, Decimal(0)) ** (1 / rate) for x in scaled]
    return [power / sum(powers) for power in powers]


def _sigmoid(z):
    return 1 / (1 + (-z).exp())


def _hardmax(normalizer, logits):
    """Which logits are equal is a question of floats."""
    floats = [float(z) for z in logits]
    first = floats.index(max(floats))
    return [Decimal(int(j == first)) for j in range(len(floats))], None


NORMALIZERS = {
    "softmax": _softmax,
    "proportional": _proportional,
    "sparsemax": lambda normalizer, logits: (_entmax(2, logits), None),
    "entmax": lambda normalizer, logits: (_entmax(normalizer.get("alpha") or 1.5, logits), None),
    "sigmoid": lambda normalizer, logits: (
        [_sigmoid(z + Decimal(normalizer.get("bias") or 0)) for z in logits],
        None,
    ),
    "relu": lambda normalizer, logits: ([max(z, Decimal(0)) / len(logits) for z in logits], None),
    "hardmax": _hardmax,
    "none": lambda normalizer, logits: (list(logits), None),
}

DISTRIBUTIONS = ("softmax", "proportional", "sparsemax", "entmax", "hardmax")


def diagnostics(inputs, rows, sizes):
    """Entropy and its kin of each row, and what each key receives."""
    found = {name: {} for name in ("entropy", "effective_keys", "max_weight", "top_key", "softmax_sensitivity")}
    for place, row in rows.items():
        weights = [row.weights[j] for j in row.seen]
        entropy = -math.fsum(w * math.log(w) for w in weights if w > 0)
        found["entropy"][place] = entropy
        found["effective_keys"][place] = math.exp(entropy) if weights else 0.0
        found["softmax_sensitivity"][place] = math.fsum(w * (1 - w) for w in weights)
        found["max_weight"][place] = max(weights, default=0.0)
        found["top_key"][place] = row.seen[weights.index(max(weights))] if weights else None
    nested = {name: nest(values, sizes) for name, values in found.items()}
    if inputs.normalizer["name"] not in DISTRIBUTIONS:
        nested |= dict.fromkeys(("entropy", "effective_keys", "softmax_sensitivity"))
    received = {
        index: [math.fsum(rows[(*index, i)].weights[j] for i in range(inputs.queries)) for j in range(inputs.keys)]
        for index in itertools.product(*map(range, inputs.leading))
    }
    nested["received_weight"] = nest(received, inputs.leading)
    return nested


def _mean_weights(inputs, rows):
    """The mean of the weights of all query heads; those of a row that sees no key are zeros."""
    batches, heads = inputs.leading
    return [
        [
            [
                float(sum(Decimal(rows[(b, h, i)].exact_weights[j]) for h in range(heads)) / heads)
                for j in range(inputs.keys)
            ]
            for i in range(inputs.queries)
        ]
        for b in range(batches)
    ]


def _output(inputs, rows):
    leading_value = shape(inputs.value)[:-2]
    if inputs.group > 1 and len(leading_value) == 2:
        leading_value = (leading_value[0], leading_value[1] * inputs.group)
    whole = broadcast(inputs.leading, leading_value)
    columns = range(shape(inputs.value)[-1])
    found = {}
    for index in itertools.product(*map(range, whole)):
        for i in range(inputs.queries):
            row = rows[(*shrink(index, inputs.leading), i)]
            values = [at(inputs.value, (*inputs.key_index(index), j)) for j in range(inputs.keys)]
            found[(*index, i)] = [_mixed(row, [value[c] for value in values]) for c in columns]
    if not inputs.packed:
        return nest(found, (*whole, inputs.queries))
    return [
        [[number for h in range(whole[1]) for number in found[(b, h, i)]] for i in range(inputs.queries)]
        for b in range(whole[0])
    ]


def _mixed(row, values):
    """Σ weight · value over the keys that the row sees."""
    if all(map(math.isfinite, values)):
        return float(sum(row.exact_weights[j] * Decimal(values[j]) for j in row.seen))
    # A weight that float64 does not hold is 0, and 0 times infinity NaN.
    return sum(row.weights[j] * values[j] for j in row.seen)


def named(model, default):
    """A score model, normalizer or position as an object: null is the default, a bare name has default parameters."""
    if model is None:
        return default and {"name": default}
    return {"name": model} if isinstance(model, str) else model


def rounded(nested, dtype):
    """Inputs as the storage type holds them."""
    if nested is None or dtype in (None, "float64"):
        return nested
    if isinstance(nested, list):
        return [rounded(item, dtype) for item in nested]
    return ROUND[dtype](nested)


def _bfloat16(number):
    """The nearest number with 8 significant bits, ties to even."""
    if not math.isfinite(number) or number == 0:
        return number
    _, exponent = math.frexp(number)
    unit = 2.0 ** max(exponent - 8, -133)
    return round(number / unit) * unit


ROUND = {
    "float32": lambda number: struct.unpack("f", struct.pack("f", number))[0],
    "float16": lambda number: struct.unpack("e", struct.pack("e", number))[0],
    "bfloat16": _bfloat16,
}
