"""Normalizers: logits to weights, each beside its gradient and its cost."""

from attention_core.interfaces import Normalizer
from attention_core.normalizers.elementwise import Identity, Relu, Sigmoid
from attention_core.normalizers.hardmax import Hardmax
from attention_core.normalizers.proportional import Proportional
from attention_core.normalizers.simplex import Entmax, Sparsemax
from attention_core.normalizers.softmax import Softmax

NORMALIZERS: dict[str, type[Normalizer]] = {
    "softmax": Softmax,
    "proportional": Proportional,
    "sparsemax": Sparsemax,
    "entmax": Entmax,
    "sigmoid": Sigmoid,
    "relu": Relu,
    "hardmax": Hardmax,
    "none": Identity,
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
