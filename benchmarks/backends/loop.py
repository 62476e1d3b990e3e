"""What every backend does: read requests from standard input, one line of JSON each, and answer with a line of JSON.

A request has `measure` (`answer`, `seconds`, `bytes` or `forget`), `calls` and `work`.  Peaks of memory are those that
Linux keeps.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.work import Shape, Work

Array = NDArray[Any]
Arrays = dict[str, Array]

SAMPLE = 64
"""Numbers of each array that backends are compared by."""


@dataclass(frozen=True)
class Prepared:
    """A computation with its inputs in place, and how its result is read as arrays in our layout."""

    run: Callable[[], Any]
    read: Callable[[Any], list[Array]]


def serve(prepare: Callable[[Work, Arrays], Prepared]) -> None:
    """Answer every line; `prepare` puts inputs where a backend wants them."""
    prepared: dict[Work, Prepared] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = None
        if request["measure"] == "forget":
            prepared.clear()
        else:
            fields = request["work"].items()
            work = Work(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields})
            if work not in prepared:
                prepared[work] = prepare(work, inputs(work))
            answer = MEASURES[request["measure"]](prepared[work], request["calls"])
        print(json.dumps(answer), flush=True)


def inputs(work: Work) -> Arrays:
    """Return query, key, value and all else that the work takes, the same for every backend."""
    rng = np.random.default_rng(0)

    def normal(shape: Shape) -> Array:
        return rng.standard_normal(shape, dtype=np.dtype(work.dtype).type)

    arrays = {"query": normal(work.query), "key": normal(work.key_shape), "value": normal(work.key_shape)}
    features = work.query[-1]
    if work.bias:
        arrays["bias"] = normal((work.query[-2], work.key_shape[-2]))
    if work.operation == "backward":
        arrays["output_gradient"] = normal(work.query)
    shapes: dict[str, dict[str, Shape]] = {
        "additive": dict.fromkeys(("query_weight", "key_weight"), (features, features)) | {"score_vector": (features,)},
        "bilinear": {"weight": (features, features)},
        "trilinear": {"weight": (3 * features,)},
    }
    return arrays | {name: normal(shape) / 8 for name, shape in shapes.get(work.score_model, {}).items()}


def sample(prepared: Prepared, _calls: int) -> list[float]:
    """Return some numbers of the result, spread evenly over each array."""
    arrays = prepared.read(prepared.run())
    return [float(number) for array in arrays for number in array.ravel()[:: max(1, array.size // SAMPLE)]]


def seconds(prepared: Prepared, calls: int) -> float:
    """Return the mean duration of some runs in seconds; freeing the result is not counted when it is one run."""
    start = time.perf_counter()
    for _ in range(calls):
        result = prepared.run()
    elapsed = time.perf_counter() - start
    del result
    return elapsed / calls


def growth(prepared: Prepared, _calls: int) -> tuple[int, int]:
    """Return by how many bytes the process grew at most, and how many of them the result holds."""
    before = resident("VmRSS")
    # Resets the peak.
    Path("/proc/self/clear_refs").write_text("5")
    result = prepared.run()
    return resident("VmHWM") - before, sum(array.nbytes for array in prepared.read(result))


def resident(field: str) -> int:
    """Return a size from /proc/self/status, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


MEASURES: dict[str, Callable[[Prepared, int], Any]] = {"answer": sample, "seconds": seconds, "bytes": growth}
