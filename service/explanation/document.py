"""An explanation as the document of the response."""

from typing import Any

from attention_core.call import ResolvedCall
from attention_core.explanation import Explanation
from service.codecs.json import number
from service.explanation.formulas import typeset_formulas
from service.explanation.numbers import expression
from service.explanation.steps import Language, NamedPair, explain_in_steps


def explanation_document(
    explanation: Explanation, call: ResolvedCall, pair: NamedPair, language: Language
) -> dict[str, Any]:
    """Return the response of /v1/attention/explain; a step that the call does not have is None."""
    parts = {part.name: part.value for part in explanation.weight_steps}
    visible = not explanation.masked_by
    typeset = typeset_formulas(call)
    return {
        "score": number(explanation.score),
        "capped_score": number(explanation.capped_score),
        "bias": number(explanation.bias),
        "visible": visible,
        "masked_by": list(explanation.masked_by),
        "logit": number(float(explanation.logits[pair.key_index])),
        **{name: number(parts.get(name)) for name in ("maximum", "exponential", "denominator", "threshold")},
        "weight": number(explanation.weight),
        "contribution": explanation.contribution,
        "terms": [
            {"name": term.name, "value": number(term.value), "expression": expression(term)}
            for term in explanation.terms.terms
        ],
        "steps": explain_in_steps(explanation, call, pair, language),
        **({"formulas": typeset} if typeset else {}),
    }
