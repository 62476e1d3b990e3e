"""An attention layer as one writes it in plain NumPy, step by step, in the request's own precision.

It is what people send to be checked, so it shares no code with the project.  Each step is a method; `wrong_kernels`
gets one of them wrong at a time and enters it here, under the name of the mistake.
"""

import math

import numpy as np

from tests import formulas, oracle, plain

FIELDS = ("output", "weights", "scores", "logsumexp")

WRONG = {}
"""By the name of the mistake, every way to make it."""


def mistake(name, *alone):
    """Enter a kernel under the mistake that it makes; `alone` are the fields that give it away, if not the usual."""

    def enter(kernel):
        WRONG.setdefault(name, []).append(kernel)
        if alone:
            kernel.alone = alone
        return kernel

    return enter


SCORE_FORMULAS = {
    "dot(k, W @ q)": lambda query, key, **by: np.einsum("...qa,ba,...kb->...qk", query, by["W"], key),
    "sum(maximum(q - k, 0)) * -rate": lambda query, key, rate: (
        -rate * np.maximum(query[..., :, None, :] - key[..., None, :, :], 0).sum(-1)
    ),
}
"""The formulas of score models that requests have, as one writes them in NumPy."""


class Kernel:
    """Queries, keys and values in; output, weights, scores and logsumexp out."""

    alone = ("output", "weights")
    """Fields of which each one by itself gives the mistake away."""

    together = FIELDS
    """Fields that are sent together."""

    takes_by_length = False
    """Whether the mistake is made with vectors as (batch, length, heads, features) alone."""

    takes_formulas = False
    """Whether the mistake is made with formulas alone."""

    def __init__(self, request):
        self.request = request
        self.mask = request.get("mask") or {}
        self.dtype = request.get("dtype") or "float64"
        self.float = np.float64 if self.dtype == "float64" else np.float32
        self.heads = request.get("heads")
        self.by_length = request.get("layout") == "bshd"
        past = request.get("past_key")
        self.past = 0 if past is None else np.shape(past)[-2]
        normalizer = request.get("normalizer") or {}
        self.temperature = self.float(normalizer.get("temperature") or 1)
        self.sink = normalizer.get("sink")
        self.softcap = request.get("softcap")

    def fits(self):
        """Whether the arrays of the request have shapes that can be got wrong in this way."""
        return True

    def possible(self):
        """Whether there is anything to get wrong in this way."""
        return True

    def run(self):
        """Every field, as this kernel returns it; None where it has nothing to get wrong."""
        if not self.fits():
            return None
        query, key, value = self.inputs()
        self.queries, self.keys, self.features = query.shape[-2], key.shape[-2], query.shape[-1]
        self.shape = (*query.shape[:-1], self.keys)
        query, key = self.turned_query(query), self.turned_key(key)
        scores = self.product(query, key)
        self.raw = scores
        if not self.possible():
            return None
        capped = self.capped(scores)
        logits = self.hidden(self.modified(self.biased(capped)))
        weights, logsumexp = self.normalized(logits)
        weights = self.finished(weights)
        output = self.written(weights @ value)
        fields = {"output": output, "weights": weights, "scores": self.reported(scores, capped, logits)}
        return self.stored(self.placed(fields | {"logsumexp": logsumexp}))

    # Inputs

    def number(self, name):
        """One of the inputs, rounded to the storage type."""
        return np.array(oracle.rounded(self.request[name], self.dtype), self.float)

    def inputs(self):
        """(…, L, D), heads unpacked, the cache joined, one key head for each query head."""
        query, key, value = (self.number(name) for name in ("query", "key", "value"))
        if self.by_length:
            query, key, value = (array.swapaxes(1, 2) for array in (query, key, value))
        if self.heads:
            query = self.split(query, self.heads["query"])
            key, value = (self.split(array, self.heads["key_value"]) for array in (key, value))
        if self.past:
            key, value = self.cached(self.number("past_key"), key), self.cached(self.number("past_value"), value)
        self.head_count, self.groups = (query.shape[1], key.shape[1]) if query.ndim == 4 else (0, 0)
        if query.ndim == 4 and query.shape[1] != key.shape[1]:
            order = self.shared(np.arange(query.shape[1]), query.shape[1], key.shape[1])
            key, value = key[:, order], value[:, order]
        return query, key, value

    def split(self, packed, heads):
        batch, length, features = packed.shape
        return packed.reshape(batch, length, heads, features // heads).transpose(0, 2, 1, 3)

    def cached(self, past, new):
        return np.concatenate([past, new], axis=-2)

    def shared(self, heads, count, shared):
        """The key head of each query head."""
        return heads // (count // shared)

    # Positions

    def per_batch(self, numbers):
        """One number per batch row, as a column that broadcasts over the scores."""
        array = np.array(numbers)
        return array.reshape(-1, *[1] * (len(self.shape) - 1)) if len(self.shape) > 2 else array.reshape(1, 1)

    def offset(self):
        offset = self.mask.get("offset")
        if offset == "bottom_right":
            lengths = self.mask.get("key_lengths")
            return (self.keys if lengths is None else self.per_batch(lengths)) - self.queries
        if offset is None:
            return self.past
        return self.per_batch(offset) if isinstance(offset, list) else offset

    def positions(self):
        """Where each query stands among the keys, (…, Lq, 1)."""
        own = self.own_positions("query")
        return np.arange(self.queries)[:, None] + self.offset() if own is None else own[:, None]

    def own_positions(self, side):
        """Positions of queries or keys that the request gives, one for all batch rows."""
        numbers = (self.request.get("positions") or {}).get(side)
        return None if numbers is None else np.array(numbers)

    def key_positions(self):
        """Where each key stands, (Lk)."""
        own = self.own_positions("key")
        return np.arange(self.keys) if own is None else own

    def position(self, name):
        position = self.request.get("position") or {}
        return position if position.get("name") == name else None

    def turned(self, vectors, places):
        """Rotary."""
        rotary = self.position("rotary")
        if not rotary:
            return vectors
        half = self.rotary_dims() // 2
        steps, length = self.rotary_angles(half)
        angles = np.asarray(places)[..., None] * steps
        leading = np.broadcast_shapes(vectors.shape[:-1], angles.shape[:-1])
        turned = np.broadcast_to(vectors, (*leading, vectors.shape[-1])).copy()
        where = self.rotary_features()
        part = np.ascontiguousarray(turned[..., where])
        turned[..., where] = self.in_pairs(part, angles, rotary.get("interleaved")) * self.float(length)
        return turned

    def rotary_dims(self):
        return self.position("rotary").get("dims") or self.features

    def rotary_features(self):
        return slice(0, self.rotary_dims())

    def rotary_angles(self, half):
        """The angle of each pair, and the factor of rotated vectors."""
        return plain.angles(self.rotary_scaling(), self.rotary_base(), half, np.float64)

    def rotary_scaling(self):
        return self.position("rotary").get("scaling") or {}

    def in_pairs(self, vectors, angles, interleaved):
        """Each pair turned by its angle."""
        cosine, sine = np.cos(angles).astype(self.float), np.sin(angles).astype(self.float)
        first, second = self.pairs(vectors.shape[-1] // 2, interleaved)
        turned = np.empty_like(vectors)
        turned[..., first] = vectors[..., first] * cosine - vectors[..., second] * sine
        turned[..., second] = vectors[..., first] * sine + vectors[..., second] * cosine
        return turned

    def turned_query(self, query):
        return self.turned(query, self.positions()[..., 0])

    def turned_key(self, key):
        return self.turned(key, self.key_positions())

    def rotary_base(self):
        return self.position("rotary").get("base") or 10000.0

    def pairs(self, half, interleaved):
        if interleaved:
            return slice(0, None, 2), slice(1, None, 2)
        return slice(0, half), slice(half, None)

    def slopes(self):
        """ALiBi's, one per head."""
        given = self.position("alibi").get("slopes")
        return self.usual_slopes() if given is None else np.array(given)

    def usual_slopes(self):
        heads = self.head_count or 1
        power = 2 ** int(math.log2(heads))
        ladder = [2 ** (-8 * h / power) for h in range(1, power + 1)]
        finer = [2 ** (-4 * h / power) for h in range(1, 2 * power + 1, 2)]
        return np.array((ladder + finer)[:heads]) if self.head_count else np.array(ladder[0])

    def distances(self):
        return np.abs(self.positions() - self.key_positions())

    # Scores to logits

    def product(self, query, key):
        model = self.request.get("score_model") or {}
        if model.get("name") == "expression":
            parameters = {name: np.array(value, self.float) for name, value in model["parameters"].items()}
            return SCORE_FORMULAS[model["formula"]](query, key, **parameters)
        return (query @ key.swapaxes(-1, -2)) * self.float(self.scale())

    def scale(self):
        own = (self.request.get("score_model") or {}).get("scale")
        return 1 / math.sqrt(self.features) if own is None else own

    def capped(self, scores):
        return scores if self.softcap is None else self.cap(scores)

    def cap(self, numbers):
        return self.float(self.softcap) * np.tanh(numbers / self.float(self.softcap))

    def bias(self):
        nested = self.request.get("bias")
        return None if nested is None else np.array(nested, float).astype(self.float)

    def sloped(self):
        """What ALiBi adds."""
        slopes = self.slopes()
        return (-(slopes[:, None, None] if slopes.ndim else slopes) * self.distances()).astype(self.float)

    def biased(self, logits):
        if self.bias() is not None:
            logits = logits + np.where(np.isnan(self.bias()), -np.inf, self.bias())
        return logits + self.sloped() if self.position("alibi") else logits

    def modified(self, logits):
        """What the score modifier makes of them."""
        modifier = self.request.get("score_modifier")
        if modifier is None:
            return logits
        logits = np.broadcast_to(logits, self.shape).astype(self.float)
        parameters = self.parameters(modifier)
        places = self.formula_places("modifier")
        return formulas.of_matrices(modifier["formula"], parameters, places, self.head_count, logits)

    def parameters(self, formula):
        """The parameters of a formula, as they are sent."""
        return formula.get("parameters") or {}

    def formula_places(self, part):
        """The positions of all pairs, as the formula of the modifier, or of the mask, calls them."""
        rank = len(self.shape)
        return {
            "i": np.arange(self.queries)[:, None],
            "j": np.arange(self.keys),
            "p": self.positions(),
            "b": np.arange(self.shape[0]).reshape(-1, *[1] * (rank - 1)) if rank > 2 else 0,
            "h": np.arange(self.head_count)[:, None, None] if rank == 4 else 0,
            "Lq": self.queries,
            "Lk": self.keys,
        }

    def hidden(self, logits):
        return np.where(self.visible(), logits, self.float(-np.inf))

    def visible(self):
        visible = np.ones(self.shape, bool)
        for mask in self.masks().values():
            visible = visible & mask
        return visible

    def masks(self):
        """What each mask lets be seen, by its name."""
        masks, mask = {}, self.mask
        if mask.get("allowed") is not None:
            masks["allowed"] = self.allowed()
        if mask.get("causal"):
            masks["causal"] = self.causal() | self.in_prefix()
        if mask.get("window"):
            left, right = (mask["window"].get(side) for side in ("left", "right"))
            masks["window"] = self.windowed(left, right) | self.in_prefix()
        if mask.get("key_lengths") is not None:
            masks["key_lengths"] = self.within(self.per_batch(mask["key_lengths"]))
        if mask.get("key_allowed") is not None:
            masks["key_allowed"] = np.array(mask["key_allowed"])[None]
        if mask.get("formula") is not None:
            masks["formula"] = self.formula(mask["formula"]) > 0
        return masks

    def formula(self, text):
        """Where the mask formula holds, as 1 and 0."""
        holds, parameters, places = f"where({text}, 1, 0)", self.parameters(self.mask), self.formula_places("mask")
        return formulas.of_matrices(holds, parameters, places, self.head_count, np.zeros(self.shape))

    def allowed(self):
        return np.array(self.mask["allowed"])

    def causal(self):
        return self.key_positions() <= self.diagonal()

    def diagonal(self):
        """Where the diagonal runs."""
        return self.positions()

    def windowed(self, left, right):
        places, keys = self.diagonal(), self.key_positions()
        seen = np.ones((self.queries, self.keys), bool)
        if left is not None:
            seen = seen & (keys >= places - left)
        return seen if right is None else seen & (keys <= places + right)

    def in_prefix(self):
        """Keys that causal and window do not hide."""
        lengths = self.mask.get("prefix_lengths")
        return np.zeros((1, 1), bool) if lengths is None else np.arange(self.keys) < self.per_batch(lengths)

    def within(self, lengths):
        return np.arange(self.keys) < lengths

    # Logits to output

    def sinks(self):
        """The sink, or −∞, as it broadcasts over the rows."""
        sink = np.array(-np.inf if self.sink is None else self.sink, self.float)
        return sink[:, None, None] if sink.ndim else sink

    def normalized(self, logits):
        """Weights, and the logarithm of the denominator."""
        powers, total, largest = self.powers(logits / self.temperature)
        with np.errstate(all="ignore"):
            weights = np.where(total == 0, 0, powers / total)
            return weights, (np.log(total) + largest)[..., 0]

    def powers(self, exponents):
        """exp(z − m), their sum with the sink, and m; a row that sees nothing is left at 0."""
        largest = np.maximum(exponents.max(-1, keepdims=True), self.sinks())
        largest = np.where(np.isneginf(largest), self.float(0), largest)
        powers = np.exp(exponents - largest)
        return powers, powers.sum(-1, keepdims=True) + np.exp(self.sinks() - largest), largest

    def finished(self, weights):
        """Return the weights unchanged."""
        return weights

    def written(self, output):
        if self.by_length:
            return output.swapaxes(1, 2)
        if not self.heads:
            return output
        batch, heads, length, features = output.shape
        return output.transpose(0, 2, 1, 3).reshape(batch, length, heads * features)

    def reported(self, scores, capped, logits):
        """Which of them are called scores."""
        return scores

    def placed(self, fields):
        """Where results are put: in their places."""
        return fields

    def stored(self, fields):
        """All but logsumexp, which stays in the compute type, rounded to the storage type."""
        return {name: array if name == "logsumexp" else self.rounded(array) for name, array in fields.items()}

    def rounded(self, array):
        if self.dtype == "bfloat16":
            return np.vectorize(oracle.ROUND[self.dtype], otypes=[float])(array)
        with np.errstate(over="ignore"):
            return array.astype(self.dtype)
