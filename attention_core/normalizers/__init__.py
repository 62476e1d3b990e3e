"""Normalizers: logits to weights, each in a file of its own beside its gradient and its cost."""

from attention_core.interfaces import Normalizer
from attention_core.normalizers.proportional import Proportional
from attention_core.normalizers.softmax import Softmax

NORMALIZERS: dict[str, type[Normalizer]] = {
    "softmax": Softmax,
    "proportional": Proportional,
}

__all__ = ["NORMALIZERS", "Proportional", "Softmax"]
