"""The tiled path: the matrix of scores is never whole; each tile of it is made, weighed, mixed and forgotten."""

from attention_core.blockwise.evaluate import evaluate_tiled
from attention_core.blockwise.workers import Workers

__all__ = ["Workers", "evaluate_tiled"]
