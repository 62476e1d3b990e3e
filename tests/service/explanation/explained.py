"""One row of explanations, put together again from what they say and from the request, by formulas written here."""

import math
from itertools import pairwise

from tests import oracle
from tests.formulas import of_pair
from tests.nested import aligned, at, shape
from tests.service.explanation import formulas

EXACT = 1e-12
"""Relative to the numbers that go in."""

PARTS = ("maximum", "exponential", "denominator", "threshold")

ORDER = [
    *("rotary", "sum", "factor", "score", "softcap", "bias", "alibi", "modified", "mask", "logit"),
    *("maximum", "exponential", "denominator", "threshold", "weight", "contribution"),
]
"""Order of the steps; a step of another name is the factor of the terms."""

WORDS = {
    "causal": ("因果掩码", "the causal mask"),
    "window": ("窗口", "the window"),
    "key_lengths": ("键长度", "the key lengths"),
    "segments": ("分段", "the segments"),
    "key_allowed": ("键掩码", "the mask of keys"),
    "allowed": ("布尔掩码", "the boolean mask"),
    "formula": ("公式掩码", "the mask formula"),
    "bias": ("偏置", "the bias"),
    "score_modifier": ("得分修饰", "the score modifier"),
}
"""What a sentence calls whatever hides a key, in Chinese or in English."""


class Row:
    """The explanations of all keys for one query, and the request that they explain."""

    def __init__(self, request, index, i, explanations):
        self.request, self.index, self.i = request, index, i
        self.inputs = oracle.Inputs(request)
        self.truth = oracle.Row(self.inputs, index, i)
        self.position = self.inputs.query_position(index, i)
        self.head = self.inputs.head(index)
        self.explanations = explanations
        self.seen = [one for one in explanations if one["logit"] is not None]

    def judge(self):
        """Fail unless every number follows from those before it, and is that of the oracle."""
        for j, one in enumerate(self.explanations):
            self._judge_score(j, one)
            self._judge_logit(j, one)
            self._judge_steps(j, one)
            self._judge_contribution(j, one)
        if self.seen:
            recombine = NORMALIZERS.get(self.inputs.normalizer["name"], _recombine_nothing)
            recombine(self.inputs.normalizer, self)
        else:
            assert [one["weight"] for one in self.explanations] == [0.0] * len(self.explanations)
        for j, one in enumerate(self.explanations):
            if one["logit"] is None:
                assert one["weight"] == 0.0
                assert [one[name] for name in PARTS] == [None] * len(PARTS)
            near(one["weight"], self.truth.weights[j], self.sharpness)

    @property
    def sharpness(self):
        """How much an error in the logits may weigh."""
        temperature = self.inputs.normalizer.get("temperature") or 1.0
        return max((abs(one["logit"]) for one in self.seen), default=1.0) / min(temperature, 1.0)

    def _judge_score(self, j, one):
        """Factor · Σ terms = score, and softcap · tanh(score / softcap) = capped score."""
        values, softcap = [term["value"] for term in one["terms"]], self.request.get("softcap")
        factor = steps_of(one)["factor"]["value"] if "factor" in steps_of(one) else 1.0
        whole = abs(factor) * math.fsum(map(abs, values))
        near(factor * math.fsum(values), one["score"], whole)
        near(one["score"], self.truth.scores[j], whole)
        capped = one["score"] if softcap is None else softcap * math.tanh(one["score"] / softcap)
        near(one["capped_score"], capped, softcap or 0)

    def _judge_logit(self, j, one):
        """Capped score + bias + ALiBi = logit, unless something hides the key."""
        bias, alibi = self._bias(j), None
        assert one["bias"] == bias
        if (self.inputs.position or {}).get("name") == "alibi":
            alibi = -oracle.slope(self.inputs, self.index) * abs(self.position - self._key_position(j))
            near(steps_of(one)["alibi"]["value"], alibi, alibi)
        assert sorted(one["masked_by"]) == sorted(self._hidden_by(j))
        assert one["visible"] is not bool(one["masked_by"])
        if self.request.get("score_modifier"):
            near(steps_of(one)["modified"]["value"] or 0.0, self._modified(j), self._modified(j))
        if one["masked_by"]:
            assert one["logit"] is None
        elif self.request.get("score_modifier"):
            near(one["logit"], self._modified(j), self._modified(j))
        else:
            addends = [one["capped_score"], bias or 0.0, alibi or 0.0]
            near(one["logit"], math.fsum(addends), max(map(abs, addends)))

    def _modified(self, j):
        """What the score modifier made; 0 for −∞, which explanations leave out."""
        modified = self.truth.modified[j]
        return modified if math.isfinite(modified) else 0.0

    def _bias(self, j):
        bias = self.request.get("bias")
        return None if bias is None else aligned(bias, self._full, (*self.index, self.i, j))

    @property
    def _full(self):
        return (*self.inputs.leading, self.inputs.queries, self.inputs.keys)

    def _hidden_by(self, j):
        """The names of the masks under which the key would be hidden if each were the only one."""
        mask, i, batch = self.inputs.mask, self.i, self.inputs.batch(self.index)
        of_keys, prefix = mask.get("key_allowed"), mask.get("prefix_lengths")
        behind_prefix = prefix is None or j >= prefix[batch]
        alone = {
            "causal": bool(mask.get("causal")) and behind_prefix and self._key_position(j) > self.position,
            "window": behind_prefix and self._outside(mask.get("window") or {}, self._key_position(j)),
            "key_allowed": of_keys is not None and not (of_keys[batch] if isinstance(of_keys[0], list) else of_keys)[j],
            "key_lengths": j >= self.inputs.length(self.index, i),
            "segments": self._in_another_segment(mask, j),
            "allowed": mask.get("allowed") is not None
            and not aligned(mask["allowed"], self._full, (*self.index, i, j)),
            "formula": mask.get("formula") is not None and not self._holds(mask, j),
            "bias": self.request.get("bias") is not None and self._bias(j) is None,
        }
        if not alone["bias"] and self.request.get("score_modifier"):
            alone["score_modifier"] = self.truth.modified[j] == -math.inf
        return [name for name, hides in alone.items() if hides]

    @property
    def _masks(self):
        """What hides keys; an offset alone hides none."""
        beside = ("offset", "parameters")
        return [name for name, value in self.inputs.mask.items() if name not in beside and value not in (None, False)]

    def _holds(self, mask, j):
        pair = (*self.index, self.i, j)
        places = oracle.places(self.inputs, pair, self.position)
        return of_pair(mask["formula"], mask.get("parameters"), places, self.head)

    def _key_position(self, j):
        return self.inputs.key_position(self.index, j)

    def _outside(self, window, place):
        left, right = window.get("left"), window.get("right")
        too_far_left = left is not None and self.position - place > left
        return too_far_left or (right is not None and place - self.position > right)

    def _in_another_segment(self, mask, j):
        if mask.get("query_segments") is None:
            return False
        batch = self.inputs.batch(self.index)
        of_query, of_key = (
            own[batch] if isinstance(own[0], list) else own for own in (mask["query_segments"], mask["key_segments"])
        )
        return of_query[self.i] != of_key[j]

    def _judge_contribution(self, j, one):
        """Weight · value = contribution."""
        if self.inputs.value is None:
            assert one["contribution"] is None
            return
        vectors = self.values(j)
        contributions = [one["contribution"]] if len(vectors) == 1 else one["contribution"]
        for vector, contribution in zip(vectors, contributions, strict=True):
            for number, share in zip(vector, contribution, strict=True):
                near(share, one["weight"] * number, one["weight"] * number)

    def values(self, j):
        """The value of a key, at each of those leading axes that only value has."""
        value, wider = self.inputs.value, len(shape(self.inputs.value)) - 2 - len(self.index)
        if wider <= 0:
            return [at(value, (*self.inputs.key_index(self.index), j))]
        return [at(value, (extra, *self.index, j)) for extra in range(shape(value)[0])]

    def _judge_steps(self, j, one):
        """Steps in order, each number that of its field, each formula true."""
        steps = steps_of(one)
        assert set(steps) <= set(ORDER), set(steps)
        assert all(ORDER.index(a) < ORDER.index(b) for a, b in pairwise(steps))
        assert ("mask" in steps) is bool(self._masks or one["masked_by"])
        fields = {"score": "score", "softcap": "capped_score", "bias": "bias", "weight": "weight"}
        for name, field in (fields | {part: part for part in PARTS} | {"logit": "logit"}).items():
            if name in steps:
                assert steps[name]["value"] == one[field], name
        assert {part for part in PARTS if one[part] is not None} == {part for part in PARTS if part in steps}
        for term in one["terms"]:
            formulas.assert_true(term["expression"], term["value"])
        for name, step in steps.items():
            in_words = name == "modified" or (name == "weight" and self.inputs.normalizer["name"] == "hardmax")
            if step["value"] is not None and not in_words:
                formulas.assert_true(step["formula"], step["value"])
        self._judge_wordy_steps(j, one, steps)

    def _judge_wordy_steps(self, j, one, steps):
        """The steps that have no single number."""
        wordy = {name for name, step in steps.items() if step["value"] is None} - {"modified"}
        assert wordy == set(steps) & {"rotary", "mask", "contribution"}, wordy
        if "rotary" in steps:
            signs = [str(position).replace("-", "−") for position in (self.position, self._key_position(j))]
            assert steps["rotary"]["formula"] == "rotary(q, {}), rotary(k, {})".format(*signs)
        formula = self.inputs.mask.get("formula")
        parts = [step for step in one["steps"] if step["name"] == "mask formula"]
        assert bool(parts) is bool(formula)
        if parts:
            holds = "formula" not in one["masked_by"]
            assert parts[-1]["value"] == float(holds)
            assert parts[-1]["formula"].endswith(": true" if holds else ": false")
            assert formula.strip() in parts[-1]["sentence"]
        if one["masked_by"]:
            assert steps["mask"]["formula"] == "−∞"
            sentence = steps["mask"]["sentence"]
            assert all(any(word in sentence for word in WORDS[name]) for name in one["masked_by"]), sentence
        if "contribution" in steps:
            weight, _, rest = steps["contribution"]["formula"].partition(" × ")
            assert formulas.evaluate(weight).holds(one["weight"])
            for text, numbers in zip(rest.split(" = "), (self.values(j)[0], one["contribution"]), strict=True):
                shown = formulas.numbers(text)
                assert all(here.holds(number) for here, number in zip(shown, numbers, strict=True)), text


def steps_of(explanation):
    """The steps by name, without the parts of formulas."""
    listed = [step for step in explanation["steps"] if step["name"] not in ("modifier", "formula part", "mask formula")]
    steps = {step["name"] if step["name"] in ORDER else "factor": step for step in listed}
    assert len(steps) == len(listed), "two steps of one name"
    return steps


def near(received, expected, magnitude):
    """Fail unless two numbers are equal but for rounding of what they are made of."""
    limit = EXACT * max(1.0, abs(magnitude), abs(expected))
    assert abs(received - expected) <= limit, (received, expected, magnitude)


def _softmax(normalizer, row):
    temperature, sink = normalizer.get("temperature") or 1.0, normalizer.get("sink")
    own_sink = sink[row.head] if isinstance(sink, list) else sink
    exponents = [one["logit"] / temperature for one in row.seen]
    maximum = max(exponents if own_sink is None else [*exponents, own_sink])
    of_sink = 0.0 if own_sink is None else math.exp(own_sink - maximum)
    denominator = math.fsum(one["exponential"] for one in row.seen) + of_sink
    for one, exponent in zip(row.seen, exponents, strict=True):
        near(one["maximum"], maximum, maximum)
        near(one["exponential"], math.exp(exponent - one["maximum"]), row.sharpness)
        near(one["denominator"], denominator, denominator)
        near(one["weight"], one["exponential"] / one["denominator"], 1)
        assert one["threshold"] is None


def _proportional(normalizer, row):
    whole = math.fsum(one["logit"] for one in row.seen)
    for one in row.seen:
        near(one["denominator"], whole, whole)
        near(one["weight"], one["logit"] / one["denominator"] if whole else 0.0, 1)
        assert [one[name] for name in ("maximum", "exponential", "threshold")] == [None] * 3


def _entmax(normalizer, row):
    alpha = 2.0 if normalizer["name"] == "sparsemax" else normalizer.get("alpha") or 1.5
    if alpha == 1:
        _softmax({}, row)
        return
    rate, maximum = alpha - 1, max(one["logit"] for one in row.seen)
    for one in row.seen:
        assert one["maximum"] == maximum
        base = max(rate * (one["logit"] - one["maximum"]) - one["threshold"], 0.0)
        near(one["weight"], base ** (1 / rate), row.sharpness)
        assert one["threshold"] == row.seen[0]["threshold"]
        assert [one[name] for name in ("exponential", "denominator")] == [None] * 2
    near(math.fsum(one["weight"] for one in row.seen), 1.0, 1)


def _sigmoid(normalizer, row):
    for one in row.seen:
        exponential = math.exp(-(one["logit"] + (normalizer.get("bias") or 0.0)))
        near(one["exponential"], exponential, exponential * row.sharpness)
        near(one["denominator"], 1 + one["exponential"], one["exponential"])
        near(one["weight"], 1 / one["denominator"], 1)
        assert [one[name] for name in ("maximum", "threshold")] == [None] * 2


def _relu(normalizer, row):
    for one in row.seen:
        assert one["denominator"] == len(row.seen)
        near(one["weight"], max(one["logit"], 0.0) / one["denominator"], one["logit"])
        assert [one[name] for name in ("maximum", "exponential", "threshold")] == [None] * 3


def _hardmax(normalizer, row):
    maximum = max(one["logit"] for one in row.seen)
    first = next(one for one in row.seen if one["logit"] == maximum)
    for one in row.seen:
        assert one["maximum"] == maximum
        assert one["weight"] == (1.0 if one is first else 0.0)
        assert [one[name] for name in ("exponential", "denominator", "threshold")] == [None] * 3
        left, relation, right = steps_of(one)["weight"]["formula"].split()
        assert relation == ("=" if one["logit"] == maximum else "<")
        assert formulas.evaluate(left).holds(one["logit"])
        assert formulas.evaluate(right).holds(maximum)


def _none(normalizer, row):
    for one in row.seen:
        assert one["weight"] == one["logit"]
        assert [one[name] for name in PARTS] == [None] * len(PARTS)


def _recombine_nothing(normalizer, row):
    """For a normalizer whose explanation is the weight alone, which is held against the oracle."""
    for one in row.seen:
        assert [one[name] for name in PARTS] == [None] * len(PARTS)


NORMALIZERS = {
    "softmax": _softmax,
    "proportional": _proportional,
    "sparsemax": _entmax,
    "entmax": _entmax,
    "sigmoid": _sigmoid,
    "relu": _relu,
    "hardmax": _hardmax,
    "none": _none,
}
"""How the weights of a row come about, from the logits that the explanations give."""
