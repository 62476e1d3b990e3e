"""Looking for the usual mistake that reproduces a candidate.

Most mistakes are ruled out by a single query, one at which the candidate is wrong.  Only what reproduces a few queries
is evaluated for all of them, and only so many times, so that the search costs about as much as a few evaluations.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, IntArray
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Ending, Fields, Given, Mistake, Right, Way, Wrong, resolve_repeated
from attention_core.checking.comparison import DEFAULT_TOLERANCES, Comparison
from attention_core.checking.empty_rows import forgiven
from attention_core.dense import query_blocks
from attention_core.dtypes import DTYPES
from attention_core.errors import CallError, Stopped
from attention_core.reference import in_float64

MOST_WAYS = 96
"""No call can be got wrong in more ways."""

TRIED_ROWS = 4
"""Of the wrong rows that see a key, of all wrong rows, and of all rows, so many are tried first."""

MOST_VERIFIED = 6
"""So many ways are evaluated for all queries at most."""

EVIDENCE = 4
"""So many numbers must tell a mistake from what is right before it is named on a loose comparison."""


def likely_cause(given: Given, right: Right, mistakes: Mapping[str, Mistake]) -> str | None:
    """Return the name of the first mistake that gives the candidate; closely first, then as kernels round."""
    closest, *looser = given.comparison.levels()
    given = replace(given, comparison=closest)
    # What a loose comparison rules out need not be tried on a close one.
    loosest = _Search(given, right, (looser or [closest])[-1])
    left = [
        (name, way) for name, mistake in mistakes.items() for way in _ways(mistake, given) if loosest.is_possible(way)
    ]
    verified = 0
    for level, comparison in enumerate((closest, *looser)):
        search = _Search(given, right, comparison, EVIDENCE if level else 1, verified)
        if not search.differs:
            return None
        for name, way in left:
            if search.explains(way):
                return name
        verified = search.verified
    return None


def _ways(mistake: Mistake, given: Given) -> Iterator[Way]:
    """Return the ways of one mistake as far as they lead to calls that can be computed at all."""
    with suppress(CallError):
        yield from mistake(given)


def coarser_type(given: Given, right: Right) -> str | None:
    """Return the finest type, below the call's own, in which the candidate may have been computed."""
    names = list(DEFAULT_TOLERANCES)
    for name in names[names.index(given.comparison.dtype.name) + 1 :]:
        comparison = Comparison(DTYPES[name], DEFAULT_TOLERANCES[name])
        try:
            call = resolve_repeated(in_float64(replace(given.sent, dtype=name)))
        except CallError:
            # It cannot hold the inputs.
            continue
        if _Search(given, right, comparison).is_made_by(Wrong(call)):
            return name
    return None


class _Search:
    """The search at one level of closeness."""

    def __init__(
        self, given: Given, right: Right, comparison: Comparison, evidence: int = 1, verified: int = 0
    ) -> None:
        self.verified = verified
        self._given = given
        self._right = right
        self._comparison = comparison
        self._evidence = evidence
        everywhere = slice(0, right.call.query_length)
        wrong = self._wrong(right.fields, everywhere)
        self.differs = bool(wrong.any())
        self._rows = self._telling_rows(wrong)

    def is_possible(self, way: Way) -> bool:
        """Whether the first query does not rule it out.

        Raises Stopped if the work should stop.
        """
        self._ask()
        if isinstance(way, Wrong):
            return not self._tried(way, self._first)[0].any()
        return any(self._agrees(fields, self._first) for fields in way.change(self._right))

    def is_made_by(self, way: Wrong) -> bool:
        """Whether the candidate is what another call gives, be it right or not; raises Stopped."""
        tried = (self._tried(way, rows)[0] for rows in (self._first, *query_blocks(way.call)))
        return not any(wrong.any() for wrong in tried)

    def explains(self, way: Way) -> bool:
        """Whether the candidate is what this way gives, and not what is right.

        Raises Stopped if the work should stop.
        """
        self._ask()
        return self._ends_alike(way) if isinstance(way, Ending) else self._reproduces(way)

    def _ask(self) -> None:
        should_stop = self._given.should_stop
        if should_stop is not None and should_stop():
            raise Stopped("stopped between two mistakes")

    def _telling_rows(self, wrong: BoolArray) -> list[int]:
        """Return queries at which mistakes are told apart: wrong ones first."""
        sees = ~self._right.empty_rows.reshape(-1, len(wrong)).all(axis=0)
        chosen = [_spread(rows) for rows in (wrong & sees, wrong, np.ones_like(wrong))]
        return list(dict.fromkeys(int(row) for rows in chosen for row in rows))

    @property
    def _first(self) -> slice:
        """The query that tells most."""
        return slice(self._rows[0], self._rows[0] + 1)

    def _ends_alike(self, ending: Ending) -> bool:
        right = self._right
        everywhere = slice(0, right.call.query_length)
        for fields in ending.change(right):
            if self._agrees(fields, self._first):
                wrong, telling = self._held_against(fields, right.empty_rows, right.call, everywhere)
                if not wrong.any() and telling >= self._evidence:
                    return True
        return False

    def _agrees(self, fields: Fields, rows: slice) -> bool:
        """Whether some queries of a whole result are those of the candidate."""
        self._ask()
        made = {name: _cut(name, fields[name], rows) for name in self._given.candidate}
        empty = self._right.empty_rows[..., rows]
        return not self._held_against(made, empty, self._right.call, rows)[0].any()

    def _reproduces(self, way: Wrong) -> bool:
        tells = False
        for row in self._rows:
            wrong, telling = self._tried(way, slice(row, row + 1))
            if wrong.any():
                return False
            tells = tells or telling > 0
        if not tells or self.verified == MOST_VERIFIED:
            return False
        self.verified += 1
        found = 0
        for rows in query_blocks(way.call):
            wrong, telling = self._tried(way, rows)
            if wrong.any():
                return False
            found += telling
        return found >= self._evidence

    def _tried(self, way: Wrong, rows: slice) -> tuple[BoolArray, int]:
        self._ask()
        try:
            fields, maximum = way.evaluate(way.call, rows)
        except CallError:
            # The mistake leads where its normalizer gives nothing, such as to negative logits for proportions.
            return np.ones(rows.stop - rows.start, dtype=np.bool_), 0
        return self._held_against(fields, np.isneginf(maximum), way.call, rows)

    def _held_against(self, fields: Fields, empty: BoolArray, call: ResolvedCall, rows: slice) -> tuple[BoolArray, int]:
        """Return at which of these queries the candidate differs, and how many numbers tell the mistake from the right.

        Rows that see no key because of the mistake may be what kernels make of them: NaN, or the mean over all keys.
        """
        received = {name: _cut(name, array, rows) for name, array in self._given.candidate.items()}
        lenient = {
            name: forgiven(name, fields[name], array, empty, (call, self._comparison))
            for name, array in received.items()
        }
        telling = 0
        for name, array in received.items():
            right = _cut(name, self._right.fields[name], rows)
            unlike = ~self._equal(name, right, fields[name]) & self._equal(name, fields[name], array)
            telling += int(np.sum(unlike))
        return self._wrong(lenient, rows), telling

    def _wrong(self, fields: Fields, rows: slice) -> BoolArray:
        """Return which of these queries, (q), hold an element of the candidate that differs."""
        wrong = np.zeros(rows.stop - rows.start, dtype=np.bool_)
        for name, received in self._given.candidate.items():
            equal = self._equal(name, fields[name], _cut(name, received, rows))
            by_query = equal if name == "logsumexp" else equal.all(axis=-1)
            wrong |= ~by_query.reshape(-1, len(wrong)).all(axis=0)
        return wrong

    def _equal(self, name: str, expected: FloatArray, received: FloatArray) -> BoolArray:
        return self._comparison.equal(name, expected, received)


def _cut(name: str, field: FloatArray, rows: slice) -> FloatArray:
    return field[..., rows] if name == "logsumexp" else field[..., rows, :]


def _spread(rows: BoolArray) -> IntArray:
    """Return some of the marked rows, from the first to the last."""
    marked = np.flatnonzero(rows)
    return marked[np.linspace(0, len(marked) - 1, min(TRIED_ROWS, len(marked))).astype(int)]
