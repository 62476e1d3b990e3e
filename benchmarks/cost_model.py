"""What `predict` says of a call before it is made, beside what the call then takes: operations and memory.

Each call of `spread` has a process of its own, with one thread.  Operations are compared with seconds: what is judged
is whether a second holds equally many of them whatever the call.  Predicted bytes are compared with the growth of
resident memory, results included.  Ratios are measured over predicted, those of time divided by their median, so that
above 1 means more than predicted.

    python -m benchmarks.cost_model [--only WORD]

Keeps its figures in `results/cost_model.json`; `--report` only prints what is kept there.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import keep, load, machine
from benchmarks.spread import examples

RESOLUTION = 1 << 20
"""Less growth than this is lost among pages that come and go anyway."""

WORST = 8

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How well predictions order and scale what was measured."""

    names: list[str]
    ratios: Numbers
    pearson: float
    """Of logarithms."""
    spearman: float

    def quantiles(self) -> list[float]:
        """The smallest ratio, the 10th, 50th and 90th percentile, the largest."""
        return [float(number) for number in np.quantile(self.ratios, (0, 0.1, 0.5, 0.9, 1))]

    def worst(self) -> list[tuple[str, float]]:
        """The calls whose ratios are farthest from 1, either way."""
        order = np.argsort(-np.abs(np.log(self.ratios)))[:WORST]
        return [(self.names[place], float(self.ratios[place])) for place in order]

    def by_word(self, place: int) -> dict[str, float]:
        """The median ratio for each of the words that stand at a place in the names."""
        words = [name.split()[place] for name in self.names]
        return {word: float(np.median(self.ratios[[one == word for one in words]])) for word in dict.fromkeys(words)}


def main() -> int:
    """Measure, keep, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="a word in the names of the calls; all words must be there")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.report:
        measure(options.only or [])
    print(report(load("cost_model")["rows"]))
    return 0


def measure(words: list[str]) -> None:
    """Measure all calls in whose names all words are."""
    description = machine(1)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    for name in (example.name for example in examples()):
        if set(words) <= set(name.split()):
            command = [sys.executable, "-m", "benchmarks.one_call", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            keep("cost_model", name, json.loads(done.stdout), description)


def time_agreement(rows: dict[str, Any]) -> Agreement:
    """Compare seconds with operations."""
    return agreement(
        list(rows),
        [row["measured"]["seconds"] for row in rows.values()],
        [row["predicted"]["operations"] for row in rows.values()],
        scaled=True,
    )


def memory_agreement(rows: dict[str, Any]) -> Agreement:
    """Compare bytes with bytes, as far as they can be told."""
    seen = {name: row for name, row in rows.items() if row["measured"]["bytes"] > RESOLUTION}
    return agreement(
        list(seen),
        [row["measured"]["bytes"] for row in seen.values()],
        [row["predicted"]["bytes"] for row in seen.values()],
        scaled=False,
    )


def agreement(names: list[str], measured: list[float], predicted: list[float], *, scaled: bool) -> Agreement:
    """Compare two columns; `scaled` ratios have a median of 1."""
    ratios = np.array(measured) / np.array(predicted)
    if scaled:
        ratios /= np.median(ratios)
    return Agreement(
        names=names,
        ratios=ratios,
        pearson=correlation(np.log(measured), np.log(predicted)),
        spearman=correlation(*(np.argsort(np.argsort(column)).astype(np.float64) for column in (measured, predicted))),
    )


def correlation(one: Numbers, other: Numbers) -> float:
    """Pearson's."""
    return float(np.corrcoef(one, other)[0, 1])


def report(rows: dict[str, Any]) -> str:
    """Return tables in Markdown, of the calls that the spread still has."""
    rows = {example.name: rows[example.name] for example in examples() if example.name in rows}
    agreements = {"time": time_agreement(rows), "memory": memory_agreement(rows)}
    lines = ["| | calls | Pearson of logarithms | Spearman | least | 10 % | median | 90 % | most |", "|---" * 9 + "|"]
    for name, found in agreements.items():
        spread = " | ".join(f"{number:.2f}" for number in found.quantiles())
        lines.append(f"| {name} | {len(found.names)} | {found.pearson:.3f} | {found.spearman:.3f} | {spread} |")
    lines += ["", "Median ratio of each kind of call:", "", "| kind | time | memory |", "|---|---|---|"]
    for place in range(5):
        words = [found.by_word(place) for found in agreements.values()]
        for word in words[0]:
            lines.append(f"| {word} | " + " | ".join(f"{one[word]:.2f}" if word in one else "" for one in words) + " |")
    for name, found in agreements.items():
        lines += ["", f"Farthest off in {name}:", "", "| call | measured over predicted |", "|---|---|"]
        lines += [f"| {call} | {ratio:.2f} |" for call, ratio in found.worst()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
