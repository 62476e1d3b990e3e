"""Check the fields and shapes of a candidate; name axes that are swapped, joined or missing."""

from math import prod

from attention_core.call import AttentionCall, Layout, ResolvedCall, ResultField
from attention_core.capabilities import supports_logsumexp
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.field_shapes import field_shapes
from attention_core.heads import arranged_shape
from attention_core.normalizers import Softmax
from attention_core.shapes import Shape

AVERAGED = (
    "They look averaged over the heads, as nn.MultiheadAttention returns them by default: send those of every head "
    "(average_attn_weights=False), or compare yours with what {include=mean_weights} returns."
)


def require_reference(call: AttentionCall, include: tuple[ResultField, ...]) -> None:
    """Raise InvalidValue for a field that attention does not return for this call."""
    if "output" in include and call.value is None:
        raise InvalidValue(
            ("candidate", "output"),
            expected="a value in the request, of which an output is mixed",
            received="an output without a value",
            advice="Send value, or take output out of the candidate.",
        )
    if "logsumexp" in include and not supports_logsumexp(call.normalizer or Softmax()):
        raise InvalidValue(
            ("candidate", "logsumexp"),
            expected="no logsumexp, which softmax alone has",
            received="one",
            advice="Take it out of the candidate, or choose softmax.",
        )


def shape_of(call: ResolvedCall, name: ResultField) -> Shape:
    """Return the shape in which `attend` returns a field."""
    (shape,) = field_shapes(call, name)
    return arranged_shape(call, shape) if name == "output" else shape


def check_shape(name: str, received: Shape, expected: Shape, layout: Layout = "bhsd") -> None:
    """Raise ShapeMismatch unless the shapes are equal; the advice names axes that are swapped, joined or missing.

    :param name: the field.
    :param received: shape of the candidate.
    :param expected: what `shape_of` returns.
    :param layout: the layout of the call.
    """
    if received != expected:
        raise ShapeMismatch(
            ("candidate", name),
            expected=f"shape {list(expected)}, as attend returns {name} for this request",
            received=f"shape {list(received)}",
            advice=AVERAGED
            if name == "weights" and len(expected) == 4 and received == (expected[0], *expected[2:])
            else _advice(received, expected, by_length=name == "output" and layout == "bshd"),
        )


def _advice(received: Shape, expected: Shape, *, by_length: bool) -> str:
    if [size for size in received if size != 1] == [size for size in expected if size != 1]:
        return f"Only axes of length 1 differ: reshape it to {list(expected)}."
    if sorted(received) == sorted(expected):
        return f"The axes look swapped: transpose them to the order {_order(received, expected)}."
    if by_length and len(received) == 3 and received[-1] == expected[2] * expected[-1]:
        return f"The heads look packed into the last axis: reshape it to {list(expected)}."
    if not by_length and len(received) == 3 and len(expected) == 4 and received[-1] == expected[1] * expected[-1]:
        batch, heads, length, features = expected
        return (
            "The heads look packed into the last axis: reshape it to "
            f"{[batch, length, heads, features]}, then transpose to the order [0, 2, 1, 3]."
        )
    if len(received) == 4 and len(expected) == 3 and received[1] * received[-1] == expected[-1]:
        return (
            "The request packs its heads, and so does output: transpose it to the order [0, 2, 1, 3], "
            f"then reshape to {list(expected)}."
        )
    if received[-2:] == expected[-2:] and prod(received) == prod(expected):
        return f"The leading axes look joined or split: reshape it to {list(expected)}."
    if len(received) < len(expected) and received == expected[len(expected) - len(received) :]:
        missing = list(expected[: len(expected) - len(received)])
        return f"The leading axes {missing} are missing: return one result for each batch row and head."
    return "Return one row for each query; leading axes are those of the scores."


def _order(received: Shape, expected: Shape) -> list[int]:
    """Return which received axis belongs in each place; of several of one length the first comes first."""
    free = list(range(len(received)))
    order = []
    for size in expected:
        axis = next(axis for axis in free if received[axis] == size)
        free.remove(axis)
        order.append(axis)
    return order
