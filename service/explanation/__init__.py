"""An explanation of the core in words and formulas, in Chinese or English."""

from service.explanation.document import explanation_document
from service.explanation.steps import NamedPair
from service.explanation.verdict import advice_on

__all__ = ["NamedPair", "advice_on", "explanation_document"]
