"""Errors of the core translate unknown names, and name the parameter that does not fit."""

from typing import Any

import numpy as np
import pytest

from attention_core import Additive, Bilinear, ShapeMismatch, Softmax, UnknownName, attend
from attention_core.errors import InvalidValue

ONE = np.ones((1, 2))

NAMES: list[tuple[dict[str, Any], str]] = [
    ({"dtype": "fp16"}, "Here it is 'float16'."),
    ({"dtype": "Float16"}, "Did you mean 'float16'?"),
    ({"dtype": "float24"}, "Use one of these names."),
    ({"include": ("lse",)}, "Here it is 'logsumexp'"),
    ({"include": ("weigths",)}, "Did you mean 'weights'?"),
    ({"offset": "lower_right"}, "Here it is 'bottom_right'."),
]


@pytest.mark.parametrize(("wrong", "said"), NAMES, ids=str)
def test_an_unknown_name_is_translated(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownName) as raised:
        attend(ONE, ONE, **wrong)
    assert raised.value.advice.startswith(said)


def test_temperature_0_names_its_limit() -> None:
    with pytest.raises(InvalidValue, match="hardmax"):
        attend(ONE, ONE, normalizer=Softmax(0.0))


RIGHT = {"query_weight": (3, 4), "key_weight": (3, 5), "score_vector": (3,), "hidden_bias": (3,)}


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    ("name", "shape"),
    [("score_vector", (3, 1)), ("score_vector", (4,)), ("query_weight", (4, 3)), ("query_weight", (7, 4)),
     ("key_weight", (5, 3)), ("key_weight", (1, 5)), ("hidden_bias", (3, 1)), ("hidden_bias", (4,))],
)  # fmt: skip
def test_the_parameter_that_disagrees_is_blamed(name: str, shape: tuple[int, ...], biased: bool) -> None:
    shapes = {one: size for one, size in (RIGHT | {name: shape}).items() if biased or one in (name, *list(RIGHT)[:3])}
    model = Additive(**{one: np.ones(size) for one, size in shapes.items()})
    with pytest.raises(ShapeMismatch) as raised:
        attend(np.ones((2, 4)), np.ones((6, 5)), score_model=model)
    assert raised.value.path == ("score_model", name)


def test_the_parameter_of_one_head_too_many_is_blamed() -> None:
    shapes = {"query_weight": (2, 3, 4), "key_weight": (3, 5), "score_vector": (3, 3)}
    model = Additive(**{name: np.ones(size) for name, size in shapes.items()})
    with pytest.raises(ShapeMismatch) as raised:
        attend(np.ones((1, 2, 2, 4)), np.ones((1, 2, 6, 5)), score_model=model)
    assert raised.value.path == ("score_model", "score_vector")


def test_a_transposed_weight_is_recognised() -> None:
    with pytest.raises(ShapeMismatch, match="Transpose it"):
        attend(np.ones((2, 4)), np.ones((6, 5)), score_model=Bilinear(np.ones((5, 4))))
