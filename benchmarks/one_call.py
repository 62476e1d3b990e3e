"""One call of the spread in this process, predicted and measured: writes JSON.  See `cost_model`.

python -m benchmarks.one_call NAME
"""

import json
import sys

import numpy as np

from attention_core import Workers, evaluate, predict, resolve
from benchmarks.players.turn import growth, seconds
from benchmarks.spread import Example, examples

RUNS, ENOUGH_SECONDS = 7, 1.5


def main() -> int:
    """Measure memory at the first run and time at those that follow; the fastest counts."""
    (example,) = (example for example in examples() if example.name == sys.argv[1])
    call = resolve(example.call())
    cost = predict(call)
    warm_up(example)
    with Workers(1) as workers:

        def work() -> int:
            return sum(array.nbytes for array in evaluate(call, workers=workers).arrays.values())

        grown, _ = growth(work, lambda held: held)
        runs = [seconds(work, 1)]
        while len(runs) < RUNS and sum(runs) < ENOUGH_SECONDS:
            runs.append(seconds(work, 1))
    measured = {"seconds": min(runs), "bytes": grown}
    predicted = {"operations": cost.operations, "bytes": cost.bytes, "path": cost.path}
    print(json.dumps({"measured": measured, "predicted": predicted}))
    return 0


def warm_up(example: Example) -> None:
    """Let NumPy and BLAS take what they keep for good."""
    evaluate(resolve(example.small().call()))
    square = np.ones((1024, 1024), np.float64 if example.dtype == "float64" else np.float32)
    np.matmul(square, square)


if __name__ == "__main__":
    sys.exit(main())
