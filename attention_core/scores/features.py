"""What several score models ask of the feature sizes."""

from attention_core.errors import ShapeMismatch
from attention_core.interfaces import Features


def require_equal(features: Features, score_model: str) -> None:
    """Raise ShapeMismatch unless queries and keys have the same number of features."""
    if features.query != features.key:
        raise ShapeMismatch(
            ("key",),
            expected=f"{features.query} features per key, as many as a query has: {score_model} pairs them one to one",
            received=f"{features.key}",
            advice="Send keys with as many features as the queries, or choose additive, which takes two feature sizes.",
        )
