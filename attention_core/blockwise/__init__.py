"""The tiled path: scores are computed, normalized and applied to the values one tile at a time, as in FlashAttention.

No matrix of scores, logits or weights is ever whole in memory.
Dao et al. 2022, "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness".
"""

from attention_core.blockwise.evaluate import evaluate_tiled
from attention_core.blockwise.workers import Workers

__all__ = ["Workers", "evaluate_tiled"]
