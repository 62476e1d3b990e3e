"""The formulas of a call, typeset."""

from typing import Any

from attention_core import FormulaMask, ScoreModifier
from attention_core.call import ResolvedCall
from attention_core.formulas.rendering import render
from attention_core.masks import masks_in
from attention_core.scores import FormulaScore


def typeset_formulas(call: ResolvedCall) -> dict[str, Any]:
    """Return each formula of a call in LaTeX and in MathML, by the field of the request that holds it."""
    held: dict[str, Any] = {"score_model": call.score_model, "score_modifier": call.score_modifier}
    held["mask"] = next((mask for mask in masks_in(call.mask) if isinstance(mask, FormulaMask)), None)
    typeset = {}
    for field, holder in held.items():
        if isinstance(holder, FormulaScore | ScoreModifier | FormulaMask) and holder.bound is not None:
            bound = holder.bound
            vectors = [name for name, one in bound.parameters.items() if len(one.axes) == 1]
            rendering = render(bound.formula.root, ("q", "k", *vectors))
            typeset[field] = {"text": holder.formula, "latex": rendering.latex, "mathml": rendering.mathml}
    return typeset
