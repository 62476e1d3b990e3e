"""Numbers that are hard to compute with."""

from attention_core import NORMALIZERS
from tests import calls

ADVERSARIAL = {
    "huge range": [1e30, -1e30, 1.0, 0.0, -1.0, 1e15],
    "a thousand": [1000.0, 999.0, 998.5, -1000.0, 0.0, 1.0],
    "all equal": [7.25] * 6,
    "one dominant": [88.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "nearly equal": [1.0, 1.0 + 2e-7, 1.0 - 2e-7, 1.0, 1.0 + 4e-7, 1.0],
    "denormals": [1e-40, -1e-40, 3e-45, 0.0, -0.0, 1e-38],
    "just below overflow": [3e38, 2.9e38, -3e38, 0.0, 1.0, 2.0],
    "far below": [-1e30, -2e30, -1e30, -3e30, -1e30, -1.5e30],
}

UNLIMITED = [name for name in NORMALIZERS if name not in calls.POSITIVE]
