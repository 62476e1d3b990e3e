"""Optional capabilities of score models, normalizers and masks: one has them with the methods of their protocols."""

from functools import cache
from typing import Protocol, TypeGuard, runtime_checkable

from attention_core.arrays import IntArray, Keys, Logits, PerQuery, Queries, RowMaximum
from attention_core.interfaces import Mask, Normalizer, ScoreGradient, ScoreModel
from attention_core.kernel_forms import KernelNormalizer, PairFunction, PairGradient, Project
from attention_core.online_normalization import OnlineNormalizer, OnlineRows
from attention_core.score_tile import Tile


@runtime_checkable
class SupportsLogSumExp(Protocol):
    """A normalizer that has a denominator with a logarithm: softmax."""

    def compute_logsumexp(self, logits: Logits, maximum: RowMaximum) -> PerQuery:
        """Return the natural logarithm of each row's denominator, (…, q).

        :param logits: (…, q, k); −∞ marks a hidden key.
        :param maximum: largest logit of each row, (…, q, 1); −∞ for a row without a visible key.
        """
        ...


@runtime_checkable
class SupportsOnline(Protocol):
    """A normalizer that receives each tile of a row once; others need all logits of a row at the same time."""

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online normalizer for these rows, before their first tile."""
        ...


@runtime_checkable
class RefusesLogits(Protocol):
    """A normalizer without weights for some finite logits: proportional."""

    def check_logits(self, logits: Logits, first_index: tuple[int, ...]) -> None:
        """Raise InvalidValue for the first visible logit without a weight.

        :param logits: (…, q, k); −∞ marks a hidden key.
        :param first_index: index of logits[0, …, 0] in the whole matrix, which the error adds to name the element.
        """
        ...


class SupportsPairFunction(Protocol):
    """A score model that the kernels evaluate."""

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction | None:
        """Return the score model as a pair function of a kernel; None where its parameters leave the kernels' range.

        :param queries: (…, Lq, Dq).
        :param keys: (…, Lk, Dk).
        :param project: multiplies vectors by a weight, each row by itself, so that no row depends on another.
        """
        ...


class SupportsPairGradient(SupportsPairFunction, Protocol):
    """A score model that the kernels differentiate."""

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients of queries, keys and parameters, given those of the pair function.

        :param queries: (…, Lq, Dq), finite.
        :param keys: (…, Lk, Dk), finite.
        :param gradient: gradients of what `pair_function` returned.
        :param project: multiplies vectors by a weight, each row by itself, so that no row depends on another.

        The gradients of queries and keys have the leading axes of those of the pair function.
        """
        ...


class SupportsKernelNormalizer(Protocol):
    """A normalizer that the kernels evaluate."""

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return the normalizer as one of a kernel's."""
        ...


class SupportsKeyRange(Protocol):
    """A mask that shows each query the keys of one range."""

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return the first visible key of each query and the key after the last; None where they are no range.

        :param tile: all queries and keys; ranges may go beyond 0 and Lk.
        """
        ...


@cache
def _implements(kind: type, protocol: type) -> bool:
    """Return whether a class has the methods of a protocol.

    Cached, because a runtime protocol check takes 22 µs under Python 3.11 (benchmarks/RESULTS.md, "The small call").
    """
    return issubclass(kind, protocol)


def supports_logsumexp(normalizer: Normalizer) -> TypeGuard[SupportsLogSumExp]:
    """Return whether a normalizer has a logsumexp."""
    return _implements(type(normalizer), SupportsLogSumExp)


def supports_online(normalizer: Normalizer) -> TypeGuard[SupportsOnline]:
    """Return whether a normalizer is online."""
    return _implements(type(normalizer), SupportsOnline)


def refuses_logits(normalizer: Normalizer) -> TypeGuard[RefusesLogits]:
    """Return whether a normalizer has no weights for some finite logits."""
    return _implements(type(normalizer), RefusesLogits)


def supports_pair_function(model: ScoreModel) -> TypeGuard[SupportsPairFunction]:
    """Return whether the kernels evaluate a score model: its own class says how, and not one that it derives from."""
    return "pair_function" in type(model).__dict__


def supports_pair_gradient(model: ScoreModel) -> TypeGuard[SupportsPairGradient]:
    """Return whether the kernels differentiate a score model: its own class says how, and not one it derives from."""
    return "backward_pair_function" in type(model).__dict__ and supports_pair_function(model)


def supports_kernel_normalizer(normalizer: Normalizer) -> TypeGuard[SupportsKernelNormalizer]:
    """Return whether the kernels evaluate a normalizer: its own class says how, and not one that it derives from."""
    return "kernel_normalizer" in type(normalizer).__dict__


def supports_key_range(mask: Mask) -> TypeGuard[SupportsKeyRange]:
    """Return whether a mask shows ranges of keys: its own class says which, and not one that it derives from."""
    return "key_range" in type(mask).__dict__
