"""Attention over the network, NumPy in and out: a client of the service that needs httpx and NumPy alone.

>>> from service.client import AttentionClient
>>> with AttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     result = client.attend(query, key, value, mask={"causal": True}, normalizer={"name": "softmax", "sink": 0.5})
...     result.output, result.weights

Arguments are those of ``POST /v1/attention``; arrays travel as raw bytes by the Open Inference Protocol V2.
`AsyncAttentionClient` is the same with asyncio.  Errors are in `service.client.errors`.
"""

from service.client.answers import AttentionResult
from service.client.arguments import Heads, Mask, Options, Window
from service.client.clients import AsyncAttentionClient, AttentionClient
from service.client.errors import (
    AttentionServiceError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidArgument,
    InvalidRequest,
    MalformedRequest,
    NotAuthorized,
    NotFound,
    Problem,
    RequestRefused,
    ServiceBusy,
    ServiceFailed,
    ShapeMismatch,
    TooLarge,
    UnknownName,
    UnreadableAnswer,
    Violation,
)
from service.client.exchange import Retry
from service.client.progress import OnProgress, Progress, ProgressBar

__all__ = [
    "AsyncAttentionClient",
    "AttentionClient",
    "AttentionResult",
    "AttentionServiceError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "Heads",
    "InvalidArgument",
    "InvalidRequest",
    "MalformedRequest",
    "Mask",
    "NotAuthorized",
    "NotFound",
    "OnProgress",
    "Options",
    "Problem",
    "Progress",
    "ProgressBar",
    "RequestRefused",
    "Retry",
    "ServiceBusy",
    "ServiceFailed",
    "ShapeMismatch",
    "TooLarge",
    "UnknownName",
    "UnreadableAnswer",
    "Violation",
    "Window",
]
