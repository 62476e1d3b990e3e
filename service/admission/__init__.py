"""What stands between a request and its computation: how much at once, how long, what is refused before it costs."""

from service.admission.deadline import Deadline
from service.admission.gate import INLINE_BYTES, INLINE_OPERATIONS, Gate
from service.admission.observer import Observer, Reason, Unobserved
from service.admission.reading import Receive, read_body

__all__ = [
    "INLINE_BYTES",
    "INLINE_OPERATIONS",
    "Deadline",
    "Gate",
    "Observer",
    "Reason",
    "Receive",
    "Unobserved",
    "read_body",
]
