"""Arguments that are objects with a method `bind`: score models, normalizers, positions, masks, score modifiers."""

from typing import Any, TypeVar

from attention_core.errors import InvalidValue, echo

Given = TypeVar("Given")

EXAMPLES = {
    "score_model": ("DotProduct()", "attention_core.scores"),
    "normalizer": ("Softmax()", "attention_core.normalizers"),
    "position": ("Alibi()", "attention_core.positions"),
    "mask": ("Causal()", "attention_core.masks"),
    "score_modifier": ('ScoreModifier("score - abs(p - j)")', "attention_core"),
}
"""An example of each argument, and the module that has its class."""


def checked(given: Given, name: str) -> Given:
    """Return an argument; raise InvalidValue for a name, an array or a class in the place of an object."""
    if hasattr(given, "bind") and not isinstance(given, type):
        return given
    example, module = EXAMPLES[name]
    raise InvalidValue(
        (name,),
        expected=f"an object such as {example}",
        received=_describe(given),
        advice=f"Import its class from {module}.",
    )


def _describe(given: Any) -> str:
    if isinstance(given, str):
        return echo(given)
    return f"the class {given.__name__}" if isinstance(given, type) else f"a value of type {type(given).__name__}"
