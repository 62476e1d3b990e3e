"""Mistakes in the steps after the raw scores: the soft cap, or any constant factor."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Keys, Queries, Scores
from attention_core.call import ResolvedCall
from attention_core.checking.fitted_factor import fit_factor
from attention_core.checking.variants import ChangedCall, CheckContext, Fields, FittedNumber, Variant, evaluate_included
from attention_core.interfaces import FeatureSizes, ScoreModel
from attention_core.parameters import broadcast_over_pairs
from attention_core.scores import FormulaScore, ScaledDotProduct

Change = Callable[[Scores], Scores]


@dataclass(frozen=True, slots=True)
class ChangedScores:
    """A score model with changed scores, at the cost of the model itself."""

    model: ScoreModel
    change: Change

    def compute_scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the changed scores of every pair."""
        return self.change(self.model.compute_scores(queries, keys))

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return what the model holds for each pair."""
        return self.model.scratch_per_score(features)


def softcap_before_scale(call: ResolvedCall, softcap: float) -> Any:
    """scale · softcap · tanh(q·k / softcap)."""
    model = call.score_model
    if not isinstance(model, ScaledDotProduct) or model.scale is None or not np.all(model.scale):
        return softcap
    return np.abs(broadcast_over_pairs(model.scale)) * softcap


def softcap_formula(context: CheckContext) -> Iterator[Variant]:
    """x · tanh(x / softcap), tanh(x / softcap), softcap · tanh(x), or x cut off at ±softcap."""
    cap = context.call.softcap
    if cap is None:
        return
    formulas: tuple[Change, ...] = (
        lambda scores: scores * np.tanh(scores / cap),
        lambda scores: np.tanh(scores / cap),
        lambda scores: cap * np.tanh(scores),
        lambda scores: np.clip(scores, -cap, cap),
    )
    for formula in formulas:
        model: Any = ChangedScores(context.call.score_model, formula)
        call = replace(context.call, score_model=model, softcap=None)
        yield ChangedCall(call, partial(evaluate_with_raw_scores, context.call.score_model))


def evaluate_with_raw_scores(model: ScoreModel, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    """Evaluate some queries, with the scores of the model as they are before the change."""
    fields, maximum = evaluate_included(call, rows)
    if "scores" in call.include:
        fields = {**fields, "scores": model.compute_scores(call.query[..., rows, :], call.key)}
    return fields, maximum


def other_scale(context: CheckContext) -> Iterator[Variant]:
    """Another constant than the scale of the call, fitted to the candidate; formulas have no scale."""
    if not isinstance(context.call.score_model, FormulaScore):
        yield from _other_factor(context)


def other_factor_of_formula(context: CheckContext) -> Iterator[Variant]:
    """A constant times the result of the score model's formula, fitted to the candidate."""
    if isinstance(context.call.score_model, FormulaScore):
        yield from _other_factor(context)


def _other_factor(context: CheckContext) -> Iterator[Variant]:
    model: Any = context.call.score_model
    scale = getattr(model, "scale", 1.0)
    expected = scale if isinstance(scale, float) and scale else 1.0
    found = fit_factor(context, expected)
    if found is None:
        return
    factor = found / expected
    changed: Any = ChangedScores(model, lambda scores: factor * scores)
    yield ChangedCall(replace(context.call, score_model=changed), number=FittedNumber(found, expected))
