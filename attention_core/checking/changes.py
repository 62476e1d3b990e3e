"""Mistakes that change one part of a call, made from the change alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.call import ResolvedCall
from attention_core.checking.variants import ChangedCall, CheckContext, Mistake, Variant, resolve_repeated
from attention_core.interfaces import FeatureSizes
from attention_core.normalizers import Softmax
from attention_core.positions import Rotary

WeightFormula = Callable[[Logits], tuple[Weights, FloatArray]]
"""Returns the weights of logits, and the logarithm of their denominator."""


@dataclass(frozen=True, slots=True)
class WrongNormalizer:
    """A normalizer with a mistake, as a formula."""

    formula: WeightFormula
    name: ClassVar[str] = "wrong"
    propagates_non_finite: ClassVar[bool] = True
    is_distribution: ClassVar[bool] = False

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights of the formula."""
        return self.formula(logits)[0]

    def compute_logsumexp(self, logits: Logits, maximum: RowMaximum) -> FloatArray:
        """Return the logarithm of the formula's denominator."""
        return self.formula(logits)[1]


def change_field(name: str, *changes: Callable[[ResolvedCall, Any], Any]) -> Mistake:
    """Return the mistake of another value for one field of the call, which is not made where the field is None.

    :param name: field of `ResolvedCall`.
    :param changes: functions of the call and the field's value that return another value, or the same one where they
        do not apply.
    """

    def variants(context: CheckContext) -> Iterator[Variant]:
        value = getattr(context.call, name)
        for change in changes if value is not None else ():
            changed = change(context.call, value)
            if changed is not value:
                yield context.changed(**{name: changed})

    return variants


def change_scale(*changes: Callable[[Any, FeatureSizes], Any], of: type[Any] = object) -> Mistake:
    """Return the mistake of another scale of the score model.

    :param changes: functions of the scale and the sizes of features that return another scale, or None where they do
        not apply.
    :param of: class of the score models for which the mistake can be made; default any with a scale.
    """

    def variants(context: CheckContext) -> Iterator[Variant]:
        model: Any = context.call.score_model
        applies = isinstance(model, of) and hasattr(model, "scale")
        for change in changes if applies else ():
            scale = change(model.scale, context.call.features)
            if scale is not None and not np.array_equal(scale + 0.0 * model.scale, model.scale):
                yield context.changed(score_model=replace(model, scale=scale + 0.0 * model.scale))

    return variants


def change_softmax(
    *changes: Callable[[Softmax], Softmax | WeightFormula], applies: Callable[[Softmax], bool] = lambda _: True
) -> Mistake:
    """Return the mistake of another softmax.

    :param changes: functions of the softmax that return another one, or a formula in its place.
    :param applies: whether the mistake can be made with a softmax; default with any.
    """

    def change_one(change: Callable[[Softmax], Softmax | WeightFormula], normalizer: Any) -> Any:
        if not isinstance(normalizer, Softmax) or not applies(normalizer):
            return normalizer
        changed = change(normalizer)
        return changed if isinstance(changed, Softmax) else WrongNormalizer(changed)

    return change_field("normalizer", *(lambda _, softmax, one=one: change_one(one, softmax) for one in changes))


def change_rotary(*changes: Callable[[Rotary], Any]) -> Mistake:
    """Return the mistake of another rotation of queries and keys.

    :param changes: functions of the encoding that return another one, None for no rotation, or the same one where they
        do not apply.
    """

    def variants(context: CheckContext) -> Iterator[Variant]:
        position = context.call.position
        if not isinstance(position, Rotary):
            return
        for change in changes:
            changed = change(position)
            if changed is not position:
                yield ChangedCall(resolve_repeated(replace(context.sent, position=changed)))

    return variants


def change_rotary_of_one_side(change: Callable[[Rotary], Rotary | None]) -> Mistake:
    """Return the mistake of another rotation of the queries alone, or of the keys alone."""

    def variants(context: CheckContext) -> Iterator[Variant]:
        if isinstance(context.call.position, Rotary):
            other = resolve_repeated(replace(context.sent, position=change(context.call.position)))
            yield context.changed(query=other.query)
            yield context.changed(stored_key=other.key)

    return variants


def all_of(*mistakes: Mistake) -> Mistake:
    """Return the mistake that can be made in every way in which one of several can."""

    def variants(context: CheckContext) -> Iterator[Variant]:
        for mistake in mistakes:
            yield from mistake(context)

    return variants
