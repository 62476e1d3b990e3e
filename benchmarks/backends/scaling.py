"""How a loop that only computes scales from one thread to two: 2 where each has a core, 1 where they share one."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

ROWS, COLUMNS = 1024, 768
"""A product of about 10 ms, in one call, so that threads need the interpreter's lock once."""


def main() -> None:
    """Answer each line with a ratio."""
    square = np.ones((ROWS, COLUMNS), np.float32)
    outputs = [np.empty((ROWS, ROWS), np.float32) for _ in range(2)]

    def multiply(output: np.ndarray) -> None:
        np.matmul(square, square.T, out=output)

    with ThreadPoolExecutor(2) as threads:

        def seconds(n_threads: int) -> float:
            started = time.perf_counter()
            list(threads.map(multiply, outputs[:n_threads]))
            return time.perf_counter() - started

        for _ in sys.stdin:
            # The first product wakes the processor.
            seconds(2)
            print(2 * seconds(1) / seconds(2), flush=True)


if __name__ == "__main__":
    main()
