"""Score models a(q, k), each in one class with its backward pass, its explanation and its cost."""

from attention_core.interfaces import ScoreModel
from attention_core.scores.additive import Additive
from attention_core.scores.bilinear import Bilinear
from attention_core.scores.cosine import Cosine
from attention_core.scores.distances import Gaussian, Laplacian
from attention_core.scores.dot_product import DotProduct, ScaledDotProduct
from attention_core.scores.expression import FormulaScore
from attention_core.scores.trilinear import Trilinear

SCORE_MODELS: dict[str, type[ScoreModel]] = {
    model.name: model
    for model in (
        ScaledDotProduct,
        DotProduct,
        Additive,
        Bilinear,
        Cosine,
        Gaussian,
        Laplacian,
        Trilinear,
        FormulaScore,
    )
}

__all__ = [
    "SCORE_MODELS",
    "Additive",
    "Bilinear",
    "Cosine",
    "DotProduct",
    "FormulaScore",
    "Gaussian",
    "Laplacian",
    "ScaledDotProduct",
    "Trilinear",
]
