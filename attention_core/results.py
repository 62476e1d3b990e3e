"""Results: the dataclasses that leave the core.  Treat all of them as immutable."""

from collections.abc import Mapping
from dataclasses import dataclass

from attention_core.arrays import FloatArray, IntArray
from attention_core.interfaces import Normalizer, ScoreModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """How attention is spread, in the compute type.

    Entropy, effective keys and sensitivity are None where weights are no distribution (sigmoid, relu, none).
    """

    entropy: FloatArray | None
    """−Σ w ln w of each query row, in nats, (…, Lq)."""
    effective_keys: FloatArray | None
    """e^entropy of each query row, (…, Lq); 0 for a row without a visible key."""
    max_weight: FloatArray
    """Largest weight of each query row, (…, Lq); 0 for a row without a visible key."""
    top_key: IntArray
    """Index of the largest weight, (…, Lq); −1 for a row without a visible key, and for a NaN row."""
    softmax_sensitivity: FloatArray | None
    """Σ w(1 − w) of each query row, (…, Lq), the trace of the softmax Jacobian: near 0 the softmax is saturated."""
    received_weight: FloatArray
    """Sum of the weights that each key receives from all queries, (…, Lk)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The visible keys of each query row, at most top_k, by descending weight, ties by ascending index.

    In each row only the first `counts` entries are valid.
    """

    keys: IntArray
    """Indices of keys, (…, Lq, top_k or Lk)."""
    scores: FloatArray
    """Raw scores of these keys, (…, Lq, top_k or Lk)."""
    weights: FloatArray
    """Weights of these keys, (…, Lq, top_k or Lk)."""
    counts: IntArray
    """Valid entries of each row, (…, Lq)."""


@dataclass(slots=True)
class AttentionResult:
    """The included fields of a call, in its storage type.

    ``result.weights`` and the other properties read from `arrays` and raise AttributeError for a field that was not
    included.  Treat as immutable.  Not frozen: a frozen `__init__` adds 0.9 µs a call (benchmarks/RESULTS.md, "The
    small call").
    """

    arrays: Mapping[str, FloatArray]
    """Arrays by name: the included ones of scores, capped_scores, modified, logits, weights, mean_weights, output,
    logsumexp, present_key and present_value."""
    score_model: ScoreModel
    """The score model with its defaults resolved."""
    normalizer: Normalizer
    """The normalizer with its defaults resolved."""
    dtype: str
    """Name of the storage type."""
    notes: tuple[str, ...] = ()
    """Sentences on the call, on rows that see no key or are NaN, and on numbers beyond the storage type; about 20."""
    diagnostics: Diagnostics | None = None
    """None unless included."""
    ranking: Ranking | None = None
    """None unless included; scores and weights in the storage type."""

    def _included(self, name: str) -> FloatArray:
        if name not in self.arrays:
            field = "present" if name.startswith("present") else name
            raise AttributeError(f"{name} was not included; add {field} to include")
        return self.arrays[name]

    def _repr_html_(self) -> str:
        """Return the result as HTML, which Jupyter shows: the heat map of its weights, its arrays and its notes."""
        from attention_heat_map.notebook import result_html

        title = f"{self.score_model.name} · {self.normalizer.name} · {self.dtype}"
        return result_html(self.arrays, title=title, notes=self.notes)

    @property
    def scores(self) -> FloatArray:
        """Raw scores a(q, k), (…, Lq, Lk), in the storage type."""
        return self._included("scores")

    @property
    def capped_scores(self) -> FloatArray:
        """Scores after the soft cap, (…, Lq, Lk)."""
        return self._included("capped_scores")

    @property
    def modified(self) -> FloatArray:
        """Capped scores after bias, ALiBi and score modifier, before the mask, (…, Lq, Lk)."""
        return self._included("modified")

    @property
    def logits(self) -> FloatArray:
        """Capped scores after bias, score modifier and mask, −∞ where a key is not visible, (…, Lq, Lk)."""
        return self._included("logits")

    @property
    def weights(self) -> FloatArray:
        """Normalized logits, (…, Lq, Lk)."""
        return self._included("weights")

    @property
    def mean_weights(self) -> FloatArray:
        """Weights averaged over the query heads, (B, Lq, Lk); a row without a visible key counts as zeros."""
        return self._included("mean_weights")

    @property
    def output(self) -> FloatArray:
        """Weights · value, (…, Lq, Dv), or packed (B, Lq, Hq·Dv); axes in the layout of the call."""
        return self._included("output")

    @property
    def logsumexp(self) -> FloatArray:
        """Natural logarithm of the softmax denominator, sink included, (…, Lq), in the compute type."""
        return self._included("logsumexp")

    @property
    def present_key(self) -> FloatArray:
        """Past and new keys before rotation, heads unpacked: (…, Lk, Dk); axes in the layout of the call."""
        return self._included("present_key")

    @property
    def present_value(self) -> FloatArray:
        """Past and new values, heads unpacked: (…, Lk, Dv); axes in the layout of the call."""
        return self._included("present_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionGradients:
    """The output of `differentiate`, and the gradient of the loss with respect to each input.

    Each gradient has the shape in which its input was given; axes that were broadcast are summed.  None where the input
    was not given.
    """

    output: FloatArray
    """(…, Lq, Dv), or packed (B, Lq, Hq·Dv), in the storage type."""
    query: FloatArray
    """∂query, in the storage type."""
    key: FloatArray
    """∂key, in the storage type."""
    value: FloatArray
    """∂value, in the storage type."""
    past_key: FloatArray | None
    """∂past_key, in the storage type."""
    past_value: FloatArray | None
    """∂past_value, in the storage type."""
    bias: FloatArray | None
    """∂bias, in the compute type."""
    score_model: Mapping[str, FloatArray]
    """Gradients of the score model's parameters by name, in the compute type."""
    normalizer: Mapping[str, FloatArray]
    """Gradients of the normalizer's parameters by name, in the compute type."""
    score_modifier: Mapping[str, FloatArray]
    """Gradients of the score modifier's parameters by name, in the compute type; empty without one."""
    dtype: str = "float64"
    """Name of the storage type."""
    notes: tuple[str, ...] = ()
    """Sentences as in `AttentionResult`: on the call, on unusual rows, and on gradients beyond the storage type."""
