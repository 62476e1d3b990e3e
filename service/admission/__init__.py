"""What stands between a request and its computation: how much at once, how long, what is refused before it costs."""

from service.admission.deadline import Deadline
from service.admission.follow import Follower, Progress
from service.admission.gate import Gate
from service.admission.observer import Observer, Reason, Unobserved
from service.admission.reading import Receive, read_body
from service.admission.visit import INLINE_BYTES, INLINE_HELD, INLINE_OPERATIONS, Visit

__all__ = [
    "INLINE_BYTES",
    "INLINE_HELD",
    "INLINE_OPERATIONS",
    "Deadline",
    "Follower",
    "Gate",
    "Observer",
    "Progress",
    "Reason",
    "Receive",
    "Unobserved",
    "Visit",
    "read_body",
]
