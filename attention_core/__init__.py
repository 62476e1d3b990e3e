"""Soft attention with NumPy and compiled kernels: score models, normalizers, masks and positions, forward and backward.

>>> from attention_core import Causal, Softmax, attend
>>> attend([[1.0], [1.0]], [[1.0], [2.0]], mask=Causal(), normalizer=Softmax(temperature=2.0)).weights.round(3).tolist()
[[1.0, 0.0], [0.378, 0.622]]
"""

from attention_core.attend import attend, evaluate
from attention_core.blockwise import Workers
from attention_core.call import AttentionCall, Heads, Positions
from attention_core.cost import Cost, predict
from attention_core.dtypes import BFLOAT16
from attention_core.errors import AttentionError, CallError, InvalidValue, ShapeMismatch, Stopped, UnknownName
from attention_core.formula_mask import FormulaMask
from attention_core.gradients import (
    GradientCall,
    differentiate,
    evaluate_gradients,
    predict_gradients,
    resolve_gradients,
)
from attention_core.masks import MASKS, All, Allowed, Causal, KeyAllowed, KeyLengths, PrefixLengths, Segments, Window
from attention_core.native import available_kernels, kernel_name, select_kernel
from attention_core.normalizers import (
    NORMALIZERS,
    Entmax,
    Hardmax,
    Identity,
    Proportional,
    Relu,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from attention_core.partials import Partial, merge
from attention_core.positions import POSITIONS, Alibi, Rotary
from attention_core.resolve import resolve
from attention_core.results import AttentionGradients, AttentionResult, Diagnostics, Ranking
from attention_core.rotary_scaling import RotaryScaling
from attention_core.score_modifier import ScoreModifier
from attention_core.scores import (
    SCORE_MODELS,
    Additive,
    Bilinear,
    Cosine,
    DotProduct,
    FormulaScore,
    Gaussian,
    Laplacian,
    ScaledDotProduct,
    Trilinear,
)

__all__ = [
    "BFLOAT16",
    "MASKS",
    "NORMALIZERS",
    "POSITIONS",
    "SCORE_MODELS",
    "Additive",
    "Alibi",
    "All",
    "Allowed",
    "AttentionCall",
    "AttentionError",
    "AttentionGradients",
    "AttentionResult",
    "Bilinear",
    "CallError",
    "Causal",
    "Cosine",
    "Cost",
    "Diagnostics",
    "DotProduct",
    "Entmax",
    "FormulaMask",
    "FormulaScore",
    "Gaussian",
    "GradientCall",
    "Hardmax",
    "Heads",
    "Identity",
    "InvalidValue",
    "KeyAllowed",
    "KeyLengths",
    "Laplacian",
    "Partial",
    "Positions",
    "PrefixLengths",
    "Proportional",
    "Ranking",
    "Relu",
    "Rotary",
    "RotaryScaling",
    "ScaledDotProduct",
    "ScoreModifier",
    "Segments",
    "ShapeMismatch",
    "Sigmoid",
    "Softmax",
    "Sparsemax",
    "Stopped",
    "Trilinear",
    "UnknownName",
    "Window",
    "Workers",
    "attend",
    "available_kernels",
    "differentiate",
    "evaluate",
    "evaluate_gradients",
    "kernel_name",
    "merge",
    "predict",
    "predict_gradients",
    "resolve",
    "resolve_gradients",
    "select_kernel",
]
