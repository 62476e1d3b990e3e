"""Array types with their shapes: the one place that names every dimension.

===== =====================================================
name  meaning
===== =====================================================
B     batch rows: axis 0 of scores of rank 3 or more
Lq    queries
Lk    keys (past and new together when there is a cache)
D     features of a query and a key
Dq    features of a query, where they may differ from a key's
Dk    features of a key, where they may differ from a query's
Dv    features of a value
U     hidden units of a score model
q, k  the queries and keys of one tile
===== =====================================================

``...`` stands for leading axes, which broadcast as in NumPy.  The tests read these strings from the annotations of
every score model and normalizer and compare them with the shapes of real arguments and results.
"""

from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.integer[Any]]

Queries = Annotated[FloatArray, "... q Dq"]
Keys = Annotated[FloatArray, "... k Dk"]
Values = Annotated[FloatArray, "... k Dv"]
Scores = Annotated[FloatArray, "... q k"]
Logits = Annotated[FloatArray, "... q k"]
Weights = Annotated[FloatArray, "... q k"]
RowMaximum = Annotated[FloatArray, "... q 1"]
Projection = tuple[FloatArray, ...]
"""Arrays that a score model computes from queries alone, or from keys alone, before it scores pairs."""

LeadingSlices: TypeAlias = tuple[slice, ...]
"""A block of the leading axes of the scores: one slice for each axis."""

PerQuery = Annotated[FloatArray, "... q"]
Query = Annotated[FloatArray, "Dq"]
Key = Annotated[FloatArray, "Dk"]
Row = Annotated[FloatArray, "k"]

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "Key",
    "Keys",
    "LeadingSlices",
    "Logits",
    "PerQuery",
    "Projection",
    "Queries",
    "Query",
    "Row",
    "RowMaximum",
    "Scores",
    "Values",
    "Weights",
]
