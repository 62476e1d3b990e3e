"""Limits on operations, memory and the size of an answer."""

from attention_core import Cost, predict
from attention_core.call import ResolvedCall
from service.codecs.decimals import BYTES_PER_NUMBER
from service.errors import TooLarge
from service.settings import Settings


def predict_within(settings: Settings, call: ResolvedCall) -> Cost:
    """Return the cost of a call; each compute thread holds tiles of its own."""
    return predict(call, threads=settings.compute_threads)


def require_within(settings: Settings, call: ResolvedCall, bytes_per_number: int | None = None) -> ResolvedCall:
    """Return a call that is checked once more, as after its memory was replaced; raise TooLarge beyond the limits."""
    require_affordable(predict_within(settings, call), call.dtype.name, settings, bytes_per_number)
    return call


LESS_MEMORY = "Include nothing but output and logsumexp, or split the leading axes over several requests."
"""What to change where attention needs too much memory."""


def exceeded(
    cost: Cost,
    dtype: str,
    settings: Settings,
    bytes_per_number: int | None = None,
    less_memory: str = LESS_MEMORY,
) -> str | None:
    """Say which limit the predicted operations, memory or answer exceed, with the numbers; None if none.

    An answer in another form than JSON takes other `bytes_per_number`; `less_memory` says what to change where memory
    is the limit.
    """
    size = cost.result_numbers * (bytes_per_number or BYTES_PER_NUMBER[dtype])
    if size > settings.max_result_bytes:
        return (
            f"expected a result of at most {settings.max_result_bytes} bytes; received a request whose result needs "
            f"about {size} ({cost.result_numbers} numbers). Include fewer fields, or split the queries."
        )
    if cost.operations > settings.max_operations:
        return (
            f"expected at most {settings.max_operations} operations; received a request that needs about "
            f"{cost.operations}. Send fewer queries or keys, or split the request."
        )
    if cost.bytes > settings.bytes_in_flight:
        return (
            f"expected to hold at most {settings.bytes_in_flight} bytes; received a request that needs about "
            f"{cost.bytes} beside its inputs. {less_memory}"
        )
    return None


def require_affordable(
    cost: Cost,
    dtype: str,
    settings: Settings,
    bytes_per_number: int | None = None,
    less_memory: str = LESS_MEMORY,
) -> int:
    """Return how many bytes computing and the answer will hold; raise TooLarge when a limit would be exceeded."""
    detail = exceeded(cost, dtype, settings, bytes_per_number, less_memory)
    if detail is not None:
        raise TooLarge(detail)
    return cost.bytes + cost.result_numbers * (bytes_per_number or BYTES_PER_NUMBER[dtype])
