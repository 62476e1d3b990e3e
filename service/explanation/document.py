"""An explanation as the document of the response."""

from typing import Any

from attention_core.call import ResolvedCall
from attention_core.explanation import Explanation
from service.explanation.formulas import typeset_formulas
from service.explanation.numbers import expression, spelled
from service.explanation.steps import NamedPair, explain_in_steps
from service.explanation.texts import Language


def explanation_document(
    explanation: Explanation, call: ResolvedCall, pair: NamedPair, language: Language
) -> dict[str, Any]:
    """Return the response of /v1/attention/explain; a step that the call does not have is None.

    Zero has no sign.
    """
    parts = {part.name: part.value for part in explanation.weight_steps}
    visible = not explanation.masked_by
    typeset = typeset_formulas(call)
    return {
        "score": spelled(explanation.score),
        "capped_score": spelled(explanation.capped_score),
        "bias": spelled(explanation.bias),
        "visible": visible,
        "masked_by": list(explanation.masked_by),
        "logit": spelled(float(explanation.logits[pair.key_index])),
        **{name: spelled(parts.get(name)) for name in ("maximum", "exponential", "denominator", "threshold")},
        "weight": spelled(explanation.weight),
        "contribution": None if explanation.contribution is None else explanation.contribution + 0.0,
        "terms": [
            {"name": term.name, "value": spelled(term.value), "expression": expression(term)}
            for term in explanation.terms.terms
        ],
        "steps": explain_in_steps(explanation, call, pair, language),
        **({"formulas": typeset} if typeset else {}),
    }
