"""Recognise formulas that a compiled kernel can compute: a pair function, times a factor, plus terms.

::

    dot(a, b)                     Σ q·k
    sum(square(a − b))            Σ (q − k)²
    sum(abs(a − b))               Σ |q − k|
    dot(v, tanh(a + b + c))       Σ v·tanh(q + k)

with a computed from the query alone, b from the key alone, v and c from neither; numbers that multiply or divide the
whole, and terms of the query or of the key alone, may stand around it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from attention_core.formulas.graph import COLUMNS, PAIRS, ROWS, Graph, Step
from attention_core.kernel_forms import PairKind


class Term(NamedTuple):
    """A step with what multiplies and divides it: numbers that all pairs share."""

    step: int
    sign: float
    factors: tuple[int, ...]
    divisors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelForm:
    """A formula as a compiled kernel computes it, before its vectors are computed."""

    kind: PairKind
    scale: Term
    """The pair function, with its factor."""
    queries: tuple[Term, ...]
    """Vectors of the query, which are added."""
    keys: tuple[Term, ...]
    """Vectors of the key, which are added."""
    score_vector: int | None
    """Step of v; None for ones."""
    query_terms: tuple[Term, ...]
    key_terms: tuple[Term, ...]


def recognise(graph: Graph) -> KernelForm | None:
    """Return the form of a score model's formula; None for one that the kernels do not have."""
    terms = _terms(graph, Term(graph.root, 1.0, (), ()))
    by_level: dict[int, list[Term]] = {0: [], ROWS: [], COLUMNS: [], PAIRS: []}
    for term in terms:
        by_level[graph.steps[term.step].level].append(term)
    if len(by_level[PAIRS]) != 1:
        return None
    found = _recognise_core(graph, by_level[PAIRS][0])
    if found is None:
        return None
    kind, scale, queries, keys, vector = found
    return KernelForm(kind, scale, queries, keys, vector, (*by_level[ROWS], *by_level[0]), tuple(by_level[COLUMNS]))


def _terms(graph: Graph, term: Term) -> list[Term]:
    """Return the terms of a sum, each with all that multiplies and divides it."""
    step = graph.steps[term.step]
    if step.level != PAIRS and not step.type.axes:
        return [term]
    match step.operation:
        case "+" | "-":
            left, right = step.operands
            sign = term.sign if step.operation == "+" else -term.sign
            return [*_terms(graph, term._replace(step=left)), *_terms(graph, term._replace(step=right, sign=sign))]
        case "negate":
            return _terms(graph, term._replace(step=step.operands[0], sign=-term.sign))
        case "*" | "/":
            inner = _unscale(graph, term)
            return [term] if inner is None else _terms(graph, inner)
    return [term]


def _unscale(graph: Graph, term: Term) -> Term | None:
    """Return a product or quotient of a step and a shared number as the step with one more factor; None for others."""
    step = graph.steps[term.step]
    left, right = step.operands
    shared = [graph.steps[one].level == 0 and not graph.steps[one].type.axes for one in (left, right)]
    if step.operation == "/":
        return term._replace(step=left, divisors=(*term.divisors, right)) if shared[1] else None
    if shared[0]:
        left, right = right, left
    return term._replace(step=left, factors=(*term.factors, right)) if any(shared) else None


_Core = tuple[PairKind, Term, tuple[Term, ...], tuple[Term, ...], int | None]


def _recognise_core(graph: Graph, term: Term) -> _Core | None:
    """Return kind, factor, vectors of query and key, and score vector of a pair function; None for another step."""
    step = graph.steps[term.step]
    below = [graph.steps[operand] for operand in step.operands]
    if step.operation == "dot":
        for mine, other in ((0, 1), (1, 0)):
            if below[mine].level == ROWS and below[other].level == COLUMNS:
                vectors = [(Term(step.operands[one], 1.0, (), ()),) for one in (mine, other)]
                return "dot", term, vectors[0], vectors[1], None
            if below[mine].level == 0 and below[other].operation == "tanh":
                return _recognise_additive(graph, term, below[other], step.operands[mine])
    if step.operation == "sum" and below[0].operation == "tanh":
        return _recognise_additive(graph, term, below[0], None)
    if step.operation == "sum" and below[0].operation in ("square", "abs"):
        return _recognise_distance(graph, term, below[0])
    return None


def _recognise_additive(graph: Graph, term: Term, hidden: Step, vector: int | None) -> _Core | None:
    queries, keys = _split_sum(graph, hidden.operands[0])
    return ("additive", term, queries, keys, vector) if queries and keys else None


def _recognise_distance(graph: Graph, term: Term, magnitude: Step) -> _Core | None:
    """Return a distance of one vector of the query and one of the key, which the kernel subtracts.

    A third vector would have to be added to one of them first, and lose digits where they nearly cancel.
    """
    inner = Term(magnitude.operands[0], 1.0, (), ())
    while graph.steps[inner.step].operation in ("*", "/", "negate"):
        step = graph.steps[inner.step]
        unscaled = inner._replace(step=step.operands[0]) if step.operation == "negate" else _unscale(graph, inner)
        if unscaled is None:
            return None
        inner = unscaled
    queries, keys = _split_sum(graph, inner.step)
    if len(queries) != 1 or len(keys) != 1:
        return None
    if magnitude.operation == "square":
        factors, divisors = inner.factors * 2, inner.divisors * 2
        scale = term._replace(factors=(*term.factors, *factors), divisors=(*term.divisors, *divisors))
        kind: PairKind = "squared_distance"
    elif inner.factors or inner.divisors:
        return None
    else:
        scale, kind = term, "absolute_distance"
    return kind, scale, queries, (keys[0]._replace(sign=-keys[0].sign),), None


def _split_sum(graph: Graph, index: int) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return the vectors of the query and of the key whose sum a step is; nothing where it is another."""
    found: dict[int, list[Term]] = {0: [], ROWS: [], COLUMNS: [], PAIRS: []}
    for term in _terms(graph, Term(index, 1.0, (), ())):
        step = graph.steps[term.step]
        level = ROWS if step.level == 0 else step.level
        found[level].append(term)
    if found[PAIRS] or not found[ROWS] or not found[COLUMNS]:
        return (), ()
    if all(graph.steps[term.step].type.axes == () for term in found[ROWS] + found[COLUMNS]):
        return (), ()
    return tuple(found[ROWS]), tuple(found[COLUMNS])
