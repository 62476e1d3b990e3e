"""Client of the attention service: NumPy arrays in and out, with httpx and NumPy alone.

>>> from attention_client import AttentionClient
>>> with AttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     result = client.attend(query, key, value, mask={"causal": True}, normalizer={"name": "softmax", "sink": 0.5})
...     result.output, result.weights

Arguments are those of ``POST /v1/attention``; arrays are sent as raw bytes by the Open Inference Protocol V2.
`AsyncAttentionClient` has the same methods for asyncio.  `attention_client.errors` draws the tree of errors.
"""

from attention_client.clients import AsyncAttentionClient, AttentionClient
from attention_client.decoding import AsyncDecodingSession, DecodingSession, StepInterrupted
from attention_client.errors import (
    AttentionServiceError,
    Conflict,
    ConnectionFailed,
    DeadlineExceeded,
    InsufficientStorage,
    InvalidArgument,
    InvalidRequest,
    MalformedRequest,
    MemoriesUnavailable,
    MemoryDamaged,
    NotAuthorized,
    NotFound,
    PreconditionFailed,
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
from attention_client.exchange import Retry
from attention_client.gradients import AttentionGradients
from attention_client.memories import AsyncMemories, Memories
from attention_client.memory_calls import MemoryDescription, MemoryTensors
from attention_client.partials import MergedResult, Partial
from attention_client.progress import OnProgress, Progress, ProgressBar
from attention_client.responses import AttentionResult
from attention_client.schema import Heads, Mask, Options, Window

__all__ = [
    "AsyncAttentionClient",
    "AsyncDecodingSession",
    "AsyncMemories",
    "AttentionClient",
    "AttentionGradients",
    "AttentionResult",
    "AttentionServiceError",
    "Conflict",
    "ConnectionFailed",
    "DeadlineExceeded",
    "DecodingSession",
    "Heads",
    "InsufficientStorage",
    "InvalidArgument",
    "InvalidRequest",
    "MalformedRequest",
    "Mask",
    "Memories",
    "MemoriesUnavailable",
    "MemoryDamaged",
    "MemoryDescription",
    "MemoryTensors",
    "MergedResult",
    "NotAuthorized",
    "NotFound",
    "OnProgress",
    "Options",
    "Partial",
    "PreconditionFailed",
    "Problem",
    "Progress",
    "ProgressBar",
    "RequestRefused",
    "Retry",
    "ServiceBusy",
    "ServiceFailed",
    "ShapeMismatch",
    "StepInterrupted",
    "TooLarge",
    "UnknownName",
    "UnreadableAnswer",
    "Violation",
    "Window",
]
