"""Our side: the public `attend` and `differentiate` with their checks on."""

import sys
from dataclasses import fields
from typing import Any

from attention_core import SCORE_MODELS, Causal, FormulaScore, Window, Workers, attend, differentiate
from benchmarks.backends.loop import Array, Arrays, Prepared, serve
from benchmarks.work import Work


def main() -> None:
    """Do each work with as many threads as the command line says."""
    with Workers(int(sys.argv[1])) as workers:
        serve(lambda work, arrays: prepare(work, arrays, workers))


def prepare(work: Work, arrays: Arrays, workers: Workers) -> Prepared:
    """Bind the arguments of a call."""
    model = SCORE_MODELS[work.score_model]
    parameters = {field.name: arrays.pop(field.name) for field in fields(model) if field.name in arrays}
    score_model = FormulaScore(work.formula, parameters) if work.formula else model(**parameters)
    options: dict[str, Any] = {"score_model": score_model, "workers": workers}
    if work.causal:
        options["mask"] = Causal()
    if work.window:
        options["mask"] = Window(left=work.window - 1, right=0)
    if work.operation == "backward":
        return Prepared(lambda: differentiate(**arrays, **options), lambda found: [found.query, found.key, found.value])
    include = ("scores", "weights", "output") if work.operation == "matrices" else ("output",)
    return Prepared(lambda: attend(**arrays, **options, include=include), read)


def read(result: Any) -> list[Array]:
    """Return the arrays asked for, by name."""
    return [array for _, array in sorted(result.arrays.items())]


if __name__ == "__main__":
    main()
