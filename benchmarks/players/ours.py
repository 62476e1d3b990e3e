"""Our side: the public `attend` and `differentiate` with their checks on."""

import sys

import numpy as np
from turn import Shape, Work, take_turns

from attention_core import Additive, AttentionResult, Causal, Workers, attend, differentiate

INCLUDE = {"all": ("scores", "weights", "output")}
"""What is asked back, where it is more than the output."""


def main() -> None:
    """Do each work with as many threads as the command line says."""
    rng = np.random.default_rng(0)
    model = Additive(*(rng.standard_normal(shape) / 8 for shape in ((64, 64), (64, 64), 64)))
    with Workers(int(sys.argv[1])) as workers:

        def prepare(kind: str, shape: Shape) -> Work:
            query, key, value = (rng.standard_normal(shape, dtype=np.float32) for _ in range(3))
            if kind == "backward":
                upstream = rng.standard_normal(shape, dtype=np.float32)
                return lambda: differentiate(query, key, value, upstream, workers=workers)
            return lambda: attend(
                query,
                key,
                value,
                score_model=model if kind == "additive" else None,
                mask=Causal() if kind == "causal" else None,
                include=INCLUDE.get(kind, ("output",)),
                workers=workers,
            )

        take_turns(prepare, held)


def held(result: AttentionResult) -> int:
    """Bytes of the arrays asked for."""
    return sum(array.nbytes for array in result.arrays.values())


if __name__ == "__main__":
    main()
