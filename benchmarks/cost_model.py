"""Compare the operations and bytes that `predict` announces for a call with the time and memory that the call takes.

Each call of `spread` has a process of its own, with one thread.  Operations are compared with seconds: the
question is whether a second holds equally many of them in every call.  Predicted bytes are compared with the growth of
resident memory, results included.  Ratios are measured over predicted, those of time divided by their median, so that
above 1 means more than predicted.

    python -m benchmarks.cost_model [--only WORD] [--again]

Keeps its figures in `results/cost_model.json`, and measures none again that is there, as `core` does.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core import AttentionCall, Workers, evaluate, predict, resolve
from benchmarks.backends.loop import Prepared, growth, seconds
from benchmarks.figures import describe_machine, digest_of_core, keep, load_rows
from benchmarks.spread import arguments, examples
from benchmarks.tables import markdown

RESOLUTION = 1 << 20
"""Bytes; less growth is lost among pages that come and go anyway."""

WORST = 8

RUNS, ENOUGH_SECONDS = 7, 0.5

Numbers = NDArray[np.float64]


def main() -> int:
    """Measure each call in whose name all words are, unless it is there; `--call` measures one in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--only", action="append", default=[], help="a word in the names of the calls; all must be there"
    )
    parser.add_argument("--again", action="store_true", help="measure calls that are there already")
    parser.add_argument("--call", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        print(json.dumps(measure(options.call)))
        return 0
    machine, sources = describe_machine(1), digest_of_core()
    kept = {} if options.again else load_rows("cost_model", machine)
    for name in examples():
        if set(options.only) <= set(name.split()) and kept.get(name, {}).get("sources") != sources:
            command = [sys.executable, "-m", "benchmarks.cost_model", "--call", name]
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            keep("cost_model", name, {"sources": sources, **json.loads(done.stdout)}, machine)
            print(name, flush=True)
    return 0


def measure(name: str) -> dict[str, Any]:
    """Measure memory at the first run and time at those that follow; the fastest counts."""
    # NumPy and BLAS take now what they keep for good.
    evaluate(resolve(AttentionCall(**arguments(name, length=16))))
    square = np.ones((1024, 1024), np.float64 if "float64" in name else np.float32)
    np.matmul(square, square)
    call = resolve(AttentionCall(**arguments(name)))
    cost = predict(call)
    with Workers(1) as workers:
        work = Prepared(lambda: evaluate(call, workers=workers), lambda result: list(result.arrays.values()))
        grown, _ = growth(work, 1)
        runs = [seconds(work, 1)]
        while len(runs) < RUNS and sum(runs) < ENOUGH_SECONDS:
            runs.append(seconds(work, 1))
    measured = {"seconds": min(runs), "bytes": grown}
    return {"measured": measured, "predicted": {"operations": cost.operations, "bytes": cost.bytes, "path": cost.path}}


@dataclass(frozen=True)
class Agreement:
    """Measured and predicted numbers of some calls."""

    names: list[str]
    measured: Numbers
    predicted: Numbers
    scale: float = 1.0
    """What ratios are divided by."""

    @property
    def ratios(self) -> Numbers:
        """Measured over predicted."""
        return self.measured / self.predicted / self.scale

    def by_word(self, place: int) -> dict[str, float]:
        """Return the median ratio for each of the words that stand at a place in the names."""
        words = [name.split()[place] for name in self.names]
        return {word: float(np.median(self.ratios[[one == word for one in words]])) for word in dict.fromkeys(words)}

    def summary(self) -> list[str]:
        """Return Pearson's correlation of logarithms, Spearman's, and quantiles of the ratios."""
        columns = (self.measured, self.predicted)
        pearson = np.corrcoef(*np.log(columns))[0, 1]
        spearman = np.corrcoef(*(np.argsort(np.argsort(column)) for column in columns))[0, 1]
        spread = np.quantile(self.ratios, (0, 0.1, 0.5, 0.9, 1))
        return [str(len(self.names)), f"{pearson:.3f}", f"{spearman:.3f}", *(f"{number:.2f}" for number in spread)]

    def worst(self) -> list[list[str]]:
        """Return the calls whose ratios are farthest from 1, either way."""
        order = np.argsort(-np.abs(np.log(self.ratios)))[:WORST]
        return [[self.names[place], f"{self.ratios[place]:.2f}"] for place in order]


def compare(rows: dict[str, Any], measured: str, predicted: str, least: float) -> Agreement:
    """Compare two fields of those rows in which more than `least` was measured."""
    seen = {name: row for name, row in rows.items() if row["measured"][measured] > least}
    columns = (
        [row["measured"][measured] for row in seen.values()],
        [row["predicted"][predicted] for row in seen.values()],
    )
    return Agreement(list(seen), *(np.array(column, np.float64) for column in columns))


def report(rows: dict[str, Any]) -> str:
    """Return tables in Markdown, of the calls that the spread still has."""
    rows = {name: rows[name] for name in examples() if name in rows}
    time, memory = compare(rows, "seconds", "operations", 0), compare(rows, "bytes", "bytes", RESOLUTION)
    found = {"time": replace(time, scale=float(np.median(time.ratios))), "memory": memory}
    headers = ["", "calls", "Pearson of logarithms", "Spearman", "least", "10 %", "median", "90 %", "most"]
    parts = [
        markdown(headers, ([name, *one.summary()] for name, one in found.items())),
        "Median ratio of each kind of call:",
    ]
    kinds = []
    for place in range(5):
        words = [one.by_word(place) for one in found.values()]
        kinds += [[word, *(f"{one[word]:.2f}" if word in one else "" for one in words)] for word in words[0]]
    parts.append(markdown(["kind", *found], kinds))
    for name, one in found.items():
        parts += [f"Farthest off in {name}:", markdown(["call", "measured over predicted"], one.worst())]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
