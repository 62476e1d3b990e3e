"""What a person should know about a result that looks odd."""

import numpy as np

from attention_core.arrays import PerQuery
from attention_core.interfaces import Normalizer
from attention_core.reductions import every

MOST = 20
"""So many rows are named; the others are counted."""


def row_notes(maximum: PerQuery, normalizer: Normalizer) -> tuple[str, ...]:
    """Name the rows whose largest logit is −∞ (no visible key) or NaN or +∞ (poisoned)."""
    finite = np.isfinite(maximum)
    if every(finite):
        return ()
    rows = np.argwhere(~finite)
    notes = [_note(tuple(int(i) for i in row), float(maximum[tuple(row)]), normalizer) for row in rows[:MOST]]
    if len(rows) > MOST:
        notes.append(f"and {len(rows) - MOST} more")
    return tuple(notes)


def _note(row: tuple[int, ...], maximum: float, normalizer: Normalizer) -> str:
    name = f"row {row[0]}" if len(row) == 1 else f"row {list(row)}"
    if maximum == -np.inf:
        return f"{name}: no visible key; weights and output are zero"
    poisoned = f"{name}: NaN or +infinity among the visible logits"
    return poisoned if normalizer.passes_non_finite else f"{poisoned}; weights and output are NaN"
