"""How long a large call takes on some nodes, predicted from costs that are measured one by one.

The last node is that of the front.  What other nodes need goes out through the
link of the front, and what they compute comes back through it, one after the other; the rest is done side by side.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from attention_core.call import ResolvedCall
from attention_core.errors import Stopped
from attention_core.native import CutCall, evaluate_in_parts, selected_kernel
from service.cluster.large_calls import count_parts, deal
from service.settings import Settings

MIB = 1 << 20


@dataclass(frozen=True)
class Costs:
    """Seconds, each measured by itself."""

    call: float
    """Of a call, whatever it computes."""
    part: float
    """Of each of its parts."""
    put_mib: float
    """To put a MiB into the object store of the front's node."""
    send_mib: float
    """To fetch a MiB from there to another node."""
    return_mib: float
    """To leave a MiB of a result on another node, fetch it, and copy it to its place."""
    operation: float
    """Of a predicted operation, in one thread."""


@dataclass(frozen=True)
class Traffic:
    """What a call on some nodes consists of.  Sizes in MiB."""

    nodes: int
    parts: int
    put: float
    """Of regions that parts read."""
    sent: float
    """Of those that other nodes than the front's fetch, each as often as there are such nodes."""
    returned: float
    """Of results of other nodes."""
    largest_share: float
    """Of the operations, at the node that has most of them."""


def traffic(call: ResolvedCall, operations: int, nodes: int, kept: Sequence[range] = ()) -> Traffic:
    """Return what a call consists of.

    :param call: the call.
    :param operations: predicted.
    :param nodes: with a CPU each.
    :param kept: addresses of arrays that every node has already.
    """
    cut = cut_of(call, count_parts(operations, nodes, Settings().ray_min_operations))
    readers: dict[int, set[int]] = {}
    work, returned, own = [0.0] * nodes, 0, nodes - 1
    for node, part in deal(cut.parts, range(nodes)):
        work[node] += part.operations
        for number in part.regions:
            readers.setdefault(number, set()).add(node)
        if node != own:
            itemsize = call.dtype.compute.itemsize
            returned += sum(output.rows * output.width * itemsize for output in part.outputs)
    sizes = {number: cut.regions[number].nbytes for number in readers if not _is_within(cut, number, kept)}
    sent = sum(size * len(readers[number] - {own}) for number, size in sizes.items())
    return Traffic(
        nodes, len(cut.parts), sum(sizes.values()) / MIB, sent / MIB, returned / MIB, max(work) / max(1.0, sum(work))
    )


def _is_within(cut: CutCall, number: int, ranges: Sequence[range]) -> bool:
    """Return whether a region is of one of some ranges of addresses."""
    begin = cut.regions[number].ctypes.data
    return any(begin in one for one in ranges)


def cut_of(call: ResolvedCall, n_parts: int) -> CutCall:
    """Return the parts of a call without computing it."""
    found: list[CutCall] = []

    def take(cut: CutCall, _: object) -> object:
        found.append(cut)
        raise Stopped("it is not computed")

    with suppress(Stopped):
        evaluate_in_parts(selected_kernel(), call, frozenset({"output"}), n_parts, take, None, None)
    [cut] = found
    return cut


def predicted_seconds(costs: Costs, operations: int, of: Traffic, cores: int) -> float:
    """Return how long a call takes.

    :param costs: measured.
    :param operations: predicted.
    :param of: its traffic.
    :param cores: that the nodes have together; with fewer than nodes they share them.
    """
    computed = operations * costs.operation * max(of.largest_share, 1 / cores)
    moved = of.put * costs.put_mib + of.sent * costs.send_mib + of.returned * costs.return_mib
    return costs.call + of.parts * costs.part + moved + computed
