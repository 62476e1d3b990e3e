"""What stands beside a query on a large memory, in a process of its own: a sum over all numbers, or a search.

    python whole_table.py {sum|faiss} THREADS KEYS FEATURES

Answers each line of standard input with the seconds of one run.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

TOP = 10


def table(keys: int, features: int) -> NDArray[np.float32]:
    """Return numbers for keys, or values."""
    return np.random.default_rng(0).standard_normal((keys, features), dtype=np.float32)


def summing(threads: int, keys: int, features: int) -> Callable[[], None]:
    """Return a sum over keys and values, each thread a part of both: what reading them costs NumPy."""
    arrays = (table(keys, features), table(keys, features))
    pool = ThreadPoolExecutor(threads)
    parts = [part for array in arrays for part in np.array_split(array, threads)]

    def run() -> None:
        list(pool.map(np.sum, parts))

    return run


def searching(threads: int, keys: int, features: int) -> Callable[[], None]:
    """Return a search for the keys with the largest products in a flat index of faiss."""
    # Only the environment of this search has it.
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(features)
    index.add(table(keys, features))
    query = np.random.default_rng(1).standard_normal((1, features), dtype=np.float32)

    def run() -> None:
        index.search(query, TOP)

    return run


def main() -> None:
    """Answer every line."""
    what, *sizes = sys.argv[1:]
    run = {"sum": summing, "faiss": searching}[what](*map(int, sizes))
    for _ in sys.stdin:
        started = time.perf_counter()
        run()
        print(time.perf_counter() - started, flush=True)


main()
