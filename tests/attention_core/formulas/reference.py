"""The language in plain Python for one pair: numbers are floats, vectors lists, matrices lists of lists.

It shares no code with the core.  `Evaluator` may change each inexact result by a tiny part, which shows whether a
formula's value says anything: one that a rounding error turns over is compared with nothing.
"""

import math
import random

NAN, INF = math.nan, math.inf


class Evaluator:
    """Evaluates trees of `tests.attention_core.formulas.drawing`."""

    def __init__(self, names, noise=0.0, seed=0):
        self.names = names
        self.noise = noise
        self.rng = random.Random(seed)

    def value(self, tree):
        operation, operands = tree[0], tree[1]
        if operation == "number":
            return operands
        if operation == "name":
            return self.names[operands]
        if operation == "index":
            return index(self.names[operands], [self.value(one) for one in tree[2]])
        values = [self.value(one) for one in operands]
        rounds = operation in ROUNDED
        if operation in VECTORS:
            return self.disturb(VECTORS[operation](*values), rounds)
        length = next((len(one) for one in values if isinstance(one, list)), None)
        function = NUMBERS[operation]
        if length is None:
            return self.disturb(function(*values), rounds)
        rows = [[one[m] if isinstance(one, list) else one for one in values] for m in range(length)]
        return [self.disturb(function(*row), rounds) for row in rows]

    def disturb(self, value, rounds):
        if isinstance(value, list):
            return [self.disturb(one, rounds) for one in value]
        if not self.noise or isinstance(value, bool) or not math.isfinite(value):
            return value
        if not rounds and value == math.floor(value):
            return value
        return value * (1 + self.noise * self.rng.choice((-1, 1)))


ROUNDED = frozenset({"cosine", "norm", "sqrt", "/", "**", "tanh", "sigmoid"})
"""Operations of which a result that is an integer may still have been rounded to it."""


def index(values, indices):
    for one in indices:
        if one != one or one < 0 or one >= len(values) or one != math.floor(one):
            return NAN
        values = values[int(one)]
    return values


def divide(a, b):
    if a != a or b != b:
        return NAN
    if b == 0:
        return NAN if a == 0 else math.copysign(INF, a) * math.copysign(1, b)
    if math.isinf(a) and math.isinf(b):
        return NAN
    return a / b


def floor_divide(a, b):
    if a != a or b != b or math.isinf(a):
        return NAN
    if b == 0:
        return divide(a, b)
    return a // b


def remainder(a, b):
    if a != a or b != b or math.isinf(a) or b == 0:
        return NAN
    return a % b


def power(a, b):
    if b == 0 or a == 1:
        return 1.0
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and b % 2 == 1 else INF
    except ValueError:
        return NAN if a else INF


def guarded(function, *, at=None, below=None):
    """A function of `math` with the limits of IEEE 754: `at` is where it is −∞, `below` which it is NaN."""

    def of(x):
        if x != x or (below is not None and x < below):
            return NAN
        if at is not None and x == at:
            return -INF
        try:
            return function(x)
        except OverflowError:
            return INF
        except ValueError:
            return NAN

    return of


def larger(a, b):
    return NAN if a != a or b != b else max(a, b)


def smaller(a, b):
    return NAN if a != a or b != b else min(a, b)


def floor(x):
    return x if x != x or math.isinf(x) else float(math.floor(x))


def sign(x):
    return x if x != x else float((x > 0) - (x < 0))


def sigmoid(x):
    if x != x:
        return NAN
    return 1 / (1 + math.exp(-x)) if x > -700 else (0.0 if x < -745 else math.exp(x))


def softplus(x):
    if x != x:
        return NAN
    return x if x > 40 else math.log1p(math.exp(x))


def total(values):
    result = 0.0
    for one in values:
        result += one
    return result


def extreme(choose):
    return lambda values: NAN if any(one != one for one in values) else choose(values)


def length(values):
    if any(one != one for one in values):
        return NAN
    return INF if any(math.isinf(one) for one in values) else math.hypot(*values)


def dot(a, b):
    return total(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    if not any(a) or not any(b):
        return 0.0 if all(map(math.isfinite, [*a, *b])) else NAN
    return dot([divide(x, length(a)) for x in a], [divide(y, length(b)) for y in b])


def matmul(a, b):
    if isinstance(a[0], list):
        return [dot(row, b) for row in a]
    if isinstance(b[0], list):
        return [dot(a, [row[m] for row in b]) for m in range(len(b[0]))]
    return dot(a, b)


VECTORS = {
    "sum": total,
    "mean": lambda values: total(values) / len(values),
    "max": extreme(max),
    "min": extreme(min),
    "norm": length,
    "norm1": lambda values: total(abs(one) for one in values),
    "dot": dot,
    "cosine": cosine,
    "@": matmul,
    "concat": lambda *parts: [one for part in parts for one in part],
}

NUMBERS = {
    "negate": lambda x: -x,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
    "**": power,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "and": lambda *truths: all(truths),
    "or": lambda *truths: any(truths),
    "not": lambda truth: not truth,
    "abs": abs,
    "sqrt": guarded(math.sqrt, below=0),
    "exp": guarded(math.exp),
    "expm1": guarded(math.expm1),
    "log": guarded(math.log, at=0, below=0),
    "log1p": guarded(math.log1p, at=-1, below=-1),
    "tanh": math.tanh,
    "sin": guarded(math.sin),
    "cos": guarded(math.cos),
    "sigmoid": sigmoid,
    "softplus": softplus,
    "relu": lambda x: larger(x, 0.0),
    "square": lambda x: x * x,
    "sign": sign,
    "floor": floor,
    "minimum": smaller,
    "maximum": larger,
    "clip": lambda x, a, b: smaller(larger(x, a), b),
    "where": lambda c, a, b: a if c else b,
}
