"""Parts of a kernel's call that other processes compute, each with a copy of the memory that it reads.

The tasks of a call are what threads share: blocks of rows, or spans of keys.  A part is some of the tasks, so that the
result has the same bits wherever its parts are computed, as long as the kernel is the same.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.interfaces import ShouldStop
from attention_core.native.library import FIELD_INDEX, FOLDER, address_of, available_kernels
from attention_core.native.running import run_kernel

NEVER = -(1 << 62)
"""A number of tasks done from which no part reaches the number of tasks, at which a kernel merges spans."""

Bytes = NDArray[np.uint8]


class Input(NamedTuple):
    """Where a part finds an input."""

    field: int
    region: int
    """Number of the region of memory."""
    offset: int
    """Bytes from the beginning of the region to what the field points to, which may be outside of it."""


class Output(NamedTuple):
    """Rows of a result that a part computes."""

    name: str
    first_row: int
    """In the result of the whole call."""
    rows: int
    width: int
    """Numbers of a row."""
    dtype: str
    own_first_row: int
    """As the request of the part counts rows."""


class Part(NamedTuple):
    """Some tasks of a call."""

    kernel: tuple[str, str]
    """Name, and digest of the sources."""
    type_character: str
    request: bytes
    """The packed call, in which addresses are missing."""
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    tasks: tuple[tuple[int, int], ...]
    """Ranges of tasks."""
    operations: int
    """About how many floating-point operations they take."""

    @property
    def n_tasks(self) -> int:
        """Number of its tasks."""
        return sum(end - begin for begin, end in self.tasks)

    @property
    def regions(self) -> tuple[int, ...]:
        """Numbers of the regions that it reads."""
        return tuple(dict.fromkeys(one.region for one in self.inputs))


class PartResult(NamedTuple):
    """What a part computed."""

    arrays: dict[str, NDArray[Any]]
    """The rows of each output, (rows, width)."""
    unsafe_rows: int
    notable_rows: int

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(one.nbytes for one in self.arrays.values())


class CutCall(NamedTuple):
    """A call in parts."""

    parts: tuple[Part, ...]
    regions: tuple[Bytes, ...]
    """Memory that parts read, views of the arrays of the call as far as possible."""


EvaluateParts = Callable[[CutCall, ShouldStop | None], Iterator[tuple[Part, PartResult]]]
"""Computes the parts of a call, in any order; raises Stopped."""


@lru_cache(maxsize=1)
def sources_digest() -> str:
    """Return a digest of the sources of the kernels: others give other bits."""
    digest = blake2b(digest_size=16)
    for path in sorted(FOLDER.glob("*.[ch]")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def evaluate_part(part: Part, regions: Mapping[int, Bytes], should_stop: ShouldStop | None) -> PartResult | None:
    """Compute a part in the calling thread; None where this process does not have its kernel.

    :param part: of a call of this process or of another.
    :param regions: those that it reads, by number.
    :param should_stop: asked about every 10 ms; None for never.

    Raises Stopped.
    """
    name, digest = part.kernel
    kernel = available_kernels()[0].get(name)
    if kernel is None or digest != sources_digest():
        return None
    request = array("q", part.request)
    for one in part.inputs:
        request[one.field] = address_of(regions[one.region]) + one.offset
    arrays: dict[str, NDArray[Any]] = {}
    for output in part.outputs:
        rows = arrays[output.name] = np.empty((output.rows, output.width), output.dtype)
        request[FIELD_INDEX[output.name]] = address_of(rows) - output.own_first_row * output.width * rows.itemsize
    if part.outputs[0].name == "partial_state" and request[FIELD_INDEX["partial_output"]]:
        # Says that an output is asked for; the caller's is written as spans are merged.
        request[FIELD_INDEX["output"]] = request[FIELD_INDEX["partial_output"]]
    for begin, end in part.tasks:
        request[FIELD_INDEX["next_task"]], request[FIELD_INDEX["n_tasks"]] = begin, end
        request[FIELD_INDEX["tasks_done"]] = NEVER
        run_kernel(kernel, request, part.type_character, part.operations, None, should_stop)
    return PartResult(arrays, request[FIELD_INDEX["unsafe_rows"]], request[FIELD_INDEX["notable_rows"]])


def store_part(part: Part, result: PartResult, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Copy the rows of a part to their places in the results of the whole call."""
    for output in part.outputs:
        whole = arrays[output.name].reshape(-1, output.width) if output.width else None
        if whole is not None:
            whole[output.first_row : output.first_row + output.rows] = result.arrays[output.name]
