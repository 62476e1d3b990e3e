"""An explanation of the core in words and formulas, in Chinese or English."""

from service.explanation.advice import advice_on
from service.explanation.document import explanation_document
from service.explanation.steps import NamedPair

__all__ = ["NamedPair", "advice_on", "explanation_document"]
