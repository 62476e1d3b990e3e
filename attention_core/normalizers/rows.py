"""What several normalizers ask of a single row."""

import numpy as np

from attention_core.arrays import Row
from attention_core.interfaces import Term


def visible_numbers(row: Row, logits: Row) -> tuple[float, ...]:
    """Return the numbers of the keys that the row sees."""
    return tuple(float(number) for number in row[~np.isneginf(logits)])


def maximum_of(logits: Row) -> Term:
    """Return the largest logit of a row."""
    return Term("maximum", float(np.max(logits)), "max({*, })", visible_numbers(logits, logits))
