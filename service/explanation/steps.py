"""The steps from terms to contribution, each with its formula, its number and a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any

import numpy as np

from attention_core.call import ResolvedCall
from attention_core.explanation import Explanation
from attention_core.expressions import Expression
from attention_core.normalizers import Softmax
from attention_core.positions import Rotary
from service.explanation.numbers import enclosed, equation, expression, joined, listed, short, spelled
from service.explanation.texts import MASKS, NAMES, STEPS, TERMS, Language


@dataclass(frozen=True, slots=True)
class NamedPair:
    """The query and the key that are explained, and what they are called in sentences."""

    query_index: int
    key_index: int
    query_labels: Sequence[str] | None
    key_labels: Sequence[str] | None

    def names(self, language: Language) -> dict[str, str]:
        """Return their labels, or their numbers where there are none."""
        numbers = {"query": (self.query_labels, self.query_index), "key": (self.key_labels, self.key_index)}
        return {
            name: getattr(NAMES[name], language).format(index) if labels is None else labels[index]
            for name, (labels, index) in numbers.items()
        }


@dataclass(slots=True)
class Steps:
    """A growing list of steps in one language."""

    language: Language
    names: dict[str, str]
    documents: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, formula: str, value: float | None, sentence: str = "", **words: object) -> None:
        """Append a step; its sentence is found under its name unless another is given."""
        template: str = getattr(STEPS[sentence or name], self.language)
        text = template.format(**self.names, value="" if value is None else short(value, self.language), **words)
        self.documents.append({"name": name, "formula": formula, "value": spelled(value), "sentence": text})

    def add_term(self, term: Expression, sentence: str, **words: object) -> None:
        """Append a step that the core has taken apart."""
        self.add(term.name, equation(term), term.value, sentence, **words)

    def add_part(self, name: str, part: Expression, sentence: str = "") -> None:
        """Append a step for a piece of a formula."""
        self.add(name, equation(part), part.value, sentence, part=part.name)


def explain_in_steps(
    explanation: Explanation, call: ResolvedCall, pair: NamedPair, language: Language
) -> list[dict[str, Any]]:
    """Return the steps, each with name, formula, value and sentence; a step that the call does not have is left out."""
    steps = Steps(language, pair.names(language))
    if explanation.rotary:
        _add_rotary(steps, explanation, call)
    _add_score(steps, explanation, call.normalizer.name)
    if call.softcap is not None:
        capped, cap = explanation.capped_score, short(call.softcap)
        formula = f"{cap} × tanh({short(explanation.score)} / {cap}) = {short(capped)}"
        steps.add("softcap", formula, capped, softcap=cap)
    _add_logit(steps, explanation, call, pair.key_index)
    _add_weight(steps, explanation, call, pair.key_index)
    if explanation.contribution is not None and explanation.value is not None and explanation.value.ndim == 1:
        product = f"{enclosed(explanation.weight)} × {listed(explanation.value)} = {listed(explanation.contribution)}"
        steps.add("contribution", product, None)
    return steps.documents


def _add_rotary(steps: Steps, explanation: Explanation, call: ResolvedCall) -> None:
    """Add the rotation of query and key, with the scaling of its angles."""
    positions = (explanation.query_position, explanation.key_position)
    of_query, of_key = (str(position).replace("-", "−") for position in positions)
    words = {"query_position": of_query, "key_position": of_key}
    sentence, scaling = "rotary", call.position.scaling if isinstance(call.position, Rotary) else None
    if scaling is not None:
        sentence = "rotary scaled" if scaling.attention_scale == 1 else "rotary scaled and multiplied"
        words |= {
            "kind": scaling.kind,
            "factor": short(scaling.factor),
            "attention_factor": short(scaling.attention_scale),
        }
    steps.add("rotary", f"rotary(q, {of_query}), rotary(k, {of_key})", None, sentence, **words)


def _add_score(steps: Steps, explanation: Explanation, normalizer: str) -> None:
    """Add the steps from terms to the score."""
    terms = explanation.terms
    for part in explanation.score_steps:
        if part.source or not part.name.startswith("unit "):
            steps.add_part("formula part", part)
        else:
            steps.add("formula part", equation(part), part.value, "hidden unit", part=_term_name(part, steps.language))
    written = joined([expression(term) for term in terms.terms], " + ")
    largest = max(terms.terms, key=lambda term: abs(term.value))
    steps.add(
        "sum",
        f"{written} = {short(terms.sum)}",
        terms.sum,
        "sum" if len(terms.terms) > 1 else "sum of one",
        count=len(terms.terms),
        largest=f"{_term_name(largest, steps.language)} = {short(largest.value)}",
    )
    formula = short(explanation.score)
    if terms.factor is not None:
        own = f"factor {terms.factor.name}" if not terms.factor.source else "factor of the formula"
        known = (name for name in (f"{normalizer} {own}", own) if name in STEPS)
        shown = equation(terms.factor)
        steps.add("factor", shown, terms.factor.value, next(known, "factor"), part=terms.factor.source)
        formula = f"{enclosed(terms.sum)} × {enclosed(terms.factor.value)} = {formula}"
    steps.add("score", formula, explanation.score)


def _term_name(term: Expression, language: Language) -> str:
    kind, _, number = term.name.rpartition(" ")
    if kind not in TERMS:
        return term.name
    name: str = getattr(TERMS[kind], language)
    return name.format(number)


def _add_logit(steps: Steps, explanation: Explanation, call: ResolvedCall, key_index: int) -> None:
    """Add the steps from score to logit: bias, ALiBi, score modifier and mask."""
    bias, alibi = explanation.bias, explanation.alibi
    if bias is not None and not np.isneginf(bias):
        steps.add("bias", short(bias), bias)
    if alibi is not None:
        steps.add_term(alibi, "alibi", distance=abs(explanation.query_position - explanation.key_position))
    if call.score_modifier is not None:
        _add_modifier(steps, explanation, call.score_modifier.formula)
    for part in explanation.mask_steps[:-1]:
        steps.add_part("mask formula", part)
    for whole in explanation.mask_steps[-1:]:
        steps.add_part("mask formula", whole, "whole mask formula")
    if explanation.masked_by:
        names = [getattr(MASKS[name], steps.language) for name in explanation.masked_by]
        steps.add("mask", "−∞", None, "mask hidden", masks=getattr(NAMES["and"], steps.language).join(names))
        return
    if call.mask is not None:
        passed = explanation.capped_score if call.score_modifier is None else explanation.modified
        steps.add("mask", short(passed), None, "mask visible")
    if call.score_modifier is not None:
        modified = explanation.modified
        steps.add("logit", short(modified), modified)
        return
    added = None if alibi is None else alibi.value
    addends = tuple(number for number in (explanation.capped_score, bias, added) if number is not None)
    steps.add_term(Expression("logit", float(explanation.logits[key_index]), "{* + }", addends), "logit")


def _add_modifier(steps: Steps, explanation: Explanation, formula: str) -> None:
    """Add a step for each part of the score modifier, and one for the modified score; one alone under a bias of −∞."""
    if explanation.bias is not None and np.isneginf(explanation.bias):
        steps.add("modified", "−∞", explanation.modified, "modified hidden", text=formula)
        return
    *parts, whole = explanation.modifier_steps or (Expression("modified", explanation.modified, "{}", ()),)
    for part in parts:
        steps.add_part("modifier", part)
    shown = equation(whole) if whole.operands else short(explanation.modified)
    steps.add("modified", shown, explanation.modified, text=formula)


def _add_weight(steps: Steps, explanation: Explanation, call: ResolvedCall, key_index: int) -> None:
    """Add the steps from logit to weight."""
    if explanation.weight_steps:
        softmax = call.normalizer if isinstance(call.normalizer, Softmax) else None
        words = {
            "visible": int(np.sum(~np.isneginf(explanation.logits))),
            "percent": f"{100 * explanation.weight + 0.0:.4g}",
            # Of other normalizers only entmax with α = 1 has exponentials, those of temperature 1.
            "kept": f"{100 * exp(-1 / (softmax.temperature if softmax else 1)):.2g}",
        }
        sink = " with sink" if softmax and softmax.sink is not None else ""
        for part in explanation.weight_steps:
            own = f"{call.normalizer.name} {part.name}{sink if part.name == 'denominator' else ''}"
            steps.add_term(part, own if own in STEPS else part.name, **words)
    elif np.isneginf(explanation.logits).all():
        steps.add("weight", "0", explanation.weight, "weight empty")
    elif np.isneginf(explanation.logits[key_index]):
        steps.add("weight", "0", explanation.weight, "weight hidden")
    else:
        steps.add("weight", "NaN", explanation.weight, "weight poisoned")
