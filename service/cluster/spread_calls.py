"""Calls on memories whose keys are spread over the cluster."""

from attention_core import Workers
from attention_core.attend import EvaluateWithKernel
from attention_core.call import ResolvedCall
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import Kernel, KernelResult
from service.cluster.connection import Cluster
from service.cluster.shard_groups import SpreadMemory
from service.errors import ClusterUnavailable


class SpreadCall:
    """Evaluates a call with the shards of its memory, as `evaluate_with_kernel` does in this process."""

    def __init__(
        self, cluster: Cluster, spread: SpreadMemory, call: ResolvedCall, otherwise: EvaluateWithKernel
    ) -> None:
        """Prepare to evaluate.

        :param cluster: the cluster.
        :param spread: the memory.
        :param call: the call, with all of its keys and values.
        :param otherwise: evaluates what the shards do not.
        """
        self._cluster, self._spread, self._score_shape, self._otherwise = cluster, spread, call.score_shape, otherwise

    def __call__(
        self,
        kernel: Kernel,
        call: ResolvedCall,
        required: frozenset[str],
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
    ) -> KernelResult | None:
        """Return what `evaluate_with_kernel` does, with the same bits; parameters as there.  Raises Stopped."""
        result = None
        # A block of the heads has other keys than the memory.
        if call.score_shape == self._score_shape:
            try:
                with self._cluster.session() as session:
                    sharding = self._cluster.sharding
                    result = sharding.evaluate(
                        session, self._spread, kernel, call, required, workers, should_stop, progress
                    )
            except ClusterUnavailable:
                pass
        if result is not None:
            return result
        return self._otherwise(kernel, call, required, workers, should_stop, progress)
