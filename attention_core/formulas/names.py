"""Errors about names that the language of formulas does not have, with what others call them."""

from collections.abc import Collection

from attention_core.errors import InvalidValue, UnknownName
from attention_core.formulas.language import FUNCTIONS, LANGUAGE, FormulaKind, variables_of
from attention_core.formulas.nodes import Span, describe, refuse
from attention_core.hints.search import did_you_mean

PLACES: dict[FormulaKind, str] = {
    "score_model": "a score model",
    "score_modifier": "a score modifier",
    "mask": "a mask",
}
"""What a sentence calls a kind of formula."""

FOREIGN_NAMES: dict[str, str] = {
    "q_idx": "i",
    "query_index": "i",
    "row": "i",
    "kv_idx": "j",
    "k_idx": "j",
    "key_index": "j",
    "col": "j",
    "batch": "b",
    "batch_idx": "b",
    "head": "h",
    "head_idx": "h",
    "query": "q",
    "key": "k",
    "dim": "D",
    "head_dim": "D",
    "n_keys": "Lk",
    "seq_len": "Lk",
    "kv_len": "Lk",
    "q_len": "Lq",
    "scores": "score",
    "true": "True",
    "false": "False",
    "infinity": "inf",
    "ln": "log",
    "power": "**",
    "pow": "**",
    "if": "where",
    "ifelse": "where",
    "select": "where",
    "cond": "where",
    "mod": "%",
    "l2": "norm",
    "l1": "norm1",
    "cosine_similarity": "cosine",
    "cat": "concat",
    "concatenate": "concat",
    "inner": "dot",
    "matmul": "@",
    "clamp": "clip",
    "absolute": "abs",
    "fabs": "abs",
    "avg": "mean",
    "logistic": "sigmoid",
    "amax": "max",
    "amin": "min",
}
"""Names that other libraries give to names of the language."""


def refuse_function(text: str, span: Span, name: str) -> UnknownName:
    """Return the error about a name that is called and no function.

    :param text: the formula.
    :param span: where the name stands.
    :param name: the name.
    """
    return unknown_name(text, span, name, "a function of formulas", FUNCTIONS, LANGUAGE)


def refuse_variable(text: str, span: Span, name: str, kind: FormulaKind) -> None:
    """Raise InvalidValue for a name that the language has, but not in formulas of a kind.

    :param text: the formula.
    :param span: where the name stands.
    :param name: the name.
    :param kind: kind of the formula.
    """
    entry = LANGUAGE.get(name)
    if entry is None or kind in entry.kinds:
        return
    places = " or ".join(PLACES[one] for one in entry.kinds)
    raise refuse(
        text,
        span,
        (),
        expected=f"a name that {PLACES[kind]} has: a parameter, or one of {', '.join(sorted(variables_of(kind)))}",
        advice=f"{name} is {entry.meaning.en}: it stands only in {places}.",
    )


def unknown_name(
    text: str,
    span: Span,
    name: str,
    expected: str,
    known: Collection[str],
    all_names: Collection[str] = (),
    otherwise: str = "",
) -> UnknownName:
    """Return the error about a name, with the name that may be meant.

    :param text: the formula.
    :param span: where the name stands.
    :param name: the name.
    :param expected: the kind of thing that should stand there, such as "a function".
    :param known: names that may stand there.
    :param all_names: names that others' names may stand for; default `known`.
    :param otherwise: advice beside a name that may be meant, in case it is not; default none.
    """
    error = UnknownName((), expected=expected, kind="field", received=name, known=known)
    error.received = describe(text, span)
    foreign = FOREIGN_NAMES.get(name.lower())
    if foreign is not None and foreign in (all_names or known):
        error.advice = f"Here it is {foreign}."
    else:
        meant = did_you_mean(name, known)
        error.advice = (
            f"{meant} {otherwise}".rstrip() if meant else "Use one of these names, or send it as a parameter."
        )
    return error


def refuse_parameter(path: tuple[str | int, ...], expected: str, received: str, advice: str) -> InvalidValue:
    """Return an error about a parameter, by the path to it."""
    return InvalidValue(path, expected=expected, received=received, advice=advice)
