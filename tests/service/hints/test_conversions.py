"""What another library computes is what the translated request computes.

Each definition is written in plain NumPy, as that library documents it; the request puts the numbers where the table
says, and each test asserts that the table says so.
"""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from attention_core.hints import TABLE

Array = NDArray[np.float64]
Case = tuple[dict[str, Any], Array]
"""A request to /v1/attention, and the weights that it must have."""

DRAWN = np.random.default_rng(20)
B, HQ, HKV, LQ, LK, D = 2, 4, 2, 3, 5, 4
QUERY, KEY = DRAWN.normal(size=(B, HQ, LQ, D)), DRAWN.normal(size=(B, HQ, LK, D))
SCORES = np.einsum("bhqd,bhkd->bhqk", QUERY, KEY) / np.sqrt(D)
REQUEST = {"query": QUERY.tolist(), "key": KEY.tolist(), "include": ["weights"]}


def softmax(scores: Array) -> Array:
    """Exponentials over their sum; a row of −∞ alone is zero."""
    largest = np.where(np.isfinite(scores.max(-1, keepdims=True)), scores.max(-1, keepdims=True), 0)
    exponentials = np.exp(scores - largest)
    total = exponentials.sum(-1, keepdims=True)
    return exponentials / np.where(total > 0, total, 1)


def masked(visible: NDArray[np.bool_], scores: Array = SCORES) -> Array:
    """Softmax over the visible keys."""
    return softmax(np.where(visible, scores, -np.inf))


ROWS, COLUMNS = np.arange(LQ)[:, None], np.arange(LK)[None, :]
RANDOM_MASK = DRAWN.random((B, 1, LQ, LK)) < 0.7
PADDED = np.arange(LK)[None, :] >= np.array([3, 5])[:, None]
"""(B, Lk), true for padding."""


def attn_mask() -> Case:
    """scaled_dot_product_attention: True may attend."""
    return REQUEST | {"mask": {"allowed": RANDOM_MASK.tolist()}}, masked(RANDOM_MASK)


def added_mask() -> Case:
    """A float mask is added to the scores."""
    added = np.where(RANDOM_MASK, DRAWN.normal(size=RANDOM_MASK.shape), -np.inf)
    spelt = [[[[None if np.isinf(x) else x for x in row] for row in head] for head in batch] for batch in added]
    return REQUEST | {"bias": spelt}, softmax(SCORES + added)


def key_padding_mask() -> Case:
    """nn.MultiheadAttention: True hides the key."""
    return REQUEST | {"mask": {"key_allowed": (~PADDED).tolist()}}, softmax(
        SCORES + np.where(PADDED, -np.inf, 0)[:, None, None]
    )


def attention_mask() -> Case:
    """Hugging Face: 1 keeps a key; (1 − mask) times a very negative number is added."""
    kept = 1 - PADDED.astype(int)
    added = (1.0 - kept[:, None, None, :]) * np.finfo(np.float64).min
    return REQUEST | {"mask": {"allowed": (kept[:, None, None, :] == 1).tolist()}}, softmax(SCORES + added)


def valid_lens() -> Case:
    """D2L masked_softmax: keys from the length on are overwritten with −1e6."""
    lengths = np.array([3, 5])
    hidden = np.arange(LK) >= lengths[:, None, None, None]
    return REQUEST | {"mask": {"key_lengths": lengths.tolist()}}, softmax(np.where(hidden, -1e6, SCORES))


def valid_lens_per_query() -> Case:
    """D2L masked_softmax with two axes of lengths."""
    lengths = np.array([[1, 3, 5], [2, 2, 4]])
    hidden = np.arange(LK) >= lengths[:, None, :, None]
    return REQUEST | {"mask": {"key_lengths": lengths.tolist()}}, softmax(np.where(hidden, -1e6, SCORES))


def seqlens_k() -> Case:
    """GroupQueryAttention of onnxruntime: the length minus 1."""
    sent = np.array([2, 4])
    visible = np.arange(LK) <= sent[:, None, None, None]
    return REQUEST | {"mask": {"key_lengths": (sent + 1).tolist()}}, masked(visible)


def cache_seqlens() -> Case:
    """FlashAttention with a cache: the length before the new keys, of which there are two here."""
    cached = np.array([1, 3])
    visible = np.arange(LK) < cached[:, None, None, None] + 2
    return REQUEST | {"mask": {"key_lengths": (cached + 2).tolist()}}, masked(visible)


def query_lengths() -> Case:
    """JAX query_seq_lengths: rows of padded queries are zero."""
    lengths = np.array([2, 3])
    rows = (np.arange(LQ) < lengths[:, None])[:, None, :, None]
    weights = softmax(SCORES) * rows
    return REQUEST | {"mask": {"allowed": rows.tolist()}}, weights


def is_causal() -> Case:
    """PyTorch: the lower triangle from the top left corner, torch.ones(L, S).tril()."""
    return REQUEST | {"mask": {"causal": True}}, masked(np.tril(np.ones((LQ, LK), bool)))


def causal() -> Case:
    """FlashAttention: aligned at the bottom right corner."""
    visible = COLUMNS <= ROWS + LK - LQ
    return REQUEST | {"mask": {"causal": True, "offset": "bottom_right"}}, masked(visible)


def window_size() -> Case:
    """FlashAttention window_size=(-1, 1): keys up to i + seqlen_k − seqlen_q + right, unbounded to the left."""
    visible = COLUMNS <= ROWS + LK - LQ + 1
    window = {"left": None, "right": 1}
    return REQUEST | {"mask": {"window": window, "offset": "bottom_right"}}, masked(visible)


def local_window_size() -> Case:
    """JAX local_window_size=(2, 1): from i − 2 to i + 1."""
    visible = (COLUMNS >= ROWS - 2) & (COLUMNS <= ROWS + 1)
    return REQUEST | {"mask": {"window": {"left": 2, "right": 1}}}, masked(visible)


def sliding_window() -> Case:
    """Hugging Face sliding_window=2: i − j < 2, and causal."""
    visible = (ROWS - COLUMNS < 2) & (COLUMNS <= ROWS)
    return REQUEST | {"mask": {"window": {"left": 1}, "causal": True}}, masked(visible)


def cu_seqlens() -> Case:
    """FlashAttention varlen: boundaries 0, 2, 5 of packed self-attention; causal inside each."""
    segments = [0, 0, 1, 1, 1]
    square = np.einsum("bhqd,bhkd->bhqk", KEY, KEY) / np.sqrt(D)
    visible = np.equal.outer(segments, segments) & np.tril(np.ones((LK, LK), bool))
    mask = {"query_segments": segments, "key_segments": segments, "causal": True}
    return {"query": KEY.tolist(), "key": KEY.tolist(), "include": ["weights"], "mask": mask}, masked(visible, square)


def scaled(scale: float) -> dict[str, Any]:
    return REQUEST | {"score_model": {"name": "scaled_dot_product", "scale": scale}}


RAW = SCORES * np.sqrt(D)


def softmax_scale() -> Case:
    """FlashAttention: softmax(softmax_scale · q·k)."""
    return scaled(0.3), softmax(0.3 * RAW)


def norm_factor() -> Case:
    """Megatron and GPT-NeoX: softmax(q·k / norm_factor)."""
    return scaled(1 / 7.0), softmax(RAW / 7.0)


def query_pre_attn_scalar() -> Case:
    """Gemma: scaling = query_pre_attn_scalar ** −0.5."""
    return scaled(1 / np.sqrt(144)), softmax(RAW * 144**-0.5)


def uniform() -> Case:
    """The mean of the values."""
    return scaled(0), np.full((B, HQ, LQ, LK), 1 / LK)


def softmin() -> Case:
    """torch.nn.Softmin: softmax(−x)."""
    return scaled(-1 / np.sqrt(D)), softmax(-SCORES)


def dot_product_attention() -> Case:
    """jax.nn.dot_product_attention scales by 1/√D by default."""
    return REQUEST | {"score_model": "scaled_dot_product"}, softmax(SCORES)


def logits_soft_cap() -> Case:
    """FlashInfer: logits_soft_cap · tanh(score / logits_soft_cap)."""
    return REQUEST | {"softcap": 0.7}, softmax(0.7 * np.tanh(SCORES / 0.7))


def beta() -> Case:
    """Modern Hopfield networks: softmax(β · score)."""
    return REQUEST | {"normalizer": {"name": "softmax", "temperature": 1 / 2.5}}, softmax(2.5 * SCORES)


def softmax_one() -> Case:
    """exp(x) / (1 + Σ exp(x))."""
    exponentials = np.exp(SCORES)
    weights = exponentials / (1 + exponentials.sum(-1, keepdims=True))
    return REQUEST | {"normalizer": {"name": "softmax", "sink": 0}}, weights


def add_zero_attn() -> Case:
    """nn.MultiheadAttention appends a key of zeros, which scores 0, with a value of zeros."""
    extended = np.concatenate([SCORES, np.zeros((B, HQ, LQ, 1))], axis=-1)
    return REQUEST | {"normalizer": {"name": "softmax", "sink": 0}}, softmax(extended)[..., :-1]


def sinks() -> Case:
    """gpt-oss: a logit for each head is concatenated, and its column dropped after the softmax."""
    heads = np.array([0.5, -1.0, 2.0, 0.0])
    column = np.broadcast_to(heads[None, :, None, None], (B, HQ, LQ, 1))
    weights = softmax(np.concatenate([SCORES, column], axis=-1))[..., :-1]
    return REQUEST | {"normalizer": {"name": "softmax", "sink": heads.tolist()}}, weights


def alibi_slopes() -> Case:
    """FlashAttention: −slope · |i + seqlen_k − seqlen_q − j|."""
    slopes = np.array([0.5, 0.25, 0.1, 0.05])
    distance = np.abs(ROWS + LK - LQ - COLUMNS)
    request = REQUEST | {"position": {"name": "alibi", "slopes": slopes.tolist()}, "mask": {"offset": "bottom_right"}}
    return request, softmax(SCORES - slopes[:, None, None] * distance)


def rope_neox() -> Case:
    """Hugging Face Llama: halves are paired; rotate_half(x)·sin + x·cos with θ = rope_theta ** (−2m/D)."""
    angles = 500.0 ** (-np.arange(0, D, 2) / D)

    def turned(vectors: Array) -> Array:
        phases = np.concatenate([np.outer(np.arange(vectors.shape[-2]), angles)] * 2, axis=-1)
        first, second = vectors[..., : D // 2], vectors[..., D // 2 :]
        return vectors * np.cos(phases) + np.concatenate([-second, first], axis=-1) * np.sin(phases)

    scores = np.einsum("bhqd,bhkd->bhqk", turned(QUERY), turned(KEY)) / np.sqrt(D)
    rotary = {"name": "rotary", "base": 500.0, "interleaved": False}
    return REQUEST | {"position": rotary}, softmax(scores)


def enable_gqa() -> Case:
    """PyTorch repeats each key head: repeat_interleave(Hq / Hkv)."""
    shared = KEY[:, :HKV]
    scores = np.einsum("bhqd,bhkd->bhqk", QUERY, shared.repeat(HQ // HKV, axis=1)) / np.sqrt(D)
    return REQUEST | {"key": shared.tolist()}, softmax(scores)


def concat() -> Case:
    """Luong 2015: vᵀ tanh(W [q; k])."""
    weight, vector = DRAWN.normal(size=(3, 2 * D)), DRAWN.normal(size=3)
    pairs = np.concatenate([np.broadcast_to(QUERY[..., :, None, :], (B, HQ, LQ, LK, D)),
                            np.broadcast_to(KEY[..., None, :, :], (B, HQ, LQ, LK, D))], axis=-1)  # fmt: skip
    additive = {"name": "additive", "query_weight": weight[:, :D].tolist(), "key_weight": weight[:, D:].tolist(),
                "score_vector": vector.tolist()}  # fmt: skip
    return REQUEST | {"score_model": additive}, softmax(np.tanh(pairs @ weight.T) @ vector)


def general() -> Case:
    """Luong 2015: qᵀ W k."""
    weight = DRAWN.normal(size=(D, D))
    scores = np.einsum("bhqi,ij,bhkj->bhqk", QUERY, weight, KEY)
    return REQUEST | {"score_model": {"name": "bilinear", "weight": weight.tolist()}}, softmax(scores)


DIFFERENCES = QUERY[..., :, None, :] - KEY[..., None, :, :]


def gamma() -> Case:
    """scikit-learn rbf_kernel: exp(−γ‖q − k‖²)."""
    kernel = np.exp(-0.3 * (DIFFERENCES**2).sum(-1))
    gaussian = {"name": "gaussian", "bandwidth": float(1 / np.sqrt(2 * 0.3))}
    return REQUEST | {"score_model": gaussian}, kernel / kernel.sum(-1, keepdims=True)


def gamma_of_laplacian() -> Case:
    """scikit-learn laplacian_kernel: exp(−γ‖q − k‖₁)."""
    kernel = np.exp(-0.3 * np.abs(DIFFERENCES).sum(-1))
    laplacian = {"name": "laplacian", "bandwidth": 1 / 0.3}
    return REQUEST | {"score_model": laplacian}, kernel / kernel.sum(-1, keepdims=True)


def squared_distance() -> Case:
    """softmax(−‖q − k‖²)."""
    gaussian = {"name": "gaussian", "bandwidth": float(1 / np.sqrt(2))}
    return REQUEST | {"score_model": gaussian}, softmax(-(DIFFERENCES**2).sum(-1))


def linear_attention() -> Case:
    """Katharopoulos 2020: φ(q)·φ(k) over its sum, φ = elu + 1."""
    features = [np.where(x > 0, x + 1, np.exp(x)) for x in (QUERY, KEY)]
    products = np.einsum("bhqd,bhkd->bhqk", *features)
    request = {"query": features[0].tolist(), "key": features[1].tolist(), "include": ["weights"]}
    chosen = {"score_model": "dot_product", "normalizer": "proportional"}
    return request | chosen, products / products.sum(-1, keepdims=True)


CASES: list[tuple[str, str, list[str], Callable[[], Case]]] = [
    ("field", "attn_mask", ["mask.allowed"], attn_mask),
    ("field", "attn_mask", ["bias"], added_mask),
    ("field", "key_padding_mask", ["mask.key_allowed"], key_padding_mask),
    ("field", "attention_mask", ["mask.allowed"], attention_mask),
    ("field", "valid_lens", ["mask.key_lengths"], valid_lens),
    ("field", "valid_lens", ["mask.key_lengths"], valid_lens_per_query),
    ("field", "seqlens_k", ["mask.key_lengths"], seqlens_k),
    ("field", "cache_seqlens", ["mask.key_lengths"], cache_seqlens),
    ("field", "query_seq_lengths", ["mask.allowed"], query_lengths),
    ("field", "is_causal", ["mask.causal"], is_causal),
    ("field", "causal", ["mask.causal", "mask.offset"], causal),
    ("field", "window_size", ["mask.window.left", "mask.window.right", "mask.offset"], window_size),
    ("field", "local_window_size", ["mask.window.left", "mask.window.right"], local_window_size),
    ("field", "sliding_window", ["mask.window.left", "mask.causal"], sliding_window),
    ("field", "cu_seqlens", ["mask.query_segments", "mask.key_segments", "mask.causal"], cu_seqlens),
    ("field", "softmax_scale", ["score_model.scaled_dot_product.scale"], softmax_scale),
    ("field", "norm_factor", ["score_model.scaled_dot_product.scale"], norm_factor),
    ("field", "query_pre_attn_scalar", ["score_model.scaled_dot_product.scale"], query_pre_attn_scalar),
    ("normalizer", "uniform", ["score_model.scaled_dot_product.scale"], uniform),
    ("normalizer", "softmin", ["score_model.scaled_dot_product.scale"], softmin),
    ("score_model", "dot_product_attention", ["score_model.scaled_dot_product"], dot_product_attention),
    ("field", "logits_soft_cap", ["softcap"], logits_soft_cap),
    ("field", "beta", ["normalizer.softmax.temperature"], beta),
    ("normalizer", "softmax_one", ["normalizer.softmax.sink"], softmax_one),
    ("field", "add_zero_attn", ["normalizer.softmax.sink"], add_zero_attn),
    ("field", "sinks", ["normalizer.softmax.sink"], sinks),
    ("field", "alibi_slopes", ["position.alibi.slopes", "mask.offset"], alibi_slopes),
    ("field", "is_neox_style", ["position.rotary.interleaved"], rope_neox),
    ("field", "rope_theta", ["position.rotary.base"], rope_neox),
    ("field", "enable_gqa", ["heads"], enable_gqa),
    ("score_model", "concat", ["score_model.additive.query_weight", "score_model.additive.key_weight"], concat),
    ("score_model", "general", ["score_model.bilinear"], general),
    ("field", "gamma", ["score_model.gaussian.bandwidth"], gamma),
    ("field", "gamma", ["score_model.laplacian.bandwidth"], gamma_of_laplacian),
    ("score_model", "squared_distance", ["score_model.gaussian"], squared_distance),
    ("score_model", "linear_attention", ["score_model.dot_product", "normalizer.proportional"], linear_attention),
]


@pytest.mark.parametrize(
    ("kind", "name", "places", "case"), CASES, ids=[f"{c[0]} {c[1]} {i}" for i, c in enumerate(CASES)]
)
async def test_the_translated_request_gives_the_same_weights(
    client: httpx.AsyncClient, kind: str, name: str, places: list[str], case: Callable[[], Case]
) -> None:
    [row] = [
        row
        for of_kind, rows in TABLE.items()
        if of_kind == kind
        for row in rows
        if name in row.names and not row.within
    ]
    assert set(places) <= {place for place, _ in row.places}
    request, expected = case()
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(response.json()["weights"], expected, rtol=1e-12, atol=1e-15)


async def test_the_logsumexp_of_flashinfer_is_ours_times_log2_of_e(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/attention", json=REQUEST | {"include": ["logsumexp"]})
    base_two = np.log2(np.exp2(SCORES * np.log2(np.e)).sum(-1))
    np.testing.assert_allclose(np.array(response.json()["logsumexp"]) * np.log2(np.e), base_two, rtol=1e-12)


async def test_a_side_of_minus_one_is_refused_and_null_is_unbounded(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/v1/attention", json=REQUEST | {"mask": {"window": {"left": left, "right": 0}}})
        for left in (-1, None)
    ]
    assert [answer.status_code for answer in answers] == [422, 200]
    np.testing.assert_allclose(answers[1].json()["weights"], masked(COLUMNS <= ROWS), rtol=1e-12)
