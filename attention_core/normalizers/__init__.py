"""Normalizers, which map logits to weights, each in one class with its backward pass, its explanation and its cost."""

from attention_core.interfaces import Normalizer
from attention_core.normalizers.elementwise import Identity, Relu, Sigmoid
from attention_core.normalizers.hardmax import Hardmax
from attention_core.normalizers.proportional import Proportional
from attention_core.normalizers.simplex import Entmax, Sparsemax
from attention_core.normalizers.softmax import Softmax

NORMALIZERS: dict[str, type[Normalizer]] = {
    normalizer.name: normalizer
    for normalizer in (
        Softmax,
        Proportional,
        Sparsemax,
        Entmax,
        Sigmoid,
        Relu,
        Hardmax,
        Identity,
    )
}

__all__ = [
    "NORMALIZERS",
    "Entmax",
    "Hardmax",
    "Identity",
    "Proportional",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Sparsemax",
]
