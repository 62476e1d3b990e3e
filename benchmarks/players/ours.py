"""Our side of a benchmark: reads works from standard input, writes seconds."""

import sys
import time

import numpy as np

from attention_core import Additive, Causal, Workers, attend


def main() -> None:
    """Do each work once for every line."""
    rng = np.random.default_rng(0)
    model = Additive(*(rng.standard_normal(shape) / 8 for shape in ((64, 64), (64, 64), 64)))
    shape: tuple[int, ...] = ()
    with Workers(int(sys.argv[1])) as workers:
        for line in sys.stdin:
            kind, sizes = line.split()
            if shape != tuple(map(int, sizes.split(","))):
                shape = tuple(map(int, sizes.split(",")))
                query, key, value = (rng.standard_normal(shape, dtype=np.float32) for _ in range(3))
            start = time.perf_counter()
            result = attend(
                query,
                key,
                value,
                score_model=model if kind == "additive" else None,
                mask=Causal() if kind == "causal" else None,
                include=("output",),
                workers=workers,
            )
            print(time.perf_counter() - start, flush=True)
            del result


if __name__ == "__main__":
    main()
