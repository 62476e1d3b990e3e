"""Soft attention in pure NumPy: every score model, normalizer and mask, to the last edge case.

>>> from attention_core import Causal, Softmax, attend
>>> attend([[1.0], [1.0]], [[1.0], [2.0]], mask=Causal(), normalizer=Softmax(temperature=2.0)).weights.round(3).tolist()
[[1.0, 0.0], [0.378, 0.622]]
"""

from attention_core.attend import attend, evaluate
from attention_core.call import AttentionCall, AttentionResult
from attention_core.cost import Cost, predict
from attention_core.errors import AttentionError, CallError, InvalidValue, ShapeMismatch, Stopped, UnknownName
from attention_core.masks import All, Allowed, Causal
from attention_core.normalizers import NORMALIZERS, Proportional, Softmax
from attention_core.resolve import resolve
from attention_core.scores import SCORE_MODELS, Additive, DotProduct, ScaledDotProduct

__all__ = [
    "NORMALIZERS",
    "SCORE_MODELS",
    "Additive",
    "All",
    "Allowed",
    "AttentionCall",
    "AttentionError",
    "AttentionResult",
    "CallError",
    "Causal",
    "Cost",
    "DotProduct",
    "InvalidValue",
    "Proportional",
    "ScaledDotProduct",
    "ShapeMismatch",
    "Softmax",
    "Stopped",
    "UnknownName",
    "attend",
    "evaluate",
    "predict",
    "resolve",
]
