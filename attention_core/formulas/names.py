"""Errors about names that the language of formulas does not have, with what others call them."""

from collections.abc import Collection, Sequence

from attention_core.errors import MAX_ECHOED, InvalidValue, UnknownName
from attention_core.formulas.language import FUNCTIONS, LANGUAGE, FormulaKind, variables_of
from attention_core.formulas.nodes import Span, describe, refuse
from attention_core.hints.search import did_you_mean

PLACES: dict[FormulaKind, str] = {
    "score_model": "a score model",
    "score_modifier": "a score modifier",
    "mask": "a mask",
}
"""What a sentence calls a kind of formula."""

PARAMETERS: dict[FormulaKind, str] = {
    "score_model": "{score_model.expression.parameters}",
    "score_modifier": "{score_modifier.parameters}",
    "mask": "{mask.parameters}",
}
"""Where a kind of formula has its parameters, as a place of `attention_core.hints`."""

FOREIGN_NAMES: dict[str, str] = {
    **dict.fromkeys(("q_idx", "query_index", "row"), "p, or i as the index of a parameter: doc[i]"),
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
    "d": "D",
    "d_k": "Dk",
    "dk": "Dk",
    "d_q": "Dq",
    "dq": "Dq",
    "π": "pi",
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
    **dict.fromkeys(("mod", "fmod", "remainder"), "%"),
    "floor_divide": "//",
    "exp2": "2 ** x",
    "log2": "log(x) / log(2)",
    "rsqrt": "1 / sqrt(x)",
    "round": "floor(x + 0.5)",
    "ceil": "-floor(-x)",
    "len": "Dq for q and Dk for k in a score model, Lq and Lk for the numbers of queries and keys elsewhere",
    "transpose": "x @ W for the transpose of W times x",
    "all": "`and` between conditions, min(where(c, 1, 0)) == 1 for a vector of them",
    "any": "`or` between conditions, max(where(c, 1, 0)) == 1 for a vector of them",
    "logical_and": "`and`",
    "logical_or": "`or`",
    "logical_not": "`not`",
    **dict.fromkeys(
        ("softmax", "log_softmax", "sparsemax", "entmax", "softmax1"),
        "{normalizer} that makes weights of the scores, and no function of a formula",
    ),
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


MAX_INDICES = 2
"""Maximum indices of a parameter, which a matrix has."""


def refuse_function(text: str, span: Span, name: str, operands: Sequence[Span]) -> UnknownName:
    """Return the error about a name that is called and no function, perhaps a parameter whose entry is meant.

    :param text: the formula.
    :param span: where the name stands.
    :param name: the name.
    :param operands: where its operands stand.
    """
    advice = did_you_mean(name, FUNCTIONS) or "Use one of these functions."
    if name in LANGUAGE:
        advice = f"{name} is {LANGUAGE[name].meaning.en}, and no function: for a product write * before the (."
    elif 1 <= len(operands) <= MAX_INDICES:
        indexed = f"{name}[{', '.join(text[one.start : one.stop] for one in operands)}]"
        shown = indexed if len(indexed) <= MAX_ECHOED else "slope[h]"
        advice = f"{advice} Entries of a parameter have brackets: {shown}."
    return _unknown(text, span, name, "a function of formulas", FUNCTIONS, advice)


def refuse_many_indices(text: str, span: Span, n_indices: int, kind: FormulaKind) -> InvalidValue:
    """Return the error about a parameter with more indices than a matrix has.

    :param text: the formula.
    :param span: the parameter with its indices.
    :param n_indices: indices that are written.
    :param kind: kind of the formula.
    """
    whole = "{mask.allowed}" if kind == "mask" else "{bias}, which is added to the scores"
    return refuse(
        text,
        span,
        (),
        expected=f"at most {MAX_INDICES} indices of a parameter",
        received=f"{n_indices} in",
        advice=f"A parameter has at most {MAX_INDICES} axes for each head. What differs by batch row, head, query and "
        f"key is sent as {whole}.",
    )


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
        advice=f"{name} is {entry.meaning.en}: it stands only in {places}. Parameters are called otherwise."
        + (" What differs by head is sent as per_head, and written without index." if name == "h" else ""),
    )


def unknown_variable(text: str, span: Span, name: str, kind: FormulaKind, parameters: Collection[str]) -> UnknownName:
    """Return the error about a name that is no variable of a formula, and whose value is not given.

    :param text: the formula.
    :param span: where the name stands.
    :param name: the name.
    :param kind: kind of the formula.
    :param parameters: names of the parameters that are given.
    """
    known = variables_of(kind) | set(parameters)
    same = next((f"Did you mean {one!r}?" for one in sorted(known) if one.lower() == name.lower()), "")
    asked = same or did_you_mean(name, known)
    advice = f"The value of a parameter is sent in {PARAMETERS[kind]}. {asked or 'Else use one of these names.'}"
    if kind == "score_modifier" and "bias" in name.lower():
        advice = f"{advice} Numbers that are added to the scores need no formula: {{bias}}."
    return _unknown(text, span, name, "a variable or a parameter", known, advice)


def _unknown(text: str, span: Span, name: str, expected: str, known: Collection[str], advice: str) -> UnknownName:
    """Return the error about a name; what the name is called here comes before `advice`."""
    error = UnknownName((), expected=expected, kind="field", received=name, known=known)
    error.received = describe(text, span)
    foreign = FOREIGN_NAMES.get(name.lower())
    error.advice = advice if foreign is None or foreign == name else f"Here it is {foreign}."
    return error
