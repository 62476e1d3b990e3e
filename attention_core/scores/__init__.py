"""Score models: a(q, k), each in a file of its own beside its gradient, its terms and its cost."""

from attention_core.interfaces import ScoreModel
from attention_core.scores.additive import Additive
from attention_core.scores.dot_product import DotProduct, ScaledDotProduct

SCORE_MODELS: dict[str, type[ScoreModel]] = {
    "scaled_dot_product": ScaledDotProduct,
    "dot_product": DotProduct,
    "additive": Additive,
}

__all__ = ["SCORE_MODELS", "Additive", "DotProduct", "ScaledDotProduct"]
