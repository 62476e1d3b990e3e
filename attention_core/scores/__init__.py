"""Score models: a(q, k), each beside its gradient, its terms and its cost."""

from attention_core.interfaces import ScoreModel
from attention_core.scores.additive import Additive
from attention_core.scores.bilinear import Bilinear
from attention_core.scores.cosine import Cosine
from attention_core.scores.distances import Gaussian, Laplacian
from attention_core.scores.dot_product import DotProduct, ScaledDotProduct
from attention_core.scores.trilinear import Trilinear

SCORE_MODELS: dict[str, type[ScoreModel]] = {
    "scaled_dot_product": ScaledDotProduct,
    "dot_product": DotProduct,
    "additive": Additive,
    "bilinear": Bilinear,
    "cosine": Cosine,
    "gaussian": Gaussian,
    "laplacian": Laplacian,
    "trilinear": Trilinear,
}

__all__ = [
    "SCORE_MODELS",
    "Additive",
    "Bilinear",
    "Cosine",
    "DotProduct",
    "Gaussian",
    "Laplacian",
    "ScaledDotProduct",
    "Trilinear",
]
