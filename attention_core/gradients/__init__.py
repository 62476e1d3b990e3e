"""The backward pass: from the gradient of the output to the gradients of all inputs and parameters."""

from attention_core.gradients.evaluate import differentiate

__all__ = ["differentiate"]
