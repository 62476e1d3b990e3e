"""Attention over parts of the keys, as a document of POST /v1/attention/merge, and the merged answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from attention_client import safetensors
from attention_client.arguments import Document
from attention_client.errors import InvalidArgument, UnreadableAnswer
from attention_client.responses import AttentionResult, FloatArray, Reply
from attention_client.tensors import as_array
from attention_wire.datatypes import BY_DTYPE

LogBase: TypeAlias = Literal["e", 2]
"""Base of a logsumexp: "e" here, in PyTorch, JAX, FlashAttention and xFormers; 2 in FlashInfer."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Softmax attention over some of the keys.

    :param output: (…, Lq, Dv).
    :param logsumexp: logarithm of the softmax denominator, (…, Lq); −∞ for a query that saw none of these keys.
    :param log_base: base of the logarithm: "e", the default, or 2.
    """

    output: ArrayLike
    logsumexp: ArrayLike
    log_base: LogBase = "e"


@dataclass(frozen=True, slots=True)
class MergedResult:
    """Attention over all the keys.

    :param output: (…, Lq, Dv); zeros for a query that saw no key. bfloat16 is held in float32.
    :param logsumexp: logarithm of the softmax denominator, (…, Lq), in the type that was computed in.
    :param log_base: base of the logarithm.
    :param dtype: number type of the output: float64, float32, float16 or bfloat16.
    """

    output: FloatArray
    logsumexp: FloatArray
    log_base: LogBase
    dtype: str


Mergeable: TypeAlias = Partial | AttentionResult | MergedResult
"""What can be merged: results of the service, whose base is known, and arrays from elsewhere as a `Partial`."""


def build_merge_document(
    partials: Sequence[Mergeable],
    dtype: str | None = None,
    log_base: LogBase | None = None,
    layout: str | None = None,
) -> Document:
    """Return the document of POST /v1/attention/merge.

    :param partials: one or more, of equal shapes.
    :param dtype: number type of the merged output; None for the one that all outputs share, else float64.
    :param log_base: base of the merged logsumexp; None for "e".
    :param layout: order of the axes of outputs, "bhsd" or "bshd"; None for "bhsd".

    Raises InvalidArgument for what cannot be put on the wire, AttributeError for a result without output or logsumexp,
    and TypeError for anything else than a partial or a result.
    """
    parts, dtypes = [], set()
    for index, one in enumerate(partials):
        if not isinstance(one, Partial | AttentionResult | MergedResult):
            raise TypeError(
                f"partials[{index}]: expected a Partial or a result; received {type(one).__name__}. "
                "Write Partial(output, logsumexp)."
            )
        arrays = {name: as_array(getattr(one, name), f"/partials/{index}/{name}") for name in ("output", "logsumexp")}
        dtypes.add(arrays["output"].dtype.name if isinstance(one, Partial) else one.dtype)
        # Said for each: a partial without one would take the base of the answer.
        parts.append(arrays | {"log_base": "e" if isinstance(one, AttentionResult) else one.log_base})
    if dtype is None:
        dtype = dtypes.pop() if len(dtypes) == 1 and dtypes <= set(BY_DTYPE) else "float64"
    elif dtype not in BY_DTYPE:
        raise InvalidArgument("/dtype", f"expected one of {', '.join(BY_DTYPE)}; received {dtype!r}.")
    said = {} if layout is None else {"layout": layout}
    return {"partials": parts, "dtype": dtype, "log_base": log_base or "e", **said}


def read_merged(reply: Reply, dtype: str) -> MergedResult:
    """Return the answer to a merge, which is a safetensors file; raises UnreadableAnswer."""
    document, arrays = safetensors.read(reply.content)
    try:
        output, logsumexp, log_base = arrays["output"], arrays["logsumexp"], document["log_base"]
    except KeyError as error:
        raise UnreadableAnswer(f"expected output, logsumexp and log_base; received no {error}.") from None
    return MergedResult(np.asarray(output), np.asarray(logsumexp), log_base, dtype)
