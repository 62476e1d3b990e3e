"""The kernel of `kernels`, got wrong in every usual manner: one class for each way, one changed step in each."""

from tests.service.checking.kernels import WRONG
from tests.service.checking.wrong_kernels import batches, masks, places, rotaries, scores, softmaxes, written

__all__ = ["WRONG", "batches", "masks", "places", "rotaries", "scores", "softmaxes", "written"]
