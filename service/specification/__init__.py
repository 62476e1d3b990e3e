"""The OpenAPI document: bodies fully described although the routes read bytes, every error, every example.

The functions that end in `_operation` return the keyword arguments of a route decorator; `build` writes the document.
"""

from service.specification.document import build
from service.specification.endpoints import ENDPOINTS, Endpoint
from service.specification.memories import memory_operation
from service.specification.open_inference import inference_operation, inference_reading
from service.specification.operations import (
    catalogue_operation,
    computing_operation,
    expressions_operation,
    metrics_operation,
    probe_operation,
)

__all__ = [
    "ENDPOINTS",
    "Endpoint",
    "build",
    "catalogue_operation",
    "computing_operation",
    "expressions_operation",
    "inference_operation",
    "inference_reading",
    "memory_operation",
    "metrics_operation",
    "probe_operation",
]
