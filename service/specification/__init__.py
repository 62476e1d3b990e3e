"""The OpenAPI document: bodies fully described although the routes read bytes, every error, every example.

The functions that end in `_operation` return the keyword arguments of a route decorator; `build` writes the document.
"""

from service.specification.document import build
from service.specification.open_inference import inference_operation, inference_reading
from service.specification.operations import (
    attention_operation,
    catalogue_operation,
    check_operation,
    compare_operation,
    estimate_operation,
    explain_operation,
    merge_operation,
    metrics_operation,
    probe_operation,
)

__all__ = [
    "attention_operation",
    "build",
    "catalogue_operation",
    "check_operation",
    "compare_operation",
    "estimate_operation",
    "explain_operation",
    "inference_operation",
    "inference_reading",
    "merge_operation",
    "metrics_operation",
    "probe_operation",
]
