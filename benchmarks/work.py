"""One computation, described so that every backend can do it on the same numbers.  Standard library only."""

from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """A call of attention, or a part of one.  Fields are what JSON can hold."""

    query: Shape
    """(…, Lq, D)."""
    key: Shape = ()
    """(…, Lk, D), of the value as well; default that of the query.  Fewer heads than the query's are grouped heads."""
    operation: str = "attention"
    """`attention`; `matrices` for scores, weights and output; `backward` for forward and the gradients of query, key
    and value; `products` for the two matrix products alone; `sum` for one look at every key and value."""
    score_model: str = "scaled_dot_product"
    """Or another built-in model by its name; `additive` has D hidden units."""
    formula: str = ""
    """The score model as a formula, whose parameters have the names of the model's; default the built-in model."""
    causal: bool = False
    window: int = 0
    """Keys that a query sees, its own position the last; 0 for all."""
    bias: bool = False
    """Whether a bias (Lq, Lk) is added."""
    dtype: str = "float32"

    @property
    def key_shape(self) -> Shape:
        """The shape of keys and values."""
        return tuple(self.key or self.query)

    @property
    def operations(self) -> float:
        """Floating-point operations of the two matrix products over the visible keys."""
        visible = self.key_shape[-2] * (0.5 if self.causal else 1)
        return 4 * prod(self.query) * visible
