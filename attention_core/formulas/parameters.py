"""Parameters of formulas: numbers, vectors and matrices, for all query heads or one for each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, LeadingSlices
from attention_core.dtypes import to_compute_dtype
from attention_core.errors import ArgumentPath, InvalidValue, ShapeMismatch, echo
from attention_core.formulas.language import LANGUAGE, MAX_PARAMETERS, RESERVED, FormulaKind
from attention_core.formulas.parsing import Formula
from attention_core.hints.search import did_you_mean

ParameterValue: TypeAlias = Any
"""A number, a vector or a matrix: a float or an array, as decoded from a request."""

MAX_INTEGER = 2**53
"""float64 holds every integer up to this one; beyond it some that differ are equal there."""


@dataclass(frozen=True, slots=True, eq=False)
class PerHead:
    """A parameter with one value for each query head: ``{"per_head": […]}``."""

    values: ParameterValue
    """A number, a vector or a matrix for each query head, with a leading axis Hq."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A bound parameter of a formula."""

    array: FloatArray
    """() , (n) or (rows, columns), with a leading axis Hq if it differs by head."""
    per_head: bool

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes for one head."""
        return self.array.shape[1:] if self.per_head else self.array.shape

    @property
    def value(self) -> Any:
        """The parameter as `attention_core.formulas.operations` computes with it."""
        if not self.array.ndim:
            return float(self.array)
        rank = len(self.axes)
        if rank == 2:
            return self.array
        if rank == 1:
            return self.array[:, None, :, None] if self.per_head else self.array[:, None]
        return self.array[:, None, None]

    def of_head(self, head: int) -> "Parameter":
        """Return the parameter of one head, as if it were the same for all, in float64."""
        array = self.array[head] if self.per_head else self.array
        return Parameter(np.asarray(array, np.float64), per_head=False)

    def slice_leading(self, leading: LeadingSlices) -> "Parameter":
        """Return the parameter with the heads of a block of the leading axes; itself if it is the same for all."""
        return replace(self, array=self.array[leading[1]]) if self.per_head else self


def bind_parameters(
    formula: Formula,
    parameters: Mapping[str, ParameterValue | PerHead],
    n_heads: int | None,
    dtype: np.dtype[Any],
    path: ArgumentPath,
) -> dict[str, Parameter]:
    """Return the parameters of a formula, checked and cast, by their names in the formula.

    Those of a score model are in the compute type.  Those of a score modifier or a mask are in float64, in which
    positions are exact; those of a modifier must be within the range of the compute type all the same.

    :param formula: the formula, which must use each of them.
    :param parameters: numbers, vectors, matrices, or one of these for each head.
    :param n_heads: query heads; None unless the scores have a head axis.
    :param dtype: compute type of the call.
    :param path: the argument that holds the parameters, for errors.

    Raises InvalidValue or ShapeMismatch with the path of the parameter.
    """
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidValue(
            path,
            expected=f"at most {MAX_PARAMETERS} parameters",
            received=f"{len(parameters)}",
            advice="Join numbers to a vector, and vectors to a matrix.",
        )
    sent = _by_name_in_formula(parameters, path)
    for name in sent:
        _check_name(name, formula, sent, (*path, sent[name]))
    return {name: _bind(formula.kind, parameters[key], n_heads, dtype, (*path, key)) for name, key in sent.items()}


def _by_name_in_formula(parameters: Mapping[str, Any], path: ArgumentPath) -> dict[str, str]:
    """Return the names of parameters as they were sent, by those that `ast` makes of them, which are NFKC.

    Raises InvalidValue for two that are one there.
    """
    sent: dict[str, str] = {}
    for key in parameters:
        name = key if key.isascii() else normalize("NFKC", key)
        if name in sent:
            raise InvalidValue(
                (*path, key),
                expected="each name once",
                received=f"{echo(key)}, which is the same name as {echo(sent[name])}",
                advice="Letters that differ in width or form alone are equal in a name (NFKC): leave one out.",
            )
        sent[name] = key
    return sent


def _check_name(name: str, formula: Formula, parameters: Collection[str], path: ArgumentPath) -> None:
    """Raise InvalidValue for a name that the language has, that is no name, or that the formula does not use."""
    if name in RESERVED:
        entry = LANGUAGE[name]
        raise InvalidValue(
            path,
            expected="a name that the language of formulas does not have",
            received=echo(name),
            advice=f"{name} is {entry.meaning.en}; call the parameter otherwise, and change the formula.",
        )
    if not name.isidentifier():
        raise InvalidValue(
            path,
            expected="a name of letters, digits and underscores that begins with no digit",
            received=echo(name),
            advice="Rename it, here and in the formula.",
        )
    if name not in formula.free_names:
        missing = [free for free in formula.free_names if free not in parameters]
        raise InvalidValue(
            path,
            expected="parameters that the formula uses" + (f": {', '.join(formula.free_names)}" if missing else ""),
            received=echo(name),
            advice=did_you_mean(name, missing) or "Leave it out, or write its name in the formula.",
        )


def _bind(
    kind: FormulaKind,
    value: ParameterValue | PerHead,
    n_heads: int | None,
    dtype: np.dtype[Any],
    path: ArgumentPath,
) -> Parameter:
    per_head = isinstance(value, PerHead)
    if isinstance(value, PerHead):
        path = (*path, "per_head")
        array = _to_array(value.values, kind, path)
        if n_heads is None or array.shape[:1] != (n_heads,):
            raise ShapeMismatch(
                path,
                expected="no per_head without a head axis"
                if n_heads is None
                else f"{n_heads} entries, one for each query head",
                received=f"{len(array)} entries" if array.ndim else "a number",
                advice="Scores of rank 4 (batch, heads, queries, keys) have heads; send what all heads share without "
                "per_head.",
            )
    else:
        array = _to_array(value, kind, path)
    axes = array.shape[1:] if per_head else array.shape
    if len(axes) > 2 or 0 in axes:
        raise ShapeMismatch(
            path,
            expected="a number, a vector or a matrix, with at least one entry",
            received=f"shape {list(array.shape)}",
            advice="One value for each query head is sent as an object with the member per_head.",
        )
    converted = to_compute_dtype(array, dtype, path)
    return Parameter(converted if kind == "score_model" else array.astype(np.float64, copy=False), per_head)


def _to_array(value: ParameterValue, kind: FormulaKind, path: ArgumentPath) -> FloatArray:
    """Return a parameter as floats; raise InvalidValue unless it holds numbers and ShapeMismatch for a ragged list."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeMismatch(
            path,
            expected="lists of one length",
            received="lists of several lengths",
            advice="A matrix is a list of rows that are equally long.",
        ) from None
    if array.dtype.kind not in "iuf":
        raise InvalidValue(
            path,
            expected="a number, a vector or a matrix of numbers",
            received=f"{type(value).__name__} of {array.dtype}",
            advice="Truth values are written as 1 and 0, and compared: flag[i] == 1."
            if array.dtype.kind == "b"
            else "Send numbers that float64 or int64 can hold.",
        )
    if kind != "score_model":
        _require_exact(array, kind, path)
    floats = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    if np.isnan(floats).any():
        where = tuple(int(index) for index in np.argwhere(np.isnan(floats))[0])
        raise InvalidValue((*path, *where), expected="a number", received="NaN", advice="Send a number.")
    return floats


def _require_exact(array: NDArray[Any], kind: FormulaKind, path: ArgumentPath) -> None:
    """Raise InvalidValue for an integer that float64 does not tell from its neighbours, with the path to it.

    In a mask, where numbers are positions, lengths and names of documents, a float of this size counts as one: it may
    have been another integer in the document.
    """
    if array.dtype.kind == "f":
        wrong = (np.abs(array) >= MAX_INTEGER) & np.isfinite(array) if kind == "mask" else np.zeros((), np.bool_)
    else:
        wrong = (array > MAX_INTEGER) | (array < -MAX_INTEGER)
    if wrong.any():
        where = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise InvalidValue(
            (*path, *where),
            expected="an integer that float64 tells from its neighbours, of magnitude 2**53 at most",
            received=f"{array[where]!s}",
            advice="Number them anew, from 0; where no limit is meant, write inf in the formula.",
        )
