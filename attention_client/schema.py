"""Types of arguments, as the OpenAPI document describes them.

Written by `python -m development.client_schema`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from numpy.typing import ArrayLike

Field = Literal[
    "scores", "capped_scores", "modified", "logits", "weights", "mean_weights", "output", "logsumexp", "present"
]
"""Results that are arrays."""

GradientField = Literal[
    "output", "query", "key", "value", "past_key", "past_value", "bias", "score_model", "score_modifier", "normalizer"
]
"""The output, or a gradient that can be included."""


class Additive(TypedDict, total=False):
    """Additive. A small network scores each pair: query and key are projected to U hidden units, added, squashed by
    tanh and weighed by v. Queries and keys may differ in their number of features.

    Formula: `a(q, k) = vᵀ tanh(W_k k + W_q q + b)`

    Source: Bahdanau, Cho & Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate,
    section A.1.2
    """

    name: Required[Literal["additive"]]
    query_weight: Required[ArrayLike]
    """W_q, shape [U, Dq]: hidden units × features of a query."""
    key_weight: Required[ArrayLike]
    """W_k, shape [U, Dk]: hidden units × features of a key."""
    score_vector: Required[ArrayLike]
    """v, shape [U]: what each hidden unit adds to the score."""
    hidden_bias: ArrayLike | None
    """b, shape [U]; None means none."""


class Bilinear(TypedDict):
    """Bilinear. A matrix between query and key: it learns which features match which. Queries and keys may differ in
    their number of features; W = I/√D is the scaled dot product.

    Formula: `a(q, k) = qᵀ W k`

    Source: Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, general
    """

    name: Literal["bilinear"]
    weight: ArrayLike
    """W, shape [Dq, Dk]: features of a query × features of a key."""


class Cosine(TypedDict, total=False):
    """Cosine. Only directions count, not lengths: scores lie between −scale and scale, and a zero vector scores 0.

    Formula: `a(q, k) = scale · q·k / (‖q‖‖k‖)`

    Source: Graves, Wayne & Danihelka 2014, Neural Turing Machines
    """

    name: Required[Literal["cosine"]]
    scale: float | ArrayLike | None
    """Factor of the cosine; default 1."""


class DotProduct(TypedDict):
    """Dot product. Features of query and key are multiplied one by one and summed: the more they point the same way
    and the longer they are, the higher the score.

    Formula: `a(q, k) = q·k`

    Source: Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, dot
    """

    name: Literal["dot_product"]


class FormulaScore(TypedDict, total=False):
    """Expression. A score function of one's own: any formula of q and k, with parameters by name. /v1/expressions
    lists the language.

    Formula: `a(q, k) = formula(q, k, parameters)`

    Source: Dong et al. 2024, Flex Attention, section 3.1, for scores instead of their modification
    """

    name: Required[Literal["expression"]]
    formula: Required[str]
    """Formula of q and k that yields a number."""
    parameters: Mapping[str, Any] | None
    """Values of the other names in the formula: numbers, vectors or matrices; one for each query head is {"per_head":
    […]}; None means none.
    """


class Gaussian(TypedDict, total=False):
    """Gaussian. The nearer a key is to the query, the higher it scores; with softmax this is Nadaraya–Watson kernel
    regression.

    Formula: `a(q, k) = −‖q − k‖² / (2·bandwidth²)`

    Source: Nadaraya 1964 and Watson 1964, kernel regression
    """

    name: Required[Literal["gaussian"]]
    bandwidth: float | ArrayLike | None
    """Width of the kernel, > 0; default 1."""


class Laplacian(TypedDict, total=False):
    """Laplacian. Distance is the sum of absolute differences, so that one far feature counts less than in the
    gaussian.

    Formula: `a(q, k) = −‖q − k‖₁ / bandwidth`

    Source: Kim et al. 2019, Attentive Neural Processes
    """

    name: Required[Literal["laplacian"]]
    bandwidth: float | ArrayLike | None
    """Width of the kernel, > 0; default 1."""


class ScaledDotProduct(TypedDict, total=False):
    """Scaled dot product. The dot product divided by the square root of the number of features, so that its variance
    does not grow with them, the softmax does not saturate and its gradient does not vanish.

    Formula: `a(q, k) = q·k · scale, scale = 1/√D`

    Source: Vaswani et al. 2017, Attention Is All You Need, equation 1
    """

    name: Required[Literal["scaled_dot_product"]]
    scale: float | ArrayLike | None
    """Factor of q·k; default 1/√D."""


class Trilinear(TypedDict):
    """Trilinear. The features of the query, of the key and of their product are weighed and summed.

    Formula: `a(q, k) = wᵀ[q; k; q∘k]`

    Source: Seo et al. 2017, Bidirectional Attention Flow for Machine Comprehension
    """

    name: Literal["trilinear"]
    weight: ArrayLike
    """w, shape [3·D]: for q, for k, for q∘k."""


ScoreModel = (
    str
    | Additive
    | Bilinear
    | Cosine
    | DotProduct
    | FormulaScore
    | Gaussian
    | Laplacian
    | ScaledDotProduct
    | Trilinear
    | Mapping[str, Any]
)
"""How a query scores a key: a name, or an object."""


class Entmax(TypedDict, total=False):
    """α-entmax. Between softmax and sparsemax: the larger α, the sparser the weights.

    Formula: `w_j = max((α − 1)·z_j − τ, 0)^(1/(α − 1)) with τ so that Σ w = 1`

    Source: Peters, Niculae & Martins 2019, Sparse Sequence-to-Sequence Models
    """

    name: Required[Literal["entmax"]]
    alpha: float | None
    """α, ≥ 1: 1 is softmax, 2 is sparsemax; default 1.5."""


class Hardmax(TypedDict):
    """Hardmax. All attention on the key with the highest score, the lowest index on ties.

    Formula: `w_j = 1 at the largest z_j, else 0`

    Source: The limit of softmax as T → 0
    """

    name: Literal["hardmax"]


class Identity(TypedDict):
    """None. The weights are the scores themselves: raw linear attention.

    Formula: `w_j = z_j`

    Source: Katharopoulos et al. 2020, Transformers are RNNs
    """

    name: Literal["none"]


class Proportional(TypedDict):
    """Proportional. Each score over the sum of scores: 70, 15, 10, 5 become 0.70, 0.15, 0.10, 0.05. Scores must not be
    negative; a row of zeros weighs nothing.

    Formula: `w_j = z_j / Σ z_i`

    Source: The founding tutorial of this project
    """

    name: Literal["proportional"]


class Relu(TypedDict):
    """ReLU. The positive part of each score over the number of visible keys.

    Formula: `w_j = max(z_j, 0) / (number of visible keys)`

    Source: Wortsman et al. 2023, Replacing softmax with ReLU in Vision Transformers
    """

    name: Literal["relu"]


class Sigmoid(TypedDict, total=False):
    """Sigmoid. Each key is decided on its own, without competition; rows need not sum to 1.

    Formula: `w_j = 1 / (1 + exp(−(z_j + bias)))`

    Source: Ramapuram et al. 2024, Theory, Analysis, and Best Practices for Sigmoid Self-Attention
    """

    name: Required[Literal["sigmoid"]]
    bias: float | None
    """Added to every logit; default 0."""


class Softmax(TypedDict, total=False):
    """Softmax. Exponentials over their sum: weights are positive and each row sums to 1. The maximum is taken off
    first, so no finite score overflows.

    Formula: `w_j = exp(z_j / T) / (Σ exp(z_i / T) + exp(sink))`

    Source: Vaswani et al. 2017, equation 1; temperature: Hinton, Vinyals & Dean 2015, equation 1
    """

    name: Required[Literal["softmax"]]
    temperature: float | None
    """T, > 0: smaller is sharper, larger is flatter; default 1."""
    sink: float | ArrayLike | None
    """Logit of a key that is always there and carries no value, or one for each query head, not divided by T; None
    means none.
    """


class Sparsemax(TypedDict):
    """Sparsemax. The scores are projected on the simplex: keys that lie too far behind weigh exactly 0.

    Formula: `w_j = max(z_j − τ, 0) with τ so that Σ w = 1`

    Source: Martins & Astudillo 2016, From Softmax to Sparsemax
    """

    name: Literal["sparsemax"]


Normalizer = str | Entmax | Hardmax | Identity | Proportional | Relu | Sigmoid | Softmax | Sparsemax | Mapping[str, Any]
"""How scores become weights: a name, or an object."""


class Window(TypedDict, total=False):
    """With p = i + offset, key j is visible iff p − left ≤ j ≤ p + right."""

    left: int | None
    """Keys to the left; None is unbounded."""
    right: int | None
    """Keys to the right; None is unbounded."""


class Mask(TypedDict, total=False):
    """Which keys a query may see; everything given must allow it."""

    allowed: bool | ArrayLike | None
    """Booleans, True = may see, broadcast right-aligned to the scores' shape, or one for all."""
    causal: bool | None
    """Key j is visible to query i iff j ≤ i + offset; default False."""
    offset: Literal["bottom_right"] | int | ArrayLike | None
    """Position of query 0 among the keys: an integer, one per batch row, or bottom_right; default the length of the
    past.
    """
    window: Window | None
    """A window around each query's position."""
    key_lengths: ArrayLike | None
    """Valid keys of each batch row, [B], or of each query, [B, Lq]; the rest is padding."""
    query_segments: ArrayLike | None
    """Document number of each query, [Lq] or [B, Lq]; with key_segments."""
    key_segments: ArrayLike | None
    """Document number of each key, [Lk] or [B, Lk]; visible iff equal."""
    formula: str | None
    """A condition on the positions i, j, p, b, h, Lq, Lk: visible iff it holds, as in j <= p and p - j < 128."""
    parameters: Mapping[str, Any] | None
    """Numbers, vectors and matrices by the names in formula."""
    prefix_lengths: ArrayLike | None
    """Keys of a prefix for each batch row, [B]: visible whatever causal and window say."""
    key_allowed: ArrayLike | None
    """Booleans, True = queries may see the key, [Lk] or [B, Lk], past and new keys."""


class Alibi(TypedDict, total=False):
    """ALiBi. Subtracts a slope times the distance from each score: the farther the key, the lower it scores.

    Formula: `z_ij −= slope · |i + offset − j|`

    Source: Press, Smith & Lewis 2022, Train Short, Test Long
    """

    name: Required[Literal["alibi"]]
    slopes: float | ArrayLike | None
    """A slope, or one for each query head; default the paper's rule."""


class RotaryScaling(TypedDict, total=False):
    """Scaling of rotary angles. Applies a model that was trained on shorter sequences to longer ones. Parameters have
    the names of Hugging Face configurations, where kind is rope_type.
    """

    kind: Required[Literal["linear", "ntk", "yarn", "llama3"]]
    """How angles are scaled."""
    factor: Required[float]
    """How many times longer sequences are than in training, ≥ 1."""
    original_max_position_embeddings: int | None
    """yarn, llama3: longest sequence in training, required, ≥ 1; None means none."""
    beta_fast: float | None
    """yarn: pairs that turn more often are not scaled, > 0; default 32."""
    beta_slow: float | None
    """yarn: pairs that turn less often are scaled wholly, > 0; default 1."""
    attention_factor: float | None
    """yarn: multiplies rotated queries and keys, > 0; default 0.1·ln(factor) + 1."""
    mscale: float | None
    """yarn: with mscale_all_dim, of the attention factor (0.1·mscale·ln(factor)+1) /
    (0.1·mscale_all_dim·ln(factor)+1), ≥ 0; None means none.
    """
    mscale_all_dim: float | None
    """yarn: see mscale, ≥ 0; None means none."""
    truncate: bool | None
    """yarn: whether the ends of the ramp are rounded to whole pairs; default True."""
    low_freq_factor: float | None
    """llama3: pairs that turn less often are scaled wholly, > 0; default 1."""
    high_freq_factor: float | None
    """llama3: pairs that turn more often are not scaled, > 0; default 4."""


class Rotary(TypedDict, total=False):
    """Rotary. Rotates features in pairs by angles that grow with the position, so that scores depend on distances
    only. The number of rotated features must be even.

    Formula: `θ_m = base^(−2m/D); pair m of query i is rotated by (i + offset)·θ_m, of key j by j·θ_m`

    Source: Su et al. 2021, RoFormer, equation 34
    """

    name: Required[Literal["rotary"]]
    base: float | None
    """Base of the angles, > 0; default 10000."""
    interleaved: bool | None
    """Pairs (2m, 2m + 1) instead of (m, m + D/2); default False."""
    dims: int | None
    """How many features are rotated, the first ones; even, at most D, ≥ 2; default all."""
    scaling: RotaryScaling | None
    """How angles are scaled for longer sequences than in training; None means none."""


Position = str | Alibi | Rotary | Mapping[str, Any]
"""How positions count: a name, or an object."""


class Positions(TypedDict, total=False):
    """Positions in the place of i + offset and j, in causal, window, alibi and rotary; without an offset."""

    query: ArrayLike | None
    """Of the queries, [Lq] or [B, Lq]; default i + the length of the past."""
    key: ArrayLike | None
    """Of the keys, past and new, [Lk] or [B, Lk]; default j."""


class Heads(TypedDict):
    """How many heads are packed into the last axis of rank-3 inputs (B, L, H·D)."""

    query: int
    """Query heads."""
    key_value: int
    """Key and value heads; divides query."""


DType = Literal["float64", "float32", "float16", "bfloat16"]
"""How numbers are stored."""


class ScoreModifier(TypedDict, total=False):
    """Changes every score after bias and ALiBi, before the masks; −∞ hides the key."""

    formula: Required[str]
    """A formula of score and of the positions i, j, p, b, h, Lq, Lk, such as score + slope * (j - p)."""
    parameters: Mapping[str, Any] | None
    """Numbers, vectors and matrices by the names in the formula."""


Layout = Literal["bhsd", "bshd"]
"""Order of the axes at rank 4."""


class MemoryReference(TypedDict, total=False):
    """A memory, and the version that it must have."""

    name: Required[str]
    """Its name."""
    version: str | None
    """The only version that will do, else 409; default the present one."""


class GradientOptions(TypedDict, total=False):
    """`Options` without include."""

    score_model: ScoreModel | None
    """How a query scores a key: a name, or an object with the name and parameters. Default `scaled_dot_product`."""
    normalizer: Normalizer | None
    """How scores become weights: a name, or an object with the name and parameters. Default `softmax`."""
    softcap: float | None
    """The soft cap, a number > 0: squeezes scores between −softcap and softcap, before bias and mask."""
    mask: Mask | None
    """Which keys a query may see. Default all of them."""
    bias: float | ArrayLike | None
    """Numbers added to the scores, broadcast right-aligned to (…, Lq, Lk), or one number for all pairs; −inf hides a
    key.
    """
    position: Position | None
    """How positions enter the scores: a name, or an object with the name and parameters."""
    positions: Positions | None
    """Where queries and keys stand. Default i + offset and j."""
    heads: Heads | None
    """How many heads, `query` and `key_value`, are packed into the last axis of rank-3 inputs; the output comes back
    packed.
    """
    past_key: ArrayLike | None
    """Keys of the cache, (…, P, Dk), before the new ones; with `past_value`."""
    past_value: ArrayLike | None
    """Values of the cache, (…, P, Dv)."""
    dtype: DType | None
    """Inputs are rounded to this type, and results are returned in it; half types compute in float32. Default that of
    query, key and value if they share one, else `float64`.
    """
    score_modifier: ScoreModifier | None
    """A `formula` that changes every score after bias and ALiBi, before the masks, and its `parameters`."""
    layout: Layout | None
    """Order of the axes of query, key, value, past, present and output at rank 4: `bhsd` is (B, H, L, D), `bshd` is
    (B, L, H, D). Default `bhsd`.
    """
    memory: str | MemoryReference | tuple[str, str] | None
    """The name of a memory, or an object with `name` and `version`: its keys and values take the place of `key` and
    `value`.
    """
    append: bool | None
    """With `memory`: key and value are appended to it first, in the same step; its length before is the default of
    offset. Default `False`.
    """


class Options(TypedDict, total=False):
    """Arguments beside query, key and value; None is the default of the service."""

    score_model: ScoreModel | None
    """How a query scores a key: a name, or an object with the name and parameters. Default `scaled_dot_product`."""
    normalizer: Normalizer | None
    """How scores become weights: a name, or an object with the name and parameters. Default `softmax`."""
    softcap: float | None
    """The soft cap, a number > 0: squeezes scores between −softcap and softcap, before bias and mask."""
    mask: Mask | None
    """Which keys a query may see. Default all of them."""
    bias: float | ArrayLike | None
    """Numbers added to the scores, broadcast right-aligned to (…, Lq, Lk), or one number for all pairs; −inf hides a
    key.
    """
    position: Position | None
    """How positions enter the scores: a name, or an object with the name and parameters."""
    positions: Positions | None
    """Where queries and keys stand. Default i + offset and j."""
    heads: Heads | None
    """How many heads, `query` and `key_value`, are packed into the last axis of rank-3 inputs; the output comes back
    packed.
    """
    past_key: ArrayLike | None
    """Keys of the cache, (…, P, Dk), before the new ones; with `past_value`."""
    past_value: ArrayLike | None
    """Values of the cache, (…, P, Dv)."""
    dtype: DType | None
    """Inputs are rounded to this type, and results are returned in it; half types compute in float32. Default that of
    query, key and value if they share one, else `float64`.
    """
    include: Sequence[Field] | None
    """What to return. Default scores, weights and, with a value, output."""
    score_modifier: ScoreModifier | None
    """A `formula` that changes every score after bias and ALiBi, before the masks, and its `parameters`."""
    layout: Layout | None
    """Order of the axes of query, key, value, past, present and output at rank 4: `bhsd` is (B, H, L, D), `bshd` is
    (B, L, H, D). Default `bhsd`.
    """
    memory: str | MemoryReference | tuple[str, str] | None
    """The name of a memory, or an object with `name` and `version`: its keys and values take the place of `key` and
    `value`.
    """
    append: bool | None
    """With `memory`: key and value are appended to it first, in the same step; its length before is the default of
    offset. Default `False`.
    """
