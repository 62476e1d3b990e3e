"""The backward pass: from the gradient of the output to the gradients of all inputs and parameters."""

from attention_core.gradients.call import PARAMETER_FIELDS, GradientCall, resolve_gradients
from attention_core.gradients.cost import predict_gradients
from attention_core.gradients.evaluate import differentiate, evaluate_gradients

__all__ = [
    "PARAMETER_FIELDS",
    "GradientCall",
    "differentiate",
    "evaluate_gradients",
    "predict_gradients",
    "resolve_gradients",
]
