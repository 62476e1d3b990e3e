"""Errors about operands that an operation does not take, and about what a whole formula yields.

The words for a received type are those of `attention_core.formulas.graph.describe_type`, so that sizes are numbers
where a request gave them and names where only the formula is known.
"""

from collections.abc import Mapping

from attention_core.errors import InvalidValue
from attention_core.formulas.graph import NUMBER, TRUTH, ValueType, describe_type
from attention_core.formulas.language import LANGUAGE, FormulaKind
from attention_core.formulas.nodes import Node, Span, refuse

RESULTS: Mapping[FormulaKind, tuple[ValueType, str, str]] = {
    "score_model": (NUMBER, "a number for each pair from a score model", "Sum a vector to a number: sum(…)."),
    "score_modifier": (
        NUMBER,
        "a number from a score modifier",
        "Take one entry of a vector, as in slope[h], or reduce it: sum(…).",
    ),
    "mask": (TRUTH, "a truth value from a mask", "Compare it with something: … > 0."),
}
"""What a formula of each kind yields, the same in words, and what to change about a formula that yields another."""

ONE_NUMBER = describe_type((1,), is_truth=False)

AS_NUMBER = "Write where(condition, 1, 0) for a number."

AS_CHOICE = "where chooses numbers; of conditions write (c and x) or (not c and y)."

AS_CONDITION = "Join conditions with `and`, `or` and `not`; write where(condition, 1, 0) for a number."


EQUALITY: Mapping[str, str] = {
    "==": "(a and b) or (not a and not b) for equal ones, a itself for a == True",
    "!=": "(a and not b) or (not a and b) for unequal ones",
}
"""How conditions are compared, by the operator that compares numbers."""


def refuse_result(
    text: str, root: Node, kind: FormulaKind, received: str, *, is_vector: bool, is_truth: bool
) -> InvalidValue:
    """Return the error about a formula that yields something else than its kind must.

    :param text: the formula.
    :param root: the whole of it.
    :param kind: where it stands.
    :param received: words for what it yields.
    :param is_vector: whether that is a vector or a matrix.
    :param is_truth: whether that is true or false, or a vector of these.
    """
    _, expected, advice = RESULTS[kind]
    if kind == "mask" and is_vector:
        advice = "Reduce a vector to a number, sum(…) > 0, or take one entry of it, doc[j] == 1."
    elif kind == "mask" and root.operation == "where":
        advice = AS_CHOICE
    elif is_truth and kind == "score_modifier":
        advice = "Hide pairs by where(condition, score, -inf), or send the condition as {mask.formula}."
    elif is_truth:
        advice = AS_NUMBER
    elif received == ONE_NUMBER:
        advice = "A parameter of shape [1] is a vector too: write t[0], or send the number without a list."
    return refuse(text, root.span, (), expected=expected, received=f"{received}:", advice=advice)


def refuse_number(text: str, span: Span, received: str, operation: str) -> InvalidValue:
    """Return the error about a number, or a vector of these, where a truth value must be.

    :param text: the formula.
    :param span: the operand.
    :param received: words for what it is.
    :param operation: what it is an operand of, ``where`` or a word of logic.
    """
    expected = (
        "a truth value as the condition of where" if operation == "where" else f"truth values beside `{operation}`"
    )
    return refuse(
        text, span, (), expected=expected, received=f"{received}:", advice="Compare it with something: … > 0."
    )


def refuse_truth(text: str, span: Span, received: str, operation: str, kind: FormulaKind) -> InvalidValue:
    """Return the error about a truth value, or a vector of these, where a number must be.

    :param text: the formula.
    :param span: the operand.
    :param received: words for what it is.
    :param operation: what it is an operand of; ``index`` for an index.
    :param kind: kind of the formula.
    """
    places = {"index": "as an index", "where": "as x and y of where(c, x, y)", "negate": "behind -"}
    beside = "in" if operation.isidentifier() else "beside"
    expected = f"numbers {places.get(operation) or f'{beside} {operation}'}"
    advice = AS_NUMBER if operation.isidentifier() else AS_CONDITION
    if kind == "mask" and operation == "where":
        advice = AS_CHOICE
    elif operation in EQUALITY:
        advice = f"Join conditions with `and`, `or` and `not`: {EQUALITY[operation]}."
    return refuse(text, span, (), expected=expected, received=f"{received}:", advice=advice)


def refuse_operand(
    text: str, span: Span, received: str, operation: str, n_operands: int, kind: FormulaKind
) -> InvalidValue:
    """Return the error about a number or a matrix where a vector must be.

    :param text: the formula.
    :param span: the operand.
    :param received: words for what it is.
    :param operation: the function of vectors.
    :param n_operands: how many operands it has.
    :param kind: kind of the formula.
    """
    vectors = "vectors as operands" if n_operands > 1 else "a vector as operand"
    advice = f"For example {LANGUAGE[operation].example}."
    if kind != "score_model":
        advice = f"Here only parameters are vectors: write {LANGUAGE[operation].signature} of these."
    if operation in ("max", "min") and "number" in received:
        advice = f"The {operation} of two numbers is {operation}imum(a, b)."
    return refuse(text, span, (), expected=f"{vectors} of {operation}", received=f"{received}:", advice=advice)


def refuse_product(text: str, span: Span, left: str, right: str) -> InvalidValue:
    """Return the error about operands of ``@`` that have no product.

    :param text: the formula.
    :param span: the product.
    :param left: words for the left operand.
    :param right: words for the right one.
    """
    return refuse(
        text,
        span,
        (),
        expected="a matrix and a vector, or two vectors, beside @",
        received=f"{left} @ {right}:",
        advice="Write A @ (B @ x) for two matrices, and * for a number.",
    )


def refuse_matrix(text: str, span: Span, received: str) -> InvalidValue:
    """Return the error about a matrix where a number or a vector must be.

    :param text: the formula.
    :param span: the matrix.
    :param received: words for what it is.
    """
    return refuse(
        text,
        span,
        (),
        expected="numbers or vectors",
        received=f"{received}:",
        advice="A matrix stands beside @ or has two indices: W @ q, W[i, j].",
    )


def refuse_indexed(text: str, span: Span, name: str) -> InvalidValue:
    """Return the error about an index of a name that is no parameter.

    :param text: the formula.
    :param span: the name.
    :param name: the name, of the language.
    """
    advice = "Only parameters have indices."
    if LANGUAGE[name].is_function:
        advice = f"A function has parentheses: {LANGUAGE[name].signature}."
    elif name in ("q", "k"):
        advice = f"{advice} One feature is dot({name}, one_hot), with a vector that is 1 there and 0 elsewhere."
    return refuse(text, span, (), expected="the name of a parameter before [", advice=advice)


def refuse_index_count(text: str, span: Span, n_axes: int, n_indices: int, received: str) -> InvalidValue:
    """Return the error about a parameter that has more or fewer indices than axes.

    :param text: the formula.
    :param span: the parameter with its indices.
    :param n_axes: axes of the parameter.
    :param n_indices: indices that are written.
    :param received: words for the parameter.
    """
    return refuse(
        text,
        span,
        (),
        expected=f"as many indices as the parameter has axes, {n_axes}" if n_axes else "no index behind a number",
        received=f"{n_indices} for {received}:",
        advice="A number has no index; a vector has one and a matrix two. What differs by head is sent as per_head "
        "and written without index.",
    )


def refuse_vector_index(text: str, span: Span, received: str) -> InvalidValue:
    """Return the error about a vector or a matrix as an index.

    :param text: the formula.
    :param span: the index.
    :param received: words for what it is.
    """
    return refuse(
        text, span, (), expected="a number as index", received=f"{received}:", advice="Reduce it to a number first."
    )
