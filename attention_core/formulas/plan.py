"""In which order and in which blocks the steps of a formula are computed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from attention_core.formulas.graph import COLUMNS, PAIRS, ROWS, Graph
from attention_core.formulas.operations import IN_PLACE
from attention_core.formulas.recognition import KernelForm, recognise
from attention_core.interfaces import ELEMENTWISE_COST

PAIR_BLOCK_NUMBERS = 1 << 18
"""About how many numbers of pairs a block holds at once, as in `attention_core.scores.pairwise`."""

MAX_KEYS_PER_BLOCK = 512
"""Maximum keys of a block of pairs."""

COSTS = dict.fromkeys(("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "//", "%"), 3) | dict.fromkeys(
    ("sigmoid", "softplus", "**", "index"), 6
)
"""Elementwise operations that one of these takes as long as."""


@dataclass(frozen=True)
class Plan:
    """The steps of a formula by what they depend on, and how long their values are needed."""

    graph: Graph

    def level(self, level: int) -> Sequence[int]:
        """Return the indices of the steps of a level, in their order.

        :param level: 0, `ROWS`, `COLUMNS` or `PAIRS`.
        """
        return self._levels[level]

    @cached_property
    def _levels(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {0: [], ROWS: [], COLUMNS: [], PAIRS: []}
        for index, step in enumerate(self.graph.steps):
            found[step.level].append(index)
        return found

    @cached_property
    def row_outputs(self) -> list[int]:
        """Steps of queries alone that steps of pairs need, or that are the whole."""
        return self._outputs(ROWS)

    @cached_property
    def column_outputs(self) -> list[int]:
        """Steps of keys alone that steps of pairs need, or that are the whole."""
        return self._outputs(COLUMNS)

    def _outputs(self, level: int) -> list[int]:
        steps = self.graph.steps
        needed = {operand for step in steps if step.level == PAIRS for operand in step.operands} | {self.graph.root}
        return sorted(index for index in needed if steps[index].level == level)

    @cached_property
    def has_pair_vectors(self) -> bool:
        """Whether several numbers are computed for each pair, a block of pairs at a time."""
        return any(step.is_vector for step in self.graph.steps if step.level == PAIRS)

    @cached_property
    def last_uses(self) -> dict[int, list[int]]:
        """Steps of pairs by the step after which nothing needs them."""
        last: dict[int, int] = {}
        for index in self.level(PAIRS):
            last |= dict.fromkeys((one for one in self.graph.steps[index].operands), index)
        found: dict[int, list[int]] = {}
        for operand, user in last.items():
            if self.graph.steps[operand].level == PAIRS:
                found.setdefault(user, []).append(operand)
        return found

    @cached_property
    def overwrites(self) -> dict[int, int]:
        """Which operand's array a step of pairs may fill with its value, since nothing needs the operand afterwards."""
        steps = self.graph.steps
        found = {}
        for index in self.level(PAIRS):
            step = steps[index]
            if step.operation not in IN_PLACE:
                continue
            for operand in self.last_uses.get(index, ()):
                below = steps[operand]
                same_kind = below.type == step.type and below.is_tensor == step.is_tensor
                if same_kind and below.operation not in ("name", "number", "parameter") and not step.type.is_truth:
                    found[index] = operand
                    break
        return found

    @cached_property
    def numbers_per_pair(self) -> int:
        """Largest number of numbers that a pair's steps hold at once."""
        held, most = 0, 1
        sizes = [max(1, prod(step.type.axes)) for step in self.graph.steps]
        for index in self.level(PAIRS):
            held += 0 if index in self.overwrites else sizes[index]
            most = max(most, held)
            freed = [one for one in self.last_uses.get(index, ()) if one != self.overwrites.get(index)]
            held -= sum(sizes[one] for one in freed)
        return most

    @cached_property
    def operations_per_pair(self) -> int:
        """Elementwise operations for each pair; a product of matrices counts by its features, as in a dot product."""
        total = 0.0
        for index in self.level(PAIRS):
            step = self.graph.steps[index]
            below = [self.graph.steps[operand] for operand in step.operands]
            sizes = [max(1, prod(one.type.axes)) for one in (step, *below)]
            if step.operation == "dot" and {one.level for one in below} == {ROWS, COLUMNS}:
                total += 2 * max(sizes) / ELEMENTWISE_COST
            else:
                total += max(sizes) * COSTS.get(step.operation, 1)
        return max(1, round(total))

    @cached_property
    def numbers_per_pair_backward(self) -> int:
        """Number of numbers that a pair's steps and their gradients hold at once."""
        return 2 * sum(max(1, prod(step.type.axes)) for step in self.graph.steps if step.level == PAIRS) or 1

    @cached_property
    def kernel_form(self) -> KernelForm | None:
        """What a score model's formula is to a compiled kernel; None for a form that the kernels do not have."""
        return recognise(self.graph)

    @cached_property
    def with_keys_as_rows(self) -> "Plan":
        """The same steps, with those of keys laid out as those of queries, (…, n, U, 1)."""
        steps = [replace(step, level=ROWS) if step.level == COLUMNS else step for step in self.graph.steps]
        return Plan(self.graph._replace(steps=steps))

    @cached_property
    def first_of_chain(self) -> int | None:
        """The step whose array the whole is computed in, in place from there on; None where the whole is no step of
        pairs.
        """
        if self.graph.steps[self.graph.root].level != PAIRS:
            return None
        index = self.graph.root
        while index in self.overwrites:
            index = self.overwrites[index]
        return index
