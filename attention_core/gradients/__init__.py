"""The way back: from the gradient of the output to the gradients of everything that it was made of."""

from attention_core.gradients.evaluate import differentiate

__all__ = ["differentiate"]
