"""Chebyshev distance: the score of the largest difference of any feature."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attention_core.arrays import Keys, Queries, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.interfaces import ScoreGradient, ScoreModel
from attention_core.parameters import PerHead, broadcast_over_pairs, sum_scalar_gradient
from attention_core.scores.distances import pair_differences


@dataclass(frozen=True, slots=True, eq=False)
class Chebyshev(ScoreModel):
    """a(q, k) = −steepness · max |q − k|."""

    steepness: PerHead = field(default=1.0, metadata=parameter(zh="陡度", en="Factor of the distance", above=0))
    name: ClassVar[str] = "chebyshev"
    description: ClassVar[Description] = Description(
        title=Text("切比雪夫距离", "Chebyshev"),
        summary=Text("只看差别最大的特征。", "Only the feature with the largest difference counts."),
        latex=r"a(q, k) = -\mathrm{steepness} \cdot \|q - k\|_\infty",
        plain="a(q, k) = −steepness · max |q − k|",
        source="Cantrell 2000, Modern Mathematical Methods for Physicists and Engineers, section 6.3",
        example={"steepness": 2},
    )

    def compute_scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return −steepness · max |q − k| of every pair, (…, q, k)."""
        distances = np.max(np.abs(pair_differences(queries, keys)), axis=-1)
        return (-broadcast_over_pairs(self.steepness) * distances).astype(queries.dtype, copy=False)

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = −steepness · Σₖ g·sign(q − k) at the feature that decides, and ∂/∂k by symmetry."""
        differences = pair_differences(queries, keys)
        decides = np.arange(queries.shape[-1]) == np.argmax(np.abs(differences), axis=-1)[..., None]
        scaled = (score_gradient * broadcast_over_pairs(self.steepness))[..., None]
        per_feature = np.where(decides, -scaled * np.sign(differences), 0)
        distances = np.max(np.abs(differences), axis=-1)
        return ScoreGradient(
            queries=per_feature.sum(axis=-2),
            keys=-per_feature.sum(axis=-3),
            parameters={"steepness": sum_scalar_gradient(-score_gradient * distances, self.steepness)},
        )
