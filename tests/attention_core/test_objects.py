"""Arguments that have to be objects: what stands in their place otherwise is named, and what to write."""

import re

import numpy as np
import pytest

from attention_core import InvalidValue, attend
from attention_core.masks import Causal
from attention_core.scores import DotProduct

VECTORS = np.ones((2, 2))


@pytest.mark.parametrize(
    ("name", "wrong", "received"),
    [
        ("score_model", "dot_product", "'dot_product'"),
        ("score_model", DotProduct, "the class DotProduct"),
        ("normalizer", "softmax", "'softmax'"),
        ("position", {"alibi": {}}, "a value of type dict"),
        ("mask", "causal", "'causal'"),
        ("mask", Causal, "the class Causal"),
        ("mask", np.ones((2, 2), bool), "a value of type ndarray"),
        ("score_modifier", "score + 1", "'score + 1'"),
    ],
)
def test_what_stands_in_the_place_of_an_object_is_named(name: str, wrong: object, received: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(f"received {received}")) as caught:
        attend(VECTORS, VECTORS, **{name: wrong})
    assert caught.value.path == (name,)
