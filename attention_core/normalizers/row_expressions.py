"""Parts of explanations that several normalizers share."""

import numpy as np

from attention_core.arrays import Row
from attention_core.expressions import Expression


def select_visible(row: Row, logits: Row) -> tuple[float, ...]:
    """Return the numbers of a row at its visible keys.

    :param row: one number for each key, (k).
    :param logits: the row's logits, (k); −∞ marks a hidden key.
    """
    return tuple(float(number) for number in row[~np.isneginf(logits)])


def explain_maximum(logits: Row) -> Expression:
    """Return the largest logit of a row with its formula, max(visible logits)."""
    return Expression("maximum", float(np.max(logits)), "max({*, })", select_visible(logits, logits))
