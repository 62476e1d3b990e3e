"""What adds the steps of a formula, as those see it that rewrite them."""

from collections.abc import Sequence
from typing import Protocol

from attention_core.formulas.graph import Step, ValueType
from attention_core.formulas.nodes import Span


class Builder(Protocol):
    """What adds steps: `attention_core.formulas.building`."""

    steps: list[Step]

    def add(
        self,
        operation: str,
        operands: Sequence[int],
        result: ValueType,
        span: Span,
        value: float | str | tuple[int, int] = 0.0,
    ) -> int:
        """Return the index of a step, rewritten if it can be."""
        ...

    def add_plain(
        self,
        operation: str,
        operands: Sequence[int],
        result: ValueType,
        span: Span,
        value: float | str | tuple[int, int] = 0.0,
    ) -> int:
        """Return the index of a step as it is."""
        ...

    def add_number(self, value: float | str, span: Span) -> int:
        """Return the index of a constant."""
        ...
